"""Sequences in which motifs are planted by a known rule, so that what a network learned can be checked.

A label is true to the sequence: by default every chance instance of a motif is mutated away from the background and
each planted motif occurs exactly once, so that presence means planted, and a rule holds for the letters a network
reads. ``chance="count"`` leaves chance instances in and labels the sequence as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from dr_explorer.formula import Formula, parse

ALPHABET = "ACGT"
IUPAC = dict(
    A="A", C="C", G="G", T="T", R="AG", Y="CT", S="CG", W="AT", K="GT", M="AC",
    B="CGT", D="AGT", H="ACT", V="ACG", N="ACGT",
)  # fmt: skip
# Presence combinations double with every motif; beyond this a mixture has to be given and the table gets silly.
MOST_MOTIFS = 12
# A word of fewer informative letters occurs by chance in every sequence.
SHORTEST = 3
# Below this many positives (or negatives) in either part, an AUC means little and training learns nothing.
FEWEST = 10
# Rounds of drawing again the rows that broke a rule; every round repairs most of what is left.
ROUNDS = 500


@dataclass(frozen=True)
class Additive:
    """A graded rule: the label is drawn with probability ``sigmoid(bias + sum of the weights of what is present)``.

    ``Additive({"A": 4, "B": 4}, bias=-4)``: neither motif decides alone, each adds the same evidence.
    """

    weights: Mapping[str, float]
    bias: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def probability(self, present) -> np.ndarray:
        logit = self.bias + sum(w * np.asarray(present[name], float) for name, w in self.weights.items())
        return 1 / (1 + np.exp(-logit))

    def __str__(self) -> str:
        return " ".join(f"{w:+g} {name}" for name, w in self.weights.items()) + f" {self.bias:+g}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled one-hot sequences and everything that is known about them.

    Attributes
    ----------
    x : uint8 array (N, 4, L)
        One-hot, rows ACGT.
    y : float32 array (N, C)
        Labels, 0 or 1.
    target_names : list of str
    rules : dict of str to Formula or Additive
        The rule of each target.
    motifs : dict of str to str
        IUPAC words by name.
    present : bool array (N, M)
        Does the sequence contain the motif; columns in the order of `motifs`.
    position : int array (N, M)
        Where it was planted (first base), -1 where it was not.
    test : bool array (N,)
        The held-out part.
    """

    x: np.ndarray
    y: np.ndarray
    target_names: list[str]
    rules: dict[str, Formula | Additive]
    motifs: dict[str, str]
    present: np.ndarray
    position: np.ndarray
    test: np.ndarray
    name: str = "planted"
    chance: str = "clean"
    settings: dict = field(default_factory=dict)

    @property
    def length(self) -> int:
        return self.x.shape[2]

    @property
    def n_targets(self) -> int:
        return self.y.shape[1]

    @property
    def prevalence(self) -> np.ndarray:
        """Share of positives, one a target."""
        return self.y.mean(axis=0)

    @property
    def example_input(self):
        """Two sequences as a float tensor (2, 4, L), for ``resolve`` and ``list_layers``."""
        import torch

        return torch.from_numpy(self.x[:2].astype(np.float32))

    def backgrounds(self, n: int, random_state: int = 0) -> np.ndarray:
        """Fresh sequences (n, 4, L), uint8, made as this set's background: nothing planted."""
        rng = np.random.default_rng(random_state)
        letters = rng.integers(4, size=(n, self.length)).astype(np.uint8)
        if self.chance == "clean":
            _clean(letters, list(self.motifs.values()), rng)
        return _one_hot(letters)

    def __repr__(self) -> str:
        rules = "; ".join(f"{name}: {rule}" for name, rule in self.rules.items())
        return f"<Dataset {self.name}: {len(self.x):,} sequences of {self.length} bp; {rules}>"


