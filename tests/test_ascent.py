"""A trial is its own: batches, pauses, additions and other trials do not change where it ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from dr_explorer import cutting_planes, trials
from dr_explorer.ascent import Ascent
from dr_explorer.starts import start
from dr_explorer.tail import Tail
from dr_explorer.trials import CONVERGED, DIVERGED, STOPPED, WAITING

#: Two float32 ascents whose sums are ordered differently drift apart by about this much.
ROUNDING = 2e-5


def model(n_targets: int = 3, positions: int = 5) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * positions, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, n_targets),
    )


def tail(n_targets: int = 3, positions: int = 5) -> Tail:
    return Tail(model(n_targets, positions), "1", example_input=torch.zeros(1, 4, positions + 2))


TAIL = tail()


def ascent(tail: Tail = TAIL, **settings) -> Ascent:
    return Ascent(tail, **{"rule": "authors", "l2": 1.0, "step_size": 0.02, "n_restarts": 4, **settings})


REFERENCE = ascent(keep_maps="all").run()


def assert_same_ends(one: Ascent, other: Ascent) -> None:
    np.testing.assert_allclose(one.trials.fiv, other.trials.fiv, atol=ROUNDING)
    np.testing.assert_allclose(one.trials.objective, other.trials.objective, atol=ROUNDING)


@settings(deadline=None, max_examples=15)
@given(batch_size=st.integers(1, 20), steps=st.integers(1, 40))
def test_the_end_points_do_not_depend_on_the_batch(batch_size: int, steps: int) -> None:
    run = ascent(batch_size=batch_size)
    while run.advance(steps):
        assert run._slots.trials.shape[1] <= batch_size
    assert_same_ends(run, REFERENCE)


def test_the_end_points_do_not_depend_on_which_other_classes_are_resolved() -> None:
    alone = ascent(targets=[2]).run()
    np.testing.assert_allclose(alone.trials.fiv[0], REFERENCE.trials.fiv[2], atol=ROUNDING)


def test_added_restarts_and_classes_end_where_they_would_have_ended() -> None:
    run = ascent(targets=[2, 0], n_restarts=2)
    run.advance(13)
    run.add_restarts(1)
    run.advance(5)
    run.add_targets([1])
    run.set_restarts(4)
    run.run()
    assert run.targets == [2, 0, 1]
    np.testing.assert_allclose(run.trials.fiv, REFERENCE.trials.fiv[[2, 0, 1]], atol=ROUNDING)


def test_fewer_restarts_drop_the_last_ones_and_leave_the_others() -> None:
    run = ascent(batch_size=7)
    run.advance(10)
    run.set_restarts(2)
    run.run()
    assert run.trials.status.shape == (3, 2)
    np.testing.assert_allclose(run.trials.fiv, REFERENCE.trials.fiv[:, :2], atol=ROUNDING)


@settings(deadline=None, max_examples=10)
@given(steps=st.integers(0, 300), batch_size=st.integers(1, 20))
def test_a_saved_run_resumes_to_the_same_end(steps: int, batch_size: int) -> None:
    first = ascent(keep_maps="all", batch_size=5)
    first.advance(steps)
    second = ascent(keep_maps="all", batch_size=batch_size)
    second.load_state_dict(first.state_dict())
    second.run()
    assert_same_ends(second, REFERENCE)
    np.testing.assert_allclose(second.trials.ends, REFERENCE.trials.ends, atol=ROUNDING)


def test_a_saved_run_survives_a_file(tmp_path) -> None:
    first = ascent()
    first.advance(17)
    torch.save(first.state_dict(), tmp_path / "run.pt")
    second = ascent()
    second.load_state_dict(torch.load(tmp_path / "run.pt", weights_only=True))
    assert_same_ends(second.run(), REFERENCE)


def test_a_saved_run_of_other_settings_is_refused() -> None:
    state = ascent(random_state=1).state_dict()
    with pytest.raises(ValueError, match="random_state 1, this one 0"):
        ascent().load_state_dict(state)


def test_the_class_looked_at_goes_first() -> None:
    run = ascent(batch_size=4)
    run.advance(3)
    run.prioritise(2)
    run.advance(1)
    assert (run._slots.trials[0] == 2).all()
    while not (run.trials.status[2] >= CONVERGED).all():
        run.advance(4)
    assert (run.trials.status[:2] == WAITING).any()
    assert_same_ends(run.run(), REFERENCE)


def test_running_out_of_memory_halves_the_batch_and_goes_on(monkeypatch) -> None:
    small = tail()
    evaluate, sizes = small.value_and_grad, []

    def limited(maps: torch.Tensor, targets: torch.Tensor):
        sizes.append(len(maps))
        if len(maps) > 3:
            raise torch.OutOfMemoryError("no room")
        return evaluate(maps, targets)

    monkeypatch.setattr(small, "value_and_grad", limited)
    run = ascent(small).run()
    assert sizes[:4] == [12, 6, 3, 3]
    assert_same_ends(run, REFERENCE)


def test_not_even_one_map_fitting_is_an_error_that_says_what_to_do(monkeypatch) -> None:
    small = tail()

    def none_fits(maps: torch.Tensor, targets: torch.Tensor):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(small, "value_and_grad", none_fits)
    with pytest.raises(MemoryError, match="choose a later layer"):
        ascent(small).run()


def test_a_diverging_trial_is_marked_and_left_out(monkeypatch) -> None:
    small = tail()
    evaluate, calls = small.value_and_grad, []

    def explode(maps: torch.Tensor, targets: torch.Tensor):
        score, grad = evaluate(maps, targets)
        if len(calls) == 5:
            score[1] = torch.nan
        calls.append(None)
        return score, grad

    monkeypatch.setattr(small, "value_and_grad", explode)
    run = ascent(small, keep_maps="all").run()
    hit = run.trials.status == DIVERGED
    assert hit.sum() == 1
    assert np.isnan(run.trials.fiv[hit]).all()
    assert np.isnan(run.trials.ends[hit]).all()
    np.testing.assert_allclose(run.trials.fiv[~hit], REFERENCE.trials.fiv[~hit], atol=ROUNDING)


def test_stopping_keeps_what_was_reached() -> None:
    run = ascent(batch_size=5)
    run.advance(20)
    begun = run.trials.steps > 0
    run.stop()
    assert run.finished
    assert run.advance() == 0
    assert (run.trials.status == STOPPED).all()
    assert np.isfinite(run.trials.fiv[begun]).all()
    assert np.isnan(run.trials.fiv[~begun]).all()


def test_another_l2_re_ascends_to_the_optimum_of_that_l2() -> None:
    run = ascent(l2=3.0, patience=200).run()
    run.set_l2(1.0)
    assert not run.finished
    run.run()
    fresh = ascent(patience=200).run()
    # Both stop in the neighbourhood of an optimum; the best restart's is the same one.
    np.testing.assert_allclose(run.trials.objective.max(1), fresh.trials.objective.max(1), rtol=1e-3)


@pytest.mark.parametrize("keep", ["best", "all", "none"])
def test_maps_are_kept_as_asked(keep: str) -> None:
    run = ascent(keep_maps=keep).run()
    best = run.trials.best_maps()
    if keep == "none":
        assert np.isnan(best).all()
        return
    np.testing.assert_allclose(
        best, [REFERENCE.map_of(c, r) for c, r in enumerate(REFERENCE.trials.best_restart())], atol=ROUNDING
    )
    np.testing.assert_allclose(best.mean(2), run.trials.fiv[np.arange(3), run.trials.best_restart()], atol=ROUNDING)


def test_the_best_map_is_kept_where_all_do_not_fit(monkeypatch) -> None:
    monkeypatch.setattr(trials, "KEEP_ENDS_BYTES", 0)
    run = ascent(batch_size=2).run()
    assert run.trials.ends is None
    np.testing.assert_allclose(run.trials.best_maps(), REFERENCE.trials.best_maps(), atol=ROUNDING)


def test_a_start_depends_on_its_own_key_only() -> None:
    key = {"random_state": 3, "target": 5, "restart": 7}
    np.testing.assert_array_equal(start((4, 9), **key), start((4, 9), **key))
    others = [{**key, "random_state": 4}, {**key, "target": 6}, {**key, "restart": 8}]
    assert all((start((4, 9), **key) != start((4, 9), **other)).all() for other in others)
    values = start((500, 100), **key)
    assert values.min() >= 0
    assert values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert start((500, 100), init="normal", **key).std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"targets": []}, "targets is empty"),
        ({"targets": [3]}, "0 to 2"),
        ({"targets": [1, 1]}, "given twice"),
        ({"n_restarts": 0}, "n_restarts is 0"),
        ({"l2": -1.0}, "l2 is -1.0"),
        ({"l2": float("nan")}, "l2 is nan"),
        ({"keep_maps": "some"}, "'best', 'all' or 'none'"),
        ({"init": "zeros"}, "'uniform' or 'normal'"),
        ({"random_state": -1}, "random_state"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(bad: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ascent(**bad)


def test_the_number_of_cpu_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    ascent().advance(3)
    assert torch.get_num_threads() == before


class NoLooks(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU: reading a value, counting, selecting by mask, moving to the host."""

    WAITS = frozenset(
        {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique_consecutive", "_unique2"}
    )

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        masks = (
            isinstance(args[1], (list, tuple))
            and any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1])
            if name in ("index", "index_put", "index_put_", "_index_put_impl_")
            else False
        )
        if name in self.WAITS or masks:
            raise AssertionError(f"{name} makes the host wait for the device")
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("rule", ["fast", "authors"])
def test_a_burst_never_waits_for_the_device_before_its_end(rule: str, monkeypatch) -> None:
    monkeypatch.setattr(cutting_planes, "SMALL", 0)  # the way it goes on a GPU
    run = ascent(rule=rule)
    run._kind = "cuda"
    run.advance(3)
    looks, harvest = NoLooks(), run._harvest
    ended = []

    def outside(seen: np.ndarray) -> None:
        ended.append(len(seen))
        looks.__exit__(None, None, None)  # the burst is over: from here on looking is allowed
        harvest(seen)

    monkeypatch.setattr(run, "_harvest", outside)
    looks.__enter__()
    run._burst(8)
    assert ended == [8 + 4]  # objectives of eight evaluations; steps before and after, scores, who is done
    with pytest.raises(AssertionError, match="wait"), NoLooks():
        float(torch.ones(1))


def test_a_burst_ends_early_where_looking_is_free() -> None:
    run = ascent(max_steps=5).run()
    assert run.n_steps == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("rule", ["fast", "authors"])
def test_a_gpu_ends_where_the_cpu_ends(rule: str) -> None:
    here = ascent(rule=rule).run()
    there = ascent(Tail(model(), "1", example_input=torch.zeros(1, 4, 7), device="cuda"), rule=rule).run()
    # Both stop near a maximum; sums in another order may cross a kink on the way.
    np.testing.assert_allclose(there.trials.objective.max(1), here.trials.objective.max(1), rtol=1e-2)
