"""Keras files: the network that comes out computes what Keras computed, or an error says why it cannot be had."""

from __future__ import annotations

import gzip
import json
import pickle
import warnings

import h5py
import keras
import keras_reference as reference
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dr_explorer.keras import load_keras
from dr_explorer.sequences import dinucleotide_shuffle, one_hot, random, read_fasta

LENGTH = 24
# float32 sums of up to a few hundred terms against float64
CLOSE = {"rtol": 2e-4, "atol": 2e-4}

# Where the bases (4) and the positions lie in the file's input, and how the array (N, 4, L) gets there.
LAYOUTS = {
    "(L, 4)": lambda x: x.transpose(0, 2, 1),
    "(1, L, 4)": lambda x: x.transpose(0, 2, 1)[:, None],
    "(L, 1, 4)": lambda x: x.transpose(0, 2, 1)[:, :, None],
    "(4, L)": lambda x: x,
    "(4, 1, L)": lambda x: x[:, :, None],
    "(4, L, 1)": lambda x: x[..., None],
    "(L, 4, 1)": lambda x: x.transpose(0, 2, 1)[..., None],
    "(1, 4, L)": lambda x: x[:, None],
}
FIRST = {"data_format": "channels_first"}
HEAD = [("Flatten", {}), ("Dense", {"units": 3})]


def check(tmp_path, layout, specs, *, attributes=None, names=None, major=2, seed=0):
    """Write the layers as Keras would, read them back, and compare the logits with the definition."""
    rng = np.random.default_rng(seed)
    x = random(3, LENGTH, random_state=seed)
    keras_x = LAYOUTS[layout](x)
    expected, arrays = reference.run(specs, keras_x.astype(float), rng, major)
    reference.write(tmp_path / "x.h5", specs, arrays, keras_x.shape[1:], attributes=attributes, names=names)
    model = load_keras(tmp_path / "x.h5")
    assert not model.training
    got = model(torch.from_numpy(x))
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.detach().numpy(), expected, **CLOSE)
    return model


def conv1d(width=5, filters=6, **more):
    return ("Conv1D", {"filters": filters, "kernel_size": [width], **more})


def conv2d(rows, width, filters=6, **more):
    return ("Conv2D", {"filters": filters, "kernel_size": [rows, width], **more})


# ---- layouts --------------------------------------------------------------------------------------------------------

NETWORKS = {
    "(L, 4)": [conv1d(activation="relu"), ("MaxPooling1D", {"pool_size": [2]}), conv1d(3)],
    "(1, L, 4)": [conv2d(1, 5, activation="relu"), ("MaxPooling2D", {"pool_size": [1, 3]}), conv2d(1, 2)],
    "(L, 1, 4)": [conv2d(5, 1, activation="relu"), ("AveragePooling2D", {"pool_size": [3, 1]}), conv2d(2, 1)],
    "(4, L)": [conv1d(activation="relu", **FIRST), ("MaxPooling1D", {"pool_size": [2], **FIRST}), conv1d(3, **FIRST)],
    "(4, 1, L)": [
        conv2d(1, 5, activation="relu", **FIRST),
        ("MaxPooling2D", {"pool_size": [1, 2], **FIRST}),
        conv2d(1, 3, padding="same", **FIRST),
    ],
    "(4, L, 1)": [conv2d(4, 5, activation="relu"), ("MaxPooling2D", {"pool_size": [1, 2]}), conv2d(1, 3)],
    "(L, 4, 1)": [conv2d(5, 4, activation="relu"), ("MaxPooling2D", {"pool_size": [2, 1]}), conv2d(3, 1)],
    "(1, 4, L)": [conv2d(4, 5, **FIRST), ("MaxPooling2D", {"pool_size": [1, 2], **FIRST}), conv2d(1, 3, **FIRST)],
}


