"""Columns: many messages as one small block of bytes, for the stand-alone page. `js/src/columns.ts` reads it.

The same array of all messages stands together as one column, its bytes sorted by their place in the number, which
deflate packs well; a column that is the same in every message is stored once. Small views are kept exactly. Of large
ones the importances are rounded far below what a screen or a table shows, and feature maps keep the positions of the
strongest channels only.

Layout, gzipped: uint32 (little-endian) length of a JSON object ``{selection, headers, columns}``, the JSON, then the
columns. A column is ``{name, stored, of, lengths, units, row}``: values of ``stored`` type for the messages ``of``, of
these ``lengths`` (one of each where all messages share it). Where there are ``units``, int16 values stand for
multiples of them, one unit a message, and `NOTHING` for NaN; each row of ``row`` values but a message's first then
holds its difference to the row before, since restarts are much alike, and a value v is stored as ``2 v`` or, where it
is negative, ``-2 v - 1`` (all modulo 2**16), since small numbers of both signs pack worse.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from dr_explorer.widget.pairing import LISTED
from dr_explorer.widget.protocol import Message, encode

EXACT_BYTES = 8_000_000  # of arrays that are kept as they are: a page of that size opens in no time
MAP_BYTES = 2_600_000  # of feature maps in a larger view: 919 classes of 60 positions keep 47 channels each
#: Steps between 0 and the largest value of a class. A restart's importances are only ever drawn, those of a class are
#: read as numbers too.
LEVELS = {"fiv": 1023, "ofiv": 32767, "ofiv_low": 32767, "ofiv_high": 32767, "deviation": 32767}
NOTHING = -32768  # the int16 that stands for NaN
#: Bytes of one value, each of which is stored in a plane of its own.
PLANES = {"float32": 4, "uint32": 4, "uint16": 2, "int16": 2, "uint8": 1}


def squeeze(messages: Sequence[Message], selection: dict[str, Any]) -> tuple[bytes, int | None]:
    """The block, and how many channels of a feature map kept their positions (None: all of them)."""
    told, kept = list(messages), None
    exact = sum(array.nbytes for message in told for array in message.arrays.values()) <= EXACT_BYTES
    if not exact:
        told, kept = _strongest_rows(told)
    headers, parts = [], {}
    for i, message in enumerate(told):
        header, buffers = encode(message)
        for spec, buffer in zip(header.pop("arrays"), buffers, strict=True):
            array = np.frombuffer(buffer, spec["dtype"]).reshape(spec["shape"])
            parts.setdefault((header["type"], spec["name"], spec["dtype"]), []).append((i, array))
        headers.append(header)
    columns, blocks = [], []
    for (_, name, dtype), entries in parts.items():
        column, block = _column(name, dtype, entries, LEVELS.get(name) if not exact else None)
        columns.append(column)
        blocks.append(block)
    text = json.dumps({"selection": selection, "headers": headers, "columns": columns}, allow_nan=False).encode()
    return gzip.compress(b"".join([struct.pack("<I", len(text)), text, *blocks]), 6, mtime=0), kept


def _column(
    name: str, dtype: str, entries: list[tuple[int, np.ndarray]], levels: int | None
) -> tuple[dict[str, Any], bytes]:
    arrays = [array for _, array in entries]
    if all(array.tobytes() == arrays[0].tobytes() for array in arrays[1:]):
        arrays = arrays[:1]
    column: dict[str, Any] = {
        "name": name,
        "stored": dtype,
        "of": [i for i, _ in entries],
        "lengths": [array.size for array in arrays],
    }
    if levels is not None:
        rounded = [_rounded(array, levels) for array in arrays]
        arrays = [_differences(ints) for ints, _ in rounded]
        column |= {"stored": "int16", "units": [unit for _, unit in rounded], "row": arrays[0].shape[-1]}
    together = np.concatenate([array.ravel() for array in arrays])
    planes = together.astype(together.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, PLANES[column["stored"]])
    return column, np.ascontiguousarray(planes.T).tobytes()


def _rounded(values: np.ndarray, levels: int) -> tuple[np.ndarray, float]:
    """Values as int16 multiples of a unit, and the unit."""
    finite = np.isfinite(values)
    known = np.where(finite, values, 0)
    unit = max(float(np.abs(known).max(initial=0)) / levels, float(np.finfo(np.float32).tiny))
    return np.where(finite, np.rint(known / unit), NOTHING).astype(np.int16), unit


def _differences(rows: np.ndarray) -> np.ndarray:
    """Rows as differences to the row before, the first as it is; even numbers for positive ones, odd for negative."""
    rows = np.atleast_2d(rows)
    small = np.concatenate([rows[:1], rows[1:] - rows[:-1]])  # may wrap; so does the sum that undoes it
    return (small << 1) ^ (small >> 15)


def _strongest_rows(messages: list[Message]) -> tuple[list[Message], int | None]:
    """The same with maps that keep the positions of their strongest channels; the others are flat at their mean."""
    shapes = [message.arrays["map"].shape for message in messages if "map" in message.arrays]
    if sum(rows * positions for rows, positions in shapes) <= MAP_BYTES:
        return messages, None
    n = max(LISTED, int(MAP_BYTES / sum(positions for _, positions in shapes)))
    return [_with_strongest_rows(m, n) if "map" in m.arrays else m for m in messages], n


def _with_strongest_rows(message: Message, n: int) -> Message:
    weaker = np.argsort(-np.abs(np.nan_to_num(message.arrays["ofiv"])), kind="stable")[n:]
    shown = message.arrays["map"].copy()
    shown[weaker] = np.rint(shown[weaker].mean(1, keepdims=True))
    return Message(message.header, {**message.arrays, "map": shown})
