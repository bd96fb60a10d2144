"""Which axes of a layer's output hold rows, channels and positions: from any layout to a map (K, W) and back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from . import lineage
from .private import is_keras, type_name

#: Types that hold their channels on the last axis, by name.
_LAST = re.compile(r"^(Linear|LayerNorm|RMSNorm|Embedding|Transformer.*|MultiheadAttention|(LSTM|GRU|RNN)(Cell)?)$")


@dataclass(frozen=True)
class Axes:
    """Where a tensor keeps rows, channels and positions, and how to make it a canonical map (N, K, W) or (N, K)."""

    batch: int
    channel: int
    sizes: tuple[int, ...]  # of the other axes, in order; their product is W

    def shape(self, channels: int) -> tuple[int, ...]:
        positions = math.prod(self.sizes)
        return (channels, positions) if positions > 1 else (channels,)

    @property
    def plain(self) -> bool:
        return self.batch == 0 and self.channel == 1 and len(self.sizes) == (math.prod(self.sizes) > 1)

    def canonical(self, native: torch.Tensor) -> torch.Tensor:
        if self.plain:
            return native
        moved = native.movedim((self.batch, self.channel), (0, 1))
        return moved.flatten(2) if math.prod(self.sizes) > 1 else moved.flatten(1)

    def native(self, maps: torch.Tensor) -> torch.Tensor:
        if self.plain:
            return maps
        positions = math.prod(self.sizes)
        if positions > 1 and len(self.sizes) > 1:
            maps = maps.unflatten(2, self.sizes)
        for _ in range(len(self.sizes) if positions == 1 else 0):
            maps = maps.unsqueeze(-1)
        if (self.batch, self.channel) == (0, 1):
            return maps
        if len(self.sizes) == 1 and self.batch == 0:
            return maps.transpose(1, 2)
        return maps.movedim((0, 1), (self.batch, self.channel))


def find_axes(
    layer: nn.Module,
    made: lineage.Node | None,
    out: torch.Tensor,
    other: torch.Tensor | None,
    fixed: int | None,
    known: Mapping[lineage.Node, int],
) -> tuple[Axes | None, str]:
    """The axes of a layer's output, or why it has none that a feature map needs.

    Parameters
    ----------
    layer, made : the layer, and its output's node in the autograd graph
    out, other : its outputs for two rows and for three
    fixed : the number of rows of both, where the network takes no other
    known : the channel axes of layers before this one
    """
    if not out.is_floating_point():
        return None, f"its output is of type {out.dtype}, which has no gradient"
    if other is None or other.ndim != out.ndim:
        return None, "its calls differ from one input to another"
    if fixed:
        rows = [0] if out.ndim and len(out) == fixed else []
    else:
        differ = [i for i, (a, b) in enumerate(zip(out.shape, other.shape, strict=True)) if a != b]
        rows = [i for i in differ if (out.shape[i], other.shape[i]) == (2, 3)] if len(differ) == 1 else []
    if not rows:
        return None, "its output has no axis with one entry a row (the rows are merged into another axis, or absent)"
    if out.ndim == 1:
        return None, "its output is one number a row, without channels"
    batch = rows[0]
    channel = 1 - batch if out.ndim == 2 else _channel(layer, made, out.ndim, known)
    if channel is None or channel == batch:
        channel = next(i for i in range(out.ndim) if i != batch)  # channels come first among the rest, mostly
    sizes = tuple(size for i, size in enumerate(out.shape) if i not in (batch, channel))
    return Axes(batch, channel, sizes), ""


def _channel(layer: nn.Module, made: lineage.Node | None, ndim: int, known: Mapping[lineage.Node, int]) -> int | None:
    if isinstance(layer, nn.modules.conv._ConvNd):
        return 1
    if is_keras(layer):  # channels last unless told otherwise
        found = lineage.channel_axis(made, ndim, known)
        return ndim - 1 if found is None else found
    if _LAST.match(type_name(layer)):
        return ndim - 1
    return lineage.channel_axis(made, ndim, known)