@pytest.mark.parametrize("layout", NETWORKS)
@pytest.mark.parametrize("ending", ["flatten", "flatten channels first", "global"])
def test_every_layout_computes_what_keras_computes(tmp_path, layout, ending):
    first = "data_format" in NETWORKS[layout][0][1]
    n = "1D" if layout in ("(L, 4)", "(4, L)") else "2D"
    end = {
        "flatten": HEAD,
        "flatten channels first": [("Flatten", {"data_format": "channels_first"}), ("Dense", {"units": 3})],
        "global": [(f"GlobalMaxPooling{n}", FIRST if first else {}), ("Dense", {"units": 3})],
    }[ending]
    model = check(tmp_path, layout, [*NETWORKS[layout], *end])
    assert isinstance(model[0], torch.nn.Sequential | torch.nn.Conv1d)  # one-dimensional, whatever the file's layout
    assert model.input_length == LENGTH


@pytest.mark.parametrize("layout", ["(4, L, 1)", "(L, 4, 1)", "(1, 4, L)"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_rows_that_stay_are_kept_as_rows(tmp_path, layout, padding):
    first = FIRST if layout == "(1, 4, L)" else {}
    kernel, window = ([3, 5], [4, 2]) if layout != "(L, 4, 1)" else ([5, 3], [2, 4])
    if padding == "valid":
        window = [w // 2 if w == 4 else w for w in window]
    convolution = ("Conv2D", {"filters": 5, "kernel_size": kernel, "padding": padding, "activation": "relu", **first})
    norm = ("BatchNormalization", {"axis": 1 if first else -1})
    check(tmp_path, layout, [convolution, norm, ("MaxPooling2D", {"pool_size": window, **first}), *HEAD])
    check(tmp_path, layout, [convolution, ("GlobalAveragePooling2D", first), ("Dense", {"units": 2})])
    check(tmp_path, layout, [convolution, *HEAD])


def test_pooling_the_input_itself_is_allowed(tmp_path):
    check(tmp_path, "(L, 4)", [("AveragePooling1D", {"pool_size": [3]}), *HEAD])
    check(tmp_path, "(4, L, 1)", [("MaxPooling2D", {"pool_size": [2, 3]}), *HEAD])


# ---- windows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("width", [1, 2, 5, 6])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
def test_convolutions_pad_stride_and_dilate_as_in_keras(tmp_path, padding, width, stride, dilation):
    check(tmp_path, "(L, 4)", [conv1d(width, padding=padding, strides=[stride], dilation_rate=[dilation]), *HEAD])
    if padding != "causal":
        more = {"padding": padding, "strides": [1, stride], "dilation_rate": [1, dilation]}
        check(tmp_path, "(1, L, 4)", [conv2d(1, width, **more), *HEAD])
        check(tmp_path, "(4, L, 1)", [conv2d(4, width, **more), *HEAD])


def test_a_kernel_with_more_rows_than_the_data_uses_the_row_that_lies_on_it(tmp_path):
    for rows in (2, 3, 4):
        check(tmp_path, "(1, L, 4)", [conv2d(rows, 5, padding="same"), *HEAD])


def test_groups_and_missing_biases_are_kept(tmp_path):
    check(
        tmp_path,
        "(L, 4)",
        [conv1d(use_bias=False), conv1d(3, groups=2), ("Dense", {"units": 2, "use_bias": False}), *HEAD],
    )


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (5, 5), (2, 1), (4, 3), (7, None)])
def test_pooling_counts_only_what_is_there(tmp_path, kind, padding, size, stride):
    pool = {"pool_size": [size], "strides": stride and [stride], "padding": padding}
    check(tmp_path, "(L, 4)", [conv1d(), (f"{kind}Pooling1D", pool), *HEAD])
    pool = {"pool_size": [1, size], "strides": stride and [1, stride], "padding": padding}
    check(tmp_path, "(1, L, 4)", [conv2d(1, 5), (f"{kind}Pooling2D", pool), *HEAD])


@pytest.mark.parametrize("kind", ["GlobalMaxPooling", "GlobalAveragePooling"])
def test_global_pooling_may_keep_its_axes(tmp_path, kind):
    check(tmp_path, "(L, 4)", [conv1d(), (f"{kind}1D", {"keepdims": True}), *HEAD])
    check(tmp_path, "(4, L, 1)", [conv2d(2, 5), (f"{kind}2D", {"keepdims": True}), *HEAD])


def test_ends_are_padded_cropped_and_stretched(tmp_path):
    ends = [("ZeroPadding1D", {"padding": [2, 3]}), conv1d(), ("Cropping1D", {"cropping": [1, 4]})]
    check(tmp_path, "(L, 4)", [*ends, ("UpSampling1D", {"size": 2}), *HEAD])


# ---- features -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["map", "map channels first", "flat"])
@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}])
def test_batch_normalisation_uses_the_stored_statistics(tmp_path, where, settings):
    norm = ("BatchNormalization", settings)
    if where == "map":
        check(tmp_path, "(L, 4)", [conv1d(), norm, *HEAD])
        check(tmp_path, "(4, L, 1)", [conv2d(2, 5), ("BatchNormalization", {**settings, "axis": [3]}), *HEAD])
    elif where == "map channels first":
        check(tmp_path, "(4, 1, L)", [conv2d(1, 5, **FIRST), ("BatchNormalization", {**settings, "axis": 1}), *HEAD])
    else:
        check(
            tmp_path,
            "(L, 4)",
            [conv1d(), ("Flatten", {}), norm, ("Dense", {"units": 4}), norm, ("Dense", {"units": 2})],
        )


