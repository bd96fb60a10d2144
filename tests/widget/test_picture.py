"""The budget of looking: a share of the time, kept whatever comes in between."""

from __future__ import annotations

import pytest

from dr_explorer.widget import picture
from dr_explorer.widget.picture import Budget


class Clock:
    """Time that passes when it is told to; the thread works all the while, unless it is said to wait."""

    def __init__(self) -> None:
        self.now = self.worked = 100.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.worked += seconds

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(picture, "time", clock)
    return clock


def times_in(clock: Clock, budget: Budget, seconds: float, *, each: float, between: float) -> int:
    """How often a thing that takes ``each`` is done when one may ask after every burst of ``between``."""
    done, end = 0, clock.now + seconds
    while clock.now < end:
        if budget.due():
            with budget:
                clock.work(each)
            done += 1
        clock.work(between)
    return done


def test_a_costly_thing_takes_its_share_of_the_time(clock: Clock) -> None:
    done = times_in(clock, Budget(0.0, 0.02), 100, each=0.01, between=0.001)
    assert done * 0.01 == pytest.approx(2.0, rel=0.05)


def test_nothing_is_done_more_often_than_it_may_be(clock: Clock) -> None:
    assert times_in(clock, Budget(1.0, 0.5), 100, each=0.001, between=0.01) == pytest.approx(100, abs=1)


def test_bursts_in_between_do_not_slow_the_rate(clock: Clock) -> None:
    done = times_in(clock, Budget(0.0, 0.001, 1 / 18), 100, each=0.002, between=0.023)
    assert done == pytest.approx(1800, rel=0.01)


def test_after_a_long_wait_it_is_done_once_and_not_in_a_row(clock: Clock) -> None:
    budget = Budget(1.0, 0.5)
    with budget:
        clock.work(0.001)
    clock.wait(50)
    assert times_in(clock, budget, 5, each=0.001, between=0.01) == pytest.approx(5, abs=1)


def test_waiting_for_the_interpreter_is_no_cost(clock: Clock) -> None:
    budget = Budget(0.0, 0.02)
    with budget:
        clock.work(0.001)
        clock.wait(3.0)
    clock.wait(0.06)
    assert budget.due()
