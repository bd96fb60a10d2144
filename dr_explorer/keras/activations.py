"""Keras activations, by name or as layers of their own, with Keras's own constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from dr_explorer.keras.stream import TORCH_ORDER, Layer, Parts, Stream, as_tuple, tensor


class PerPlaceLeak(nn.Module):
    """Keras's PReLU where the slope is not one number a channel: `slope` broadcasts against the tensor."""

    def __init__(self, slope: torch.Tensor):
        super().__init__()
        self.slope = nn.Parameter(slope)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) - self.slope * torch.relu(-x)


def prelu(layer: Layer, stream: Stream) -> Parts:
    shared = layer.config.get("shared_axes") or []
    shape = [1 if a == "1" or i in shared else stream.known(layer, a) for i, a in enumerate(stream.axes, start=1)]
    slope = layer.take("alpha", *shape)
    if stream.flat:
        return channel_leak(stream.features(slope))
    kept = [i for i, a in enumerate(stream.axes) if a != "1"]
    slope = slope.reshape([shape[i] for i in kept])
    names = [stream.axes[i] for i in kept]
    slope = slope.transpose([names.index(a) for a in TORCH_ORDER if a in names])
    if slope.size == slope.shape[0]:
        return channel_leak(slope.ravel())
    return {"prelu": PerPlaceLeak(tensor(slope))}


def channel_leak(slope: np.ndarray) -> Parts:
    module = nn.PReLU(slope.size)
    module.weight.data = tensor(slope)
    return {"prelu": module}


class Exponential(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x)


class KerasHardSigmoid(nn.Module):
    """clip(0.2 x + 0.5, 0, 1): the slope of Keras 1 and 2. Keras 3 has PyTorch's own, 1/6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


class BentReLU(nn.Module):
    """Keras's ReLU in full: `slope * (x - threshold)` below the threshold, x above it, `ceiling` at most."""

    def __init__(self, slope: float, threshold: float, ceiling: float | None):
        super().__init__()
        self.slope, self.threshold, self.ceiling = slope, threshold, ceiling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.where(x >= self.threshold, x, self.slope * (x - self.threshold))
        return y if self.ceiling is None else y.clamp(max=self.ceiling)


SQUASHES = ("sigmoid", "hard_sigmoid", "softmax", "log_softmax")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # Keras's slope where the activation is given by name
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "exponential": Exponential,
    "linear": nn.Identity,
}


def activation(layer: Layer, stream: Stream, name: str) -> Parts:
    """The module of an activation that the file gives by name."""
    if name in ("softmax", "log_softmax"):
        module = (nn.Softmax if name == "softmax" else nn.LogSoftmax)(softmax_axis(layer, stream, -1))
    elif name == "hard_sigmoid":
        module = nn.Hardsigmoid() if layer.keras >= 3 else KerasHardSigmoid()
    elif name in ACTIVATIONS:
        module = ACTIVATIONS[name]()
    else:
        known = ", ".join(sorted({*ACTIVATIONS, *SQUASHES}))
        raise ValueError(f"{layer} has an activation this reader does not know, {name!r}; it knows {known}")
    return {name: module}


def softmax_axis(layer: Layer, stream: Stream, axis: int) -> int:
    name = stream.axes[axis - 1 if axis > 0 else axis]
    if name == "1":
        raise ValueError(f"{layer} is a softmax over an axis of length one: its output is 1 everywhere")
    return 1 if name in "FC" else 1 + [a for a in TORCH_ORDER if a in stream.axes].index(name)


def advanced_activation(layer: Layer, stream: Stream) -> Parts:
    c, kind = layer.config, layer.kind
    if kind == "Activation":
        return activation(layer, stream, activation_name(layer, c.get("activation")))
    if kind == "ReLU":
        slope, threshold, ceiling = c.get("negative_slope") or 0.0, c.get("threshold") or 0.0, c.get("max_value")
        plain = not slope and not threshold and ceiling is None
        return {"relu": nn.ReLU() if plain else BentReLU(float(slope), float(threshold), ceiling)}
    if kind == "LeakyReLU":
        return {"leaky_relu": nn.LeakyReLU(float(c.get("negative_slope", c.get("alpha", 0.3))))}
    if kind == "ELU":
        return {"elu": nn.ELU(float(c.get("alpha", 1.0)))}
    if kind == "ThresholdedReLU":
        return {"relu": nn.Threshold(float(c.get("theta", 1.0)), 0.0)}
    return {"softmax": nn.Softmax(softmax_axis(layer, stream, as_tuple(c.get("axis", -1), 1)[0]))}


def activation_name(layer: Layer, given) -> str:
    """Keras writes an activation as a name, as null, or as an object with a class name."""
    if given is None:
        return "linear"
    if isinstance(given, dict):
        inner = given.get("config")
        given = inner if isinstance(inner, str) else given.get("class_name", given)
    if not isinstance(given, str):
        raise ValueError(f"{layer} has an activation that is not a name: {given!r}")
    return {"LeakyReLU": "leaky_relu", "ReLU": "relu", "Softmax": "softmax"}.get(given, given)
