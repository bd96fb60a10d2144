"""The session: owns a run on one thread. It obeys commands, moves the run a little, and tells the pages what is new.

It knows no widget: it is given two callables, so a test drives it with plain functions.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from dr_explorer.widget import frames
from dr_explorer.widget.arguments import check_settings
from dr_explorer.widget.asking import Asking, lasting
from dr_explorer.widget.freed import Freed
from dr_explorer.widget.frozen import Frozen
from dr_explorer.widget.outlet import Outlet
from dr_explorer.widget.pace import Pace
from dr_explorer.widget.page import Standing
from dr_explorer.widget.picture import Picture
from dr_explorer.widget.plan import Plan
from dr_explorer.widget.protocol import STATES, Message
from dr_explorer.widget.selection import NO_SELECTION
from dr_explorer.widget.worker import Worker

KEEP_SECONDS = 1.0  # of quiet after a choice, until what it shows is kept for the saved notebook
EXIT_SECONDS = 15.0  # that Python waits at its end, at most: for the longest that reading a channel takes

_OPEN: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A thread that Python's end finds within torch would abort the process."""
    for session in list(_OPEN):
        session.close(EXIT_SECONDS)


class Session:
    """Runs a `Plan` and shows it.

    Parameters
    ----------
    plan : what to run.
    send : sends a header and buffers to every page; returns False when there is nobody left to send for, which ends
        the thread.
    finished : called on the worker's thread whenever a run has come to rest, and when what is shown of it has changed.
    run : a run to show before (or without) running anything.
    """

    def __init__(
        self,
        plan: Plan,
        send: Callable[[dict[str, Any], list[bytes]], bool],
        *,
        finished: Callable[[], None] = lambda: None,
        run: Any = None,
    ) -> None:
        self.plan = plan
        self.run_number = 0
        self.state = "idle" if run is None else "done"
        self.error: BaseException | None = None
        self.at_rest = threading.Event()
        self.at_rest.set()
        self.outlet = Outlet(send)
        self.worker = Worker(self._obey, self._turn, self._patience)
        self._finished = finished
        self._run: Any = run
        self._picture = None if run is None else Picture(run)
        self._selection = dict(NO_SELECTION)
        self._fresh = False  # something has changed that no page has seen
        self._meta: Message | None = None
        self._meta_due = False
        self._tree_was_last = False
        self._keep_at: float | None = None  # when what is shown at rest is to be kept
        self._asking = Asking(
            lambda message: self.worker.report("told", message=message), plan.sequences, plan.backgrounds
        )
        self._pace = Pace()
        self._freed = Freed()
        _OPEN.add(self)

    # -- from any thread -----------------------------------------------------------------------------------------------

    def post(self, name: str, **args: Any) -> Future:
        """Queue a command; the future has its result (None for most), or the error it met."""
        if name == "run":  # from now on `wait` waits, even before the thread has seen it
            self.at_rest.clear()
        return self.worker.post(name, **args)

    @property
    def n_channels(self) -> int:
        """Of the layer that is shown."""
        return self._described().header["channels"]

    def close(self, wait: float = 0.0) -> None:
        """End the threads, and wait so many seconds for each; the run is kept."""
        self.worker.close(wait)
        self._asking.close(wait)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _obey(self, name: str, args: dict[str, Any]) -> Any:
        return getattr(self, f"_do_{name}")(**args)

    def _patience(self) -> float | None:
        if self.state == "running":
            return 0.0
        waits = [self.outlet.wait() if self._has_news() else None]
        if self._keep_at is not None:
            waits.append(max(0.0, self._keep_at - time.monotonic()))
        return min((wait for wait in waits if wait is not None), default=None)

    def _turn(self) -> bool:
        """Move the run by a burst, and send one message if something is new and pages can take it."""
        if self.state == "running":
            try:
                self._advance()
            except Exception as error:
                self._fail(error)
        elif self._keep_at is not None and time.monotonic() >= self._keep_at:
            self._keep()
        if not self._has_news() or not self.outlet.ready(moving=self.state == "running"):
            return True
        return self.outlet.publish(self._next_message, self.run_number)

    def _advance(self) -> None:
        self._pace.advance(self._run)
        self._freed.give_back()
        self._fresh = True
        if self._run.finished:
            self._rest("done")

    def _rest(self, state: str) -> None:
        """Come to rest: done, stopped or failed."""
        assert state in STATES
        self._pace.hold()
        self.state = state
        self._do_settle()
        self.at_rest.set()

    def _do_settle(self) -> None:
        """Read a run at rest in full, whatever it costs, and have it kept."""
        self._fresh = True
        if self._picture is not None:
            self._picture.renew()
            self._picture.look_over()
            self._count_support()
        self._keep()
        self._freed.give_back(now=True)

    def _keep(self) -> None:
        self._keep_at = None
        self._finished()

    def _keep_soon(self) -> None:
        """What a view at rest shows has changed: have it kept once nothing more has for a while."""
        if self._run is not None and self.state not in ("running", "paused"):
            self._keep_at = time.monotonic() + KEEP_SECONDS

    def _count_support(self) -> None:
        """Resample the class tree beside the thread: with a thousand classes it takes seconds."""
        picture, number = self._picture, self.run_number
        if picture.tree is None:
            return
        linkage = picture.tree.arrays["linkage"]

        def count() -> None:
            support = frames.support(picture.run, linkage)
            self.worker.report("supported", number=number, linkage=linkage, support=support)

        threading.Thread(target=count, name="dr_explorer support", daemon=True).start()

    def _do_supported(self, number: int, linkage: np.ndarray, support: np.ndarray) -> None:
        tree = self._picture.tree
        if number == self.run_number and np.array_equal(tree.arrays["linkage"], linkage):
            self._picture.supported(support)
            self._keep()

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self._rest("failed")

    def _do_told(self, message: Message) -> None:
        """What was read of the pairs of a class."""
        if message.header["target"] != self._picture.target(self._selection):
            return
        if message.header["type"] == "pair":
            others = self._picture.across_classes(message.header["pair"])
            message = Message(message.header, {**message.arrays, "others": others})
        self._asking.keep(message)
        self.outlet.tell(message)
        self._keep_soon()

    def _told_now(self) -> list[Message]:
        """What has been told of the selected class's pairs."""
        if self._picture is None:
            return []
        return self._asking.told(self._picture.target(self._selection), self._selection["pair"])

    # -- commands ------------------------------------------------------------------------------------------------------

    def _do_hello(self) -> None:
        self.outlet.opened()
        for message in self._told_now():
            self.outlet.tell(message)
        self._meta_due = self._fresh = True
        if self._picture is not None and self._picture.tree is not None:
            self._picture.tree_is_new = True

    def _do_ack(self, seq: int) -> None:
        self.outlet.acknowledged(seq)

    def _do_run(self) -> None:
        self.at_rest.clear()
        try:
            run = self.plan.begin(self.plan.layer, self.plan.settings)
        except Exception as error:
            self._fail(error)
            raise
        self._take_up(run)

    def _take_up(self, run: Any) -> None:
        """Another run: what was known of the one before is gone."""
        self._run, self.error, self._pace = run, None, Pace()
        self._meta, self._picture = None, Picture(run)
        self._asking.forget()
        self.run_number += 1
        self._meta_due = True
        run.prioritise(self._selection["target"])
        self._resume()

    def _resume(self) -> None:
        self._pace.go()
        self.state, self._fresh = "running", True
        self.at_rest.clear()

    def _do_pause(self) -> None:
        if self.state == "running":
            self._pace.hold()
            self.state, self._fresh = "paused", True

    def _do_resume(self) -> None:
        if self.state == "paused":
            self._resume()

    def _do_stop(self) -> None:
        if self.state in ("running", "paused"):
            self._run.stop()
            self._rest("stopped")

    def _do_set(self, l2: float | None = None, n_restarts: int | None = None, layer: str | None = None) -> None:
        """Change the plan; a run that is there takes it up at once."""
        changes = {name: value for name, value in (("l2", l2), ("n_restarts", n_restarts)) if value is not None}
        check_settings({**self.plan.settings, **changes})
        if layer is not None and layer != self.plan.layer:
            changed = {"l2": l2}  # None: the scale belongs to the layer, and is chosen anew
            if n_restarts is not None:
                changed["n_restarts"] = n_restarts
            settings = {**self.plan.settings, **changed}
            run = self.plan.begin(layer, settings)  # where it cannot be cut, all stays as it was
            self.plan.layer, self.plan.settings = layer, settings
            self._meta, self._meta_due = None, True
            if self._run is not None:
                self._take_up(run)
            return
        if l2 is not None:
            if self._run is not None:
                self._run.set_l2(l2)
            self.plan.settings["l2"] = l2
            if self._run is None:
                self._meta, self._meta_due = None, True  # its range follows from it
        if n_restarts is not None:
            if self._run is not None:
                self._run.set_restarts(n_restarts)
            self.plan.settings["n_restarts"] = n_restarts
        self._fresh = True
        if self._run is not None:
            self._run_on()

    def _run_on(self) -> None:
        """After a change of plan: a run at rest goes on if there is something to do again."""
        self._picture.renew()
        if self.state in ("done", "stopped", "failed") and not self._run.finished:
            self.error = None
            self._resume()
        elif self._run.finished and self.state == "running":
            self._rest("done")

    def _do_select(self, selection: dict[str, Any]) -> None:
        previous, self._selection = self._selection["target"], {**NO_SELECTION, **selection}
        if self._run is not None and self._selection["target"] != previous:
            self._run.prioritise(self._selection["target"])
        self._fresh = True
        self.outlet.hurry()
        self._keep_soon()

    def _do_call(self, function: Callable[[Any], Any]) -> Any:
        """Apply a function to the run, on the thread that owns it."""
        return function(self._run)

    def _do_reply(self, message: Message) -> None:
        self.outlet.tell(message)

    def _do_snapshot(self) -> list[Message]:
        """The messages that tell all there is to see, for the saved notebook."""
        if self._run is None:
            return []
        self._picture.look_over()
        told = [self._described(), self._frame(), self._picture.tree, *lasting(self._told_now())]
        return [self.outlet.stamped(message, self.run_number) for message in told if message is not None]

    def _do_standing(self) -> Standing | None:
        """How the run stands now, copied, for the stand-alone page; None where nothing has run."""
        if self._run is None:
            return None
        tree, pairs = self._picture.tree, lasting(self._asking.all_told())
        return Standing(Frozen(self._run), self._described(), tree, pairs, self._heading(), self._selection)

    # -- what is seen --------------------------------------------------------------------------------------------------

    def _has_news(self) -> bool:
        new_tree = self._picture is not None and self._picture.tree_is_new
        return bool(self.outlet.waiting or self._fresh or self._meta_due or new_tree)

    def _next_message(self) -> Message | None:
        if self._meta_due:
            self._meta_due, self._fresh = False, True
            return self._described()
        if self._picture is None:
            self._fresh = False
            return self._idle_frame()
        self._picture.look_over()
        if self._picture.tree_is_new and not (self._fresh and self._tree_was_last):  # in turn with the frames
            self._picture.tree_is_new, self._tree_was_last = False, True
            return self._picture.tree
        self._fresh = self._tree_was_last = False
        self._asking.consider(self._run, self._picture, self._selection)
        return self._frame()

    def _described(self) -> Message:
        if self._meta is None:
            self._meta = self.plan.describe(self._run, self.plan.settings)
        return self._meta

    def _idle_frame(self) -> Message:
        """Before the first run: what pressing Run will do."""
        n_targets = len(self._described().header["targets"])
        told = {name: self.plan.settings.get(name) for name in ("n_restarts", "l2", "rule")}
        return Message({"type": "frame", **self._heading(), **frames.idle(n_targets, **told)})

    def _heading(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "message": None if self.error is None else str(self.error) or type(self.error).__name__,
            "elapsed": self._pace.elapsed,
            "rate": self._pace.rate,
        }

    def _frame(self) -> Message:
        heading = {**self._heading(), "eta": self._time_left()}
        return self._picture.frame(self._selection, heading, moving=self.state == "running")

    def _time_left(self) -> float | None:
        """Seconds to go, from the share of the way that is done; None before there is anything to go by."""
        if self.state != "running" or not self._run.trials.ended.any():
            return None
        share = float(frames.summary(self._run)["class_progress"].mean())
        return self._pace.elapsed * (1 - share) / share
