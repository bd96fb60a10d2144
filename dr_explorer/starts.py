"""Starts: the random feature map a trial begins at, the same on every machine and in any company."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

INITS = ("uniform", "normal")
MANY = 2**22  # numbers whose drawing takes longer than starting threads


def start(shape: tuple[int, ...], *, random_state: int, target: int, restart: int, init: str = "uniform") -> np.ndarray:
    """The random feature map (K, W) or (K,) float32 a trial starts from, the same on every machine.

    ``init`` is ``"uniform"``, U[0, 1) (the released code; the published statistics fit it), or ``"normal"``, N(0, 1)
    (the paper's word). On a layer with many positions uniform starts all have nearly the same mean, and end in fewer of
    the basins there are. The generator is Philox, keyed by ``(random_state, target, restart)``: no draw depends on
    another trial's.
    """
    return Starts(random_state, init).draw(target, restart, np.empty(shape, np.float32))


def draw_all(keys: Sequence[tuple[int, int]], size: int, *, random_state: int, init: str) -> np.ndarray:
    """The starts (n, size) float32 of many trials, given as (target, restart); see `start`.

    Many large maps are drawn on all processor cores: on one, those of 9,190 DeepSEA-sized trials take as long as a
    good part of their ascent on a GPU.
    """
    maps = np.empty((len(keys), size), np.float32)

    def draw(rows: Iterable[int]) -> None:
        starts = Starts(random_state, init)
        for i in rows:
            starts.draw(*keys[i], maps[i])

    if maps.size < MANY:  # asking how many cores there are takes as long as drawing twenty small maps
        draw(range(len(keys)))
        return maps
    workers = min(os.cpu_count() or 1, len(keys))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(draw, np.array_split(np.arange(len(keys)), workers)))
    return maps


class Starts:
    """A Philox generator that is given another key for every draw: making a new one takes longer than the draw."""

    def __init__(self, random_state: int, init: str) -> None:
        self._bits = np.random.Philox(key=[0, 0])
        generator = np.random.Generator(self._bits)
        self._fill = generator.random if init == "uniform" else generator.standard_normal
        # Of plain numbers, which are read in half the time of an array's.
        self._fresh = {**self._bits.state, "state": {"counter": [0] * 4, "key": [0, 0]}, "buffer": [0] * 4}
        self._random_state = random_state

    def draw(self, target: int, restart: int, out: np.ndarray) -> np.ndarray:
        """Write the start of a trial into ``out``, float32; see `start`."""
        self._fresh["state"]["key"] = [self._random_state, (target << 32) | restart]
        self._bits.state = self._fresh
        return self._fill(out=out, dtype=np.float32)