@pytest.mark.parametrize("shared", [None, [1]])
def test_a_learned_slope_stays_with_its_place(tmp_path, shared):
    check(tmp_path, "(L, 4)", [conv1d(), ("PReLU", {"shared_axes": shared}), *HEAD])
    check(tmp_path, "(4, L, 1)", [conv2d(2, 5), ("PReLU", {"shared_axes": shared and [1, 2]}), *HEAD])
    check(tmp_path, "(4, 1, L)", [conv2d(1, 5, **FIRST), ("PReLU", {"shared_axes": shared and [2, 3]}), *HEAD])
    check(tmp_path, "(L, 4)", [conv1d(), ("Flatten", {}), ("PReLU", {}), ("Dense", {"units": 2})])


NAMES = ["relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus", "softsign", "tanh"]


@pytest.mark.parametrize("name", [*NAMES, "sigmoid", "hard_sigmoid", "exponential", "softmax", "linear"])
def test_activations_have_keras_constants(tmp_path, name):
    twice = None if name == "exponential" else name  # the exponential of an exponential overflows
    head = [("Flatten", {}), ("Dense", {"units": 4, "activation": twice}), ("Dense", {"units": 3})]
    check(tmp_path, "(L, 4)", [conv1d(activation=name), *head])
    check(tmp_path, "(4, L)", [conv1d(**FIRST), ("Activation", {"activation": name}), *head])


def test_hard_sigmoid_changed_its_slope_in_keras_3(tmp_path):
    for major in (2, 3):
        specs = [conv1d(activation="hard_sigmoid"), *HEAD]
        check(tmp_path, "(L, 4)", specs, attributes={"keras_version": f"{major}.4.1"}, major=major)


