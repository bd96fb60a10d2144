"""Memory that runs out, processor cores that are there, and a scale that changes: no trial is lost or led elsewhere."""

from __future__ import annotations

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import one_hot, seeded
from torch import nn

from dr_explorer import scale, starts
from dr_explorer.ascent import Ascent
from dr_explorer.tail import Tail
from dr_explorer.trials import RUNNING, WAITING

ROUNDING = 2e-5  # float32 sums of a small network in another order, along an ascent


def network() -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 3))


TAIL = Tail(seeded(network), "1", example_input=one_hot(1, 7))


def ascent(**settings) -> Ascent:
    return Ascent(TAIL, **{"rule": "authors", "l2": 1.0, "n_restarts": 4, "keep_maps": "all", **settings})


def assert_same_ends(one: Ascent, other: Ascent) -> None:
    assert one.finished
    np.testing.assert_allclose(one.trials.ends, other.trials.ends, atol=ROUNDING)


def short_of_memory(run: Ascent, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """No more than `most` trials' states can be made at once; returns the numbers that were tried."""
    begin, tried = run.rule.begin, []

    def limited(maps: torch.Tensor):
        tried.append(len(maps))
        if len(maps) > most:
            raise torch.OutOfMemoryError("no room")
        return begin(maps)

    monkeypatch.setattr(run.rule, "begin", limited)
    return tried


def test_fewer_trials_are_taken_up_where_memory_does_not_do_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ascent()
    tried = short_of_memory(run, monkeypatch, most=4)
    assert run.advance(1) == 3
    assert tried == [12, 6, 3]
    assert (run.trials.status == RUNNING).sum() == 3
    assert (run.trials.status == WAITING).sum() == 9
    assert_same_ends(run.run(), ascent().run())


def test_running_and_set_aside_trials_survive_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ascent(batch_size=4)
    run.advance(3)
    run.prioritise(2)  # the trials of other classes are set aside
    run.advance(3)
    run.batch_size = 12
    run.prioritise(None)
    tried = short_of_memory(run, monkeypatch, most=1)
    run.advance(1)
    assert tried
    assert_same_ends(run.run(), ascent().run())


def test_not_even_one_trial_fitting_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ascent()
    short_of_memory(run, monkeypatch, most=0)
    with pytest.raises(MemoryError, match="choose a later layer"):
        run.run()


def test_what_did_not_fit_is_freed_before_trials_are_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Putting aside takes some memory itself, and the error holds on to all that was computed before it."""
    run, evaluate, large = ascent(), TAIL.value_and_grad, []

    def limited(maps: torch.Tensor, targets: torch.Tensor):
        activation = torch.zeros(3)
        large.append(weakref.ref(activation))
        if len(maps) > 6:
            raise torch.OutOfMemoryError("no room")
        return evaluate(maps, targets)

    freed, park = [], run._seating.park

    def watched(rows: np.ndarray) -> None:
        freed.append(large[-1]() is None)
        park(rows)

    monkeypatch.setattr(TAIL, "value_and_grad", limited)
    monkeypatch.setattr(run._seating, "park", watched)
    run.advance(2)
    assert freed == [True]


@pytest.mark.parametrize("init", starts.INITS)
def test_starts_drawn_on_several_cores_are_the_same(init: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [(target, restart) for target in (3, 1, 7) for restart in range(5)]
    alone = np.stack([starts.start((50,), random_state=2, target=t, restart=r, init=init) for t, r in keys])
    assert np.array_equal(starts.draw_all(keys, 50, random_state=2, init=init), alone)
    monkeypatch.setattr(starts, "MANY", 0)
    monkeypatch.setattr(starts.os, "cpu_count", lambda: 4)
    assert np.array_equal(starts.draw_all(keys, 50, random_state=2, init=init), alone)


def test_a_larger_l2_takes_the_step_along() -> None:
    """The authors' step that is right for one l2 overshoots by ever more at a hundred times as large a one."""
    run = ascent(l2=0.5)
    run.advance(5)
    run.set_l2(50.0)
    assert run.step_size == scale.choose_step(50.0)
    expected = ascent(l2=50.0).run().trials.objective
    # Both rest where steps of that size rest, from other starts.
    np.testing.assert_allclose(run.run().trials.objective, expected, rtol=1e-3, atol=1e-4)


def test_a_step_that_was_asked_for_stays() -> None:
    run = ascent(step_size=0.01)
    run.set_l2(2.0)
    assert run.step_size == run.rule.step_size == 0.01


def test_a_saved_run_brings_its_scale() -> None:
    run = ascent(l2=0.3)
    run.advance(10)
    run.set_l2(0.6)
    run.advance(10)
    other = ascent(l2=7.0)
    other.load_state_dict(run.state_dict())
    assert (other.l2, other.step_size) == (run.l2, run.step_size)
    assert_same_ends(other.run(), run.run())


def test_a_saved_run_that_stops_otherwise_is_refused() -> None:
    with pytest.raises(ValueError, match="the saved run has patience 10, this one 3"):
        ascent(patience=3).load_state_dict(ascent().state_dict())


@pytest.mark.parametrize("rule", ["fast", "authors"])
def test_what_an_interrupt_in_the_middle_of_a_burst_leaves_belongs_together(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, calls = ascent(rule=rule, batch_size=6), TAIL.value_and_grad, []

    def interrupted(maps: torch.Tensor, targets: torch.Tensor):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return evaluate(maps, targets)

    monkeypatch.setattr(TAIL, "value_and_grad", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    run.stop()
    begun = np.isfinite(run.trials.ends.reshape(3, 4, -1)).all(2)
    assert begun.sum() == 6
    for target, restart in np.argwhere(begun):
        end = torch.from_numpy(run.trials.ends[target, restart])
        logit = float(TAIL.logits(end[None])[0, target])
        assert np.isfinite(run.trials.score[target, restart])
        if rule == "fast":  # the authors' end point is one step behind their last evaluation
            assert run.trials.score[target, restart] == pytest.approx(logit, abs=ROUNDING)
            expected = logit - run.l2 * float(end.square().sum())
            assert run.trials.objective[target, restart] == pytest.approx(expected, abs=ROUNDING)


def test_a_burst_whose_time_is_over_ends_after_an_evaluation_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that computes makes every evaluation a hundred times as slow, in the middle of a burst."""
    clock = iter(np.arange(0.0, 1000.0))
    monkeypatch.setattr("dr_explorer.ascent.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    run = ascent()
    assert run.advance(64, seconds=2.5) == 3 * len(run.trials.status.ravel())
    monkeypatch.undo()
    assert_same_ends(run.run(), ascent().run())
