"""What pairs and triples of features do: corners, logic, groups, and finding them without being told."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import dr_explorer as dr
from dr_explorer import finding, groups, interaction, logic
from dr_explorer.formula import parse
from dr_explorer.tail import Tail

WORDS = {"A": "CGCTTG", "B": "CAGATG", "C": "TTGACA"}
LENGTH = 60


def detector(weights: dict[str, tuple[str, ...]], head, pool: bool = True) -> nn.Sequential:
    """A hand-made network: one filter a word (1 where it is found, else 0), a maximum, a head from maxima to logits."""
    conv = nn.Conv1d(4, len(weights), 6)
    with torch.no_grad():
        conv.weight.zero_()
        for k, word in enumerate(weights):
            for place, base in enumerate(word):
                conv.weight[k, "ACGT".index(base), place] = 1.0
        conv.bias.fill_(-5.0)  # only all six letters leave anything above zero
    layers = [conv, nn.ReLU(), nn.AdaptiveMaxPool1d(1) if pool else nn.Identity(), nn.Flatten(), head]
    return nn.Sequential(*layers).eval()


def table_head(n: int, truth) -> nn.Module:
    """Logit +4 or -4 by a truth table over n features that are 0 or 1 (exact, and linear between)."""

    class Head(nn.Module):
        def forward(self, x):
            x = x.clamp(0, 1)
            total = 0
            for row in product((0, 1), repeat=n):
                weight = 1
                for k, on in enumerate(row):
                    weight = weight * (x[:, k] if on else 1 - x[:, k])
                total = total + weight * (4.0 if truth(*map(bool, row)) else -4.0)
            return total[:, None]

    return Head()


@pytest.fixture(scope="module")
def sequences():
    """Sequences in which every combination of the three words occurs."""
    from dr_explorer.planting import plant

    return plant("A and B or C", WORDS, n=1500, length=LENGTH, random_state=2).x


def scene_of(truth, sequences=None, n=2):
    words = list(WORDS.values())[:n]
    model = detector(dict.fromkeys(words), table_head(n, truth))
    tail = Tail(model, "2", example_input=torch.zeros(2, 4, LENGTH))
    return groups.scene(tail, length=LENGTH, sequences=sequences, n_backgrounds=16, n_random=6000)


# ---- names


@pytest.mark.parametrize(
    ("bits", "name"),
    [
        ((0, 0, 0, 1), "AND"),
        ((0, 1, 1, 1), "OR"),
        ((0, 1, 1, 0), "XOR"),
        ((0, 1, 0, 0), "A and not B"),
        ((0, 0, 1, 0), "B and not A"),
        ((1, 0, 1, 0), "NOT A"),
        ((1, 1, 1, 0), "NAND"),
        ((0, 1, 0, 1), "A"),
        ((0, 0, 0, 0), "never"),
    ],
)
def test_bits_name_the_logic(bits, name):
    none, a, b, both = (8.0 if bit else -8.0 for bit in bits)
    corners = np.array([[none, b], [a, both]])
    reading = logic.read(np.repeat(corners[..., None], 5, -1))
    assert reading.logic == name
    assert reading.confidence == 1
    assert reading.sentence


def test_and_and_or_differ_by_the_threshold_alone():
    additive = np.array([[-3.0, -1.0], [-1.0, 1.0]])[..., None]
    assert logic.read(additive).logic == "AND"
    assert logic.read(additive + 2.5).logic == "OR"
    assert logic.read(additive, threshold=-2.5).logic == "OR"
    assert logic.read(additive).nonlinearity == logic.read(additive + 2.5).nonlinearity == 0


def test_features_that_only_add_up_are_additive():
    reading = logic.read(np.array([[-4.0, 0.3], [0.2, 4.5]])[..., None])
    assert reading.logic == "additive"
    assert "evidence" in reading.sentence


def test_disagreeing_backgrounds_are_unclear_and_not_guessed():
    rng = np.random.default_rng(0)
    reading = logic.read(np.array([[-4.0, 5.0], [0.5, -4.0]])[..., None] + rng.normal(0, 2, (2, 2, 200)))
    assert reading.logic == "unclear"
    assert reading.confidence < 0.8


def test_an_or_that_saturates_is_redundant():
    corners = np.array([[-6.0, 6.0], [6.0, 6.2]])[..., None]
    assert logic.read(corners).redundant
    assert not logic.read(np.array([[-6.0, 5.0], [5.0, 15.0]])[..., None]).redundant


def test_every_table_of_three_gets_a_formula_with_that_table():
    rows = list(product((False, True), repeat=3))
    for bits in product((False, True), repeat=8):
        text = logic.shortest(bits, ("A", "B", "C"))
        if text in ("always", "never"):
            assert len(set(bits)) == 1
            continue
        formula = parse(text)
        got = [bool(formula(dict(zip("ABC", map(np.array, row), strict=True)))) for row in rows]
        assert got == list(bits), text


def test_a_cube_reads_as_its_shortest_formula():
    corners = np.full((2, 2, 2, 4), -5.0)
    corners[1, 1, 0] = corners[1, 0, 1] = 5.0
    assert logic.read(corners).logic == "A and (B xor C)"
    assert logic.read(corners, ["GATA", "E-box", "AP1"]).sentence.endswith("GATA and (E-box xor AP1)")


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4)), np.zeros((2, 2)), np.zeros(5), np.zeros((2, 2, 2, 2, 3))])
def test_corners_of_another_shape_are_refused(bad):
    if bad.shape == (2, 2):  # one feature on two backgrounds is allowed
        logic.read(bad)
        return
    with pytest.raises(ValueError, match="expected logits of shape"):
        logic.read(bad)


def test_corners_with_nan_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        logic.read(np.full((2, 2, 3), np.nan))


# ---- groups


def test_a_group_holds_the_channels_that_see_the_same_motif():
    """Channel 0 sees CGCTTG, 1 its end, 2 another word."""
    model = detector(dict.fromkeys(["CGCTTG", "CAGATG"]), nn.Linear(3, 1))
    conv = nn.Conv1d(4, 3, 6)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0], conv.weight[2] = model[0].weight[0], model[0].weight[1]
        conv.weight[1, :, 1:5] = model[0].weight[0][:, 2:6]  # CTTG one letter earlier
        conv.bias.copy_(torch.tensor([-5.0, -3.0, -5.0]))
    model[0] = conv
    scene = groups.scene(Tail(model.eval(), "2", example_input=torch.zeros(1, 4, LENGTH)), length=LENGTH)
    found = groups.feature(scene.without([0, 1, 2]), 0)
    assert set(found.members) == {0, 1}
    assert all("CGCTTG" in window for window in found.windows)


def test_a_group_given_is_kept():
    scene = scene_of(lambda a, b: a and b)
    assert groups.feature(scene, 0, [1]).members.tolist() == [0, 1]


def test_backgrounds_are_free_of_what_is_studied(sequences):
    scene = scene_of(lambda a, b: a and b, sequences).without([0, 1])
    assert len(scene.backgrounds) == 16
    assert groups.peaks(scene, scene.backgrounds).max() == 0


def test_scenes_refuse_what_they_cannot_use():
    tail = Tail(detector(dict.fromkeys(["CGCTTG"]), nn.Linear(1, 1)), "2", example_input=torch.zeros(1, 4, LENGTH))
    with pytest.raises(ValueError, match="length"):
        groups.scene(tail)
    with pytest.raises(ValueError, match="one-hot"):
        groups.scene(tail, sequences=np.zeros((3, LENGTH)))
    with pytest.raises(ValueError, match="NaN"):
        groups.scene(tail, sequences=np.full((3, 4, LENGTH), np.nan))
    scene = groups.scene(tail, length=LENGTH, n_random=200)
    with pytest.raises(ValueError, match="no channel 7"):
        groups.feature(scene, 7)


# ---- reading and finding

RULES = {
    "AND": lambda a, b: a and b,
    "OR": lambda a, b: a or b,
    "XOR": lambda a, b: a != b,
    "A and not B": lambda a, b: a and not b,
    "NOT A": lambda a, b: not a,
    "NOR": lambda a, b: not (a or b),
}


@pytest.mark.parametrize("given", [True, False], ids=["sequences", "random"])
@pytest.mark.parametrize("name", RULES)
def test_a_pair_reads_as_the_rule_the_network_computes(name, given, sequences):
    scene = scene_of(RULES[name], sequences if given else None).without([0, 1])
    reading = logic.read(groups.corners(scene, groups.features(scene, [0, 1]), 0))
    assert reading.logic == name


def test_a_triple_is_found_and_read_without_being_told(sequences):
    scene = scene_of(lambda a, b, c: a and (b != c), sequences, n=3)
    found = finding.find(scene, 0)
    names = [WORDS["ABC"[one.seed]] for one in found.features]
    assert found.reading.formula != "unclear"
    assert found.explained > 0.95
    truth = parse(found.reading.formula)
    for a, b, c in product((False, True), repeat=3):
        on = dict(zip(WORDS.values(), (a, b, c), strict=True))
        present = {letter: np.array(on[name]) for letter, name in zip("ABC", names, strict=False)}
        assert bool(truth(present)) == (a and (b != c))


def test_a_single_feature_is_found_alone(sequences):
    found = finding.find(scene_of(lambda a, b: b, sequences), 0)
    assert [one.seed for one in found.features] == [1]
    assert found.reading.logic == "A"


@pytest.mark.parametrize("name", ["AND", "OR", "XOR"])
def test_too_few_features_do_not_pass_for_the_logic(name, sequences):
    """One of two motifs decides a part of the answers; its table is withdrawn, with what it explains."""
    found = finding.find(scene_of(RULES[name], sequences), 0, keep=1)
    assert found.explained < finding.EXPLAINED
    assert found.reading.logic == "unclear"
    assert "explain too little" in found.reading.sentence


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_three_named_channels_are_read_as_a_cube(order, sequences):
    scene = scene_of(lambda a, b, c: a and (b != c), sequences, n=3)
    found = finding.read_named(scene, order, 0)
    assert [one.seed for one in found.features] == list(order)
    for state in product((0, 1), repeat=3):
        a, b, c = (state[order.index(k)] for k in range(3))
        assert found.reading.bits[state] == (a and (b != c))
    assert found.reading.logic != "unclear"


def test_named_channels_that_leave_out_a_motif_do_not_pass_for_the_logic(sequences):
    found = finding.read_named(scene_of(lambda a, b, c: a and (b != c), sequences, n=3), [1, 2], 0)
    assert found.reading.logic == "unclear"


@pytest.mark.parametrize(("channels", "words"), [([], "1 to 3"), ([0, 1, 2, 0], "1 to 3"), ([0, 9], "no channel 9")])
def test_channels_that_cannot_be_read_together_are_refused(channels, words, sequences):
    with pytest.raises(ValueError, match=words):
        finding.read_named(scene_of(RULES["AND"], sequences), channels, 0)


def test_a_table_of_another_scale_does_not_explain_the_outputs():
    said = np.array([-3.0, -2.0, 4.0, 5.0])
    assert finding._concordance(said, said) == 1
    assert finding._concordance(said / 10, said) < 0.5
    assert finding._concordance(said + 10, said) < 0.5
    assert finding._concordance(np.full(4, said.mean()), said) == 0
    assert finding._concordance(np.zeros(4), np.zeros(4)) == 0


def test_finding_says_when_nothing_responds():
    model = detector(dict.fromkeys(["CGCTTG"]), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].bias.fill_(-50)
    scene = groups.scene(Tail(model, "2", example_input=torch.zeros(1, 4, LENGTH)), length=LENGTH, n_random=300)
    with pytest.raises(ValueError, match="no channel responds"):
        finding.find(scene, 0)


# ---- on the feature map


@pytest.fixture(scope="module")
def dense():
    """A tail with ReLUs, so that pairs are not additive."""
    torch.manual_seed(0)
    layers = [
        nn.Conv1d(4, 6, 5),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Flatten(),
        nn.Linear(6 * 9, 16),
        nn.ReLU(),
        nn.Linear(16, 3),
    ]
    model = nn.Sequential(*layers).eval()
    return model, Tail(model, "2", example_input=torch.zeros(2, 4, 40))


@pytest.mark.parametrize("context", ["alone", "own"])
def test_corners_on_the_map_are_the_tails_own_answers(dense, context):
    _, tail = dense
    own = torch.randn(6, 9)
    seen = 0
    for block in interaction.pair_blocks(tail, 1, own, context=context, block=4):
        for i, j, corners in zip(block.first, block.second, block.corners, strict=True):
            for a, b in product((0, 1), repeat=2):
                by_hand = own.clone() if context == "own" else torch.zeros_like(own)
                by_hand[i] = own[i] if a else 0
                by_hand[j] = own[j] if b else 0
                assert corners[a, b] == pytest.approx(float(tail.logits(by_hand[None])[0, 1].detach()), abs=1e-5)
        seen += len(block.first)
        assert block.done == seen
    assert seen == block.total == 15


def test_a_linear_tail_has_no_nonlinearity():
    model = nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 8, 2)).eval()
    tail = Tail(model, "1", example_input=torch.zeros(1, 4, 10))
    for block in interaction.pair_blocks(tail, 0, torch.randn(5, 8)):
        np.testing.assert_allclose(block.nonlinearity, 0, atol=1e-5)


def test_pairs_of_top_channels_come_first_and_can_be_stopped(dense):
    _, tail = dense
    own = torch.arange(6.0)[:, None].expand(6, 9).clone()
    first = next(interaction.pair_blocks(tail, 0, own, block=3))
    assert list(zip(first.first, first.second, strict=True)) == [(5, 4), (5, 3), (4, 3)]
    assert first.total == 15


def test_nothing_is_computed_that_nobody_asks_for(dense, monkeypatch):
    _, tail = dense
    seen, logits = [], tail.logits
    monkeypatch.setattr(tail, "logits", lambda maps: seen.append(len(maps)) or logits(maps))
    blocks = interaction.pair_blocks(tail, 0, torch.randn(6, 9), block=4)
    assert seen == []
    next(blocks)
    blocks.close()  # as leaving a loop does
    assert seen == [4 * 4]  # four pairs, four corners each; the other eleven were never computed


def test_a_map_that_cannot_be_used_is_refused(dense):
    _, tail = dense
    with pytest.raises(ValueError, match="shape"):
        next(interaction.pair_blocks(tail, 0, torch.zeros(6, 8)))
    with pytest.raises(ValueError, match="NaN"):
        next(interaction.pair_blocks(tail, 0, torch.full((6, 9), torch.nan)))
    with pytest.raises(ValueError, match="context"):
        next(interaction.pair_blocks(tail, 0, torch.zeros(6, 9), context="else"))
    with pytest.raises(ValueError, match="no channel 6"):
        next(interaction.pair_blocks(tail, 0, torch.zeros(6, 9), channels=[0, 6]))
    with pytest.raises(ValueError, match="twice"):
        next(interaction.pair_blocks(tail, 0, torch.zeros(6, 9), channels=[1, 1]))
    assert list(interaction.pair_blocks(tail, 0, torch.zeros(6, 9), channels=[2])) == []


# ---- over the restarts


def test_channels_that_swap_signs_between_restarts_are_hinted_as_xor():
    fiv = np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.5], [1.0, -1.0, 0.5]])
    assert interaction.xor_hint(fiv)[0, 1]
    assert not interaction.xor_hint(fiv)[0, 2]
    assert interaction.opposite_signs(fiv)[0, 1] == 1
    assert interaction.restart_correlation(fiv)[0, 1] == pytest.approx(-1)


def test_signs_that_never_swap_are_no_xor():
    assert not interaction.xor_hint(np.array([[1.0, -1.0], [1.1, -0.9], [0.9, -1.2]])).any()


def test_diverged_restarts_are_left_out_and_too_few_give_nan():
    fiv = np.array([[1.0, -1.0], [np.nan, np.nan]])
    assert np.isnan(interaction.restart_correlation(fiv)).all()
    assert interaction.opposite_signs(fiv)[0, 1] == 1
    assert np.isnan(interaction.opposite_signs(np.full((2, 2), np.nan))).all()
    with pytest.raises(ValueError, match="no restart"):
        interaction.top_channels(np.full((2, 3), np.nan))


def test_a_channel_that_does_not_vary_has_no_correlation():
    r = interaction.restart_correlation(np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 5.0]]))
    assert np.isnan(r[0]).all()
    assert r[1, 1] == pytest.approx(1)


# ---- pairwise


@pytest.fixture(scope="module")
def xor_model():
    """XOR of two words by a ReLU layer, with a third word that does nothing."""
    hidden, out = nn.Linear(3, 2), nn.Linear(2, 1)
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[1.0, 1, 0], [1, 1, 0]]))
        hidden.bias.copy_(torch.tensor([0.0, -1]))
        out.weight.copy_(torch.tensor([[8.0, -16]]))
        out.bias.fill_(-4)
    return detector(dict.fromkeys(WORDS.values()), nn.Sequential(hidden, nn.ReLU(), out))


def test_pairwise_is_labelled_symmetric_and_reads_the_rule(xor_model, sequences):
    example = torch.zeros(2, 4, LENGTH)
    resolution = dr.resolve(xor_model, "2", example_input=example, n_restarts=4, target_names=["y"], l2=1.0)
    before = [p.clone() for p in xor_model.parameters()]
    pairs = interaction.pairwise(xor_model, "2", resolution, "y", channels=[0, 1, 2], sequences=sequences)
    assert pairs.sel(feature=0, feature2=1).logic == "XOR"
    assert pairs.sel(feature=1, feature2=0).logic == "XOR"
    assert pairs.sel(feature=0, feature2=1).s10 == pairs.sel(feature=1, feature2=0).s01
    assert pairs.sel(feature=0, feature2=1).confidence == 1
    assert pairs.sel(feature=0, feature2=1).relative < -1
    assert np.isnan(pairs.sel(feature=2, feature2=2).s00)
    assert pairs.sel(feature=0, feature2=0).logic == ""
    assert pairs.group.sel(feature=2, channel=2)
    assert not pairs.alike.values.any()
    assert {"nonlinearity_alone", "nonlinearity_own", "restart_correlation", "xor_hint"} <= set(pairs)
    for p, q in zip(before, xor_model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_pairwise_takes_groups_and_works_without_sequences(xor_model):
    example = torch.zeros(2, 4, LENGTH)
    resolution = dr.resolve(xor_model, "2", example_input=example, n_restarts=2, l2=1.0)
    pairs = interaction.pairwise(xor_model, None, resolution, 0, groups=[[0], [1, 2]], example_input=example)
    assert pairs.feature.values.tolist() == [0, 1]
    assert pairs.group.sel(feature=1).values.tolist() == [False, True, True]
    assert pairs.sel(feature=0, feature2=1).logic == "XOR"


def test_pairwise_says_what_is_missing(xor_model):
    example = torch.zeros(2, 4, LENGTH)
    resolution = dr.resolve(xor_model, "2", example_input=example, n_restarts=2, l2=1.0)
    with pytest.raises(ValueError, match="give sequences, or example_input"):
        interaction.pairwise(xor_model, "2", resolution, 0)
    with pytest.raises(ValueError, match="no channel 9"):
        interaction.pairwise(xor_model, "2", resolution, 0, channels=[0, 9], example_input=example)
    with pytest.raises(ValueError, match="twice"):
        interaction.pairwise(xor_model, "2", resolution, 0, channels=[1, 1], example_input=example)
    with pytest.raises(ValueError, match="class"):
        interaction.pairwise(xor_model, "2", resolution, "nobody", example_input=example)


def test_backgrounds_of_ones_own_are_used(sequences):
    tail = Tail(detector(dict.fromkeys(["CGCTTG"]), nn.Linear(1, 1)), "2", example_input=torch.zeros(1, 4, LENGTH))
    own = np.roll(sequences[:40], 1, axis=1)
    scene = groups.scene(tail, sequences=sequences, backgrounds=own, n_backgrounds=16)
    np.testing.assert_array_equal(scene.backgrounds, own)
    with pytest.raises(ValueError, match="backgrounds have 30 bp"):
        groups.scene(tail, sequences=sequences, backgrounds=own[:, :, :30])
