"""Freed memory, given back to the system now and then.

Every step of an ascent takes megabytes for a moment, and the small bytes of frames come to lie between them. The C
library of Linux keeps the holes for later, and more of them the longer a run goes; it gives them back when asked to.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import time
from collections.abc import Callable

EVERY = 3.0  # s: asking takes some milliseconds, and holes do not grow faster


class Freed:
    """Asks for it every so often; nothing happens on systems whose C library keeps no holes or cannot be asked."""

    def __init__(self) -> None:
        self._next = time.monotonic() + EVERY

    def give_back(self, *, now: bool = False) -> None:
        """Give back what is free, if some time has passed since the last time, or ``now``."""
        if now or time.monotonic() >= self._next:
            _trim()(0)
            self._next = time.monotonic() + EVERY


@functools.cache
def _trim() -> Callable[[int], int]:
    """The C library's own call."""
    if sys.platform != "linux":
        return int
    return getattr(ctypes.CDLL(None), "malloc_trim", int)  # glibc has it, musl has not
