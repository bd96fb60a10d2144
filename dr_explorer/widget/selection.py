"""The selection: what all panels, every page and Python speak of, as indices or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dr_explorer.names import position_of

NO_SELECTION: dict[str, Any] = {
    "target": None, "other": None, "channel": None, "pair": None, "clade": None, "restart": None,
}  # fmt: skip


def as_indices(parts: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Parts of a selection with classes, given by name or position, as positions.

    Raises
    ------
    ValueError
        For a class that is not there, with the nearest names.
    """
    found = dict(parts)
    for part in ("target", "other"):
        if found.get(part) is not None:
            found[part] = position_of(found[part], names)
    for part in ("channel", "restart"):
        if found.get(part) is not None:
            found[part] = int(found[part])
    if found.get("clade") is not None:
        found["clade"] = [position_of(target, names) for target in found["clade"]]
    if found.get("pair") is not None:
        found["pair"] = [int(channel) for channel in found["pair"]]
    return found


def valid(given: Mapping[str, Any], n_targets: int) -> dict[str, Any]:
    """A selection with every part: an index where the given one is, None for whatever else was sent."""
    pair = _several(given.get("pair"))
    return {
        "target": _index(given.get("target"), n_targets),
        "other": _index(given.get("other"), n_targets),
        "channel": _index(given.get("channel")),
        "pair": pair if pair is not None and len(pair) == 2 and pair[0] != pair[1] else None,
        "clade": _several(given.get("clade"), n_targets),
        "restart": _index(given.get("restart")),
    }


def _index(value: Any, below: float = np.inf) -> int | None:
    return int(value) if isinstance(value, (int, np.integer)) and 0 <= value < below else None


def _several(value: Any, below: float = np.inf) -> list[int] | None:
    items = [_index(item, below) for item in value] if isinstance(value, (list, tuple)) else [None]
    return None if None in items or not items else items  # type: ignore[return-value]
