"""Keras layers by their definition, in numpy and in Keras's own axis order, and the HDF5 files Keras writes of them.

Slow loops on purpose: nothing here shares a thought with the reader that is tested against it.
"""

from __future__ import annotations

import itertools
import json

import h5py
import numpy as np
from scipy.special import erf, expit


def run(specs, x, rng, keras=2):
    """Output of the layers for x in Keras's layout (N, ...), and each layer's arrays, drawn for its input's shape."""
    arrays = []
    for kind, config in specs:
        x, own = LAYERS[kind](config, x, rng)
        if config.get("activation"):
            x = activate(config["activation"], x, keras)
        arrays.append(own)
    return x, arrays


def activate(name, x, keras=2):
    e = np.exp(x - x.max(-1, keepdims=True))
    return {
        "relu": lambda: np.maximum(x, 0),
        "relu6": lambda: np.clip(x, 0, 6),
        "leaky_relu": lambda: np.where(x > 0, x, 0.2 * x),
        "elu": lambda: np.where(x > 0, x, np.expm1(x)),
        "selu": lambda: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        "gelu": lambda: 0.5 * x * (1 + erf(x / np.sqrt(2))),
        "swish": lambda: x * expit(x),
        "silu": lambda: x * expit(x),
        "mish": lambda: x * np.tanh(np.log1p(np.exp(x))),
        "softplus": lambda: np.log1p(np.exp(x)),
        "softsign": lambda: x / (1 + np.abs(x)),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: expit(x),
        "hard_sigmoid": lambda: np.clip(x / 6 + 0.5 if keras >= 3 else 0.2 * x + 0.5, 0, 1),
        "exponential": lambda: np.exp(x),
        "softmax": lambda: e / e.sum(-1, keepdims=True),
        "linear": lambda: x,
    }[name]()


def pair(value, n):
    return list(value) if isinstance(value, list | tuple) else [value] * n


