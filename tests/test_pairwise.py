"""Pairs on networks whose logic is known because it was written down, weight by weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dr_explorer as dr
from dr_explorer.sequences import one_hot

MOTIFS = ("CGCTTG", "CAGATG")
LENGTH = 60
#: Logit weights and bias over (A, B, A and B), where A and B are 1 when the motif is there.
RULES = {
    "AND": (1.0, 1.0, 0.0, -1.5),
    "OR": (1.0, 1.0, 0.0, -0.5),
    "XOR": (1.0, 1.0, -2.0, -0.5),
    "A and not B": (1.0, -1.0, 0.0, -0.5),
    "NOT A": (-1.0, 0.0, 0.0, 0.5),
}


def network(rule: str, spare: int = 2) -> torch.nn.Sequential:
    """Two filters that match one motif each, `spare` that match nothing, and the rule in a dense head."""
    a, b, both, bias = RULES[rule]
    conv = torch.nn.Conv1d(4, 2 + spare, 6)
    head, out = torch.nn.Linear(2 + spare, 3), torch.nn.Linear(3, 1)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:2] = torch.as_tensor(one_hot(list(MOTIFS)))
        conv.bias.fill_(-5.0)  # 1 on an exact match, 0 on anything else
        head.weight.zero_()
        head.weight[0, 0] = head.weight[1, 1] = head.weight[2, 0] = head.weight[2, 1] = 1.0
        head.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
        out.weight.copy_(torch.tensor([[a, b, both]]))
        out.bias.fill_(bias)
    pool = torch.nn.AdaptiveMaxPool1d(1)
    return torch.nn.Sequential(conv, torch.nn.ReLU(), pool, torch.nn.Flatten(), head, torch.nn.ReLU(), out)


def sequences(n: int = 400, seed: int = 0) -> torch.Tensor:
    """Random sequences, one motif written into each, the two in turn."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("ACGT"), size=(n, LENGTH))
    for i, row in enumerate(letters):
        at = rng.integers(0, LENGTH - 6)
        row[at : at + 6] = list(MOTIFS[i % 2])
    return torch.as_tensor(one_hot(["".join(row) for row in letters]))


def found(model: torch.nn.Module) -> dr.Resolution:
    return dr.resolve(model, "3", example_input=torch.zeros(1, 4, LENGTH), l2=0.2, n_restarts=4)


@pytest.mark.parametrize("rule", RULES)
def test_the_written_logic_is_read(rule: str) -> None:
    model = network(rule)
    table = dr.pairwise(model, "3", found(model), 0, channels=[0, 1], sequences=sequences())
    pair = table.sel(feature=0, feature2=1)
    assert pair.logic.item() == {"NOT A": "NOT A"}.get(rule, rule)
    assert float(pair.confidence) > 0.9
    # The corners are the rule's own: a chance motif in a background is rare.
    a, b, both, bias = RULES[rule]
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert float(pair[f"s{i}{j}"]) == pytest.approx(a * i + b * j + both * i * j + bias, abs=0.15)
    assert float(pair.nonlinearity) == pytest.approx(both, abs=0.2)


def test_the_table_mirrors_when_the_features_change_places() -> None:
    model = network("A and not B")
    table = dr.pairwise(model, "3", found(model), 0, channels=[1, 0], sequences=sequences())
    one, other = table.sel(feature=0, feature2=1), table.sel(feature=1, feature2=0)
    assert one.logic.item() == "A and not B"
    assert other.logic.item() == "B and not A"
    assert float(one.s10) == pytest.approx(float(other.s01))
    assert float(one.nonlinearity) == pytest.approx(float(other.nonlinearity))
    assert np.isnan(float(table.sel(feature=0, feature2=0).nonlinearity))


def test_a_channel_that_nothing_excites_has_no_logic_and_says_so() -> None:
    model = network("AND")
    with torch.no_grad():
        model[0].bias[2] = -50.0
    table = dr.pairwise(model, "3", found(model), 0, channels=[0, 2], sequences=sequences())
    pair = table.sel(feature=0, feature2=2)
    assert pair.logic.item() == "unclear"
    assert "no sequence excites channel 2" in pair.sentence.item()


def test_groups_may_be_given() -> None:
    model = network("AND")
    table = dr.pairwise(model, "3", found(model), 0, groups=[[0], [1, 2]], sequences=sequences())
    assert table.group.sel(feature=1).values.tolist() == [False, True, True, False]
    assert table.sel(feature=0, feature2=1).logic.item() == "AND"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "nobody"}, "no class named 'nobody'"),
        ({"channels": [0, 99]}, "there is no channel 99"),
        ({"sequences": None}, "give sequences, or example_input"),
    ],
)
def test_bad_input_is_named(change: dict, words: str) -> None:
    model = network("AND")
    arguments = {"target": 0, "channels": [0, 1], "sequences": sequences(120), **change}
    with pytest.raises(ValueError, match=words):
        dr.pairwise(model, "3", found(model), arguments.pop("target"), **arguments)


def liking_a_likeness() -> torch.nn.Sequential:
    """Filter 0 sees CAAG and likes GGCAAG best; what turns the class on is CAAGCG (filter 2), or CAGATG (filter 1)."""
    conv, out = torch.nn.Conv1d(4, 3, 6), torch.nn.Linear(3, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.as_tensor(one_hot(["GGCAAG", "CAGATG", "CAAGCG"])))
        conv.bias.copy_(torch.tensor([-3.0, -5.0, -5.0]))
        out.weight.copy_(torch.tensor([[0.0, 1.0, 1.0]]))
        out.bias.fill_(-0.5)
    return torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten(), out).eval()


def test_a_channel_that_prefers_a_chance_likeness_is_read_by_the_motif_it_is_used_for() -> None:
    """Only every fourth sequence holds the motif: most of those that excite the channel hold GGCAAG by chance."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACGT"), size=(3000, LENGTH))
    for i, row in enumerate(letters):
        for word, held, first in (("CAAGCG", i % 4 == 1, 0), ("CAGATG", i // 4 % 2, LENGTH // 2)):
            at = first + rng.integers(0, LENGTH // 2 - 6)
            if held:
                row[at : at + 6] = list(word)
    given = torch.as_tensor(one_hot(["".join(row) for row in letters]))
    model = liking_a_likeness()
    table = dr.pairwise(model, "3", found(model), 0, channels=[0, 1], sequences=given)
    assert table.logic.sel(feature=0, feature2=1).item() == "OR"
    assert "CAAGCG" in table.window.sel(feature=0).item()
