"""Classes by name or by position: checking the names given, and finding a class among them."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Hashable, Sequence

import numpy as np

SHOWN = 5  # names in an error, where none is like the one given


def checked_names(names: Sequence[str] | None, n_targets: int) -> list[str]:
    """A name for each of the network's output columns; "0", "1", ... where none are given."""
    if names is None:
        return [str(i) for i in range(n_targets)]
    if isinstance(names, str):
        raise TypeError(f"target_names is the text {names!r}; give a list with a name for each of {n_targets} outputs")
    names = [str(name) for name in names]
    if len(names) != n_targets:
        raise ValueError(f"{len(names)} target_names for a network with {n_targets} outputs: give one for each")
    return names


def target_columns(targets: Sequence[int | str] | None, names: Sequence[str]) -> list[int] | None:
    """Output columns for targets given as indices or names; None for all.

    Raises
    ------
    ValueError
        For a name that is not there (with the nearest ones) or stands for several columns.
    """
    if targets is None:
        return list(range(len(names)))
    if isinstance(targets, (int, str, np.integer)):
        targets = [targets]
    return [position_of(target, names) for target in targets]


def position_of(target: Hashable, names: Sequence[str]) -> int:
    """Position of a class given by name or by position."""
    if isinstance(target, str):
        found = [i for i, name in enumerate(names) if name == target]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{len(found)} classes are named {target!r}: choose by position, one of {found}")
        raise ValueError(f"no class named {target!r}; {_hint(target, names)}")
    try:
        if isinstance(target, bool):
            raise TypeError
        position = operator.index(target)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"a class is given by its name or position; got {target!r}") from None
    if not 0 <= position < len(names):
        raise ValueError(f"target {position} is out of range: there are {len(names)}, 0 to {len(names) - 1}")
    return position


def _hint(target: str, names: Sequence[str]) -> str:
    """The names that are most like one that is not there, whatever their case; else the first ones there are."""
    by_case = {name.lower(): name for name in reversed(names)}
    near = [by_case[name] for name in difflib.get_close_matches(target.lower(), by_case, n=3, cutoff=0.5)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    more = ", ..." if len(names) > SHOWN else ""
    return f"there are {len(names)}: {', '.join(map(repr, names[:SHOWN]))}{more}"


def unique(names: Sequence[str]) -> list[str]:
    """Names that can serve as an index: a repeated one gets its count."""
    unique: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidate, count = name, 1
        while candidate in taken:
            count += 1
            candidate = f"{name} ({count})"
        taken.add(candidate)
        unique.append(candidate)
    return unique
