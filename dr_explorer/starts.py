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
    return Starts().draw(shape, random_state, target, restart, init)


def draw_all(keys: Sequence[tuple[int, int]], size: int, *, random_state: int, init: str) -> np.ndarray:
    """The starts (n, size) float32 of many trials, given as (target, restart); see `start`.

    Many large maps are drawn on all processor cores: on one, those of 9,190 DeepSEA-sized trials take as long as a
    good part of their ascent on a GPU.
    """
    maps = np.empty((len(keys), size), np.float32)

    def draw(rows: Iterable[int]) -> None:
        starts = Starts()
        for i in rows:
            maps[i] = starts.draw((size,), random_state, *keys[i], init)

    if maps.size < MANY:  # asking how many cores there are takes as long as drawing twenty small maps
        draw(range(len(keys)))
        return maps
    workers = min(os.cpu_count() or 1, len(keys))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(draw, np.array_split(np.arange(len(keys)), workers)))
    return maps


class Starts:
    """A Philox generator that is given another key for every draw: making a new one takes longer than the draw."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=[0, 0])
        self._generator = np.random.Generator(self._bits)
        self._fresh = self._bits.state

    def draw(self, shape: tuple[int, ...], random_state: int, target: int, restart: int, init: str) -> np.ndarray:
        """See `start`."""
        self._fresh["state"]["key"][:] = random_state, (target << 32) | restart
        self._bits.state = self._fresh
        if init == "uniform":
            return self._generator.random(shape, dtype=np.float32)
        return self._generator.standard_normal(shape, dtype=np.float32)
