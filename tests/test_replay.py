"""A replayed step gives what autograd gives, bit for bit, for any number of maps; what cannot be replayed is not."""

from __future__ import annotations

import pytest
import torch
from networks import seeded, toys
from torch import nn

from dr_explorer.tail import Tail
from dr_explorer.tail.replay import record


def by_autograd(tail: Tail, maps: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    maps = maps.clone().requires_grad_()
    score = tail.logits(maps)[range(len(maps)), targets]
    return score.detach(), torch.autograd.grad(score.sum(), maps)[0]


@pytest.mark.parametrize(
    ("name", "layer"),
    [("sequential", "1"), ("sequential", "5"), ("functional", "conv"), ("skip before", "pool"), ("bpnet", None)],
)
@pytest.mark.parametrize("n", [1, 2, 5, 64])
@pytest.mark.parametrize("factor", [0.01, 1.0, 1000.0])
def test_replayed_steps_are_those_of_autograd(name, layer, n, factor):
    model, x = toys()[name]
    tail = Tail(model, layer, example_input=x)
    assert tail._replay is not None
    generator = torch.Generator().manual_seed(n)
    maps = factor * torch.randn(n, *tail.shape, generator=generator)
    targets = torch.randint(tail.n_targets, (n,), generator=generator)
    given = maps.clone()
    for found, expected in zip(tail.value_and_grad(given, targets), by_autograd(tail, maps, targets), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
    assert torch.equal(given, maps)


class Layer(nn.Module):
    """A function as a network: convolution, the function, a dense layer."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.out, self.function = nn.Conv1d(4, 6, 5), nn.Linear(6, 3), function

    def forward(self, x):
        return self.out(self.function(self.conv(x)))


def of_function(function) -> Tail:
    return Tail(seeded(Layer, function), "conv", example_input=torch.rand(4, 4, 24))


def test_numbers_that_follow_the_rows_are_followed():
    def spread(maps):
        return maps.reshape(len(maps) * 6, -1).amax(1).view(len(maps), 6) * torch.full((len(maps), 6), 2.0)

    tail = of_function(spread)
    assert tail._replay is not None
    maps, targets = torch.randn(9, *tail.shape), torch.arange(9) % 3
    for found, expected in zip(tail.value_and_grad(maps, targets), by_autograd(tail, maps, targets), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda maps: maps.amax(2) * (2.0 if maps.sum() > 0 else 1.0),  # decides by a value
        lambda maps: maps.amax(2) + maps[maps > 0].mean(),  # a shape that depends on values
    ],
    ids=["decision", "selection"],
)
def test_what_depends_on_values_is_left_to_autograd(function):
    head = nn.Linear(6, 3)
    maps = torch.randn(3, 6, 20, generator=torch.Generator().manual_seed(1))
    assert record(lambda maps: head(function(maps)), maps, 3) is None


def test_a_constant_that_a_step_would_write_into_is_left_alone():
    memory = torch.zeros(6)

    def remembers(maps):
        memory.add_(1.0)
        return maps.amax(2) + memory

    head = nn.Linear(6, 3)
    assert record(lambda maps: head(remembers(maps)), torch.rand(3, 6, 20), 3) is None


def test_steps_in_inference_mode_and_without_gradients_are_the_same():
    model, x = toys()["sequential"]
    tail = Tail(model, "5", example_input=x)
    maps, targets = torch.rand(4, *tail.shape), torch.zeros(4, dtype=torch.int64)
    expected = tail.value_and_grad(maps, targets)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            found = tail.value_and_grad(maps.clone(), targets.clone())
        assert all(map(torch.equal, found, expected))
    assert all(map(torch.equal, tail.value_and_grad(maps, targets), expected))
