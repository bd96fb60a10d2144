"""Windows laid on each other by the letters that they share."""

from __future__ import annotations

import numpy as np

from dr_explorer.sequences import decode, one_hot
from dr_explorer.windows import FLANK, most_alike

MOTIF, LENGTH = "CAAGCG", 50


def laid_out(needed, at: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random sequences with the motif at a place, of which a channel needs so many letters before it and of it."""
    rng = np.random.default_rng(0)
    x = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(len(needed), LENGTH))].transpose(0, 2, 1)
    x[:, :, at : at + len(MOTIF)] = one_hot([MOTIF])[0]
    before, of_it = np.array(needed).T
    return x, at - before, at + of_it


def cut(x, best, low, high) -> set[str]:
    return {decode(x[i, :, a:b])[0] for i, a, b in zip(best, low, high, strict=True)}


def test_windows_that_end_with_the_same_letter_are_laid_by_their_ends():
    """A channel needs CAAG, and letters before it where these happen to be the ones it likes."""
    x, start, stop = laid_out([(0, 4), (2, 4), (4, 4), (3, 4)] * 8)
    best, low, high = most_alike(x, start, stop)
    assert all(MOTIF in window for window in cut(x, best, low, high))
    assert len(set((high - low).tolist())) == 1


def test_windows_that_begin_with_the_same_letter_are_laid_by_their_beginnings():
    x, start, stop = laid_out([(0, 4), (0, 6), (0, 3), (0, 5)] * 8)
    best, low, high = most_alike(x, start, stop)
    assert all(MOTIF in window for window in cut(x, best, low, high))


def test_windows_that_hold_something_else_are_not_made_up_the_number_with():
    x, start, stop = laid_out([(0, 6)] * 20)
    rng = np.random.default_rng(1)
    x[12:, :, 20 - FLANK : 26 + FLANK] = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(8, 18))].transpose(0, 2, 1)
    best, *_ = most_alike(x, start, stop)
    assert set(best.tolist()) <= set(range(12))
    assert len(best) >= 8
