"""Two messages in flight, thirty a second, fewer for the slow, none for the gone."""

from __future__ import annotations

import itertools

import pytest

from dr_explorer.widget.credit import GONE, PERIOD, SILENT, SILENT_PERIOD, Credit


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


def test_two_unanswered_messages_are_enough(credit: Credit) -> None:
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
