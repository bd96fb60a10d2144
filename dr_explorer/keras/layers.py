"""One Keras layer after another into PyTorch: every layer of the file becomes one module of the same name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from dr_explorer.keras.activations import activation, activation_name, advanced_activation, prelu
from dr_explorer.keras.stream import TORCH_ORDER, Layer, Parts, Stream, as_tuple, describe, tensor
from dr_explorer.keras.windows import conv, global_pooling, pooling, shift_ends, upsampling


def flatten(layer: Layer, stream: Stream) -> Parts:
    if stream.flat:
        return {"flatten": nn.Identity()}
    axes = stream.axes
    if layer.config.get("data_format") == "channels_first" and len(axes) > 1:
        axes = axes[1:] + axes[0]  # Keras's Flatten moves the first axis to the end before it flattens
    shape = {a: stream.known(layer, a) for a in TORCH_ORDER if a in axes}
    places = np.arange(np.prod(list(shape.values()), dtype=int)).reshape(list(shape.values()))
    order = places.transpose([list(shape).index(a) for a in axes if a != "1"]).ravel()
    stream.axes, stream.size = "F", {"F": order.size}
    stream.order = None if (order == np.arange(order.size)).all() else order
    return {"flatten": nn.Flatten()}


class KerasOrder(nn.Module):
    """Flat features in the order in which Keras has them, for a network whose outputs are a flattened map."""

    def __init__(self, order: np.ndarray):
        super().__init__()
        self.register_buffer("order", torch.from_numpy(order))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.order]


def reshape(layer: Layer, stream: Stream) -> Parts:
    """Only axes of length one may come and go, or everything become flat."""
    target = list(layer.config["target_shape"])
    if len(target) == 1:
        return flatten(Layer(layer.name, layer.kind, {}), stream)
    axes, left = "", [a for a in stream.axes if a != "1"]
    for n in target:
        if left and n in (stream.size[left[0]], -1):
            axes += left.pop(0)
        elif n == 1:
            axes += "1"
        else:
            left.append("?")
            break
    if left or stream.flat:
        raise ValueError(
            f"{layer} turns {describe(stream)} into {tuple(target)}; only axes of length one may come and go here"
        )
    stream.axes = axes
    return {"reshape": nn.Identity()}


def permute(layer: Layer, stream: Stream) -> Parts:
    """Nothing moves in PyTorch's tensor: only what Keras calls the axes changes places."""
    stream.axes = "".join(stream.axes[d - 1] for d in layer.config["dims"])
    return {"permute": nn.Identity()}


def dense(layer: Layer, stream: Stream) -> Parts:
    c = layer.config
    units, bias = c["units"], c.get("use_bias", True)
    last = stream.axes[-1]
    if last not in "FC":
        raise ValueError(
            f"{layer} would mix the last axis of {describe(stream)}; only channels or flat features can be"
        )
    n = stream.size[last]
    kernel = layer.take("kernel", n, units).T
    if stream.flat:
        module = nn.Linear(n, units, bias=bias)
        module.weight.data = tensor(stream.features(kernel))
    else:  # the same weights at every position
        rows = "R" in stream.axes
        module = (nn.Conv2d if rows else nn.Conv1d)(n, units, 1, bias=bias)
        module.weight.data = tensor(kernel.reshape(units, n, *[1] * (1 + rows)))
    if bias:
        module.bias.data = tensor(layer.take("bias", units))
    stream.size[last], stream.order = units, None
    return {"dense": module}


def batch_normalization(layer: Layer, stream: Stream) -> Parts:
    c = layer.config
    if c.get("mode", 0) != 0:
        raise ValueError(
            f"{layer} normalises by the batch at hand (mode {c['mode']}); only stored statistics can be read"
        )
    axis = as_tuple(c.get("axis", -1), 1)
    name = stream.axes[axis[0] - 1 if axis[0] > 0 else axis[0]] if len(axis) == 1 else "?"
    if name not in "FC":
        raise ValueError(f"{layer} normalises along axis {c.get('axis')} of {describe(stream)}; only channels can be")
    n = stream.size[name]
    module = (nn.BatchNorm2d if "R" in stream.axes else nn.BatchNorm1d)(n, eps=c.get("epsilon", 1e-3))
    wanted = [("gamma", module.weight)] * bool(c.get("scale", True)) + [("beta", module.bias)] * bool(
        c.get("center", True)
    )
    wanted += [("moving mean", module.running_mean), ("moving variance", module.running_var)]
    for what, place in wanted:
        array = layer.take(what, n)
        place.data = tensor(stream.features(array) if name == "F" else array)
    return {"norm": module}


def only_in_training(layer: Layer, stream: Stream) -> Parts:
    rate = layer.config.get("rate", 0.5)
    return {"dropout": nn.Dropout(rate) if layer.kind == "Dropout" else nn.Identity()}


BUILDERS: dict[str, Callable[[Layer, Stream], Parts]] = {
    **dict.fromkeys(["Conv1D", "Conv2D"], conv),
    **dict.fromkeys(["MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"], pooling),
    **dict.fromkeys([f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2)], global_pooling),
    **dict.fromkeys(["ZeroPadding1D", "Cropping1D"], shift_ends),
    "UpSampling1D": upsampling,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "Dense": dense,
    "BatchNormalization": batch_normalization,
    "PReLU": prelu,
    **dict.fromkeys(
        ["Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout"],
        only_in_training,
    ),
    **dict.fromkeys(["GaussianNoise", "ActivityRegularization"], only_in_training),
    **dict.fromkeys(["Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax"], advanced_activation),
}


def build(layer: Layer, stream: Stream) -> nn.Module:
    """The module of one layer, its own activation included; the stream becomes what leaves it."""
    parts = BUILDERS[layer.kind](layer, stream)
    if layer.kind in ("Conv1D", "Conv2D", "Dense"):
        name = activation_name(layer, layer.config.get("activation"))
        if name != "linear":
            parts |= activation(layer, stream, name)
    if layer.arrays:
        raise ValueError(f"{layer}: the file holds {len(layer.arrays)} more array(s) than the configuration asks for")
    return next(iter(parts.values())) if len(parts) == 1 else nn.Sequential(OrderedDict(parts))
