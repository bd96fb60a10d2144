"""Credit: how many messages may be on their way to a page, and how often. Pure bookkeeping on a clock it is given."""

from __future__ import annotations

IN_FLIGHT = 2  # more only adds delay; fewer leaves the page waiting
PERIOD = 1 / 30  # s between frames: faster than this nobody sees
SILENT = 1.0  # s without an acknowledgement: the page is slow or hidden, ...
SILENT_PERIOD = 0.5  # ... two frames a second keep a slow one alive
GONE = 10.0  # s: nobody is there; nothing is sent until a page says hello


class Credit:
    """Whether a message may be sent now. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._flying: set[int] = set()
        self._heard = self._sent = float("-inf")

    def hello(self, now: float) -> None:
        """A page opened: whatever was on its way is lost, and counts no more."""
        self._flying.clear()
        self._heard, self._sent = now, float("-inf")

    def acknowledged(self, seq: int, now: float) -> None:
        """``seq`` was drawn, and with it all that was sent before."""
        self._flying = {s for s in self._flying if s > seq}
        self._heard = now

    def sent(self, seq: int, now: float) -> None:
        self._flying.add(seq)
        self._sent = now

    def wait(self, now: float) -> float | None:
        """Seconds until the next message may go: 0 now, None not before a page is heard of."""
        if now - self._heard >= GONE:
            return None
        since_sent = now - self._sent
        if len(self._flying) < IN_FLIGHT:
            return max(0.0, PERIOD - since_sent)
        quiet = now - self._heard
        return max(SILENT - quiet, SILENT_PERIOD - since_sent, 0.0)
