"""What flows between two Keras layers, seen from Keras's side and from PyTorch's.

Keras writes a tensor's axes in an order of its own choosing (channels first or last, positions before or after rows);
PyTorch always has channels, rows, positions. A `Stream` follows both through the network, so that the code for a layer
can say "the channels" or "the positions", and a flatten knows how its features are shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

# The order of the axes in PyTorch's tensors; a "1" in `Stream.axes` is an axis of length one that only Keras has.
TORCH_ORDER = "CRL"
BASES = 4


@dataclass
class Layer:
    """One entry of the file: its configuration in Keras 2's words, and its arrays in Keras's order."""

    name: str
    kind: str
    config: dict
    arrays: list[tuple[str, np.ndarray]] = field(default_factory=list)
    theano: bool = False  # kernels are true convolutions, and "same" pads as Theano does
    keras: int = 2  # major version: hard_sigmoid changed its slope in Keras 3

    def take(self, what: str, *shape: int) -> np.ndarray:
        """The next array as float32, which must have `shape`, and no NaN or infinity."""
        if not self.arrays:
            raise ValueError(f"{self}: the file has no array for its {what}, expected one of shape {shape}")
        label, array = self.arrays.pop(0)
        if array.shape != shape:
            raise ValueError(
                f"{self}: its {what} ({label!r}) has shape {array.shape}, the configuration asks for {shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{self}: its {what} ({label!r}) holds NaN or infinite numbers: its training diverged")
        return np.asarray(array, np.float32)

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.kind})"


@dataclass
class Stream:
    """What flows between two layers: the axes as Keras orders them (C channels, R rows, L positions, F flat)."""

    axes: str
    size: dict[str, int | None]
    order: np.ndarray | None = None  # flat only: Keras's feature k is PyTorch's feature order[k]

    @property
    def flat(self) -> bool:
        return self.axes == "F"

    def known(self, layer: Layer, axis: str) -> int:
        if self.size[axis] is None:
            raise ValueError(f"{layer} needs the sequence's length, which this file leaves open (None)")
        return self.size[axis]

    def features(self, array: np.ndarray) -> np.ndarray:
        """An array whose last axis is Keras's flat features, in PyTorch's order."""
        if self.order is None:
            return array
        out = np.empty_like(array)
        out[..., self.order] = array
        return out


Parts = dict[str, nn.Module]


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def as_tuple(value, n: int) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value] * n


def spatial_axes(layer: Layer, stream: Stream) -> tuple[str, str]:
    """The axis a 1D or 2D layer takes for channels, and those it slides along, in Keras's order."""
    n = 1 if "1D" in layer.kind else 2
    if len(stream.axes) != n + 1:
        raise ValueError(
            f"{layer} needs {n + 1} axes beside the batch, and gets {len(stream.axes)}: {describe(stream)}"
        )
    first = layer.config.get("data_format", "channels_last") == "channels_first"
    channel, along = (stream.axes[0], stream.axes[1:]) if first else (stream.axes[-1], stream.axes[:-1])
    if channel == "L" or "L" not in along:
        raise ValueError(
            f"{layer} is {'channels_first' if first else 'channels_last'} and would slide along the bases, with the "
            f"sequence's positions as its channels: {describe(stream)}"
        )
    return channel, along


def bases_become_rows(stream: Stream, parts: Parts) -> None:
    """(N, 4, L) -> (N, 1, 4, L), for a 2D layer that takes the four bases for rows of one channel."""
    parts["rows"] = nn.Unflatten(1, (1, stream.size["C"]))
    stream.axes = stream.axes.replace("1", "c").replace("C", "R").replace("c", "C")
    stream.size |= {"R": stream.size["C"], "C": 1}


def drop_single_row(stream: Stream, parts: Parts) -> None:
    """(N, C, 1, L) -> (N, C, L): from here on the network is one-dimensional."""
    if stream.size.get("R") == 1:
        parts["row"] = nn.Flatten(1, 2)
        stream.axes = stream.axes.replace("R", "1")
        del stream.size["R"]


def describe(stream: Stream) -> str:
    words = {"C": "channels", "R": "rows", "L": "positions", "F": "features"}
    return "(" + ", ".join("1" if a == "1" else f"{stream.size[a]} {words[a]}" for a in stream.axes) + ")"
