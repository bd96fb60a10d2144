"""The worker: one thread that obeys commands from a queue and works on in between.

Whoever calls (a message handler on whatever thread the kernel chose, a cell, a test) only puts a command on the queue.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Worker:
    """Carries out commands one after the other, and takes a turn of work whenever none is left.

    Parameters
    ----------
    obey : carries out a command, given its name and arguments; what it returns or raises goes to who asked.
    turn : a little work; returns False to end the thread. The next command starts it again.
    patience : seconds that the next turn may wait for a command: 0 for none, None for as long as it takes.
    """

    def __init__(
        self,
        obey: Callable[[str, dict[str, Any]], Any],
        turn: Callable[[], bool],
        patience: Callable[[], float | None],
    ) -> None:
        self._obey, self._turn, self._patience = obey, turn, patience
        self._commands: queue.SimpleQueue[tuple[str, dict[str, Any], Future] | None] = queue.SimpleQueue()
        self._going, self._changing = False, threading.Lock()  # whether the thread will look at the queue again
        self.thread: threading.Thread | None = None

    def post(self, name: str, **args: Any) -> Future:
        """Queue a command; the future has its result, or the error it met. Starts the thread where there is none."""
        answer = self.report(name, **args)
        with self._changing:
            if not self._going:
                self._going = True
                self.thread = threading.Thread(target=self._loop, name="dr_explorer", daemon=True)
                self.thread.start()
        return answer

    def report(self, name: str, **args: Any) -> Future:
        """The same for what another thread found out: a thread that has ended is not started again for it."""
        answer: Future = Future()
        self._commands.put((name, args, answer))
        return answer

    def close(self, wait: float = 0.0) -> None:
        """End the thread, and wait so many seconds for its end."""
        with self._changing:
            if self._going:
                self._commands.put(None)
        if wait and self.alive and threading.current_thread() is not self.thread:
            self.thread.join(wait)

    @property
    def alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def _loop(self) -> None:
        try:
            while self._obey_all(self._patience()) and self._turn():
                pass
        except BaseException:
            self._going = False  # the next command starts another thread
            raise
        while True:  # whoever asked while it was ending is answered
            with self._changing:
                if self._commands.empty():
                    self._going = False
                    return
            self._obey_all(0.0)

    def _obey_all(self, timeout: float | None) -> bool:
        """Carry out what is queued, first waiting so many seconds for it (None: as long as it takes); False to end."""
        while True:
            try:
                command = self._commands.get(block=timeout != 0.0, timeout=timeout)
            except queue.Empty:
                return True
            timeout = 0.0
            if command is None:
                return False
            name, args, answer = command
            try:
                answer.set_result(self._obey(name, args))
            except Exception as error:
                answer.set_exception(error)
