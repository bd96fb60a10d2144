"""Mistakes that people make: each is refused before anything runs, by the argument's name, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import dr_explorer as dr

X = torch.zeros(1, 4, 18)


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3), torch.nn.ReLU(), torch.nn.MaxPool1d(4), torch.nn.Flatten(), torch.nn.Linear(24, 3)
    )


MODEL = network()


@pytest.fixture(scope="module")
def found() -> dr.Resolution:
    return dr.resolve(MODEL, "2", example_input=X, target_names=["GATA1", "CTCF", "REST"], n_restarts=4, l2=1.0)


def refused(work: Callable, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        work()
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_restarts": 2.5}, TypeError, "n_restarts is 2.5; expected a whole number, at least 1"),
        ({"n_restarts": "10"}, TypeError, "n_restarts is '10'; expected a whole number"),
        ({"n_restarts": 0}, ValueError, "n_restarts is 0; expected at least 1"),
        ({"n_restarts": True}, TypeError, "n_restarts is True"),
        ({"l2": "1"}, ValueError, "l2 is '1'; expected None or a positive number"),
        ({"l2": float("nan")}, ValueError, "l2 is nan; expected None or a positive number"),
        ({"random_state": None}, TypeError, "random_state is None; expected a whole number"),
        ({"random_state": 2**64}, ValueError, "expected a whole number below 2**64"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; expected at least 1"),
        ({"init": "zeros"}, ValueError, "init is 'zeros'; expected 'uniform' or 'normal'"),
        ({"keep_maps": True}, ValueError, "keep_maps is True; expected 'best', 'all' or 'none'"),
        ({"targets": [0.5]}, TypeError, "a class is given by its name or position; got 0.5"),
        ({"target_names": "abc"}, TypeError, "target_names is the text 'abc'; give a list with a name for each of 3"),
        ({"targets": ["gata1"], "target_names": ["GATA1", "b", "c"]}, ValueError, "did you mean 'GATA1'?"),
        ({"targets": ["x"], "target_names": ["a1", "b", "c"]}, ValueError, "there are 3: 'a1', 'b', 'c'"),
        ({"output": 0}, TypeError, "expected a function that turns the model's output into (N, C) logits"),
        ({"example_input": "ACGT"}, ValueError, "expected a tensor (N, 4, L)"),
    ],
)
def test_resolve_refuses(arguments: dict, error: type[Exception], words: str) -> None:
    refused(lambda: dr.resolve(MODEL, "2", **{"example_input": X, **arguments}), error, words)


@pytest.mark.parametrize(
    ("reading", "error", "words"),
    [
        (lambda r: r.ofiv("mean"), ValueError, "combine is 'weighted', 'max' or 'basins', not 'mean'"),
        (
            lambda r: r.ofiv_interval(level=95),
            ValueError,
            "level is 95; expected a number between 0 and 1, such as 0.95",
        ),
        (lambda r: r.inconsistent(level=0), ValueError, "level is 0; expected a number between 0 and 1"),
        (lambda r: r.similarity("euclidean"), ValueError, "metric is one of 'pearson_positive', 'signed'"),
        (lambda r: r.sharing(top=0), ValueError, "top is 0; expected at least 1"),
        (lambda r: r.groups(), ValueError, "give either n, the number of groups, or threshold"),
        (lambda r: r.groups(1.5), TypeError, "n is 1.5; expected a whole number"),
        (lambda r: r.groups(9), ValueError, "n is between 1 and the number of classes, 3; got 9"),
        (lambda r: r.support(n_boot=0), ValueError, "n_boot is 0; expected at least 1"),
        (lambda r: r.difference("GATA1", None), TypeError, "a class is given by its name or position; got None"),
        (lambda r: r.basin_table(True), TypeError, "a class is given by its name or position; got True"),
        (lambda r: r.difference(0, 3), ValueError, "target 3 is out of range: there are 3, 0 to 2"),
        (lambda r: r.basin_table("CTFC"), ValueError, "did you mean 'CTCF'?"),
        (lambda r: r.vulnerability(np.ones(2)), ValueError, "expected information of each of 6 channels"),
        (lambda r: r.vulnerability(np.ones(6), np.ones(2)), ValueError, "expected q of each of 6 channels"),
        (lambda r: r.plot_importance(rows=0), ValueError, "rows is 0; expected at least 1"),
        (lambda r: r.report("x.html", pairs=3), TypeError, "give what pairwise() returned"),
        (lambda r: dr.figures.importance(r, rows=0), ValueError, "rows is 0; expected at least 1"),
        (lambda r: dr.figures.truth_table(r.dataset, 0, 1), ValueError, "give what pairwise() returned"),
        (lambda r: dr.Resolution(None), TypeError, "resolve() makes one"),
    ],
)
def test_a_reading_refuses(found: dr.Resolution, reading: Callable, error: type[Exception], words: str) -> None:
    refused(lambda: reading(found), error, words)


def test_a_folder_is_no_result(tmp_path) -> None:
    refused(lambda: dr.Resolution.load(tmp_path), IsADirectoryError, "give the file that Resolution.save wrote")


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [
        (lambda f, s: dr.importance.ofiv(f[0, 0], s[0, 0]), ValueError, "fiv of shape (C, T, K), or (T, K)"),
        (
            lambda f, s: dr.importance.ofiv(f, s, s[:, :2], "basins"),
            ValueError,
            "one objective a restart, shape (3, 4)",
        ),
        (lambda f, s: dr.importance.interval(f, s, n_boot=0), ValueError, "n_boot is 0"),
        (lambda f, s: dr.importance.basins(f, s), ValueError, "(T, K) and objective (T,) of one class"),
        (lambda f, s: dr.similarity.difference(f, s, 0, 7), ValueError, "no class 7: there are 3, 0 to 2"),
        (lambda f, s: dr.similarity.difference(f[0], s[0], 0, 1), ValueError, "fiv (C, T, K), got (4, 6)"),
        (lambda f, s: dr.similarity.linkage(np.array([[1, 0.2], [0.9, 1]])), ValueError, "expected a symmetric"),
    ],
)
def test_a_pure_function_refuses(found: dr.Resolution, work: Callable, error: type[Exception], words: str) -> None:
    refused(lambda: work(found.dataset.fiv.values, found.dataset.score.values), error, words)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"channels": []}, ValueError, "channels is empty: name at least one, or leave it out"),
        ({"channels": [0.5, 1]}, TypeError, "a channel is a whole number, 0 to 5; got 0.5"),
        ({"groups": [0, 1]}, TypeError, "a group is a list of channels, the seed first, such as [3, 17]; got 0"),
        ({"groups": [[0, 99]]}, ValueError, "no channel 99: the layer has channels 0 to 5"),
        ({"groups": [[0]], "channels": [1]}, ValueError, "not both"),
        ({"layer": "0"}, ValueError, "the resolution is of layer '2', not '0'"),
        ({"sequences": ["ACGT"]}, TypeError, "expected one-hot (N, 4, L); dr_explorer.sequences.one_hot makes it"),
        ({"n_backgrounds": 0}, ValueError, "n_backgrounds is 0"),
        ({"positions": (10, 5)}, ValueError, "the lowest and the highest start of a window, in bp"),
        ({"resolution": 0}, TypeError, "expected what resolve() returned as the third argument, got int"),
    ],
)
def test_pairwise_refuses(found: dr.Resolution, arguments: dict, error: type[Exception], words: str) -> None:
    given = {"layer": "2", "resolution": found, "target": 0, "example_input": X, **arguments}
    refused(lambda: dr.pairwise(MODEL, **given), error, words)


def test_a_misspelt_name_is_pointed_to_the_nearest() -> None:
    with pytest.raises(AttributeError) as raised:
        dr.reslove  # noqa: B018
    assert raised.value.name == "reslove"  # what Python needs to suggest "Did you mean: 'resolve'?"
    assert raised.value.obj is dr
