"""What somebody set around a call, or hung on a network, does not change what a Tail computes."""

from __future__ import annotations

import contextlib

import pytest
import torch
from networks import Functional, one_hot, seeded, toys
from torch import nn

import dr_explorer as dr
from dr_explorer.tail import Tail


def resolved(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    found = dr.resolve(model, "pool", example_input=x, n_restarts=2, targets=[0, 1])
    return torch.from_numpy(found.dataset.fiv.values)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(lambda: torch.autocast("cpu", dtype=torch.bfloat16), id="mixed precision"),
        pytest.param(torch.inference_mode, id="inference mode"),
        pytest.param(torch.no_grad, id="no gradients"),
        pytest.param(lambda: default_dtype(torch.float64), id="default dtype"),
        pytest.param(lambda: torch.device("meta"), id="default device"),
        pytest.param(deterministic, id="deterministic"),
    ],
)
def test_a_run_is_the_same_whatever_is_set_around_it(around) -> None:
    model, x = toys()["danq"]
    expected = resolved(model, x)
    with around():
        found = resolved(model, x)
    assert torch.equal(found, expected)


def test_mixed_precision_around_does_not_reach_any_function_of_a_tail() -> None:
    model, x = toys()["danq"]
    tail = Tail(model, "pool", example_input=x)
    maps, targets = tail.features(x), torch.arange(5)
    expected = (maps, tail.logits(maps), tail.predict(x), *tail.value_and_grad(maps, targets))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = (tail.features(x), tail.logits(maps), tail.predict(x), *tail.value_and_grad(maps, targets))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_of_somebodys_hooks_those_that_change_the_output_work_and_those_that_look_are_left_alone() -> None:
    model, x = seeded(Functional), one_hot(3, 40)
    with torch.no_grad():
        expected = model(x) * 2
    looked = []
    model.conv.register_forward_hook(lambda *_: looked.append("conv"))
    model.out.register_forward_hook(lambda _module, _inputs, out: out * 2)
    model.out.register_forward_hook(lambda *_: looked.append("out"))
    tail = Tail(model, "conv", example_input=x)
    looked.clear()
    torch.testing.assert_close(tail.predict(x), expected)
    torch.testing.assert_close(tail.logits(tail.features(x)), expected)
    assert looked == []
    model(x)
    assert looked == ["conv", "out"]


def test_weight_norm_stays_where_somebody_also_looks() -> None:
    model, x = seeded(Functional), one_hot(3, 40)
    nn.utils.parametrizations.weight_norm(model.out)
    looked = []
    model.out.register_forward_pre_hook(lambda *_: looked.append(1))
    with torch.no_grad():
        expected = model(x)
    torch.testing.assert_close(Tail(model, "conv", example_input=x).predict(x), expected)
