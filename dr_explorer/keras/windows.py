"""Keras layers that slide a window along the sequence: convolution, pooling, padding.

A Conv2D over an axis of length one, or over all four rows of a one-hot sequence, is written as the Conv1d that it is.
Pads are as the library that trained the network has them: TensorFlow puts the odd one behind, Theano before.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dr_explorer.keras.stream import (
    TORCH_ORDER,
    Layer,
    Parts,
    Stream,
    as_tuple,
    bases_become_rows,
    describe,
    drop_single_row,
    spatial_axes,
    tensor,
)


def window(
    layer: Layer, n: int | None, width: int, stride: int, dilation: int, pooling: bool
) -> tuple[int, int, int | None]:
    """Padding before, padding after, and the length that comes out (None where the length is open)."""
    padding = layer.config.get("padding", "valid")
    reach = (width - 1) * dilation + 1
    if padding == "valid":
        out = None if n is None else (n - reach) // stride + 1
        if out is not None and out < 1:
            raise ValueError(f"{layer} is {reach} wide and gets only {n} positions")
        return 0, 0, out
    if padding == "causal":
        return reach - 1, 0, None if n is None else (n - 1) // stride + 1
    if padding != "same":
        raise ValueError(f"{layer}: padding {padding!r} is not supported; expected valid, same or causal")
    if n is None and stride > 1:
        raise ValueError(f"{layer} pads by the sequence's length, which this file leaves open (None)")
    out = None if n is None else (n + stride - 1) // stride
    total = reach - 1 if n is None else (out - 1) * stride + reach - n
    if layer.theano and pooling:
        before = 0 if width == 1 else width - 2 if width % 2 else width - 1  # as Keras's Theano backend has it
    elif layer.theano:
        before = reach // 2
    else:
        total = max(total, 0)
        before = total // 2
    return before, total - before, out


def pad(pads: list[tuple[int, int]], value: float) -> nn.Module:
    """Padding of the last axes; the list is in the order of the axes, PyTorch wants the last first."""
    flat = tuple(amount for both in reversed(pads) for amount in both)
    return nn.ConstantPad1d(flat, value) if len(pads) == 1 else nn.ConstantPad2d(flat, value)


def slide(layer: Layer, stream: Stream, along: str, setting: dict, pooling: bool) -> list[tuple[int, int]]:
    """Padding along each axis in PyTorch's order; the stream's sizes become those after the layer."""
    pads = []
    for axis in along:
        before, after, out = window(
            layer, stream.size[axis], *(setting[s][axis] for s in ("width", "stride", "dilation")), pooling
        )
        pads.append((before, after))
        stream.size[axis] = out
    return pads


def settings(layer: Layer, along: str, width: str, stride_default) -> dict[str, dict[str, int]]:
    """Width, stride and dilation by axis, from the configuration's numbers in Keras's order of the axes."""
    given = {
        "width": layer.config[width],
        "stride": layer.config.get("strides") or stride_default,
        "dilation": layer.config.get("dilation_rate", 1),
    }
    return {name: dict(zip(along, as_tuple(value, len(along)), strict=True)) for name, value in given.items()}


def conv(layer: Layer, stream: Stream) -> Parts:
    parts: Parts = {}
    channel, along = spatial_axes(layer, stream)
    c, setting = layer.config, settings(layer, along, "kernel_size", 1)
    groups, width = c.get("groups") or 1, setting["width"]

    fold_bases = "C" in along and width["C"] == stream.size["C"] and c.get("padding", "valid") == "valid"
    if "C" in along and not fold_bases:
        bases_become_rows(stream, parts)
        along = along.replace("C", "R")
        channel, setting = "C", settings(layer, along, "kernel_size", 1)
        width = setting["width"]
    elif channel == "1" and not fold_bases:
        raise ValueError(f"{layer} cannot tell channels from rows: {describe(stream)}")

    channels = stream.size["C"]
    per_group = 1 if fold_bases else channels // groups
    kernel = layer.take("kernel", *(width[a] for a in along), per_group, c["filters"])
    if layer.theano:
        kernel = np.flip(kernel, tuple(range(len(along))))
    if len(along) == 2 and along[0] == "L":
        kernel, along = kernel.swapaxes(0, 1), along[::-1]

    if fold_bases:  # (4, width, 1, filters): the bases are the channels after all
        kernel, along = kernel[:, :, 0].swapaxes(0, 1), "L"
        stream.axes = stream.axes.replace("1", "c").replace("C", "1").replace("c", "C")
    elif along[0] == "1":  # only one row of the kernel ever lies on the data
        row, _, _ = window(layer, 1, width["1"], setting["stride"]["1"], setting["dilation"]["1"], False)
        if row % setting["dilation"]["1"]:
            raise ValueError(f"{layer} has a dilated kernel of which no row lies on the one row of its input")
        kernel, along = kernel[row // setting["dilation"]["1"]], "L"

    pads = slide(layer, stream, along, setting, pooling=False)
    symmetric = all(before == after for before, after in pads)
    if not symmetric:
        parts["pad"] = pad(pads, 0.0)
    module = (nn.Conv1d if len(along) == 1 else nn.Conv2d)(
        channels,
        c["filters"],
        [setting["width"][a] for a in along],
        stride=[setting["stride"][a] for a in along],
        padding=[before for before, _ in pads] if symmetric else 0,
        dilation=[setting["dilation"][a] for a in along],
        groups=groups,
        bias=c.get("use_bias", True),
    )
    module.weight.data = tensor(np.moveaxis(kernel, (-1, -2), (0, 1)))
    if module.bias is not None:
        module.bias.data = tensor(layer.take("bias", c["filters"]))
    parts["conv"] = module
    stream.size["C"] = c["filters"]
    drop_single_row(stream, parts)
    return parts


class SameAverage(nn.Module):
    """Average pooling over padded ends that counts only the positions that are there, as Keras does."""

    def __init__(self, pads: list[tuple[int, int]], width: list[int], stride: list[int]):
        super().__init__()
        self.pad, self.pool = pad(pads, 0.0), (nn.AvgPool1d if len(pads) == 1 else nn.AvgPool2d)(width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.pad(x)) / self.pool(self.pad(torch.ones_like(x)))


def pooling(layer: Layer, stream: Stream) -> Parts:
    parts: Parts = {}
    _, along = spatial_axes(layer, stream)
    if "C" in along:
        bases_become_rows(stream, parts)
        along = along.replace("C", "R")
    setting = settings(layer, along, "pool_size", layer.config["pool_size"])
    if "1" in along:
        window(layer, 1, setting["width"]["1"], setting["stride"]["1"], 1, True)  # raises where the window is too wide
    along = "".join(a for a in TORCH_ORDER if a in along)
    pads = slide(layer, stream, along, setting, pooling=True)
    width, stride = ([setting[s][a] for a in along] for s in ("width", "stride"))
    padded = any(amount for both in pads for amount in both)
    if layer.kind.startswith("Max"):
        if padded:
            parts["pad"] = pad(pads, -torch.inf)
        parts["pool"] = (nn.MaxPool1d if len(along) == 1 else nn.MaxPool2d)(width, stride)
    elif padded:
        parts["pool"] = SameAverage(pads, width, stride)
    else:
        parts["pool"] = (nn.AvgPool1d if len(along) == 1 else nn.AvgPool2d)(width, stride)
    drop_single_row(stream, parts)
    return parts


def global_pooling(layer: Layer, stream: Stream) -> Parts:
    parts: Parts = {}
    _, along = spatial_axes(layer, stream)
    if "C" in along:
        bases_become_rows(stream, parts)
    kind = "Max" if "Max" in layer.kind else "Avg"
    parts["pool"] = getattr(nn, f"Adaptive{kind}Pool{2 if 'R' in stream.axes else 1}d")(1)
    stream.size |= {a: 1 for a in "RL" if a in stream.axes}
    if layer.config.get("keepdims"):
        drop_single_row(stream, parts)
    else:
        parts["flatten"] = nn.Flatten()
        stream.axes, stream.size = "F", {"F": stream.size["C"]}
    return parts


def shift_ends(layer: Layer, stream: Stream) -> Parts:
    """ZeroPadding1D and Cropping1D."""
    spatial_axes(layer, stream)
    cropping = layer.kind.startswith("Cropping")
    before, after = as_tuple(layer.config["cropping" if cropping else "padding"], 2)
    if cropping:
        before, after = -before, -after
    if stream.size["L"] is not None:
        stream.size["L"] += before + after
        if stream.size["L"] < 1:
            raise ValueError(f"{layer} crops all of its input away")
    return {"pad": nn.ConstantPad1d((before, after), 0.0)}


def upsampling(layer: Layer, stream: Stream) -> Parts:
    spatial_axes(layer, stream)
    factor = layer.config.get("size", layer.config.get("length", 2))
    stream.size["L"] = None if stream.size["L"] is None else stream.size["L"] * factor
    return {"up": nn.Upsample(scale_factor=factor, mode="nearest")}
