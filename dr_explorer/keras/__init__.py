"""Reading Keras HDF5 models into PyTorch: what the file says becomes a plain `torch.nn.Sequential` of named layers."""

from __future__ import annotations

import difflib
import json as jsonlib
import os
import warnings
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
from torch import nn

from dr_explorer.keras.activations import SQUASHES, activation_name
from dr_explorer.keras.layers import BUILDERS, KerasOrder, build
from dr_explorer.keras.stream import BASES, Layer, Stream, as_tuple

# Keras 1's words for what Keras 2 says, by class and by setting.
KERAS_1_CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
}
KERAS_1_SETTINGS = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample_length": "strides",
    "subsample": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "output_dim": "units",
    "bias": "use_bias",
    "p": "rate",
}
FORMATS = {"th": "channels_first", "tf": "channels_last"}
# Layers that pass their input on unchanged when a network is used: behind the final squash they do not hide it.
SILENT = {"Dropout", "Flatten", "Reshape", "Permute", "ActivityRegularization", "GaussianNoise", "GaussianDropout"}


def load_keras(path, json=None, *, flip: bool | None = None) -> nn.Sequential:
    """A Keras model from its HDF5 file, as a PyTorch module that takes one-hot sequences.

    Every layer of the file becomes one submodule of the same name (dots become underscores) whose output is the Keras
    layer's output, channels first: a layer with an activation of its own is a small `Sequential` (`name.conv`,
    `name.relu`). The sequence may lie in the file as (L, 4), (1, L, 4), (L, 1, 4), (4, L), (4, 1, L), (4, L, 1) or
    (L, 4, 1). A final sigmoid or softmax is left out.

    Parameters
    ----------
    path
        HDF5 file written by Keras 1, 2 or 3 (`model.save("x.h5")` or `model.save_weights("x.h5")`). Nothing in it is
        ever executed or unpickled.
    json
        For files that hold weights only: the architecture as `model.to_json()` gives it, as text, or the path of a file
        with that text.
    flip
        Whether the kernels are true convolutions, as Theano's are, and have to be reversed for PyTorch. By default the
        file decides (its `backend`, or Theano's axis order in Keras 1).

    Returns
    -------
    torch.nn.Sequential
        Takes (N, 4, L) float32 one-hot ACGT, returns logits (N, C); on the CPU, in evaluation mode. `.squash` names the
        activation that was left out (or None), `.input_length` is L (or None where the file leaves it open).

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not a Keras HDF5 file, weights only without `json`, not a Sequential model, a layer or setting that is not
        supported, arrays that do not fit the configuration, or NaN weights. The message names the layer.
    """
    path = Path(path)
    with _open(path) as file:
        config, root, attributes = _read(path, file, json)
        try:
            layers, shape = _layers(path, config, attributes, flip)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: its architecture is not written as Keras writes it: {error!r}") from error
        _attach(path, layers, root)

    squash = _leave_out_squash(layers)
    modules, stream = OrderedDict(), _input_stream(path, shape)
    length = stream.size["L"]
    for layer in layers:
        try:
            modules[_safe_name(layer.name, modules)] = build(layer, stream)
        except KeyError as error:
            raise ValueError(f"{path}: {layer} lacks the setting {error} in the file's architecture") from error
    if stream.order is not None:
        modules[_safe_name("keras_order", modules)] = KerasOrder(stream.order)
    model = nn.Sequential(modules).eval()
    model.squash, model.input_length = squash, length
    return model


# ---- the file -------------------------------------------------------------------------------------------------------


def _open(path: Path) -> h5py.File:
    if path.is_dir():
        raise ValueError(f"{path} is a folder (a TensorFlow SavedModel?); save the model with model.save('model.h5')")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    if not h5py.is_hdf5(path):
        with open(path, "rb") as handle:
            zipped = handle.read(2) == b"PK"
        hint = (
            "a .keras archive? Save the model with model.save('model.h5')"
            if zipped
            else "only HDF5 is read, never pickle"
        )
        raise ValueError(f"{path} is not an HDF5 file ({hint})")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5; it may be truncated: {error}") from error


