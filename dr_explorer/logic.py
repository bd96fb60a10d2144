"""From the corners of a truth table to the logic's name, how sure it is, and a sentence.

A corner is the class's logit with some features present and the others absent, on many backgrounds. Its bit is the side
of the decision threshold on which its mean lies; the bits name the logic. AND and OR are both additive logits with
different biases, so nothing but that threshold tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

# The smallest share of backgrounds on the mean's side, over the corners, for the bits to be believed (0.7-0.9 hardly
# differ on planted networks).
SURE = 0.8
# Up to this part of the corners' range a non-linearity still counts as none.
ADDITIVE = 0.3
# Features whose corners between none and all stay within this part of the outer ones put no threshold between them,
# whether or not the backgrounds agree on the corners' sides: planted ANDs and ORs have 0.6 and more.
MIDDLE = 0.5
# An OR with a non-linearity below this part of the range is one where either feature makes the other redundant.
REDUNDANT = -0.5
# Features that take the class this part of the way to its threshold, and not across, leave their logic open: something
# else is needed, or they are parts of longer motifs.
FAR = 0.5
# Corners that differ by less than this many logits say that the features do nothing here.
FLAT = 0.5
MOST_FEATURES = 3

#: The names for two features A and B, by the bits (none, A, B, both).
PAIR_NAMES = {
    (0, 0, 0, 0): "never",
    (0, 0, 0, 1): "AND",
    (0, 0, 1, 0): "B and not A",
    (0, 0, 1, 1): "B",
    (0, 1, 0, 0): "A and not B",
    (0, 1, 0, 1): "A",
    (0, 1, 1, 0): "XOR",
    (0, 1, 1, 1): "OR",
    (1, 0, 0, 0): "NOR",
    (1, 0, 0, 1): "XNOR",
    (1, 0, 1, 0): "NOT A",
    (1, 0, 1, 1): "B or not A",
    (1, 1, 0, 0): "NOT B",
    (1, 1, 0, 1): "A or not B",
    (1, 1, 1, 0): "NAND",
    (1, 1, 1, 1): "always",
}

_PAIR_WORDS = {
    "never": "never enough: with or without {a} and {b} the class stays off",
    "AND": "{a} and {b} together turn the class on; neither does alone",
    "OR": "{a} or {b}, either alone is enough",
    "XOR": "{a} or {b} alone turns the class on, both together turn it off",
    "XNOR": "both {a} and {b}, or neither; one alone turns the class off",
    "NOR": "the class is on without {a} and {b}; either one turns it off",
    "NAND": "the class is on unless {a} and {b} are both present",
    "A": "{a} turns the class on; {b} does not change that",
    "B": "{b} turns the class on; {a} does not change that",
    "NOT A": "{a} turns the class off; {b} does not change that",
    "NOT B": "{b} turns the class off; {a} does not change that",
    "A and not B": "{a} turns the class on unless {b} is present",
    "B and not A": "{b} turns the class on unless {a} is present",
    "A or not B": "the class is on unless {b} is present without {a}",
    "B or not A": "the class is on unless {a} is present without {b}",
    "always": "on in any case: {a} and {b} do not decide",
    "additive": "{a} and {b} each add evidence; neither decides alone, and there is no threshold between them",
    "unclear": "the backgrounds disagree on {a} and {b}: no logic can be read",
}


@dataclass(frozen=True)
class Reading:
    """What the corners of F features say.

    Attributes
    ----------
    logic : str
        For a pair one of `PAIR_NAMES`' values, ``"additive"`` or ``"unclear"``; for one or three features the shortest
        formula over the names, ``"additive"`` or ``"unclear"``.
    formula : str
        The shortest formula with these bits, over the features' names, whatever the confidence.
    bits : bool array (2,) * F
        Truth table, axis f for feature f; the mean logit is above the threshold.
    corners : float array (2,) * F
        Mean logit over backgrounds.
    confidence : float
        The smallest share of backgrounds on their mean's side, 0.5-1 (about).
    nonlinearity : float
        The highest-order interaction of the mean logits (logit); for a pair S(both) - S(A) - S(B) + S(none).
    relative : float
        `nonlinearity` divided by the corners' range; NaN where the range is 0.
    redundant : bool
        An OR whose features hardly add to each other.
    sentence : str
        In plain words.
    """

    logic: str
    formula: str
    bits: np.ndarray
    corners: np.ndarray
    confidence: float
    nonlinearity: float
    relative: float
    redundant: bool
    sentence: str


def read(logits: np.ndarray, names=None, threshold: float = 0.0) -> Reading:
    """Read the logic of 1-3 features.

    Parameters
    ----------
    logits : (2,) * F + (B,)
        The class's logit on B backgrounds with feature f absent (0) or present (1) along axis f.
    names : F names, default A, B, C.
    threshold : the logit above which the class counts as called, 0 for a probability of one half.

    Raises
    ------
    ValueError
        Another shape, or values that are not finite.

    Notes
    -----
    Ours; the rule that was right on 69 and wrong on 0 of 73 planted two-motif networks when its corners were taken on
    real backgrounds with channel groups.
    """
    logits = np.asarray(logits, float) - threshold
    n = logits.ndim - 1
    if not 1 <= n <= MOST_FEATURES or logits.shape[:-1] != (2,) * n or logits.shape[-1] < 1:
        raise ValueError(f"expected logits of shape (2,) * F + (B,) with F = 1-{MOST_FEATURES}, got {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("the corners hold NaN or infinity: the network does not answer on these feature maps")
    names = list(names) if names is not None else list("ABC"[:n])
    corners = logits.mean(axis=-1)
    bits = corners > 0
    confidence = float(((logits > 0) == bits[..., None]).mean(axis=-1).min())
    spread = float(np.ptp(corners))
    nonlinearity = highest_interaction(corners)
    relative = nonlinearity / spread if spread > 0 else np.nan
    formula = shortest(tuple(bits.ravel().tolist()), tuple(names))
    if n > 1 and is_graded(corners):
        logic = "additive"
    elif confidence >= SURE:
        logic = PAIR_NAMES[_order(bits)] if n == 2 else formula
    else:
        logic = "unclear"
    redundant = logic == "OR" and relative < REDUNDANT
    sentence = _sentence(logic, formula, names, redundant)
    reading = Reading(
        logic, formula, bits, corners + threshold, confidence, nonlinearity, relative, redundant, sentence
    )
    if logic in ("never", "always") and spread >= FLAT and np.abs(corners).min() <= (1 - FAR) * abs(corners.flat[0]):
        listed = " and ".join(names)
        return unclear(reading, f"{listed} move the class most of the way to its threshold, and not across")
    return reading


def unclear(reading: Reading, why: str) -> Reading:
    """The same corners with their logic withdrawn, and why."""
    return replace(reading, logic="unclear", redundant=False, sentence=f"no logic can be read: {why}")


def highest_interaction(corners: np.ndarray) -> float:
    """S(i,j) - S(i) - S(j) + S(none), or its like for one or three features: differences along every axis."""
    for _ in range(corners.ndim):
        corners = corners[1] - corners[0]
    return float(corners)


def is_graded(corners: np.ndarray, middle: float = MIDDLE) -> bool:
    """Do the features add up with no threshold between them: corners (2,) * F, the threshold at 0.

    The best additive fit leaves at most `ADDITIVE` of the range (as a pair's non-linearity would be counted), the class
    goes from one side to the other between none and all features, and every corner between is nearer to 0 than `middle`
    times the nearer of the two.
    """
    spread = np.ptp(corners)
    flat = corners.ravel()
    none, every, between = flat[0], flat[-1], np.abs(flat[1:-1])
    if spread < FLAT or none * every >= 0:
        return False
    rows = np.array(list(product((0, 1), repeat=corners.ndim)))
    design = np.column_stack([np.ones(len(rows)), rows])
    rest = flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]
    # For a pair the four residuals are all a quarter of the non-linearity.
    return bool(np.abs(rest).max() * 4 <= ADDITIVE * spread and (between < middle * min(abs(none), abs(every))).all())


@lru_cache(maxsize=4096)
def shortest(bits: tuple[bool, ...], names: tuple[str, ...]) -> str:
    """The shortest formula with this truth table (2 ** F bits, the last name fastest), such as ``A and (B xor C)``."""
    tree = _forms(len(names))[sum(bit << k for k, bit in enumerate(bits))]
    return tree if isinstance(tree, str) else _write(tree, names)


@lru_cache(maxsize=MOST_FEATURES)
def _forms(n: int) -> list:
    """The cheapest formula tree of each of the 2 ** 2 ** n truth tables, found by building larger ones from smaller."""
    rows = list(product((False, True), repeat=n))
    size, full = 1 << len(rows), (1 << len(rows)) - 1
    cost = np.full(size, np.inf)
    tree: list = [None] * size
    cost[0] = cost[full] = 0
    tree[0], tree[full] = "never", "always"
    for k in range(n):
        table = sum(1 << i for i, row in enumerate(rows) if row[k])
        cost[table], tree[table] = 1, ("name", k)
    tables = np.arange(size)
    # A name costs 1; operators break ties: "and" and "or" are read easiest, then "not", then "xor".
    operators = {"and": (np.bitwise_and, 0.01), "or": (np.bitwise_or, 0.01), "xor": (np.bitwise_xor, 0.03)}
    while True:
        before = cost.copy()
        for table in tables[np.isfinite(cost)]:
            if tree[table] in ("never", "always"):
                continue
            if cost[table] + 0.02 < cost[full ^ table]:
                cost[full ^ table], tree[full ^ table] = cost[table] + 0.02, ("not", tree[table])
            for word, (operator, price) in operators.items():
                made, total = operator(table, tables), cost[table] + cost + price
                for other in np.nonzero(total < cost[made])[0]:
                    if total[other] < cost[made[other]] and tree[other] not in ("never", "always"):
                        cost[made[other]], tree[made[other]] = total[other], (word, tree[table], tree[other])
        if np.array_equal(before, cost):
            return tree


def _write(tree: tuple, names: tuple[str, ...], bare: bool = True) -> str:
    """Formula text, with brackets wherever two different operators meet; operands in the order of the names."""
    if tree[0] == "name":
        return names[tree[1]]
    if tree[0] == "not":
        return f"not {_write(tree[1], names, False)}"
    parts = sorted(_operands(tree, tree[0]), key=lambda part: (part[0] != "name", _first(part)))
    text = f" {tree[0]} ".join(_write(part, names, False) for part in parts)
    return text if bare else f"({text})"


def _operands(tree: tuple, operator: str):
    """The operands of a chain of one operator, ``(A or B) or C`` as three."""
    for part in tree[1:]:
        if part[0] == operator:
            yield from _operands(part, operator)
        else:
            yield part


def _first(tree: tuple) -> int:
    """The first name a tree speaks of."""
    return tree[1] if tree[0] == "name" else min(_first(part) for part in tree[1:])


def _order(bits: np.ndarray) -> tuple[int, ...]:
    """Bits as (none, A, B, both)."""
    return tuple(int(bits[a, b]) for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)))


def _sentence(logic: str, formula: str, names: list[str], redundant: bool) -> str:
    if len(names) == 2:
        text = _PAIR_WORDS[logic].format(a=names[0], b=names[1])
        return text + "; together they hardly add up (redundant)" if redundant else text
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    if logic == "additive":
        return f"{listed} each add evidence; there is no threshold between them"
    if logic == "unclear":
        return f"the backgrounds disagree on {listed}: no logic can be read"
    if logic in ("always", "never"):
        state = "on" if logic == "always" else "off"
        return f"{listed} do{'es' if len(names) == 1 else ''} not decide: the class is {state} in any case"
    return f"the class is on where: {formula}"