def plant(
    formula: str | Formula | Additive | Mapping[str, str | Formula | Additive],
    motifs: Mapping[str, str] | Sequence[str] | None = None,
    *,
    n: int = 40_000,
    length: int = 200,
    prevalence: float | Sequence[float] = 0.5,
    mixture: Mapping[tuple[str, ...], float] | None = None,
    random_negatives: int = 0,
    positions: Mapping[str, tuple[int, int]] | None = None,
    spacing: Mapping[tuple[str, str], tuple[int, int]] | None = None,
    chance: str = "clean",
    label_noise: float = 0.0,
    held_out: float = 0.2,
    random_state: int = 0,
    name: str = "planted",
) -> Dataset:
    """Plant motifs in uniform random sequences so that one or more rules hold.

    Parameters
    ----------
    formula : the rule, such as ``"CAGGTC and (GCTCAT xor CGCTTG)"``, or a rule for each target by name. An `Additive`
        gives graded labels.
    motifs : name -> word in IUPAC letters; a plain list of words names them by themselves; None takes the names in
        the formula as the words. Motifs that no rule mentions are decoys, present or absent by the toss of a coin.
    n : sequences planted.
    length : of a sequence, bp.
    prevalence : share of positives, one number or one a target. A sequence serves one target, drawn evenly; its
        label for that target is drawn with this prevalence, and among the motif combinations that give this label
        every one is as likely. (So with several targets each one's prevalence is approximate.)
    mixture : instead of `prevalence`, the share of each combination: ``{("A", "B"): 1, ("A",): 2, (): 1}``.
    random_negatives : sequences added to the `n` with nothing planted.
    positions : motif -> (lowest, highest) start, in bp from 0, both included.
    spacing : (left, right) -> (least, most) bases between the two where both are planted, left one first.
    chance : ``"clean"`` mutates chance instances away; ``"count"`` keeps them, and labels the sequence as it stands.
    label_noise : share of labels flipped at the end.
    held_out : share of sequences in the test part.
    random_state : the same number gives the same set.

    Raises
    ------
    ValueError
        Empty or unreadable formula, a motif that is unknown, not IUPAC or longer than its room, a rule that is
        always (or never) true, a combination that no sequence can show, too few positives or negatives.
    """
    rules = _rules(formula)
    words = _words(rules, motifs)
    rng = np.random.default_rng(random_state)
    _check_numbers(n, length, held_out, label_noise, random_negatives, chance)
    ranges = _ranges(words, length, positions)
    gaps = _gaps(words, spacing)
    combinations = np.array(list(product((False, True), repeat=len(words))))
    shares = (
        _mixture(mixture, words, combinations)
        if mixture is not None
        else _shares(rules, words, combinations, prevalence)
    )
    _check_containment(words, combinations[shares > 0])

    counts = _apportion(shares, n)
    present = np.repeat(combinations, counts, axis=0)
    present = np.concatenate([present, np.zeros((random_negatives, len(words)), bool)])
    present = present[rng.permutation(len(present))]
    letters, position = _plant(present, words, ranges, gaps, length, chance, rng)
    if chance == "count":
        present = np.stack([occurrences(letters, word).any(axis=1) for word in words.values()], axis=1)
    by_name = dict(zip(words, present.T, strict=True))
    y = np.stack([_label(rule, by_name, rng) for rule in rules.values()], axis=1)
    if random_negatives and any(_true_of_nothing(rule) for rule in rules.values()):
        raise ValueError("random_negatives are not negatives here: a rule is true of a sequence without any motif")
    y ^= rng.random(y.shape) < label_noise
    test = np.zeros(len(y), bool)
    test[rng.permutation(len(y))[: round(held_out * len(y))]] = True
    _check_counts(y, test, list(rules))
    return Dataset(
        _one_hot(letters), y.astype(np.float32), list(rules), rules, words, present, position, test, name, chance
    )


def occurrences(letters: np.ndarray, word: str) -> np.ndarray:
    """Where a word in IUPAC letters starts: bool (N, L - w + 1), for letters (N, L) as numbers 0-3 in ACGT order."""
    allowed = _allowed(word)
    span = letters.shape[1] - len(word) + 1
    hit = np.ones((len(letters), span), bool)
    for k, row in enumerate(allowed):
        if not row.all():
            at = letters[:, k : k + span]
            hit &= (at == row.argmax()) if row.sum() == 1 else row[at]
    return hit


def _rules(formula) -> dict[str, Formula | Additive]:
    if isinstance(formula, Mapping):
        if not formula:
            raise ValueError("no formula was given: the mapping of targets to formulas is empty")
        return {str(name): _rule(rule) for name, rule in formula.items()}
    rule = _rule(formula)
    return {str(rule): rule}


def _rule(rule) -> Formula | Additive:
    if isinstance(rule, Additive):
        if not rule.weights:
            raise ValueError("an Additive rule needs at least one motif with a weight")
        if not np.isfinite([rule.bias, *rule.weights.values()]).all():
            raise ValueError(f"an Additive rule needs finite weights and bias, not {rule}")
        return rule
    return rule if isinstance(rule, Formula) else parse(rule)


