"""Credit: how many messages may be on their way to a page, and how often. Pure bookkeeping on a clock it is given.

As many may be on their way as keep the page supplied over the way there and back, and no more: what waits on the way is
stale when it arrives. On the same machine two are enough; under load, or with a hub far away, three or four.
"""

from __future__ import annotations

import math

PERIOD = 1 / 30  # s between frames: faster than this nobody sees
CATCH_UP = PERIOD / 4  # s that a frame may come earlier where the last was late: a burst of ascent ends when it ends
LEAST_IN_FLIGHT = 2  # fewer leaves the page waiting, however short the way
MOST_IN_FLIGHT = 4  # 15 frames a second over a quarter of a second; more would only be older
SMOOTHING = 1 / 8  # weight of the last round trip in the mean, and ...
SMOOTHING_DEVIATION = 1 / 4  # ... in its mean deviation, as TCP has them (RFC 6298)
SILENT = 1.0  # s without an acknowledgement: the page is slow or hidden, ...
SILENT_PERIOD = 0.5  # ... two frames a second keep a slow one alive
GONE = 10.0  # s: nobody is there; nothing is sent until a page says hello


class Credit:
    """Whether a message may be sent now. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._flying: dict[int, float] = {}  # when each was sent
        self._heard = self._sent = self._next = float("-inf")
        self._forget()

    def hello(self, now: float) -> None:
        """A page opened: whatever was on its way is lost, and counts no more; its way may be another."""
        self._flying.clear()
        self._heard, self._sent, self._next = now, float("-inf"), now
        self._forget()

    def acknowledged(self, seq: int, now: float) -> None:
        """``seq`` was drawn, and with it all that was sent before."""
        if seq in self._flying:
            self._took(now - self._flying[seq])
        self._flying = {s: sent for s, sent in self._flying.items() if s > seq}
        self._heard = now

    def sent(self, seq: int, now: float) -> None:
        self._flying[seq] = now
        self._sent, self._next = now, max(self._next, now - CATCH_UP) + PERIOD

    @property
    def in_flight(self) -> int:
        """How many may be on their way: those of a usual round trip, were they sent as often as is of use."""
        if self._round_trip is None:
            return LEAST_IN_FLIGHT
        usual = self._round_trip + self._deviation
        return min(MOST_IN_FLIGHT, max(LEAST_IN_FLIGHT, math.ceil(usual / PERIOD)))

    def wait(self, now: float) -> float | None:
        """Seconds until the next message may go: 0 now, None not before a page is heard of."""
        if now - self._heard >= GONE:
            return None
        if len(self._flying) < self.in_flight:
            return max(0.0, self._next - now)
        return max(self._heard + SILENT - now, self._sent + SILENT_PERIOD - now, 0.0)

    def _forget(self) -> None:
        self._round_trip: float | None = None  # s, smoothed; None before the first
        self._deviation = 0.0  # s, mean

    def _took(self, seconds: float) -> None:
        """Another round trip has ended."""
        if self._round_trip is None:
            self._round_trip = seconds
            return
        self._deviation += SMOOTHING_DEVIATION * (abs(seconds - self._round_trip) - self._deviation)
        self._round_trip += SMOOTHING * (seconds - self._round_trip)
