"""How many planted sequences hold which motifs: the share of every combination."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dr_explorer.additive import Additive
from dr_explorer.motif_words import letters_allowed


def shares_of(rules: dict, words: dict, combinations: np.ndarray, prevalence) -> np.ndarray:
    """Share of each combination of motifs, as `plant` describes it under prevalence."""
    by_name = dict(zip(words, combinations.T, strict=True))
    prevalence = np.asarray(prevalence, float)
    if prevalence.shape not in ((), (len(rules),)):
        raise ValueError(
            f"prevalence is one number, or one for each of {len(rules)} targets; got {prevalence.tolist()}"
        )
    prevalence = np.broadcast_to(prevalence, len(rules))
    if not ((prevalence > 0) & (prevalence < 1)).all():
        raise ValueError(f"prevalence must lie between 0 and 1, not {prevalence.tolist()}")
    shares = np.zeros(len(combinations))
    for share, (name, rule) in zip(prevalence, rules.items(), strict=True):
        if isinstance(rule, Additive):
            shares += 1 / len(combinations)
            continue
        truth = rule(by_name)
        if truth.all() or not truth.any():
            raise ValueError(
                f"the rule '{name}' ({rule}) is {'always' if truth.all() else 'never'} true: nothing to learn"
            )
        shares += np.where(truth, share / truth.sum(), (1 - share) / (~truth).sum())
    return shares / len(rules)


def shares_given(mixture: Mapping, words: dict, combinations: np.ndarray) -> np.ndarray:
    names, shares = list(words), np.zeros(len(combinations))
    for key, share in mixture.items():
        key = (key,) if isinstance(key, str) else tuple(key)
        unknown = [name for name in key if name not in words]
        if unknown:
            raise ValueError(f"mixture names the motif '{unknown[0]}', but motifs has only: {', '.join(names)}")
        if not (np.isfinite(share) and share >= 0):
            raise ValueError(f"the share of {key} in mixture must be a number from 0, not {share!r}")
        shares[(combinations == [name in key for name in names]).all(axis=1)] += share
    if shares.sum() <= 0:
        raise ValueError("mixture needs at least one combination with a share above 0")
    return shares / shares.sum()


def apportioned(shares: np.ndarray, n: int) -> np.ndarray:
    """Whole counts that sum to n and follow the shares (largest remainders get the rest)."""
    counts = np.floor(shares * n).astype(int)
    order = np.argsort(-(shares * n - counts), kind="stable")
    counts[order[: n - counts.sum()]] += 1
    return counts


def check_containment(words: dict, combinations: np.ndarray) -> None:
    """A motif that lies inside another cannot be absent where the other is planted."""
    for i, (outer, outer_word) in enumerate(words.items()):
        for j, (inner, inner_word) in enumerate(words.items()):
            if i == j or len(inner_word) > len(outer_word):
                continue
            a, b = letters_allowed(outer_word), letters_allowed(inner_word)
            inside = any((a[k : k + len(b)] <= b).all() for k in range(len(a) - len(b) + 1))
            if inside and (combinations[:, i] & ~combinations[:, j]).any():
                raise ValueError(
                    f"every instance of '{outer}' ({outer_word}) contains '{inner}' ({inner_word}), so no sequence can "
                    f"have '{outer}' without '{inner}'; choose other motifs, or leave that combination out by mixture="
                )