def _words(rules: dict, motifs) -> dict[str, str]:
    named = list(dict.fromkeys(name for rule in rules.values() for name in rule.names))
    if motifs is None:
        motifs = named
        unknown = [m for m in named if not set(m.upper()) <= set(IUPAC)]
        if unknown:
            raise ValueError(
                f"'{unknown[0]}' is not a word in DNA letters; give motifs={{'{unknown[0]}': 'CAGATG', ...}}"
            )
    words = dict(motifs) if isinstance(motifs, Mapping) else {word: word for word in motifs}
    missing = [name for name in named if name not in words]
    if missing:
        raise ValueError(
            f"the formula names the motif '{missing[0]}', but motifs has only: {', '.join(words) or 'none'}"
        )
    for key, word in words.items():
        if not isinstance(word, str) or not word or not set(word.upper()) <= set(IUPAC):
            raise ValueError(f"motif '{key}' must be a word in the letters {''.join(IUPAC)}, not {word!r}")
        if sum(len(IUPAC[letter]) < 4 for letter in word.upper()) < SHORTEST:
            raise ValueError(f"motif '{key}' ({word}) is met everywhere by chance; give at least {SHORTEST} letters")
    if len(words) > MOST_MOTIFS:
        raise ValueError(
            f"{len(words)} motifs give {2 ** len(words)} combinations; at most {MOST_MOTIFS} can be planted"
        )
    return {key: word.upper() for key, word in words.items()}


