"""The outlet: what goes to the pages, numbered, as often as they take it and it is worth its cost.

Nothing is sent before a page has been heard, and everything runs in the context of the page's latest message.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any

from dr_explorer.widget.credit import Credit
from dr_explorer.widget.picture import VIEW_SHARE, Budget
from dr_explorer.widget.protocol import Message, encode

#: Seconds between two frames that pages could take, whatever making them costs: 15 a second look alive, and one in four
#: may miss its repaint.
SLOWEST_FRAMES = 1 / 20


class Outlet:
    """Sends messages; used by one thread, but for `heard` and `context`.

    Parameters
    ----------
    deliver : sends a header and buffers to every page; returns False when there is nobody left to send for.
    """

    def __init__(self, deliver: Callable[[dict[str, Any], list[bytes]], bool]) -> None:
        self.deliver = deliver
        self._credit = Credit()
        self._context: contextvars.Context | None = None
        self._replies: list[Message] = []  # sent before anything else
        self._seq = 0
        self._frames = Budget(0.0, VIEW_SHARE / 2, SLOWEST_FRAMES)

    # -- from any thread -----------------------------------------------------------------------------------------------

    def heard(self) -> None:
        """A page sent something. Called in the message's handler, whose context every later send runs in."""
        # ipykernel sends in the name of, and then routes a widget's messages to, the shell that the sender's context
        # names. A handler's context names the one the page uses; the thread's own would name none, and deafen the
        # widget while a cell runs. Every message counts: a page's first ones come before it has a shell of its own.
        self._context = contextvars.copy_context()

    def context(self) -> contextvars.Context:
        """A copy of the context in which pages are sent to."""
        return contextvars.copy_context() if self._context is None else self._context.copy()

    # -- from the session's thread -------------------------------------------------------------------------------------

    def opened(self) -> None:
        """A page opened: whatever was on its way is lost."""
        self._credit.hello(time.monotonic())

    def acknowledged(self, seq: int) -> None:
        """A page has drawn this message, and with it all before."""
        self._credit.acknowledged(seq, time.monotonic())

    def tell(self, message: Message) -> None:
        """Send this as soon as a page can take it."""
        self._replies.append(message)

    def hurry(self) -> None:
        """The next frame goes out whatever the last one cost: somebody waits for it."""
        self._frames.spend_anyway()

    @property
    def waiting(self) -> bool:
        """Whether there are messages that have been told and not sent."""
        return bool(self._replies)

    def wait(self) -> float | None:
        """Seconds until the next message may go; None not before a page is heard of."""
        return self._credit.wait(time.monotonic())

    def ready(self, *, moving: bool) -> bool:
        """Whether a message may go now; while a run is moving, only as often as the view's share of the time allows."""
        return self._context is not None and self.wait() == 0.0 and (not moving or self._frames.due())

    def stamped(self, message: Message, run: int) -> Message:
        """The message with the number of its run and its own."""
        self._seq += 1
        return Message({"run": run, "seq": self._seq, **message.header}, message.arrays)

    def publish(self, make: Callable[[], Message | None], run: int) -> bool:
        """Send what was told, or else what ``make`` gives, if anything; False when nobody is left to send for."""
        context = self._context  # another thread may change it meanwhile
        with self._frames:
            message = self._replies.pop(0) if self._replies else make()
            if message is None or context is None:
                return True
            header, buffers = encode(self.stamped(message, run))
            self._credit.sent(self._seq, time.monotonic())
            return bool(context.run(self.deliver, header, buffers))
