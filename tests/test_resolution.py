"""resolve() labels what it finds, says what is wrong before it runs, and loses nothing that was finished."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from resolutions import diverged, identical, made

import dr_explorer as dr
from dr_explorer.ascent import Ascent
from dr_explorer.trials import CONVERGED, STATES, STOPPED

NAMES = ["GATA1", "CTCF", "REST"]
#: As text from anywhere may be: markup, right to left, emoji, a NUL, alike, empty, long.
HOSTILE = ["<img src=x onerror=alert(1)>", "שלום", "🧬", "a\0b", "twin", "twin", "", "x" * 300, "\ud83d"]


def network(n_targets: int = 3, seed: int = 0) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * 8, 12), torch.nn.ReLU(),
        torch.nn.Linear(12, n_targets), torch.nn.Sigmoid(),
    )  # fmt: skip


X = torch.zeros(2, 4, 10)
SETTINGS = {"example_input": X, "l2": 1.0, "n_restarts": 3}


@pytest.fixture(scope="module")
def found() -> dr.Resolution:
    return dr.resolve(network(), "1", target_names=NAMES, **SETTINGS)


def test_everything_is_labelled(found: dr.Resolution) -> None:
    data = found.dataset
    assert data.fiv.dims == ("target", "restart", "channel")
    assert data["map"].dims == ("target", "channel", "position")
    assert data.fiv.sel(target="CTCF").shape == (3, 6)
    assert found.ofiv().sel(target="REST").dims == ("channel",)
    assert found.inconsistency().shape == found.ofiv().shape == (3, 6)
    assert found.similarity().sel(target="GATA1", target2="GATA1").item() == pytest.approx(1)
    assert found.linkage().shape == (2, 4)
    assert found.ofiv_interval().sel(bound="low").shape == (3, 6)
    assert set(np.unique(data.status)) == {CONVERGED}


def test_the_fiv_is_the_mean_of_the_map(found: dr.Resolution) -> None:
    best = found.dataset.objective.argmax("restart")
    np.testing.assert_allclose(found.dataset.fiv.isel(restart=best), found.dataset["map"].mean("position"), atol=1e-6)


def test_the_squash_is_left_out() -> None:
    found = dr.resolve(network(), "1", **{**SETTINGS, "l2": 0.01})
    assert found.dataset.attrs["squash"] == "sigmoid"
    assert float(found.dataset.score.max()) > 1  # a logit; a probability stays below


def test_the_same_random_state_gives_the_same_result_and_another_another(found: dr.Resolution) -> None:
    again = dr.resolve(network(), "1", target_names=NAMES, **SETTINGS)
    np.testing.assert_array_equal(again.dataset.fiv, found.dataset.fiv)
    other = Ascent(dr.tail.Tail(network(), "1", example_input=X), l2=1.0, n_restarts=3, random_state=1, max_steps=1)
    assert (other.run().trials.fiv != found.dataset.fiv.values).any()


def test_targets_are_chosen_by_name_or_column(found: dr.Resolution) -> None:
    by_name = dr.resolve(network(), "1", target_names=NAMES, targets=["REST", "GATA1"], **SETTINGS)
    by_column = dr.resolve(network(), "1", targets=[2, 0], **SETTINGS)
    assert by_name.targets == ["REST", "GATA1"]
    assert by_column.targets == ["2", "0"]
    np.testing.assert_allclose(by_name.dataset.fiv, found.dataset.fiv[[2, 0]], atol=1e-5)
    np.testing.assert_array_equal(by_name.dataset.fiv, by_column.dataset.fiv)


def test_the_model_comes_back_as_it_was() -> None:
    model = network().train()
    before, flags = copy.deepcopy(model.state_dict()), [p.requires_grad for p in model.parameters()]
    dr.resolve(model, "1", **SETTINGS)
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_an_interrupt_keeps_what_had_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    advance, calls = Ascent.advance, []

    def interrupted(self: Ascent, steps: int = 8) -> int:
        calls.append(None)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return advance(self, 40)

    monkeypatch.setattr(Ascent, "advance", interrupted)
    with pytest.warns(UserWarning, match="interrupted: . of 9 trials had ended"):
        found = dr.resolve(network(), "1", batch_size=1, **SETTINGS)
    status = found.dataset.status.values
    assert (status == CONVERGED).any()
    assert (status == STOPPED).any()
    assert np.isfinite(found.dataset.fiv.values[status == CONVERGED]).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"target_names": ["a"]}, ValueError, "1 target_names for a network with 3 outputs"),
        ({"targets": ["CTFC"], "target_names": NAMES}, ValueError, "no class named 'CTFC'; did you mean 'CTCF'"),
        ({"targets": ["a"], "target_names": ["a", "a", "b"]}, ValueError, "2 classes are named 'a'"),
        ({"targets": []}, ValueError, "targets is empty"),
        ({"targets": [7]}, ValueError, "target 7 is out of range"),
        ({"rule": "newton"}, ValueError, "no rule 'newton'"),
        ({"client": object()}, NotImplementedError, "leave client out"),
        ({"layer": "11"}, Exception, "no layer '11'"),
        ({"layer": "1", "model": "not a module"}, TypeError, "Module"),
        ({"example_input": torch.zeros(1, 10, 4)}, ValueError, "axes of alphabet and positions are swapped"),
    ],
)
def test_bad_input_is_named_before_anything_runs(
    change: dict, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ascent, "advance", lambda *_: pytest.fail("the ascent began"))
    arguments = {"model": network(), "layer": "1", **SETTINGS, **change}
    with pytest.raises(error, match=words):
        dr.resolve(arguments.pop("model"), arguments.pop("layer"), **arguments)


def test_weights_that_are_not_numbers_are_refused() -> None:
    model = network()
    with torch.no_grad():
        model[3].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"not finite numbers: 3\.weight"):
        dr.resolve(model, "1", **SETTINGS)


def test_a_single_restart_has_values_and_no_intervals() -> None:
    found = dr.resolve(network(), "1", **{**SETTINGS, "n_restarts": 1})
    assert np.isfinite(found.ofiv()).all()
    assert np.isnan(found.ofiv_interval()).all()


def test_differences_are_signed() -> None:
    found = dr.resolve(network(), "1", target_names=NAMES, **SETTINGS)
    one, other = found.difference("CTCF", "REST"), found.difference(2, 1)
    np.testing.assert_allclose(one.difference, -other.difference)
    np.testing.assert_allclose(one.low, -other.high)
    with pytest.raises(ValueError, match="did you mean 'CTCF'"):
        found.difference("CTFC", "REST")


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_maps", ["best", "all", "none"])
def test_a_saved_result_reloads_equal(tmp_path, keep_maps: str) -> None:
    model = network(len(HOSTILE))
    found = dr.resolve(model, "1", target_names=HOSTILE, keep_maps=keep_maps, **SETTINGS)
    found.save(tmp_path / "result.nc")
    again = dr.Resolution.load(tmp_path / "result.nc")
    assert again.targets == HOSTILE
    assert set(again.dataset.variables) == set(found.dataset.variables)
    for name in set(found.dataset.variables) - {"target"}:
        mine, theirs = found.dataset[name].values, again.dataset[name].values
        assert mine.dtype == theirs.dtype or mine.dtype.kind in "OU", name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    assert again.dataset.attrs == found.dataset.attrs


def test_other_files_are_refused_with_a_reason(tmp_path, found: dr.Resolution) -> None:
    path = tmp_path / "result.nc"
    found.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a complete"):
        dr.Resolution.load(path)
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="not a complete"):
        dr.Resolution.load(path)
    found.dataset.drop_encoding().to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="holds no resolution"):
        dr.Resolution.load(path)
    with pytest.raises(FileNotFoundError):
        dr.Resolution.load(tmp_path / "nowhere.nc")


def test_a_file_of_a_newer_format_says_so(tmp_path, found: dr.Resolution, monkeypatch: pytest.MonkeyPatch) -> None:
    from dr_explorer import storage

    monkeypatch.setattr(storage, "FORMAT_VERSION", storage.FORMAT_VERSION + 1)
    found.save(tmp_path / "result.nc")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="please update"):
        dr.Resolution.load(tmp_path / "result.nc")


def test_a_failed_save_leaves_nothing_behind(tmp_path, found: dr.Resolution, monkeypatch: pytest.MonkeyPatch) -> None:
    import xarray as xr

    path = tmp_path / "result.nc"
    found.save(path)
    before = path.read_bytes()

    def full(self, file, **_):
        with open(file, "wb") as started:
            started.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="No space left on device"):
        found.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["result.nc"]
    with pytest.raises(OSError, match="cannot write"):
        found.save(tmp_path / "no" / "folder" / "result.nc")


def test_anndata_has_classes_as_observations_and_channels_as_variables() -> None:
    pytest.importorskip("anndata")
    found = dr.resolve(network(), "1", target_names=["twin", "twin", "twin (2)"], **SETTINGS)
    table = found.to_anndata()
    assert table.shape == (3, 6)
    assert table.obs_names.is_unique
    assert table.obs.target.tolist() == ["twin", "twin", "twin (2)"]
    np.testing.assert_array_equal(table.X, found.ofiv().values)


def test_the_states_are_told_in_the_summary(found: dr.Resolution) -> None:
    assert "3 classes x 3 restarts x 6 channels (9 converged)" in repr(found)
    assert STATES[CONVERGED] == "converged"


# -- readings ----------------------------------------------------------------------------------------------------------


def test_every_reading_is_the_pure_functions_own(found: dr.Resolution) -> None:
    fiv, score, objective = (found.dataset[name].values for name in ("fiv", "score", "objective"))
    for combine in ("weighted", "max", "basins"):
        ofiv = dr.importance.ofiv(fiv, score, objective, combine)
        np.testing.assert_array_equal(found.ofiv(combine), ofiv)
        np.testing.assert_array_equal(found.activeness(combine), dr.importance.activeness(ofiv))
        np.testing.assert_array_equal(found.sharing(3, combine), dr.similarity.sharing(ofiv, 3))
        low, high = dr.importance.interval(fiv, score, combine, 0.9, objective=objective)
        np.testing.assert_array_equal(found.ofiv_interval(combine, 0.9), np.stack([low, high]))
        difference = dr.similarity.difference(fiv, score, 0, 2, combine=combine, objective=objective)
        mine = found.difference("GATA1", "REST", combine=combine)
        np.testing.assert_array_equal([mine.difference, mine.low, mine.high], difference)
        for metric in dr.similarity.METRICS:
            tree = dr.similarity.linkage(dr.similarity.similarity(ofiv, metric))
            np.testing.assert_array_equal(found.linkage(metric, combine), tree)
            np.testing.assert_array_equal(found.groups(2, metric=metric, combine=combine), dr.similarity.cut(tree, 2))
            share = dr.similarity.support(
                fiv, score, tree, 20, metric=metric, combine=combine, objective=objective
            )  # the best basin is told by the objective: in the resamplings as in the tree
            np.testing.assert_array_equal(found.support(metric, combine, 20), share)
    np.testing.assert_array_equal(found.inconsistency(False), dr.importance.inconsistency(fiv, score, False))
    np.testing.assert_array_equal(found.inconsistent(0.2), dr.importance.inconsistent(fiv, score, 0.2))
    table = dr.importance.basin_table(fiv[1], score[1], objective[1])
    assert found.basin_table("CTCF").equals(table)


def test_channels_are_shared_by_the_classes_that_favour_them_most() -> None:
    resolution = made(6, 5, 8)
    shared, ofiv = resolution.shared_by(top=3), resolution.ofiv()
    counts = resolution.sharing(top=3)
    assert {k: len(classes) for k, classes in shared.items()} == {k: n for k, n in enumerate(counts.values) if n}
    for k, classes in shared.items():
        values = [float(ofiv.sel(target=name, channel=k)) for name in classes]
        assert values == sorted(values, reverse=True)


def test_vulnerability_needs_the_channels_motifs() -> None:
    resolution = made(3, 4, 20)
    weights = resolution.dataset.first_layer.values
    weights[2] = -1.0  # a filter that detects nothing: no information
    found = resolution.vulnerability()
    assert found.dims == ("target", "channel")
    share = np.maximum(resolution.ofiv().values, 0)
    np.testing.assert_allclose(found[:, 2], share[:, 2] / share.max(axis=1))
    np.testing.assert_allclose(resolution.vulnerability(np.full(20, 12.0)), 0)
    np.testing.assert_allclose(resolution.vulnerability(np.full(20, 12.0), q=np.ones(20))[:, 0] * share.max(axis=1),
                               share[:, 0])  # fmt: skip
    with pytest.raises(ValueError, match="give information, the bits of a motif for each of 20 channels"):
        made(3, 4, 20, logos=False).vulnerability()


@pytest.mark.parametrize(
    "odd",
    [
        made(1, 1, 1, logos=False),
        made(1, 4, 1, logos=False),
        made(1, 1, 5),
        made(3, 1, 5),
        diverged(made(3, 4, 5), 1),
        diverged(diverged(made(2, 4, 5), 0), 1),
        identical(made(4, 4, 5)),
        identical(made(4, 4, 5), restarts=True),
    ],
    ids=["1 x 1 x 1", "one channel", "one class, one restart", "one restart", "one class lost", "all lost",
         "identical classes", "no variance"],
)  # fmt: skip
def test_odd_results_are_read_with_gaps_and_without_errors(odd: dr.Resolution) -> None:
    """NaN where undefined, and only there: no crash, no silent 0, no warning."""
    classes, restarts, channels = odd.dataset.fiv.shape
    left = np.isfinite(odd.dataset.fiv.values).all(axis=2).sum(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for combine in ("weighted", "max", "basins"):
            assert (np.isfinite(odd.ofiv(combine)).all(axis=1) == (left > 0)).all()
            assert (np.isfinite(odd.activeness(combine)) == (left > 0)).all()
            assert odd.linkage(combine=combine).shape == (classes - 1, 4)
            assert odd.support(combine=combine, n_boot=10).shape == (classes - 1,)
            assert (np.isfinite(odd.difference(0, classes - 1, combine=combine).difference).all()
                    == (left[[0, -1]] > 0).all())  # fmt: skip
        for combine in ("weighted", "max"):
            assert (np.isfinite(odd.ofiv_interval(combine)).all(axis=(0, 2)) == (left > 1)).all()
        assert (np.isfinite(odd.inconsistency()).all(axis=1) == (left > 1)).all()
        assert not odd.inconsistent().values[left < 2].any()
        assert ((odd.basins().values >= 0).sum(axis=1) == left).all()
        assert odd.sharing().shape == (channels,)
        assert set(odd.groups(1).values) == {0}
        for metric in dr.similarity.METRICS:
            similar = odd.similarity(metric).values
            assert np.isnan(similar[left == 0]).all()
        for target in range(classes):
            assert odd.basin_table(target)["size"].sum() == left[target]
        repr(odd)
    if restarts == 1:
        assert np.isnan(odd.support(n_boot=10)).all()


def test_what_cannot_be_said_is_said_why() -> None:
    assert made(6, 5, 20).notes() == []
    assert (
        made(1, 1, 1).notes()[0]
        == "One restart: there are no intervals, no inconsistency and no branch support to show."
    )
    assert "One class: there is nothing to compare it with." in made(1, 4, 5).notes()
    assert "One channel: correlations of classes need at least two." in made(3, 4, 1).notes()
    lost = diverged(diverged(made(4, 3, 20), 1), 2, slice(0, 2)).notes()
    assert lost == [
        "5 restarts diverged and left out of every number.",
        "Nothing is left of class 1: all restarts diverged.",
        "One restart is left of class 2: no intervals and no inconsistency.",
    ]
    against = made(2, 3, 5)
    against.dataset["fiv"].values[1] = -1.0
    assert "No channel is favoured by class 1: no similarity of positive parts." in against.notes()
    stopped = made(2, 3, 5)
    stopped.dataset["status"].values[0, 0] = STOPPED
    stopped.dataset.attrs["notes"] = "a note of the cut"
    assert stopped.notes()[:2] == [
        "a note of the cut",
        "1 restart stopped before the end, with the numbers reached by then.",
    ]


def test_a_class_that_wants_nothing_has_no_activeness_and_no_similarity() -> None:
    nothing = made(3, 4, 5)
    nothing.dataset["fiv"].values[1] = 0.0
    for values in (nothing.activeness(), nothing.vulnerability(), nothing.similarity()):
        assert np.isnan(values.values[1]).all()
        assert np.isfinite(values.values[[0, 2]]).any()
    assert (nothing.inconsistency().values[1] == 0).all()  # its restarts agree
    assert (nothing.ofiv_interval().values[:, 1] == 0).all()


def test_identical_classes_are_alike_and_stand_together() -> None:
    same = identical(made(4, 4, 5))
    np.testing.assert_allclose(same.similarity(), 1)
    assert (same.linkage()[:, 2] == 0).all()
    np.testing.assert_allclose(same.difference(0, 3).difference, 0)
    assert np.isnan(same.support(n_boot=20)[:-1]).all()  # which of them join first is arbitrary