def _read(path: Path, file: h5py.File, json) -> tuple[dict, h5py.Group, dict]:
    """Configuration, the group that holds the layers' arrays, and the attributes that tell version and backend."""
    root = file.get("model_weights", file)
    if not any(name.startswith("layer_names") for name in root.attrs):
        raise ValueError(f"{path} is HDF5 but not a Keras model: it has no layer_names; it holds {sorted(file)[:5]}")
    text = file.attrs.get("model_config") if json is None else _json_text(json)
    if text is None:
        raise ValueError(
            f"{path} holds weights only: pass the architecture, json=model.to_json() or the path of that text"
        )
    try:
        config = jsonlib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its architecture is not valid JSON: {error}") from error
    attributes = {}
    for source in (config if isinstance(config, dict) else {}, root.attrs, file.attrs):
        for name in ("keras_version", "backend"):
            if name in source:
                attributes[name] = _text(source[name])
    return config, root, attributes


def _json_text(json) -> str:
    if isinstance(json, str) and json.lstrip().startswith("{"):
        return json
    if not os.path.exists(json):
        raise FileNotFoundError(f"json= is neither JSON text nor a file: {str(json)[:200]!r}")
    return Path(json).read_text(encoding="utf-8")


def _text(value) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; Keras cuts one too long for HDF5 into attribute0, attribute1, ..."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names, part = [], 0
    while f"{attribute}{part}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{part}"]]
        part += 1
    return names


# ---- the architecture -----------------------------------------------------------------------------------------------


def _layers(path: Path, config: dict, attributes: dict, flip: bool | None) -> tuple[list[Layer], list]:
    """The layers in Keras 2's words, without their arrays, and the shape of the input."""
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind in ("Model", "Functional"):
        names = ", ".join(sorted({str(entry.get("class_name")) for entry in config["config"].get("layers", [])}))
        raise ValueError(
            f"{path} is a functional Keras model (class {kind!r}; its layers: {names}), and only Sequential models can "
            "be read. Write it as a torch.nn.Module that reads the arrays with h5py, which serves everywhere else"
        )
    if kind != "Sequential":
        raise ValueError(f"{path} is not a Sequential Keras model: its class is {kind!r}")
    inner = config["config"]
    entries = inner if isinstance(inner, list) else inner.get("layers", [])
    if not entries:
        raise ValueError(f"{path} holds a model without layers")

    version = attributes.get("keras_version", "2").split(".")[0]
    major = int(version) if version.isdigit() else 2
    orders = {entry["config"].get("dim_ordering") for entry in entries}
    theano = attributes.get("backend") == "theano" or ("backend" not in attributes and "th" in orders)
    convolves_1d = any(entry["class_name"] in ("Convolution1D", "AtrousConvolution1D") for entry in entries)
    if flip is None and convolves_1d and "backend" not in attributes and not orders - {None, "default"}:
        warnings.warn(
            f"{path} does not say whether Theano or TensorFlow trained it, and Theano's kernels are reversed; read as "
            "TensorFlow's. If known sequences score no better than shuffled ones, try load_keras(..., flip=True)",
            stacklevel=3,
        )

    shape = inner.get("build_input_shape") if isinstance(inner, dict) else None
    layers = []
    for entry in entries:
        layer = _layer(entry, major, theano if flip is None else flip)
        given = layer.config.get("batch_input_shape") or layer.config.get("batch_shape")
        if given and not layers:
            shape = given
        if layer.kind != "InputLayer":
            layers.append(layer)
    if shape is None:
        first = layers[0].config
        if "input_dim" not in first:
            raise ValueError(f"{path} does not say what shape its input has (no batch_input_shape)")
        shape = [None, first.get("input_length"), first["input_dim"]]
    return layers, list(shape)[1:]


def _layer(entry: dict, major: int, theano: bool) -> Layer:
    """One entry of the configuration in Keras 2's words."""
    kind, config = entry["class_name"], dict(entry["config"])
    name = str(config.get("name", kind))
    kind = KERAS_1_CLASSES.get(kind, kind)
    if kind == "Lambda":
        raise ValueError(
            f"layer {name!r} is a Lambda: its function is stored as Python byte code, which is never run. "
            "Rebuild the model without it, or write the network as a torch.nn.Module"
        )
    if kind not in BUILDERS and kind != "InputLayer":
        near = difflib.get_close_matches(kind, BUILDERS, n=1)
        hint = f"; the nearest it can is {near[0]}" if near else ""
        known = ", ".join(sorted(BUILDERS))
        raise ValueError(f"layer {name!r} is a {kind}, which this reader cannot translate{hint}. It reads {known}")
    if "nb_row" in config:
        config["kernel_size"] = [config["nb_row"], config["nb_col"]]
    for old, new in KERAS_1_SETTINGS.items():
        if old in config and new not in config:
            config[new] = config[old]
    if config.get("dim_ordering") in FORMATS:
        config["data_format"] = FORMATS[config["dim_ordering"]]
    if kind == "Flatten" and major < 2:
        config.pop("data_format", None)  # Keras 1 flattens what it gets, in the order it gets it
    return Layer(name, kind, config, theano=theano, keras=major)


