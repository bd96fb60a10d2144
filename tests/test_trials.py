"""The book of a run: it keeps what it was asked to keep, and fetches nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from dr_explorer import trials
from dr_explorer.trials import CONVERGED, DIVERGED, Trials

SHAPE = (3, 5)
MAPS = np.random.default_rng(0).random((4, *SHAPE), np.float32)
#: Four trials of two classes end at once; the first class's second restart is its best one.
TARGETS, RESTARTS, OBJECTIVE = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), np.float32([1, 3, 2, -1])


def ended(keep_maps: str, status: tuple[int, ...] = (CONVERGED,) * 4) -> tuple[Trials, list[list[int]]]:
    """The book after these four ended, and which maps it asked for."""
    book, asked = Trials(2, 3, SHAPE, 100, keep_maps), []
    book.objective[TARGETS, RESTARTS] = OBJECTIVE

    def maps(which: np.ndarray) -> np.ndarray:
        asked.append(which.tolist())
        return MAPS[which]

    book.end(TARGETS, RESTARTS, np.array(status), MAPS.mean(2), maps)
    return book, asked


@pytest.mark.parametrize(
    ("keep_maps", "room", "fetched"),
    [("none", 0, []), ("best", 0, [[1, 3]]), ("best", 2**20, [[0, 1, 2, 3]]), ("all", 0, [[0, 1, 2, 3]])],
)
def test_only_maps_that_are_kept_are_fetched(
    keep_maps: str, room: int, fetched: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "KEEP_ENDS_BYTES", room)
    book, asked = ended(keep_maps)
    assert asked == fetched
    np.testing.assert_array_equal(book.fiv[TARGETS, RESTARTS], MAPS.mean(2))
    if fetched:
        np.testing.assert_array_equal(book.best_maps(), MAPS[[1, 3]])


@pytest.mark.parametrize("room", [0, 2**20])
def test_a_diverged_trial_is_nobodys_best(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "KEEP_ENDS_BYTES", room)
    book, asked = ended("best", (CONVERGED, DIVERGED, CONVERGED, CONVERGED))
    assert 1 not in asked[0]
    assert book.best_restart().tolist() == [2, 0]
    np.testing.assert_array_equal(book.best_maps(), MAPS[[2, 3]])
    assert book.map_of(0, 1) is None
    assert np.isnan(book.fiv[0, 1]).all()
