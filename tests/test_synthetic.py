"""Planted sets are what their rules say, and the networks trained on them learn the rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_explorer import synthetic
from dr_explorer.formula import FormulaError, parse
from dr_explorer.planting import Additive, occurrences, plant


def letters(dataset):
    return dataset.x.argmax(axis=1)


def seen(dataset, name):
    return occurrences(letters(dataset), dataset.motifs[name]).sum(axis=1)


# ---- formulas


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("A and B or C", "(A and B) or C"),
        ("A or B and not C", "A or (B and not C)"),
        ("A xor B and C", "A != (B and C)"),
        ("A or B xor C", "A or (B != C)"),
        ("not A xor B", "(not A) != B"),
        ("not (A xor B)", "A == B"),
        ("A & !B | C ^ A", "(A and not B) or (C != A)"),
        ("A AND NOT B", "A and not B and (C or not C)"),
        ("A xor B xor C", "(A != B) != C"),
    ],
)
def test_a_formula_means_what_python_would_read(text, python):
    formula = parse(text)
    for row in range(8):
        value = {name: bool(row >> k & 1) for k, name in enumerate("ABC")}
        want = eval(python, {}, value)  # the test's own constant text, never a user's
        assert bool(formula({k: np.array(v) for k, v in value.items()})) == want


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("A and", "missing at the end"),
        ("A B", "not expected here"),
        ("(A or B", "never closed"),
        ("A or B)", "not expected"),
        ("and A", "expected before 'and'"),
        ("A == B", "neither a name"),
        ("__import__('os')", "neither a name"),
        ("not " * 80 + "A", "inside each other"),
        ("(" * 80 + "A" + ")" * 80, "inside each other"),
        (" or ".join(["A"] * 400), "more than"),
    ],
)
def test_a_formula_that_cannot_be_read_says_why(text, word):
    with pytest.raises(FormulaError, match=word):
        parse(text)


def test_a_formula_is_text():
    with pytest.raises(FormulaError, match="not int"):
        parse(3)


# ---- planting


@pytest.mark.parametrize("rule", ["A xor B", "A and not B", "A and (B xor C)", "not A or C"])
def test_labels_are_true_to_the_letters(rule):
    dataset = plant(rule, {"A": "CGCTTG", "B": "CAGATG", "C": "TTGACA"}, n=2000, random_state=3)
    counts = np.stack([seen(dataset, name) for name in dataset.motifs], axis=1)
    np.testing.assert_array_equal(counts, dataset.present)  # exactly once where planted, never elsewhere
    truth = parse(rule)({name: counts[:, k] > 0 for k, name in enumerate(dataset.motifs)})
    np.testing.assert_array_equal(dataset.y[:, 0], truth)
    assert abs(dataset.prevalence[0] - 0.5) < 0.01


def test_chance_instances_count_when_asked():
    dataset = plant("GATA", n=4000, chance="count")
    np.testing.assert_array_equal(dataset.y[:, 0], seen(dataset, "GATA") > 0)
    assert (seen(dataset, "GATA") > 1).any()


def test_the_same_seed_gives_the_same_set_and_another_seed_another():
    one, same, other = (synthetic.make("IV", n=1000, random_state=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.x, same.x)
    np.testing.assert_array_equal(one.test, same.test)
    assert (one.x != other.x).any()


def test_positions_and_spacing_are_kept():
    dataset = plant(
        "A and B",
        {"A": "CGCTTG", "B": "CAGATG"},
        n=1000,
        length=100,
        positions={"A": (10, 40)},
        spacing={("A", "B"): (5, 12)},
    )
    a, b = dataset.position.T
    assert a[a >= 0].min() >= 10
    assert a.max() <= 40
    both = (a >= 0) & (b >= 0)
    gap = b[both] - a[both] - 6
    assert gap.min() >= 5
    assert gap.max() <= 12
    rows = np.nonzero(a >= 0)[0]
    assert occurrences(letters(dataset), "CGCTTG")[rows, a[rows]].all()


def test_motifs_never_overlap():
    dataset = plant("A and B", {"A": "CGCTTG", "B": "CAGATG"}, n=2000, length=20)
    both = dataset.present.all(axis=1)
    assert (np.abs(dataset.position[both, 0] - dataset.position[both, 1]) >= 6).all()


def test_prevalence_and_mixture_are_met():
    rare = plant("CGCTTG and CAGATG", n=5000, prevalence=0.1)
    assert abs(rare.prevalence[0] - 0.1) < 0.001
    mixed = plant("CGCTTG", ["CGCTTG", "CAGATG"], n=1000, mixture={("CGCTTG", "CAGATG"): 3, (): 1})
    np.testing.assert_array_equal(mixed.present[:, 0], mixed.present[:, 1])
    assert mixed.prevalence[0] == pytest.approx(0.75)


def test_ambiguous_letters_are_drawn_from_what_they_allow():
    dataset = plant("CANNTG", n=2000)
    rows = np.nonzero(dataset.present[:, 0])[0]
    middle = letters(dataset)[rows, dataset.position[rows, 0] + 2]
    assert set(middle) == {0, 1, 2, 3}


def test_decoys_say_nothing_about_the_label():
    dataset = plant("A", {"A": "CGCTTG", "decoy": "TTGACA"}, n=4000)
    assert abs(np.corrcoef(dataset.y[:, 0], dataset.present[:, 1])[0, 1]) < 0.05


def test_additive_labels_follow_their_probability():
    rule = Additive({"CGCTTG": 4, "CAGATG": 4}, bias=-4)
    dataset = plant({"graded": rule}, n=8000)
    for number, share in ((0, 0.018), (1, 0.5), (2, 0.982)):
        assert dataset.y[dataset.present.sum(axis=1) == number].mean() == pytest.approx(share, abs=0.03)


def test_noise_flips_its_share():
    clean, noisy = (plant("CGCTTG", n=8000, label_noise=v, random_state=1) for v in (0, 0.1))
    assert np.mean(noisy.y[:, 0] != noisy.present[:, 0]) == pytest.approx(0.1, abs=0.01)
    assert np.mean(clean.y[:, 0] != clean.present[:, 0]) == 0


def test_random_negatives_hold_nothing():
    dataset = plant("CGCTTG", n=1000, random_negatives=500)
    assert len(dataset.x) == 1500
    assert dataset.present.sum() == 500


def test_backgrounds_are_free_of_motifs():
    dataset = synthetic.make("IV", n=500)
    background = dataset.backgrounds(300).argmax(axis=1)
    assert not any(occurrences(background, word).any() for word in dataset.motifs.values())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"formula": "A and B", "motifs": {"A": "CGCTTG"}}, "names the motif 'B'"),
        ({"formula": "XYLO"}, "not a word in DNA letters"),
        ({"formula": "A", "motifs": {"A": "CGXTTG"}}, "must be a word in the letters"),
        ({"formula": "A", "motifs": {"A": "CGCTTG" * 10}, "length": 50}, "does not fit"),
        ({"formula": "A", "motifs": {"A": "CG"}}, "met everywhere by chance"),
        ({"formula": ""}, "empty"),
        ({"formula": {}}, "no formula"),
        ({"formula": "CGCTTG or not CGCTTG"}, "always"),
        ({"formula": "CGCTTG", "n": 20}, "positive"),
        ({"formula": "CGCTTG and CAGATG", "n": 1000, "prevalence": 0.001}, "at least 10 are needed"),
        ({"formula": "CGCTTG", "prevalence": 1.5}, "prevalence"),
        ({"formula": {"a": "CGCTTG", "b": "CAGATG"}, "prevalence": [0.3]}, "one for each of 2 targets"),
        ({"formula": "CGCTTG", "n": float("nan")}, "whole number"),
        ({"formula": "CGCTTG", "prevalence": float("nan")}, "prevalence"),
        ({"formula": "CGCTTG", "mixture": {("CAGATG",): 1}}, "mixture names the motif"),
        ({"formula": "CGCTTG", "mixture": {("CGCTTG",): float("nan")}}, "share"),
        ({"formula": "CGCTTG", "positions": {"CGCTTG": (190, 199)}}, "positions of"),
        ({"formula": "CGCTTG", "positions": {"CAGATG": (0, 9)}}, "positions names"),
        ({"formula": "CGCTTG and CAGATG", "spacing": {("CGCTTG", "CAGATG"): (9, 3)}}, "spacing"),
        ({"formula": "CGCTTG and CAGATG", "spacing": {("CGCTTG", "CGCTTG"): (1, 3)}}, "to itself"),
        ({"formula": "CGCTTG and CAGATG", "length": 11}, "without overlap"),
        ({"formula": "CGCTTG and not GCTT"}, "contains 'GCTT'"),
        ({"formula": "not CGCTTG", "random_negatives": 100}, "not negatives here"),
        ({"formula": "CGCTTG", "chance": "maybe"}, "chance must be"),
        ({"formula": Additive({"CGCTTG": float("nan")})}, "finite"),
    ],
)
def test_what_cannot_be_planted_is_refused_in_words(arguments, word):
    with pytest.raises(ValueError, match=word):
        plant(**arguments)


def test_make_knows_four_sets():
    with pytest.raises(ValueError, match="'I', 'II', 'III' and 'IV'"):
        synthetic.make("V")
    assert synthetic.make("III", n=1000).present.any(axis=1).mean() < 0.81


# ---- training


def quick(**changes):
    return {"epochs": 2, "batch_size": 32, **changes}


@pytest.fixture(scope="module")
def single():
    return plant("CGCTTG", n=4000, length=60, random_state=1)


def test_the_network_is_the_papers():
    model = synthetic.network(200, 4)
    assert [name for name, _ in model.named_children()] == ["conv", "relu", "pool", "flatten", "dense", "relu2", "out"]
    assert model.conv.weight.shape == (32, 4, 8)
    assert model.dense.weight.shape == (64, 32 * 48)
    assert model(torch.zeros(3, 4, 200)).shape == (3, 4)
    assert synthetic.network(200, 1, synthetic.Settings(pool="global")).dense.in_features == 32


def test_training_learns_and_reports(single):
    seen = []
    result = synthetic.train(single, progress=seen.append, **quick(epochs=4))
    assert result.auc["CGCTTG"] > 0.98
    assert seen[-1].fraction == 1
    assert seen[-1].loss < seen[0].loss
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3]
    assert not result.model.training


def test_training_is_repeatable_and_leaves_the_callers_random_numbers_alone(single):
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    one = synthetic.train(single, random_state=4, **quick(epochs=1))
    assert torch.equal(torch.rand(3), want)
    two = synthetic.train(single, random_state=4, **quick(epochs=1))
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_callback_can_stop_the_training(single):
    result = synthetic.train(single, progress=lambda state: True, **quick(epochs=50))
    assert len(result.history) == 1


def test_training_refuses_what_it_cannot_use(single):
    with pytest.raises(TypeError, match="no setting 'epoch'"):
        synthetic.train(single, epoch=3)
    with pytest.raises(TypeError, match="expected a Dataset"):
        synthetic.train(single.x)
    broken = plant("CGCTTG", n=200, length=60)
    broken.y[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        synthetic.train(broken)
    with pytest.raises(ValueError, match="too short"):
        synthetic.network(9, 1)
    with pytest.raises(ValueError, match="pool must be"):
        synthetic.train(single, pool="mean")
    with pytest.raises(ValueError, match="epochs is 0; expected at least 1"):
        synthetic.train(single, epochs=0)
    with pytest.raises(TypeError, match="batch_size is"):
        synthetic.train(single, batch_size=6.5)


def test_auc_counts_ordered_pairs():
    y = np.array([[0, 1], [0, 1], [1, 1], [1, 1]])
    score = np.array([[0.1, 1], [0.5, 2], [0.5, 3], [0.9, 4]])
    area = synthetic.auc(y, score)
    assert area[0] == pytest.approx(3.5 / 4)
    assert np.isnan(area[1])


def test_a_trained_network_is_kept_and_a_broken_file_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_: tmp_path / "cache")
    calls = []
    ask = {"n": 2000, "progress": calls.append, **quick(epochs=1)}
    first = synthetic.trained("IV", **ask)
    trained_steps = len(calls)
    again = synthetic.trained("IV", **ask)
    assert len(calls) == trained_steps
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert again.auc == first.auc
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"half a file")
    synthetic.trained("IV", **ask)
    assert len(calls) > trained_steps
    assert torch.load(file, weights_only=True)["auc"] == first.auc


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_: tmp_path / "file")
    assert synthetic.trained("IV", n=1000, **quick(epochs=1)).auc
