"""Memory that was freed goes back to the system, also where something that stays lies on top of it."""

from __future__ import annotations

import platform

import numpy as np
import psutil
import pytest

from dr_explorer.widget.freed import Freed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed and can be asked for it")
def test_what_was_freed_between_things_that_stay_goes_back_to_the_system() -> None:
    freed, resident = Freed(), psutil.Process().memory_info
    blocks = [np.ones(5_000) for _ in range(5_000)]  # 40 kB each: too small for pages of their own
    kept = [block for i, block in enumerate(blocks) if i % 100 == 0]
    del blocks
    before = resident().rss
    freed.give_back()  # too soon since it was made
    assert resident().rss > 0.95 * before
    freed.give_back(now=True)
    assert before - resident().rss > 100e6
    assert sum(block[0] for block in kept) == 50
