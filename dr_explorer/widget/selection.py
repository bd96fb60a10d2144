"""The selection: what all panels, every page and Python speak of, as indices or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dr_explorer.names import position_of

NO_SELECTION: dict[str, Any] = {
    "target": None, "other": None, "channel": None, "pair": None, "clade": None, "restart": None,
}  # fmt: skip


def as_indices(parts: Mapping[str, Any], names: Sequence[str], n_channels: int) -> dict[str, Any]:
    """Parts of a selection with classes, given by name or position, as positions.

    Raises
    ------
    ValueError
        For a class that is not there, with the nearest names; for a channel or restart that cannot be, or a pair that
        is none.
    """
    found = dict(parts)
    for part in ("target", "other"):
        if found.get(part) is not None:
            found[part] = position_of(found[part], names)
    if found.get("channel") is not None:
        found["channel"] = _channel(found["channel"], n_channels)
    if found.get("restart") is not None:
        found["restart"] = int(found["restart"])
        if found["restart"] < 0:
            raise ValueError(f"restart is {found['restart']}; expected 0 or more")
    if found.get("clade") is not None:
        found["clade"] = [position_of(target, names) for target in found["clade"]]
    if found.get("pair") is not None:
        found["pair"] = [_channel(channel, n_channels) for channel in found["pair"]]
        if len(set(found["pair"])) != 2 or len(found["pair"]) != 2:
            raise ValueError(f"pair is {tuple(parts['pair'])}; expected two different channels, such as (0, 1)")
    return found


def _channel(channel: Any, n: int) -> int:
    if not 0 <= int(channel) < n:
        raise ValueError(f"channel {channel} is out of range: this layer has {n}, 0 to {n - 1}")
    return int(channel)


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
