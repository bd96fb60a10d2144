"""Starts: the random feature map a trial begins at, the same on every machine and in any company."""

from __future__ import annotations

import numpy as np

INITS = ("uniform", "normal")


def start(shape: tuple[int, ...], *, random_state: int, target: int, restart: int, init: str = "uniform") -> np.ndarray:
    """The random feature map (K, W) or (K,) float32 a trial starts from, the same on every machine.

    ``init`` is ``"uniform"``, U[0, 1) (the released code; the published statistics fit it), or ``"normal"``, N(0, 1)
    (the paper's word). On a layer with many positions uniform starts all have nearly the same mean, and end in fewer of
    the basins there are. The generator is Philox, keyed by ``(random_state, target, restart)``: no draw depends on
    another trial's.
    """
    return Starts().draw(shape, random_state, target, restart, init)


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