def _leave_out_squash(layers: list[Layer]) -> str | None:
    """Take the final sigmoid or softmax off, and say its name."""
    last = next((i for i in reversed(range(len(layers))) if layers[i].kind not in SILENT), None)
    if last is None:
        return None
    layer = layers[last]
    if layer.kind == "Softmax":
        del layers[last]
        return "softmax"
    if "activation" in layer.config and (name := activation_name(layer, layer.config["activation"])) in SQUASHES:
        if layer.kind == "Activation":
            del layers[last]
        else:
            layer.config["activation"] = "linear"
        return name
    return None


def _input_stream(path: Path, shape: list) -> Stream:
    """Which axis of the file's input is the bases, which the positions."""
    letters = ["C" if n == BASES else "1" if n == 1 else "L" for n in shape]
    if sorted(letters) not in (["C", "L"], ["1", "C", "L"]):
        raise ValueError(
            f"{path} takes an input of shape {tuple(shape)}; a one-hot sequence was expected: one axis of {BASES} "
            "bases, one of positions, at most one of length one"
        )
    return Stream("".join(letters), {"C": BASES, "L": shape[letters.index("L")]})


def _safe_name(name: str, taken) -> str:
    """The layer's name as PyTorch allows it: no dots, not empty, not twice, none of Sequential's own."""
    name = name.replace(".", "_") or "layer"
    while name in taken or hasattr(nn.Sequential, name) or name in nn.Sequential().__dict__:
        name += "_"
    return name


# ---- the arrays -----------------------------------------------------------------------------------------------------


def _attach(path: Path, layers: list[Layer], root: h5py.Group) -> None:
    """Give each layer its arrays: by name, or in order where the file and the architecture share no name."""
    stored = {name: root[name] for name in _names(root, "layer_names") if name in root}
    holding = {name: group for name, group in stored.items() if _names(group, "weight_names")}
    if not {layer.name for layer in layers} & set(holding):
        wanting = [
            layer for layer in layers if layer.kind in ("Conv1D", "Conv2D", "Dense", "BatchNormalization", "PReLU")
        ]
        if len(wanting) != len(holding):
            raise ValueError(
                f"{path} holds arrays for {len(holding)} layers ({', '.join(list(holding)[:5])}), the architecture has "
                f"{len(wanting)} that need some ({', '.join(layer.name for layer in wanting[:5])}): not one model"
            )
        holding = {layer.name: group for layer, group in zip(wanting, holding.values(), strict=True)}
    for layer in layers:
        if layer.name in holding:
            layer.arrays = _arrays(layer, holding[layer.name])
            if layer.kind in ("Conv1D", "Conv2D"):
                layer.arrays[0] = (layer.arrays[0][0], _kernel(layer, layer.arrays[0][1]))


def _arrays(layer: Layer, group: h5py.Group) -> list[tuple[str, np.ndarray]]:
    arrays = []
    for name in _names(group, "weight_names"):
        data = group.get(name)
        if not isinstance(data, h5py.Dataset):
            raise ValueError(f"{layer}: the file lists the array {name!r} but does not hold it")
        if data.file.filename != group.file.filename or data.external or data.is_virtual:
            raise ValueError(f"{layer}: the array {name!r} points to another file, which is not followed")
        if data.dtype.kind not in "fiu":
            raise ValueError(f"{layer}: the array {name!r} holds {data.dtype}, expected numbers")
        arrays.append((name, data[()]))
    return arrays


def _kernel(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """Keras 1's kernels in the order of Keras 2: (*window, channels, filters)."""
    width = as_tuple(layer.config.get("kernel_size"), 1)[0]
    if layer.kind == "Conv1D" and kernel.ndim == 4:  # Keras 1 wrote 1D kernels with a second, empty window axis
        if kernel.shape[:2] == (width, 1):
            return kernel[:, 0]
        if kernel.shape[2:] == (width, 1):
            return kernel[..., 0].transpose(2, 1, 0)
    if layer.kind == "Conv2D" and layer.keras < 2 and layer.config.get("data_format") == "channels_first":
        return kernel.transpose(2, 3, 1, 0)
    return kernel
