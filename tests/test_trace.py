"""Convergence lines keep the whole course of a trial in few points."""

from __future__ import annotations

import numpy as np
import pytest

from dr_explorer.trace import DENSE, PER_OCTAVE, Traces, grid


@pytest.mark.parametrize("max_steps", [1, 31, 32, 33, 1000, 10_000])
def test_the_grid_is_dense_at_first_and_never_ends_before_the_trial(max_steps: int) -> None:
    steps = grid(max_steps)
    assert steps[-1] >= max_steps
    assert steps[:DENSE].tolist() == list(range(1, DENSE + 1))[: len(steps)]
    assert (np.diff(steps) > 0).all()
    assert (np.diff(steps)[DENSE:] / steps[DENSE:-1] <= 1 / (PER_OCTAVE - 1)).all()


def test_a_line_holds_what_was_recorded_at_the_steps_of_the_grid() -> None:
    traces = Traces(2, 3, 10_000)
    target, restart = np.array([1, 0]), np.array([2, 0])
    for step in range(1, 201):
        traces.record(target, restart, np.array([[step, 5]]), np.array([[step * 1.0, 7.0]]))
    line = traces.objective[1, 2]
    seen = traces.step <= 200
    np.testing.assert_array_equal(line[seen], traces.step[seen])
    assert np.isnan(line[~seen]).all()
    assert np.flatnonzero(np.isfinite(traces.objective[0, 0])).tolist() == [4]
    assert np.isnan(traces.objective[0, 1:]).all()


def test_room_for_more_classes_and_restarts_keeps_the_lines() -> None:
    traces = Traces(1, 1, 100)
    traces.record(np.array([0]), np.array([0]), np.array([[1]]), np.array([[3.0]]))
    traces.grow(2, 4)
    assert traces.objective.shape[:2] == (2, 4)
    assert traces.objective[0, 0, 0] == 3.0
    assert np.isnan(traces.objective).sum() == traces.objective.size - 1