def test_activation_layers_keep_their_settings(tmp_path):
    for layer in [
        ("ReLU", {}),
        ("ReLU", {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.5}),
        ("ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
        ("LeakyReLU", {"alpha": 0.25}),
        ("ELU", {"alpha": 0.5}),
        ("ThresholdedReLU", {"theta": 0.75}),
        ("Softmax", {"axis": -1}),
        ("Softmax", {"axis": 1}),
    ]:
        check(tmp_path, "(L, 4)", [conv1d(), layer, *HEAD])


def test_a_dense_layer_on_a_map_works_at_every_position(tmp_path):
    check(tmp_path, "(L, 4)", [conv1d(), ("Dense", {"units": 5, "activation": "relu"}), *HEAD])
    check(tmp_path, "(4, L, 1)", [conv2d(2, 5), ("Dense", {"units": 5}), *HEAD])


def test_permuting_and_adding_axes_moves_nothing(tmp_path):
    check(tmp_path, "(4, L)", [("Permute", {"dims": [2, 1]}), conv1d(), *HEAD])
    check(tmp_path, "(L, 4)", [("Reshape", {"target_shape": [LENGTH, 4, 1]}), conv2d(5, 4), *HEAD])
    check(tmp_path, "(4, L, 1)", [conv2d(4, 5), ("Reshape", {"target_shape": [20, 6]}), conv1d(3), *HEAD])
    check(tmp_path, "(L, 4)", [conv1d(), ("Reshape", {"target_shape": [-1]}), ("Dense", {"units": 2})])
    check(tmp_path, "(L, 4)", [conv1d(), ("Permute", {"dims": [2, 1]}), *HEAD])


def test_a_network_that_ends_in_a_flatten_keeps_keras_order_of_the_outputs(tmp_path):
    check(tmp_path, "(L, 4)", [conv1d(20, filters=3), ("Flatten", {})])
    check(tmp_path, "(4, L, 1)", [conv2d(2, 20), ("Flatten", {}), ("Activation", {"activation": "tanh"})])


def test_layers_that_only_act_in_training_do_nothing(tmp_path):
    noise = [("SpatialDropout1D", {"rate": 0.5}), ("GaussianNoise", {"stddev": 9.0})]
    check(tmp_path, "(L, 4)", [conv1d(), *noise, ("Flatten", {}), ("Dropout", {"rate": 0.9}), ("Dense", {"units": 3})])


# ---- names and the squash -------------------------------------------------------------------------------------------


def test_layers_keep_their_names_as_far_as_pytorch_allows(tmp_path):
    specs = [conv1d(activation="relu"), conv1d(3), ("Flatten", {}), ("Dense", {"units": 2}), ("Dense", {"units": 2})]
    names = ["motif.scan", "häßlich/1", "forward", "training", "<b>last</b>"]
    model = check(tmp_path, "(L, 4)", specs, names=names)
    assert [name for name, _ in model.named_children()] == [
        "motif_scan",
        "häßlich/1",
        "forward_",
        "training_",
        "<b>last</b>",
    ]
    assert [name for name, _ in model.motif_scan.named_children()] == ["conv", "relu"]


def test_a_layers_module_gives_the_layers_output(tmp_path):
    specs = [
        conv1d(4, activation="relu", padding="same"),
        ("MaxPooling1D", {"pool_size": [2], "padding": "same"}),
        *HEAD,
    ]
    model = check(tmp_path, "(L, 4)", specs)
    x = random(3, LENGTH, random_state=0)
    expected, _ = reference.run(specs[:2], x.transpose(0, 2, 1).astype(float), np.random.default_rng(0))
    got = model[:2](torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, expected.transpose(0, 2, 1), **CLOSE)


@pytest.mark.parametrize("squash", ["sigmoid", "softmax", "hard_sigmoid", None])
@pytest.mark.parametrize("form", ["in the dense layer", "as a layer", "under dropout"])
def test_the_final_squash_is_left_out_and_named(tmp_path, squash, form):
    end = {
        "in the dense layer": [("Dense", {"units": 3, "activation": squash or "linear"})],
        "as a layer": [("Dense", {"units": 3}), ("Activation", {"activation": squash or "linear"})],
        "under dropout": [("Dense", {"units": 3, "activation": squash or "linear"}), ("Dropout", {"rate": 0.5})],
    }[form]
    rng, x = np.random.default_rng(0), random(3, LENGTH)
    specs = [conv1d(activation="sigmoid"), ("Flatten", {}), *end]
    silent = [(kind, {**config, "activation": None} if kind == "Dense" else config) for kind, config in specs]
    silent = [(kind, config) for kind, config in silent if kind != "Activation"]
    logits, arrays = reference.run(silent, x.transpose(0, 2, 1), rng)
    reference.write(tmp_path / "x.h5", specs, [*arrays, []][: len(specs)], (LENGTH, 4))
    model = load_keras(tmp_path / "x.h5")
    assert model.squash == squash
    np.testing.assert_allclose(model(torch.from_numpy(x)).detach(), logits, **CLOSE)


# ---- versions of the file -------------------------------------------------------------------------------------------


def write_keras_1(path, *, one_dimensional=False, seed=0):
    """A Keras 1.2 file with Theano's kernels, and the logits of x by the definition of a true convolution."""
    rng = np.random.default_rng(seed)
    x = random(3, LENGTH, random_state=seed)
    kernel, bias = (
        rng.normal(size=(5, 4, 6)),
        rng.normal(size=6),
    )  # width 6, even: Theano pads before what others pad behind
    kernel = rng.normal(size=(6, 4, 5))
    bias = rng.normal(size=5)
    weights, offset = rng.normal(size=(5 * (LENGTH // 2), 2)), rng.normal(size=2)
    padded = np.pad(x, [(0, 0), (0, 0), (3, 2)])
    flipped = kernel[::-1]
    out = np.stack([np.einsum("ncw,wcf->nf", padded[:, :, i : i + 6], flipped) for i in range(LENGTH)], -1)
    out = np.maximum(out + bias[:, None], 0).reshape(3, 5, LENGTH // 2, 2).max(-1)
    logits = out.reshape(3, -1) @ weights + offset  # Theano's axes: the channels vary slowest
    config = {"nb_filter": 5, "border_mode": "same", "activation": "relu", "bias": True}
    if one_dimensional:
        logits = out.transpose(0, 2, 1).reshape(3, -1) @ weights + offset
        layers = [
            ("Convolution1D", {**config, "filter_length": 6, "subsample_length": 1}, (LENGTH, 4)),
            ("MaxPooling1D", {"pool_length": 2, "stride": 2, "border_mode": "valid"}, None),
        ]
        stored = kernel[:, None]
    else:
        config |= {"nb_row": 1, "nb_col": 6, "subsample": [1, 1], "dim_ordering": "th"}
        layers = [
            ("Convolution2D", config, (4, 1, LENGTH)),
            (
                "MaxPooling2D",
                {"pool_size": [1, 2], "strides": [1, 2], "border_mode": "valid", "dim_ordering": "th"},
                None,
            ),
        ]
        stored = kernel.transpose(2, 1, 0)[:, :, None]
    layers += [("Flatten", {}, None), ("Dense", {"output_dim": 2, "activation": "sigmoid", "bias": True}, None)]
    arrays = [[("W", stored), ("b", bias)], [], [], [("W", weights), ("b", offset)]]
    entries = []
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        for i, ((kind, config, shape), own) in enumerate(zip(layers, arrays, strict=True)):
            name = f"{kind.lower()}_{i}"
            entry = {"name": name, **config} | ({"batch_input_shape": [None, *shape]} if shape else {})
            entries.append({"class_name": kind, "config": entry})
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}_{label}".encode() for label, _ in own]
            for label, array in own:
                group.create_dataset(f"{name}_{label}", data=np.asarray(array, np.float32))
        root.attrs["layer_names"] = [entry["config"]["name"].encode() for entry in entries]
        file.attrs["keras_version"] = b"1.2.0"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": entries}).encode()
    return torch.from_numpy(x), logits


def test_theanos_kernels_are_reversed_and_padded_before(tmp_path):
    x, logits = write_keras_1(tmp_path / "x.h5")
    model = load_keras(tmp_path / "x.h5")
    assert model.squash == "sigmoid"
    np.testing.assert_allclose(model(x).detach(), logits, **CLOSE)
    assert not np.allclose(load_keras(tmp_path / "x.h5", flip=False)(x).detach(), logits, **CLOSE)


def test_a_file_that_does_not_say_who_trained_it_is_read_with_a_warning(tmp_path):
    x, logits = write_keras_1(tmp_path / "x.h5", one_dimensional=True)
    with pytest.warns(UserWarning, match="flip=True"):
        load_keras(tmp_path / "x.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_keras(tmp_path / "x.h5", flip=True)
    np.testing.assert_allclose(model(x).detach(), logits, **CLOSE)


def test_keras_2_on_theano_is_reversed_too(tmp_path):
    specs = [conv1d(5, padding="same"), *HEAD]
    x = random(3, LENGTH)
    expected, arrays = reference.run(specs, x.transpose(0, 2, 1), np.random.default_rng(0))
    arrays[0][0] = ("kernel", arrays[0][0][1][::-1])
    reference.write(tmp_path / "x.h5", specs, arrays, (LENGTH, 4), attributes={"backend": "theano"})
    np.testing.assert_allclose(load_keras(tmp_path / "x.h5")(torch.from_numpy(x)).detach(), expected, **CLOSE)


@pytest.mark.parametrize(("size", "before"), [(1, 0), (2, 1), (3, 1), (4, 3), (5, 3)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_theano_pools_from_further_before(tmp_path, size, before, stride):
    """Keras on Theano pads `same` pooling by size - 1 in front, or size - 2 where that is odd."""
    pool = ("MaxPooling1D", {"pool_size": [size], "strides": [stride], "padding": "same"})
    reference.write(tmp_path / "x.h5", [pool], [[]], (LENGTH, 4), attributes={"backend": "theano"})
    x = np.random.default_rng(0).normal(size=(2, 4, LENGTH)).astype(np.float32)
    starts = range(-before, -before + stride * -(-LENGTH // stride), stride)
    expected = np.stack([x[:, :, max(i, 0) : i + size].max(-1) for i in starts], axis=-1)
    np.testing.assert_array_equal(load_keras(tmp_path / "x.h5")(torch.from_numpy(x)).numpy(), expected)


def test_weights_only_files_need_the_architecture_as_text_or_file(tmp_path):
    specs, x = [conv1d(activation="relu"), *HEAD], random(3, LENGTH)
    expected, arrays = reference.run(specs, x.transpose(0, 2, 1), np.random.default_rng(0))
    text = reference.write(tmp_path / "w.h5", specs, arrays, (LENGTH, 4), config_in_file=False)
    with pytest.raises(ValueError, match=r"weights only.*json="):
        load_keras(tmp_path / "w.h5")
    (tmp_path / "model.json").write_text(text)
    renamed = text.replace("conv1d_1", "conv1d_7").replace("dense_3", "dense_9").replace("flatten_2", "flatten_8")
    for json_ in (text, tmp_path / "model.json", str(tmp_path / "model.json"), renamed):
        np.testing.assert_allclose(
            load_keras(tmp_path / "w.h5", json_)(torch.from_numpy(x)).detach(), expected, **CLOSE
        )
    with pytest.raises(FileNotFoundError, match="neither JSON text nor a file"):
        load_keras(tmp_path / "w.h5", json="no such thing")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_keras(tmp_path / "w.h5", json="{oops")


def test_an_open_length_is_fine_until_something_needs_it(tmp_path):
    specs, x = [conv1d(padding="same"), ("GlobalMaxPooling1D", {}), ("Dense", {"units": 2})], random(3, LENGTH)
    expected, arrays = reference.run(specs, x.transpose(0, 2, 1), np.random.default_rng(0))
    reference.write(tmp_path / "x.h5", specs, arrays, (None, 4))
    model = load_keras(tmp_path / "x.h5")
    assert model.input_length is None
    np.testing.assert_allclose(model(torch.from_numpy(x)).detach(), expected, **CLOSE)
    reference.write(tmp_path / "x.h5", [conv1d(), *HEAD], [arrays[0], [], arrays[2]], (None, 4))
    with pytest.raises(ValueError, match=r"'flatten_2'.*length.*open"):
        load_keras(tmp_path / "x.h5")


def test_names_cut_into_pieces_are_put_together(tmp_path):
    model = check(tmp_path, "(L, 4)", [conv1d(), *HEAD])
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        names = file["model_weights"].attrs["layer_names"]
        del file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["layer_names0"] = names[:1]
        file["model_weights"].attrs["layer_names1"] = names[1:]
    x = torch.from_numpy(random(2, LENGTH))
    assert torch.equal(load_keras(tmp_path / "x.h5")(x), model(x))


def test_what_keras_3_itself_writes_computes_the_same(tmp_path):
    layers = keras.layers
    networks = {
        "1d": [
            layers.Input((LENGTH, 4)),
            layers.Conv1D(6, 5, padding="same", activation="gelu"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2, padding="same"),
            layers.Conv1D(5, 4, padding="causal", dilation_rate=2),
            layers.LeakyReLU(0.1),
            layers.Flatten(),
            layers.Dense(7, activation="hard_sigmoid"),
            layers.Dropout(0.5),
            layers.Dense(3),
        ],
        "2d": [
            layers.Input((4, LENGTH, 1)),
            layers.Conv2D(6, (4, 5), activation="relu"),
            layers.PReLU(shared_axes=[1, 2]),
            # No padding here: Keras 3 on PyTorch repeats the edge where TensorFlow leaves the padding out of the mean.
            layers.AveragePooling2D((1, 2)),
            layers.Flatten(),
            layers.Dense(3),
        ],
    }
    for name, entries in networks.items():
        network = keras.Sequential(entries)
        network.save(tmp_path / f"{name}.h5")
        x = random(3, LENGTH)
        keras_x = LAYOUTS["(L, 4)" if name == "1d" else "(4, L, 1)"](x)
        expected = keras.ops.convert_to_numpy(network(keras_x))
        got = load_keras(tmp_path / f"{name}.h5")(torch.from_numpy(x)).detach()
        np.testing.assert_allclose(got, expected, **CLOSE)


# ---- bad files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    """Path of a small valid file."""
    specs = [conv1d(activation="relu"), *HEAD]
    _, arrays = reference.run(specs, random(3, LENGTH).transpose(0, 2, 1), np.random.default_rng(0))
    reference.write(tmp_path / "good.h5", specs, arrays, (LENGTH, 4))
    return tmp_path / "good.h5"


def change_config(path, change):
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


def test_what_is_not_a_keras_file_is_an_error_that_says_what_it_is(tmp_path, good):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_keras(tmp_path / "missing.h5")
    with pytest.raises(ValueError, match="is a folder"):
        load_keras(tmp_path)
    for data, words in [
        (b"", "not an HDF5 file"),
        (pickle.dumps({"a": 1}), "never pickle"),
        (b"PK\x03\x04", r"\.keras archive"),
        (gzip.compress(b"x"), "not an HDF5 file"),
        (good.read_bytes()[:3000], "truncated"),
    ]:
        (tmp_path / "bad.h5").write_bytes(data)
        with pytest.raises(ValueError, match=words):
            load_keras(tmp_path / "bad.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["obs"] = [1, 2]
    with pytest.raises(ValueError, match=r"not a Keras model.*obs"):
        load_keras(tmp_path / "foreign.h5")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(class_name="Functional"), r"functional Keras model.*Conv1D.*torch\.nn\.Module"),
        (lambda c: c.update(class_name="MyModel"), "its class is 'MyModel'"),
        (lambda c: c.update(config={"layers": []}), "without layers"),
        (lambda c: c.update(config=7), "not written as Keras writes"),
        (lambda c: c["config"]["layers"][0].pop("class_name"), "not written as Keras writes"),
        (lambda c: c["config"]["layers"][1].update(class_name="LSTM"), "'flatten_2' is a LSTM, .*It reads Activation"),
        (lambda c: c["config"]["layers"][1].update(class_name="Flaten"), "nearest it can is Flatten"),
        (lambda c: c["config"]["layers"][1].update(class_name="Lambda"), "'flatten_2' is a Lambda.*never run"),
        (lambda c: c["config"]["layers"][0]["config"].update(activation="my_act"), "'my_act'; it knows elu"),
        (lambda c: c["config"]["layers"][0]["config"].update(padding="full"), "padding 'full'"),
        (lambda c: c["config"]["layers"][0]["config"].update(filters=7), r"kernel.*\(5, 4, 6\).*asks for \(5, 4, 7\)"),
        (lambda c: c["config"]["layers"][0]["config"].pop("filters"), "lacks the setting 'filters'"),
        (lambda c: c["config"]["layers"][0]["config"].update(use_bias=False), "1 more array"),
        (lambda c: c["config"]["layers"][0]["config"].update(kernel_size=[99]), "99"),
        (lambda c: c["config"]["layers"][0]["config"].pop("batch_input_shape"), "does not say what shape"),
        (lambda c: c["config"]["layers"][0]["config"].update(batch_input_shape=[None, 24, 5]), r"\(24, 5\).*4 bases"),
        (lambda c: c["config"]["layers"][0]["config"].update(batch_input_shape=[None, 4, 24]), "slide along the bases"),
        (lambda c: c["config"]["layers"][0]["config"].update(batch_input_shape=[None, 1, 24, 4]), "needs 2 axes"),
    ],
)
def test_an_architecture_that_cannot_be_had_is_an_error_that_names_the_layer(good, change, words):
    change_config(good, change)
    with pytest.raises(ValueError, match=words):
        load_keras(good)


def test_arrays_that_cannot_be_right_are_errors_that_name_the_layer(tmp_path, good):
    original = good.read_bytes()
    kernel = "model_weights/conv1d_1/conv1d_1/kernel:0"
    for name, words in {
        "nan": r"'conv1d_1' \(Conv1D\): its kernel .* NaN",
        "text": "expected numbers",
        "missing": "does not hold it",
        "link": "another file",
        "external": "another file",
    }.items():
        good.write_bytes(original)
        with h5py.File(good, "r+") as file:
            if name == "nan":
                file[kernel][0, 0, 0] = np.nan
            else:
                del file[kernel]
            if name == "text":
                file[kernel] = np.full((5, 4, 6), b"x")
            if name == "link":
                (tmp_path / "other.h5").write_bytes(original)
                file[kernel] = h5py.ExternalLink(str(tmp_path / "other.h5"), kernel)
            if name == "external":
                outside = [(str(tmp_path / "raw.bin"), 0, 480)]
                (tmp_path / "raw.bin").write_bytes(bytes(480))
                file.create_dataset(kernel, (5, 4, 6), "f4", external=outside)
        with pytest.raises(ValueError, match=words):
            load_keras(good)


def test_weights_of_another_model_are_an_error(tmp_path, good):
    specs = [conv1d(), conv1d(3), *HEAD]
    _, arrays = reference.run(specs, random(3, LENGTH).transpose(0, 2, 1), np.random.default_rng(0))
    text = reference.write(tmp_path / "other.h5", specs, arrays, (LENGTH, 4), names=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"arrays for 2 layers .*3 that need some"):
        load_keras(good, json=text)


# ---- real networks --------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_functional_model_with_layers_of_its_own_is_refused(shared_data):
    with pytest.raises(ValueError, match=r"functional Keras model.*SplineWeight1D.*torch\.nn\.Module"):
        load_keras(shared_data / "mtsplice" / "mtsplice0.h5")


@pytest.mark.real
@pytest.mark.parametrize(
    ("model", "peaks"),
    [("UwCaco2CtcfUniPk", "ctcf"), ("HaibHepg2Ctcfsc5916V0416101UniPk", "ctcf"), ("HaibGm12878Pu1Pcr1xUniPk", "pu1")],
)
def test_real_networks_tell_peaks_from_shuffles_only_if_the_kernels_are_reversed(shared_data, model, peaks):
    _, sequences = read_fasta(shared_data / "seqs_ctcf_pu1" / f"{peaks}.fa.gz")
    x = one_hot(sequences[:1500], length=101)
    both = torch.from_numpy(np.concatenate([x, dinucleotide_shuffle(x)]))
    truth = np.repeat([1, 0], len(x))
    path = shared_data / "tf422" / "models" / f"wgEncodeAwgTfbs{model}.h5"
    with torch.no_grad():
        assert roc_auc_score(truth, load_keras(path)(both)) >= 0.85
        assert roc_auc_score(truth, load_keras(path, flip=False)(both)) < 0.65