def windows(config, sizes, width, stride, dilation):
    """For each output position, the input index of the window's first element, along every axis."""
    starts = []
    for n, w, s, d in zip(sizes, width, stride, dilation, strict=True):
        reach, padding = (w - 1) * d + 1, config.get("padding", "valid")
        if padding == "valid":
            starts.append([i * s for i in range((n - reach) // s + 1)])
        elif padding == "causal":
            starts.append([i * s - (reach - 1) for i in range(-(-n // s))])
        else:
            out = -(-n // s)
            total = max((out - 1) * s + reach - n, 0)
            starts.append([i * s - total // 2 for i in range(out)])
    return starts


def slide(config, x, width, stride, dilation, reduce):
    """x (N, *sizes, C) -> (N, *out, whatever `reduce` makes of {offset in the window: x there (N, C)})."""
    sizes = x.shape[1:-1]
    starts = windows(config, sizes, width, stride, dilation)
    columns = {}
    for place in itertools.product(*(range(len(s)) for s in starts)):
        seen = {}
        for offset in itertools.product(*map(range, width)):
            at = tuple(starts[a][place[a]] + offset[a] * dilation[a] for a in range(len(sizes)))
            if all(0 <= i < n for i, n in zip(at, sizes, strict=True)):
                seen[offset] = x[(slice(None), *at)]
        columns[place] = reduce(seen)
    out = np.stack(list(columns.values()), axis=1)
    return out.reshape(len(x), *(len(s) for s in starts), -1)


def channels_last(function):
    """Let a function of channels-last arrays serve channels_first layers too."""

    def wrapped(config, x, rng):
        if config.get("data_format") != "channels_first":
            return function(config, x, rng)
        y, arrays = function(config, np.moveaxis(x, 1, -1), rng)
        return (np.moveaxis(y, -1, 1) if y.ndim > 2 else y), arrays

    return wrapped


@channels_last
def conv(config, x, rng):
    n = x.ndim - 2
    width, stride = pair(config["kernel_size"], n), pair(config.get("strides", 1), n)
    dilation, groups, filters = pair(config.get("dilation_rate", 1), n), config.get("groups", 1), config["filters"]
    kernel = rng.normal(size=(*width, x.shape[-1] // groups, filters))
    bias = rng.normal(size=filters) if config.get("use_bias", True) else np.zeros(filters)

    def reduce(seen):
        total = np.tile(bias, (len(x), 1))
        for offset, values in seen.items():
            for g in range(groups):
                ins = slice(g * x.shape[-1] // groups, (g + 1) * x.shape[-1] // groups)
                outs = slice(g * filters // groups, (g + 1) * filters // groups)
                total[:, outs] += values[:, ins] @ kernel[offset][:, outs]
        return total

    y = slide(config, x, width, stride, dilation, reduce)
    return y, [("kernel", kernel)] + [("bias", bias)] * config.get("use_bias", True)


def pool(how):
    @channels_last
    def pooled(config, x, rng):
        n = x.ndim - 2
        width = pair(config["pool_size"], n)
        stride = pair(config.get("strides") or width, n)
        return slide(config, x, width, stride, [1] * n, lambda seen: how(np.stack(list(seen.values())), axis=0)), []

    return pooled


def global_pool(how):
    @channels_last
    def pooled(config, x, rng):
        axes = tuple(range(1, x.ndim - 1))
        return how(x, axis=axes, keepdims=bool(config.get("keepdims"))), []

    return pooled


def dense(config, x, rng):
    kernel, bias = rng.normal(size=(x.shape[-1], config["units"])), rng.normal(size=config["units"])
    if not config.get("use_bias", True):
        return x @ kernel, [("kernel", kernel)]
    return x @ kernel + bias, [("kernel", kernel), ("bias", bias)]


def flatten(config, x, rng):
    if config.get("data_format") == "channels_first" and x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    return x.reshape(len(x), -1), []


def norm(config, x, rng):
    axis = pair(config.get("axis", -1), 1)[0]
    n = x.shape[axis]
    arrays = {"gamma": rng.normal(size=n), "beta": rng.normal(size=n)}
    arrays |= {"moving_mean": rng.normal(size=n), "moving_variance": rng.uniform(0.5, 2, size=n)}
    if not config.get("scale", True):
        del arrays["gamma"]
    if not config.get("center", True):
        del arrays["beta"]
    y = (np.moveaxis(x, axis, -1) - arrays["moving_mean"]) / np.sqrt(
        arrays["moving_variance"] + config.get("epsilon", 1e-3)
    )
    y = y * arrays.get("gamma", 1) + arrays.get("beta", 0)
    return np.moveaxis(y, -1, axis), list(arrays.items())


def prelu(config, x, rng):
    shared = config.get("shared_axes") or []
    alpha = rng.normal(size=[1 if i in shared else n for i, n in enumerate(x.shape[1:], start=1)])
    return np.where(x > 0, x, alpha * x), [("alpha", alpha)]


def relu(config, x, rng):
    top, slope = config.get("max_value"), config.get("negative_slope") or 0.0
    threshold = config.get("threshold") or 0.0
    y = np.where(x >= threshold, x, slope * (x - threshold))
    return y if top is None else np.where(x >= top, top, y), []


def softmax(config, x, rng):
    e = np.exp(x - x.max(config.get("axis", -1), keepdims=True))
    return e / e.sum(config.get("axis", -1), keepdims=True), []


def same(config, x, rng):
    return x, []


def simple(function):
    return lambda config, x, rng: (function(config, x), [])


LAYERS = {
    "Conv1D": conv,
    "Conv2D": conv,
    **{f"MaxPooling{n}D": pool(np.max) for n in (1, 2)},
    **{f"AveragePooling{n}D": pool(np.mean) for n in (1, 2)},
    **{f"GlobalMaxPooling{n}D": global_pool(np.max) for n in (1, 2)},
    **{f"GlobalAveragePooling{n}D": global_pool(np.mean) for n in (1, 2)},
    "ZeroPadding1D": simple(lambda c, x: np.pad(x, [(0, 0), pair(c["padding"], 2), (0, 0)])),
    "Cropping1D": simple(lambda c, x: x[:, pair(c["cropping"], 2)[0] : x.shape[1] - pair(c["cropping"], 2)[1]]),
    "UpSampling1D": simple(lambda c, x: np.repeat(x, c["size"], axis=1)),
    "Flatten": flatten,
    "Reshape": simple(lambda c, x: x.reshape(len(x), *c["target_shape"])),
    "Permute": simple(lambda c, x: x.transpose(0, *c["dims"])),
    "Dense": dense,
    "BatchNormalization": norm,
    "PReLU": prelu,
    "ReLU": relu,
    "LeakyReLU": simple(lambda c, x: np.where(x > 0, x, c["alpha"] * x)),
    "ELU": simple(lambda c, x: np.where(x > 0, x, c["alpha"] * np.expm1(x))),
    "ThresholdedReLU": simple(lambda c, x: np.where(x > c["theta"], x, 0)),
    "Softmax": softmax,
    **dict.fromkeys(["Dropout", "SpatialDropout1D", "GaussianNoise", "Activation"], same),
}


def write(
    path, specs, arrays, input_shape, *, attributes=None, class_name="Sequential", config_in_file=True, names=None
):
    """The HDF5 file that Keras 2 writes; returns the architecture as JSON text."""
    layers, names = [], names or [f"{kind.lower()}_{i}" for i, (kind, _) in enumerate(specs, start=1)]
    for name, (kind, config) in zip(names, specs, strict=True):
        layers.append({"class_name": kind, "config": {"name": name, **config}})
    layers[0]["config"].setdefault("batch_input_shape", [None, *input_shape])
    text = json.dumps({"class_name": class_name, "config": {"name": "sequential_1", "layers": layers}})
    attributes = {"keras_version": "2.2.4", "backend": "tensorflow", **(attributes or {})}
    with h5py.File(path, "w") as file:
        file.attrs.update({k: v for k, v in attributes.items() if v is not None})
        root = file
        if config_in_file:
            file.attrs["model_config"] = text
            root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in names]
        for name, own in zip(names, arrays, strict=True):
            group = root.require_group(name)
            group.attrs["weight_names"] = [f"{name}/{label}:0".encode() for label, _ in own] or np.array([])
            for label, array in own:
                group.create_dataset(f"{name}/{label}:0", data=np.asarray(array, np.float32))
    return text
