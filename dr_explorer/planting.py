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

from dr_explorer.additive import Additive
from dr_explorer.formula import Formula, parse
from dr_explorer.mixtures import apportioned, check_containment, shares_given, shares_of
from dr_explorer.motif_words import IUPAC, clean, occurrences, one_hot
from dr_explorer.placing import gaps_of, ranges_of, written

# Presence combinations double with every motif; beyond this a mixture has to be given and the table gets silly.
MOST_MOTIFS = 12
# A word of fewer informative letters occurs by chance in every sequence.
SHORTEST = 3
# Below this many positives (or negatives) in either part, an AUC means little and training learns nothing.
FEWEST = 10


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
            clean(letters, list(self.motifs.values()), rng)
        return one_hot(letters)

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
    ranges = ranges_of(words, length, positions)
    gaps = gaps_of(words, spacing)
    combinations = np.array(list(product((False, True), repeat=len(words))))
    shares = (
        shares_given(mixture, words, combinations)
        if mixture is not None
        else shares_of(rules, words, combinations, prevalence)
    )
    check_containment(words, combinations[shares > 0])

    counts = apportioned(shares, n)
    present = np.repeat(combinations, counts, axis=0)
    present = np.concatenate([present, np.zeros((random_negatives, len(words)), bool)])
    present = present[rng.permutation(len(present))]
    letters, position = written(present, words, ranges, gaps, length, chance, rng)
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
        one_hot(letters), y.astype(np.float32), list(rules), rules, words, present, position, test, name, chance
    )


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
