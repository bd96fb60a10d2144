"""The scale of a run comes from the network: optimal maps as large as natural ones, whatever its units."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dr_explorer import scale
from dr_explorer.ascent import Ascent
from dr_explorer.tail import Tail

SEQUENCES, LENGTH = 64, 80


def convolutional(unit: float = 1.0, logit: float = 1.0, hidden: int = 24, linear: bool = False) -> nn.Sequential:
    """A convolution whose maps, and a tail whose logits, can be had in other units."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tail = [nn.Linear(64, 3)] if linear else [nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 3)]
        net = nn.Sequential(nn.Conv1d(4, 8, 9), nn.ReLU(), nn.MaxPool1d(9), nn.Flatten(), *tail)
    with torch.no_grad():
        net[0].weight *= unit
        net[0].bias *= unit
        net[4].weight /= unit
        net[-1].weight *= logit
        net[-1].bias *= logit
    return net


def sequences(n: int = SEQUENCES) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return nn.functional.one_hot(torch.randint(4, (n, LENGTH), generator=generator), 4).transpose(1, 2).float()


@pytest.mark.parametrize("unit", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("logit", [0.1, 10.0])
def test_optimal_maps_are_as_large_as_strong_natural_ones_in_any_units(unit: float, logit: float) -> None:
    tail = Tail(convolutional(unit, logit), "3", example_input=sequences())
    l2 = scale.choose_l2(tail)
    natural = torch.quantile(tail.features(sequences()).norm(dim=1), scale.STRONG)
    ascent = Ascent(tail, l2=l2, step_size=scale.choose_step(l2), n_restarts=5, keep_maps="all").run()
    optimal = torch.from_numpy(ascent.trials.ends).flatten(0, 1).norm(dim=1).median()
    assert 0.5 < float(optimal / natural) < 2


def test_an_ascent_asks_the_network_for_its_l2() -> None:
    tail = Tail(convolutional(), "3", example_input=sequences())
    assert Ascent(tail).l2 == scale.choose_l2(tail)


def test_the_same_network_gets_the_same_l2() -> None:
    tail = Tail(convolutional(), "3", example_input=sequences(1))
    assert scale.choose_l2(tail) == scale.choose_l2(tail)


@pytest.mark.parametrize("shape", [(4, LENGTH), (LENGTH, 4), (4, 1, LENGTH)])
def test_one_example_row_is_replaced_by_random_sequences(shape: tuple[int, ...]) -> None:
    class Front(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.squeeze(2) if x.ndim == 4 else x if x.shape[1] == 4 else x.transpose(1, 2)
            assert ((x == 0) | (x == 1)).all()
            return x

    net = nn.Sequential(Front(), *convolutional())
    example = sequences(1).reshape(1, *shape) if shape[0] == 4 else sequences(1).transpose(1, 2)
    maps = scale.natural_maps(Tail(net, "4", example_input=example))
    assert maps.shape == (scale.RANDOM_ROWS, 64)
    assert len(maps.unique(dim=0)) > scale.RANDOM_ROWS / 2


def test_real_sequences_are_taken_as_they_are() -> None:
    net, real = convolutional(), sequences()
    maps = scale.natural_maps(Tail(net, "3", example_input=real))
    torch.testing.assert_close(maps, net[:4](real).detach())
    torch.testing.assert_close(scale.natural_maps(Tail(net, "3", example_input=real), real[:3]), maps[:3])


def test_a_dead_network_gets_a_plain_answer() -> None:
    net = convolutional()
    nn.init.zeros_(net[-1].weight)
    assert scale.choose_l2(Tail(net, "3", example_input=sequences())) == 1.0


def test_a_silent_layer_gets_a_plain_answer() -> None:
    net = convolutional()
    nn.init.constant_(net[0].bias, -100.0)
    assert 0 < scale.choose_l2(Tail(net, "3", example_input=sequences())) < float("inf")


def test_the_authors_step_at_their_l2_is_theirs() -> None:
    assert scale.choose_step(2.8) == pytest.approx(0.005)
    assert scale.choose_step(28.0) == pytest.approx(0.0005)


def test_linear_tails_are_told_from_others() -> None:
    assert scale.is_linear(Tail(convolutional(linear=True), "3", example_input=sequences()))
    assert not scale.is_linear(Tail(convolutional(), "3", example_input=sequences()))
    assert not scale.is_linear(Tail(convolutional(linear=True), "0", example_input=sequences()))


def test_a_linear_tail_is_said_to_be_one_and_solved_in_one_step() -> None:
    tail = Tail(convolutional(linear=True), "3", example_input=sequences())
    ascent = Ascent(tail, n_restarts=4, l2=0.5, keep_maps="all").run()
    assert any("linear" in note for note in tail.notes)
    assert (ascent.trials.steps == 2).all()
    maps = torch.zeros(3, *tail.shape)
    _, grad = tail.value_and_grad(maps, torch.arange(3))
    torch.testing.assert_close(
        torch.from_numpy(ascent.trials.ends), grad.unsqueeze(1).expand(-1, 4, -1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", [list, dict])
def test_inputs_in_lists_and_dicts_are_replaced_by_random_sequences_too(kind: type) -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = convolutional()

        def forward(self, inputs) -> torch.Tensor:
            left, right = inputs.values() if isinstance(inputs, dict) else inputs
            assert ((left == 0) | (left == 1)).all()
            return self.net(left + 0 * right)

    pair = sequences(1), sequences(1)
    example = list(pair) if kind is list else dict(zip(("left", "right"), pair, strict=True))
    tail = Tail(Nested(), "net.3", example_input=(example,))
    assert len(scale.natural_maps(tail).unique(dim=0)) > scale.RANDOM_ROWS / 2
    assert scale.choose_l2(tail) > 0
