"""The wire: every message between the kernel and a page, in one table.

A message is a JSON *header* and a list of binary *buffers*. The header's ``arrays`` names each buffer's
dtype and shape, in order. A frame is self-contained: a page that has seen nothing else of a run can draw it.
``js/src/protocol.ts`` mirrors this file; ``tests/golden/`` holds messages that both sides must read alike.

Numbers that may be NaN travel in buffers (JSON has no NaN); names are data, never markup.

From the kernel to the page
---------------------------
``meta``   what does not change while a run lasts: names, shapes, layers, first-layer logos.
``frame``  the state of the run: a summary of every class, the detail of the selected one only.
``tree``   the class tree and similarity, sent when they change.
``pairs``  the pairwise non-linearity of the selected class's top channels.
``pair``   one pair read in full: truth tables, logic, confidence.
``reply``  the answer to a command: ``{id, ok, error}``.

From the page to the kernel
---------------------------
``hello``    ``{v, type, page}``: a page opened or was reloaded: credit starts anew, everything is sent.
``ack``      ``{v, type, page, seq}``: the message ``seq`` was drawn, and all before it were drawn or overtaken. Two to
             four messages may wait for theirs, by the time it takes to come back (`dr_explorer.widget.credit`).
``command``  ``{v, type, page, id, name, args}``: see `COMMANDS`.

Headers, besides ``{v, type, run, seq, arrays}`` (``run`` counts runs, ``seq`` counts messages)
------------------------------------------------------------------------------------------------
``meta``   model: str, device: str, layer: str, layers: [{name, type, shape, cut, suggested}], targets: [str],
           channels: int, positions: int (0 where the layer has none), segments: [{name, start, stop}],
           l2_range: [low, high] | null (l2 is not known), rule: str, fixed: bool (a saved result: nothing can be
           run or set), motifs (may be missing): [{name, p} | null], the nearest known motif of each channel
``frame``  state, message: str | null, l2, step_size (null where unknown), n_restarts, rule, target: int (the
           class in detail), other: int | null, restart: int (the trial whose map is shown), rate: float
           (trial-steps a second), eta: float | null (s), elapsed: float (s), map_scale: float, step: int (engine
           steps), counts: {trials, waiting, running, converged, exhausted, diverged, stopped}.
           Without arrays nothing has run yet, and it has state, message, elapsed, rate and what a run would begin
           with: n_restarts, l2 (null: chosen when it begins), rule, counts
``tree``   metric: str
``pairs``  target: int, message: str | null (why there are none; M is 0 then)
``pair``   target: int, pair: [i, j], logic: str (a sentence), words: str (its headline), confidence: float,
           agree: [n, of] (backgrounds on the side of their mean, at the least sure corner),
           groups: [[channel], [channel]], tables: [{label, basin: int | null, nonlinearity, low, high}]

Traits
------
``selection``  ``{target, other, channel, pair: [i, j], clade: [target], restart}``, each an index or null: small,
               restorable and settable from Python, so a trait and not a command.
``snapshot``   bytes for a notebook reopened without a kernel: `pack` of the last meta, frame, tree and pairs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 1

#: What a page may ask for, and the arguments each takes.
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (),  # start, or start again from new random maps
    "pause": (),
    "resume": (),
    "stop": (),
    "set": ("l2", "n_restarts", "layer"),  # any one or several, while it runs too
}

#: The states of a run, in words the view shows as they are.
STATES = ("idle", "running", "paused", "stopped", "done", "failed")

#: The states of one trial, as in ``status`` arrays, are those of `dr_explorer.trials.STATES`, by number.

#: Arrays of each message: name -> (dtype, axes, meaning). Axes: C classes, T restarts of the selected
#: class, K channels, W positions, P trace points, M listed channels. ``?`` marks one that may be missing.
ARRAYS: dict[str, dict[str, tuple[str, str, str]]] = {
    "meta": {
        "logos?": (
            "float32",
            "K,4,width",
            "position probabilities of first-layer channels, ACGT; NaN where none",
        ),
    },
    "frame": {
        "class_finished": ("uint16", "C", "restarts finished, of n_restarts"),
        "class_progress": (
            "float32",
            "C",
            "0 to 1, how far the class's restarts are on the way to their end",
        ),
        "class_best": ("float32", "C", "best objective so far, logits; NaN where none"),
        "status": ("uint8", "T", "state of each restart, by number in `dr_explorer.trials.STATES`"),
        "steps": ("uint32", "T", "gradient evaluations of each restart"),
        "objective": ("float32", "T", "S - l2 |H|^2 of each restart, logits; NaN before the first step"),
        "score": ("float32", "T", "S of each restart, logits"),
        "basin": ("uint8", "T", "0 not known yet, else 1, 2, ... in order of the best objective"),
        "trace_step": (
            "float32",
            "T,P",
            "abscissa of the convergence lines, steps; NaN where a line has ended",
        ),
        "trace_objective": ("float32", "T,P", "objective there, logits"),
        "fiv": ("float32", "T,K", "feature importance vector of each restart; NaN where none"),
        "ofiv": ("float32", "K", "overall feature importance of the selected class"),
        "ofiv_low": ("float32", "K", "lower end of its 95 % interval over restarts; NaN with one restart"),
        "ofiv_high": ("float32", "K", "upper end"),
        "deviation": ("float32", "K", "square root of the inconsistency level"),
        "inconsistent": ("uint8", "K", "1 where restarts disagree by the inconsistency test"),
        "sharing": ("uint16", "K", "classes in which the channel is among the top 5"),
        "map?": ("uint8", "K,W", "shown trial's feature map: (byte - 128) / 127 * map_scale"),
        "other_ofiv?": ("float32", "K", "overall feature importance of the compared class; NaN where none has ended"),
        "other_low?": ("float32", "K", "lower end of its 95 % interval over restarts; NaN with one restart"),
        "other_high?": ("float32", "K", "upper end"),
        "clade_sharing?": ("uint16", "K", "classes of the selected clade in which the channel is among the top 5"),
        "clade_ofiv?": ("float32", "K", "mean overall feature importance over the selected clade"),
    },
    "tree": {
        "linkage": ("float32", "C-1,4", "scipy's linkage rows: left, right, height, size"),
        "order": ("uint32", "C", "class indices, top to bottom"),
        "support": (
            "float32",
            "C-1",
            "share of bootstrap resamplings that have this branch; NaN with one restart",
        ),
        "similarity": ("uint8", "C,C", "(byte - 128) / 127, in the network's order; 0 where undefined"),
    },
    "pairs": {
        "channels": ("uint32", "M", "the channels compared, most important first"),
        "nonlinearity": (
            "float32",
            "M,M",
            "S(i,j) - S(i) - S(j) + S(none), logits; NaN where not computed yet",
        ),
    },
    "pair": {
        "corners": ("float32", "B,2,2", "mean logit with [i off/on][j off/on], one table a basin or reading"),
        "corners_spread": ("float32", "B,2,2", "half width of its 95 % interval"),
        "levels?": ("float32", "B,2,2", "activation of [i, j] when [off, on]"),
        "others?": ("float32", "C,2", "overall feature importance of channels i and j in every class"),
    },
}


@dataclass(frozen=True)
class Message:
    """A header and its arrays, ready to be sent (`encode`) or just received (`decode`)."""

    header: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def encode(message: Message) -> tuple[dict[str, Any], list[bytes]]:
    """Header and buffers of a message; the buffers are copies, so the arrays may change afterwards."""
    table = ARRAYS.get(message.header.get("type", ""), {})
    listing, buffers = [], []
    for name, array in message.arrays.items():
        spec = table.get(name) or table.get(f"{name}?")
        if spec is None:
            raise KeyError(f"a {message.header.get('type')!r} message has no array {name!r}; it has {sorted(table)}")
        array = np.ascontiguousarray(array, dtype=spec[0])
        listing.append({"name": name, "dtype": spec[0], "shape": list(array.shape)})
        buffers.append(array.tobytes())
    return {"v": VERSION, **message.header, "arrays": listing}, buffers


def decode(header: Mapping[str, Any], buffers: list[Any]) -> Message:
    """The message that `encode` gave; its arrays are copies."""
    if header.get("v") != VERSION:
        raise ValueError(f"expected protocol version {VERSION}, got {header.get('v')!r}: reload the page")
    arrays = {
        spec["name"]: np.frombuffer(bytes(buffer), dtype=spec["dtype"]).reshape(spec["shape"]).copy()
        for spec, buffer in zip(header["arrays"], buffers, strict=True)
    }
    return Message({k: v for k, v in header.items() if k not in ("v", "arrays")}, arrays)


def pack(messages: Iterable[Message]) -> bytes:
    """Several messages as one block of bytes, for the ``snapshot`` trait and the stand-alone page.

    Layout: uint32 (little-endian) length of a JSON list ``[{header, lengths}]``, the JSON, then every buffer,
    each starting at a multiple of 8 bytes so that the page can view it in place.
    """
    listing, blocks = [], []
    for message in messages:
        header, buffers = encode(message)
        listing.append({"header": header, "lengths": [len(b) for b in buffers]})
        blocks.extend(buffers)
    text = json.dumps(listing, allow_nan=False).encode()
    out = bytearray(struct.pack("<I", len(text)) + text)
    for block in blocks:
        out += bytes(-len(out) % 8) + block
    return bytes(out)


def unpack(data: bytes) -> list[Message]:
    """The messages that `pack` wrote."""
    (length,) = struct.unpack_from("<I", data)
    at, messages = 4 + length, []
    for entry in json.loads(data[4:at]):
        buffers = []
        for size in entry["lengths"]:
            at += -at % 8
            buffers.append(data[at : at + size])
            at += size
        messages.append(decode(entry["header"], buffers))
    return messages
