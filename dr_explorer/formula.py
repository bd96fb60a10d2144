"""Boolean formulas over named motifs: a small parser, never ``eval``.

``parse("CAGGTC and (GCTCAT xor CGCTTG)")`` gives a `Formula` that knows its names and computes its truth for arrays.
Words in any case or symbols: ``not ! ~``, ``and &``, ``xor ^``, ``or |``; they bind in this order, tightest first,
as in Python's operators. Names start with a letter and may hold letters, digits, ``_``, ``.``, ``:`` and ``-``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

# One token: a bracket or symbol, or a name (which a word operator is too).
TOKEN = re.compile(r"\s*(?:(?P<symbol>[()!~&^|])|(?P<name>[A-Za-z][\w.:-]*))")
SYMBOLS = {"!": "not", "~": "not", "&": "and", "^": "xor", "|": "or"}
WORDS = {"not", "and", "xor", "or"}
LOOSEST_FIRST = ("or", "xor", "and")
# Deeper nesting than this is a slip or an attack, and would end in Python's own recursion error.
DEEPEST = 50
LONGEST = 500  # tokens


class FormulaError(ValueError):
    """A formula that cannot be read; the message shows where."""


@dataclass(frozen=True)
class Formula:
    """A parsed boolean formula.

    Attributes
    ----------
    text : str
        As it was given.
    names : tuple of str
        The motifs it speaks of, in the order of first mention.
    tree : tuple
        ``("name", n)``, ``("not", t)`` or ``("and" | "or" | "xor", t, t)``.
    """

    text: str
    names: tuple[str, ...]
    tree: tuple

    def __call__(self, present) -> np.ndarray:
        """Truth of the formula.

        Parameters
        ----------
        present : mapping of str to bool array
            One array (any common shape) for every name.
        """
        return _evaluate(self.tree, present)

    def truth_table(self) -> dict[tuple[bool, ...], bool]:
        """Presence of each of `names`, in order, -> truth."""
        rows = product((False, True), repeat=len(self.names))
        return {row: bool(self({n: np.array(v) for n, v in zip(self.names, row, strict=True)})) for row in rows}

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Formula:
    """Read a formula.

    Raises
    ------
    FormulaError
        Empty text, an unknown character, a missing bracket or operand: with the place marked.
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text such as 'A and not B', not {type(text).__name__}")
    if not text.strip():
        raise FormulaError("the formula is empty; write for example 'A', 'A and not B' or 'A xor B'")
    tokens = _tokens(text)
    tree, rest = _binary(text, tokens, 0, 0)
    if rest:
        _fail(text, rest[0][1], f"'{rest[0][0]}' was not expected here; 'and', 'or' or 'xor' is missing before it")
    names = dict.fromkeys(_names(tree))
    return Formula(text.strip(), tuple(names), tree)


def _fail(text: str, where: int, why: str):
    raise FormulaError(f"cannot read the formula: {why}\n  {text}\n  {' ' * where}^")


def _tokens(text: str) -> list[tuple[str, int]]:
    tokens, at = [], 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if not found:
            where = at + len(text[at:]) - len(text[at:].lstrip())
            _fail(text, where, f"'{text[where]}' is neither a name, a bracket nor an operator")
        word = found["name"] or SYMBOLS.get(found["symbol"], found["symbol"])
        start = found.start("name") if found["name"] else found.start("symbol")
        tokens.append((word.lower() if word.lower() in WORDS else word, start))
        at = found.end()
        if len(tokens) > LONGEST:
            _fail(text, start, f"the formula has more than {LONGEST} words")
    return tokens


def _binary(text: str, tokens: list, level: int, depth: int) -> tuple[tuple, list]:
    """Operands joined by the operator of this level; the next level binds tighter."""
    if depth > DEEPEST:
        _fail(text, tokens[0][1] if tokens else 0, f"more than {DEEPEST} brackets or 'not's inside each other")
    if level == len(LOOSEST_FIRST):
        return _operand(text, tokens, depth)
    tree, rest = _binary(text, tokens, level + 1, depth)
    while rest and rest[0][0] == LOOSEST_FIRST[level]:
        right, rest_ = _binary(text, rest[1:], level + 1, depth)
        tree, rest = (LOOSEST_FIRST[level], tree, right), rest_
    return tree, rest


def _operand(text: str, tokens: list, depth: int) -> tuple[tuple, list]:
    if not tokens:
        _fail(text, len(text), "a motif's name is missing at the end")
    (word, where), rest = tokens[0], tokens[1:]
    if word == "not":
        tree, rest = _binary(text, rest, len(LOOSEST_FIRST), depth + 1)
        return ("not", tree), rest
    if word == "(":
        tree, rest = _binary(text, rest, 0, depth + 1)
        if not rest or rest[0][0] != ")":
            _fail(text, where, "this bracket is never closed")
        return tree, rest[1:]
    if word in WORDS or word == ")":
        _fail(text, where, f"a motif's name was expected before '{word}'")
    return ("name", word), rest


def _names(tree: tuple):
    if tree[0] == "name":
        yield tree[1]
    else:
        for branch in tree[1:]:
            yield from _names(branch)


def _evaluate(tree: tuple, present) -> np.ndarray:
    kind = tree[0]
    if kind == "name":
        return np.asarray(present[tree[1]], dtype=bool)
    if kind == "not":
        return ~_evaluate(tree[1], present)
    left, right = _evaluate(tree[1], present), _evaluate(tree[2], present)
    return left & right if kind == "and" else left | right if kind == "or" else left ^ right
