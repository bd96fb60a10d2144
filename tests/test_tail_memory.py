"""Long sequences, large networks and whole data sets: a Tail asks for little more than one forward pass does."""

from __future__ import annotations

import pytest
import torch
from networks import BPNet, deepsea, one_hot, seeded, toys
from torch import nn

from dr_explorer import scale
from dr_explorer.tail import Tail, lineage
from dr_explorer.tail.layers import watch
from dr_explorer.tail.network import Network


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in every run of a whole network, as they happen."""
    seen: list[int] = []
    call = Network.call

    def counted(self, inputs):
        if type(inputs[0]) is torch.Tensor:  # neither traced nor exported
            seen.append(len(inputs[0]))
        return call(self, inputs)

    monkeypatch.setattr(Network, "call", counted)
    return seen


@pytest.mark.parametrize("name", ["sequential", "danq", "transformer", "bpnet", "gru", "attention"])
def test_a_network_is_read_without_keeping_its_activations(name: str) -> None:
    model, x = toys()[name]
    network = Network(model, x)
    seen = watch(network)
    weights = {p.untyped_storage().data_ptr() for p in (*network.module.parameters(), *network.module.buffers())}
    kept = []
    for node in {node for call in seen.calls for node in lineage.ancestry(call.node)}:
        saved = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        kept += [t for t in saved if isinstance(t, torch.Tensor) and not t.is_meta]
    kept = [t for t in kept if t.untyped_storage().data_ptr() not in weights]
    # What is left are states at zero and workspaces of recurrences, none of which grows with the length.
    assert sum(t.numel() for t in kept if t.shape[-1:] == x.shape[-1:]) == 0
    assert all(t.is_floating_point() for t in kept)


def test_the_whole_network_runs_seldom(rows: list[int]) -> None:
    tail = Tail(seeded(deepsea, 300, (8, 10, 12), 14, 9), "1.2", example_input=one_hot(1, 300))
    # Once to see that it runs, 2 + 3 rows for its output, 2 + 3 for its layers, 2 + 2 for its maps, and 3 + 1 + 3 to
    # compare with: alone, together, on another input.
    assert tail.way == "trace"
    assert sum(rows) <= 1 + 5 + 5 + 4 + 7


def test_a_data_set_as_example_is_not_run_at_once(rows: list[int]) -> None:
    many = one_hot(2000, 300)
    tail = Tail(seeded(deepsea, 300, (8, 10, 12), 14, 9), "1.2", example_input=many)
    assert max(rows) <= 3
    rows.clear()
    scale.choose_l2(tail)
    assert sum(rows) == scale.MOST_ROWS
    rows.clear()
    maps = tail.features(many)
    assert len(rows) > 1
    assert sum(rows) == len(maps) == 2000
    torch.testing.assert_close(maps[-3:], tail.features(many[-3:]))
    assert len(tail.predict(many)) == 2000


def test_of_long_sequences_a_few_random_ones_tell_the_scale(rows: list[int]) -> None:
    model = nn.Sequential(nn.Conv1d(4, 2, 1), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 1))
    tail = Tail(model, "2", example_input=one_hot(1, 2**17))
    rows.clear()
    assert scale.choose_l2(tail) > 0
    assert rows == [1] * scale.LEAST_RANDOM_ROWS


def test_the_scale_is_found_with_memory_for_one_map_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = Tail(seeded(BPNet), "blocks.0", example_input=one_hot(1, 60), output=1)
    expected = scale.choose_l2(tail)
    whole = tail.value_and_grad

    def small(maps, targets):
        if len(maps) > 1:
            raise torch.OutOfMemoryError("more than fits")
        return whole(maps, targets)

    monkeypatch.setattr(tail, "value_and_grad", small)
    assert scale.choose_l2(tail) == expected
    assert not scale.is_linear(tail)


def test_a_lack_of_memory_on_a_cpu_has_a_class() -> None:
    """PyTorch raises a plain RuntimeError there, which nobody could tell from a mistake."""

    class Greedy(nn.Module):
        def forward(self, x):
            if len(x) > 3:
                torch.empty(2**60, dtype=torch.uint8)
            return x

    model = nn.Sequential(nn.Conv1d(4, 6, 5), Greedy(), nn.Flatten(), nn.Linear(216, 2))
    tail = Tail(model, "0", example_input=one_hot(1, 40))
    with pytest.raises(MemoryError):
        tail.value_and_grad(torch.rand(700, *tail.shape), torch.zeros(700, dtype=torch.long))
