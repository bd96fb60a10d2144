"""As many messages in flight as the way asks for, thirty a second, fewer for the slow, none for the gone."""

from __future__ import annotations

import itertools

import pytest

from dr_explorer.widget.credit import GONE, LEAST_IN_FLIGHT, MOST_IN_FLIGHT, PERIOD, SILENT, SILENT_PERIOD, Credit


@pytest.fixture
def credit() -> Credit:
    credit = Credit()
    credit.hello(0.0)
    return credit


def test_nothing_is_sent_before_a_page_says_hello() -> None:
    assert Credit().wait(5.0) is None


def test_frames_keep_their_distance(credit: Credit) -> None:
    assert credit.wait(0.0) == 0.0
    credit.sent(1, 0.0)
    assert credit.wait(0.0) == pytest.approx(PERIOD)
    assert credit.wait(PERIOD) == 0.0


def test_after_a_late_frame_the_next_may_come_a_little_earlier_but_no_more_than_thirty_a_second(credit: Credit) -> None:
    turn, now, sent = 0.028, 0.0, []  # bursts of ascent, after each of which a frame may go
    for _ in range(1000):
        now += turn
        if credit.wait(now) == 0.0:
            credit.sent(len(sent), now)
            credit.acknowledged(len(sent), now)
            sent.append(now)
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert min(gaps) == pytest.approx(turn)
    assert 20 < len(sent) / now <= 1 / PERIOD  # every second burst alone would be 18


def after_round_trips(credit: Credit, *seconds: float) -> int:
    """How many may be in flight once messages, one after the other, took so long there and back."""
    now = 1000.0
    for seq, took in enumerate(seconds, 1):
        credit.sent(seq, now)
        now += took
        credit.acknowledged(seq, now)
    return credit.in_flight


def unanswered(credit: Credit, seq: int, now: float, seconds: float) -> int:
    """How many messages a page that keeps silent is sent meanwhile."""
    sent = 0
    for at in (now + i / 1000 for i in range(int(1000 * seconds))):
        if credit.wait(at) == 0.0:
            credit.sent(seq + sent, at)
            sent += 1
    return sent


@pytest.mark.parametrize(("round_trip", "expected"), [(0.01, 2), (0.05, 2), (0.09, 3), (0.12, 4), (0.2, 4), (5.0, 4)])
def test_a_longer_way_has_more_messages_on_it_within_bounds(credit: Credit, round_trip: float, expected: int) -> None:
    assert after_round_trips(credit, *[round_trip] * 20) == expected
    assert LEAST_IN_FLIGHT <= expected <= MOST_IN_FLIGHT
    credit.acknowledged(99, 2000.0)
    assert unanswered(credit, 100, 2000.0, SILENT / 2) == expected


def test_a_hub_far_away_still_sees_fifteen_frames_a_second(credit: Credit) -> None:
    way, now, seq, flying, drawn = 0.2, 0.0, 0, [], 0
    for now in (i / 1000 for i in range(10_000)):
        while flying and flying[0][1] <= now:
            credit.acknowledged(flying.pop(0)[0], now)
            drawn += now > 5.0
        if credit.wait(now) == 0.0:
            seq += 1
            credit.sent(seq, now)
            flying.append((seq, now + way))
    assert drawn / 5.0 >= 15


def test_a_way_whose_time_varies_gets_more_than_its_mean_asks_for(credit: Credit) -> None:
    assert after_round_trips(credit, *[0.06] * 40) == 2
    assert after_round_trips(credit, *[0.03, 0.09] * 20) == 3


def test_one_message_that_was_stuck_is_forgotten_within_a_few_seconds(credit: Credit) -> None:
    assert after_round_trips(credit, *[0.02] * 20, 2.0) == MOST_IN_FLIGHT
    assert after_round_trips(credit, *[0.02] * 40) == LEAST_IN_FLIGHT


def test_another_page_begins_with_two(credit: Credit) -> None:
    assert after_round_trips(credit, *[0.2] * 20) == MOST_IN_FLIGHT
    credit.hello(1000.0)
    assert credit.in_flight == LEAST_IN_FLIGHT


def test_two_unanswered_messages_are_enough_where_the_way_is_not_known(credit: Credit) -> None:
    credit.sent(1, 0.0)
    credit.sent(2, 0.1)
    assert credit.wait(0.2) > PERIOD
    credit.acknowledged(1, 0.3)
    assert credit.wait(0.3) == 0.0


def test_an_acknowledgement_covers_what_was_sent_before(credit: Credit) -> None:
    credit.sent(1, 0.0)
    credit.sent(2, 0.1)
    credit.acknowledged(2, 0.2)
    credit.sent(3, 0.2)
    assert credit.wait(0.3) == 0.0


def test_a_slow_page_gets_two_frames_a_second(credit: Credit) -> None:
    now = 0.0
    for seq in range(2):
        credit.sent(seq, now)
    sent = []
    for now in (t / 100 for t in range(0, 500)):
        if credit.wait(now) == 0.0:
            credit.sent(len(sent) + 2, now)
            sent.append(now)
    assert sent[0] == pytest.approx(SILENT, abs=0.02)
    assert all(b - a >= SILENT_PERIOD - 0.02 for a, b in itertools.pairwise(sent))
    assert len(sent) >= 8


def test_a_page_that_is_gone_gets_nothing_until_it_says_hello(credit: Credit) -> None:
    credit.sent(1, 0.0)
    assert credit.wait(GONE) is None
    credit.hello(GONE + 5)
    assert credit.wait(GONE + 5) == 0.0
