"""Keras 3 models on the torch backend are cut like any other network."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from dr_explorer.tail import Tail, list_layers

if keras.config.backend() != "torch":
    pytest.skip(f"Keras runs on {keras.config.backend()!r}, not on torch", allow_module_level=True)

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def sequences(n, length=100):
    """Random one-hot sequences as Keras likes them, (n, length, 4)."""
    return torch.eye(4)[torch.randint(4, (n, length), generator=torch.Generator().manual_seed(0))]


def two_windows():
    """Two inputs, one shared convolution, a sigmoid as the last layer's activation."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    left, right = keras.Input((100, 4), name="left"), keras.Input((100, 4), name="right")
    conv = layers.Conv1D(8, 5, name="conv")
    h = layers.Concatenate(axis=1, name="join")([conv(left), conv(right)])
    h = layers.Activation("relu", name="act")(h)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.MaxPooling1D(4, name="pool")(h)
    h = layers.GlobalAveragePooling1D(name="mean")(h)
    h = layers.Dropout(0.3)(layers.Dense(16, activation="relu", name="dense")(h))
    return keras.Model([left, right], layers.Dense(5, activation="sigmoid", name="out")(h))


def recurrent():
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((100, 4)),
            layers.Conv1D(8, 5, activation="relu", name="conv"),
            layers.MaxPooling1D(10, name="pool"),
            layers.LSTM(6, return_sequences=True, name="lstm"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="out"),
        ]
    )


@pytest.mark.parametrize("layer", ["join", "act", "norm", "pool", "mean", "dense"])
def test_a_keras_model_of_two_inputs_is_cut_without_its_sigmoid(layer):
    model, x = two_windows(), (sequences(3), sequences(3).flip(0))
    before = [np.array(w) for w in model.get_weights()]
    tail = Tail(model, layer, example_input=(x[0][:1], x[1][:1]))
    assert (tail.cut, tail.squash, tail.n_targets) == ("clean", "sigmoid", 5)
    assert tail.shape == {"join": (8, 192), "act": (8, 192), "norm": (8, 192), "pool": (8, 48)}.get(layer, tail.shape)
    with torch.no_grad():
        expected = model(list(x))
    torch.testing.assert_close(tail.logits(tail.features(x)).sigmoid(), expected, **CLOSE)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert all(v.value.requires_grad for v in model.trainable_variables)
    if layer != "dense":
        kernel = np.asarray(model.get_layer("conv").kernel.value.detach())  # (width, 4, filters)
        assert np.array_equal(tail.first_layer(), kernel.transpose(2, 1, 0))


def test_keras_layers_are_listed_by_their_names_and_channels_first():
    table = list_layers(two_windows(), (sequences(2), sequences(2))).set_index("name")
    assert table.cut["conv#1"] == table.cut["conv#2"] == "shared"
    assert table.cut["out"] == "no"  # its activation is the squash
    assert table.index[table.suggested].tolist() == ["mean"]
    table = list_layers(recurrent(), sequences(2)).set_index("name")
    assert table["shape"].to_dict() == {"conv": (8, 96), "pool": (8, 9), "lstm": (6, 9), "flat": (54,), "out": (3,)}
    assert table.index[table.suggested].tolist() == ["pool"]


def test_a_keras_recurrence_is_a_tail():
    model, x = recurrent(), sequences(4)
    tail = Tail(model, "pool", example_input=x[:1])
    with torch.no_grad():
        torch.testing.assert_close(tail.logits(tail.features(x)).softmax(1), model(x), **CLOSE)


def test_channels_first_sequences_are_turned_down_with_the_right_shape():
    with pytest.raises(ValueError, match=r"\(2, 4, 100\), but this network takes \(2, 100, 4\)"):
        Tail(recurrent(), example_input=sequences(2).transpose(1, 2))