def _check_numbers(n, length, held_out, label_noise, random_negatives, chance) -> None:
    for label, value in (("n", n), ("length", length)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{label} must be a whole number from 1, not {value!r}")
    if random_negatives < 0:
        raise ValueError(f"random_negatives must be 0 or more, not {random_negatives!r}")
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is the share of test sequences, between 0 and 1, not {held_out!r}")
    if not 0 <= label_noise < 0.5:
        raise ValueError(f"label_noise is the share of flipped labels, at least 0 and below 0.5, not {label_noise!r}")
    if chance not in ("clean", "count"):
        raise ValueError(f"chance must be 'clean' or 'count', not {chance!r}")


def _ranges(words: dict, length: int, positions) -> np.ndarray:
    """Lowest and highest start of each motif, (M, 2)."""
    positions = dict(positions or {})
    ranges = []
    for name, word in words.items():
        last = length - len(word)
        if last < 0:
            raise ValueError(f"motif '{name}' ({word}, {len(word)} bp) does not fit in a sequence of {length} bp")
        low, high = positions.pop(name, (0, last))
        if not 0 <= low <= high <= last:
            raise ValueError(
                f"positions of '{name}' must lie within 0 and {last} for its first base, not {low} to {high}"
            )
        ranges.append((low, high))
    if positions:
        raise ValueError(
            f"positions names the motif '{next(iter(positions))}', but motifs has only: {', '.join(words)}"
        )
    return np.array(ranges)


def _gaps(words: dict, spacing) -> list[tuple[int, int, int, int]]:
    names, gaps = list(words), []
    for (left, right), (least, most) in (spacing or {}).items():
        for name in (left, right):
            if name not in words:
                raise ValueError(f"spacing names the motif '{name}', but motifs has only: {', '.join(names)}")
        if not 0 <= least <= most:
            raise ValueError(f"spacing of {left} and {right} must be 0 <= least <= most, not {least} to {most}")
        gaps.append((names.index(left), names.index(right), least, most))
    if len({right for _, right, _, _ in gaps}) < len(gaps):
        raise ValueError("spacing can tie a motif to one motif on its left only")
    return gaps


def _shares(rules: dict, words: dict, combinations: np.ndarray, prevalence) -> np.ndarray:
    """Share of each combination of motifs, as `plant` describes it under prevalence."""
    by_name = dict(zip(words, combinations.T, strict=True))
    prevalence = np.broadcast_to(np.asarray(prevalence, float), len(rules))
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


def _mixture(mixture: Mapping, words: dict, combinations: np.ndarray) -> np.ndarray:
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


def _apportion(shares: np.ndarray, n: int) -> np.ndarray:
    """Whole counts that sum to n and follow the shares (largest remainders get the rest)."""
    counts = np.floor(shares * n).astype(int)
    order = np.argsort(-(shares * n - counts), kind="stable")
    counts[order[: n - counts.sum()]] += 1
    return counts


def _check_containment(words: dict, combinations: np.ndarray) -> None:
    """A motif that lies inside another cannot be absent where the other is planted."""
    for i, (outer, outer_word) in enumerate(words.items()):
        for j, (inner, inner_word) in enumerate(words.items()):
            if i == j or len(inner_word) > len(outer_word):
                continue
            a, b = _allowed(outer_word), _allowed(inner_word)
            inside = any((a[k : k + len(b)] <= b).all() for k in range(len(a) - len(b) + 1))
            if inside and (combinations[:, i] & ~combinations[:, j]).any():
                raise ValueError(
                    f"every instance of '{outer}' ({outer_word}) contains '{inner}' ({inner_word}), so no sequence can "
                    f"have '{outer}' without '{inner}'; choose other motifs, or leave that combination out by mixture="
                )


def _plant(present, words, ranges, gaps, length, chance, rng) -> tuple[np.ndarray, np.ndarray]:
    """Backgrounds with the present motifs written in: letters (N, L) and starts (N, M), -1 where absent."""
    widths = np.array([len(word) for word in words.values()])
    position = _starts(present, ranges, widths, gaps, rng)
    letters = rng.integers(4, size=(len(present), length)).astype(np.uint8)
    todo = np.arange(len(present))
    for _ in range(ROUNDS):
        part, starts = letters[todo], position[todo]
        if chance == "clean":
            _clean(part, list(words.values()), rng)
        for column, word in enumerate(words.values()):
            rows = np.nonzero(starts[:, column] >= 0)[0]
            for k, allowed in enumerate(_allowed(word)):
                part[rows, starts[rows, column] + k] = rng.choice(np.nonzero(allowed)[0], size=len(rows))
        letters[todo] = part
        if chance == "count":
            return letters, position
        # Writing a motif can complete another one with the letters beside it; such rows are made anew.
        seen = np.stack([occurrences(part, word).sum(axis=1) for word in words.values()], axis=1)
        todo = todo[(seen != present[todo]).any(axis=1)]
        if not len(todo):
            return letters, position
        letters[todo] = rng.integers(4, size=(len(todo), length))
        position[todo] = _starts(present[todo], ranges, widths, gaps, rng)
    raise ValueError(
        f"{len(todo)} sequences could not be made so that exactly the wanted motifs occur once each: the motifs "
        f"({', '.join(words.values())}) are too short, too loose or too alike for {length} bp; use chance='count'"
    )


def _starts(present, ranges, widths, gaps, rng) -> np.ndarray:
    """Where each present motif starts, so that none overlap, within its range and spacing: (N, M), -1 where absent."""
    starts = np.full(present.shape, -1)
    todo = np.arange(len(present))
    for _ in range(ROUNDS):
        here = present[todo]
        drawn = rng.integers(ranges[:, 0], ranges[:, 1] + 1, size=here.shape)
        fits = np.ones(len(todo), bool)
        for left, right, least, most in gaps:
            both = here[:, left] & here[:, right]
            tied = drawn[:, left] + widths[left] + rng.integers(least, most + 1, size=len(todo))
            drawn[:, right] = np.where(both, tied, drawn[:, right])
            fits &= ~both | ((tied >= ranges[right, 0]) & (tied <= ranges[right, 1]))
        for i in range(len(widths)):
            for j in range(i):
                apart = (drawn[:, i] + widths[i] <= drawn[:, j]) | (drawn[:, j] + widths[j] <= drawn[:, i])
                fits &= apart | ~(here[:, i] & here[:, j])
        starts[todo[fits]] = np.where(here, drawn, -1)[fits]
        todo = todo[~fits]
        if not len(todo):
            return starts
    raise ValueError(
        f"the motifs cannot be placed without overlap in {len(todo)} sequences; make the sequences longer, or widen "
        "positions= or spacing="
    )


def _clean(letters: np.ndarray, words: list[str], rng) -> None:
    """Mutate every instance of the words away, one random letter at a time, in place."""
    todo = np.arange(len(letters))
    for _ in range(ROUNDS):
        hit_rows = []
        part = letters[todo]
        for word in words:
            rows, at = np.nonzero(occurrences(part, word))
            if len(rows):
                letter = at + rng.integers(len(word), size=len(rows))
                part[rows, letter] = rng.integers(4, size=len(rows))
                hit_rows.append(rows)
        letters[todo] = part
        if not hit_rows:
            return
        todo = todo[np.unique(np.concatenate(hit_rows))]
    raise ValueError(
        f"sequences of {letters.shape[1]} bp free of {', '.join(words)} could not be made: the motifs are too short or "
        "too loose; use chance='count'"
    )


def _label(rule, by_name, rng) -> np.ndarray:
    if isinstance(rule, Additive):
        probability = rule.probability(by_name)
        return rng.random(probability.shape) < probability
    return rule(by_name).copy()


def _true_of_nothing(rule) -> bool:
    absent = dict.fromkeys(rule.names, np.array(False))
    return bool(rule.probability(absent) > 0.5) if isinstance(rule, Additive) else bool(rule(absent))


def _check_counts(y: np.ndarray, test: np.ndarray, names: list[str]) -> None:
    for part, rows in (("training", ~test), ("test", test)):
        for kind, counts in (("positive", y[rows].sum(axis=0)), ("negative", (~y[rows]).sum(axis=0))):
            if (counts < FEWEST).any():
                c = int(np.argmin(counts))
                raise ValueError(
                    f"'{names[c]}' has {counts[c]} {kind} sequences in the {part} part; at least {FEWEST} are needed: "
                    "raise n, or bring prevalence or mixture nearer to even"
                )


def _allowed(word: str) -> np.ndarray:
    """Letters a word allows, bool (w, 4)."""
    return np.array([[base in IUPAC[letter] for base in ALPHABET] for letter in word.upper()])


def _one_hot(letters: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1))
