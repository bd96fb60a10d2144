"""Windows made whole: the letters beside them that the network wants as well.

The part of a sequence that one channel needs may be a part of the motif only. Among given sequences the rest stands
beside it; in sequences that the network made up, or random ones, it need not. So the network is asked: which letters
beside the window move the class further the way the window moved it?
"""

from __future__ import annotations

import numpy as np

from dr_explorer.evolution import evolve
from dr_explorer.scenes import Scene, outputs

# Letters on either side that may be written: fewer than the shortest motif has, so that no second one can be.
BESIDE = 4
# Letters beside the window belong to it as far as their shares over the backgrounds hold this many bits: asking for the
# best letters of all backgrounds, whether or not they agree, brought parts of other motifs in.
TELLING = 0.5
PSEUDOCOUNT = 0.5


def completed(scene: Scene, windows: list[np.ndarray], starts) -> tuple[list[np.ndarray], np.ndarray]:
    """Windows, one-hot (4, w), with the letters beside them that the network asks for, and where they start now.

    Each window stands in a background of its own; the class is the one of the scene's that the windows move most.
    """
    length = scene.backgrounds.shape[2]
    x = scene.backgrounds[np.arange(len(windows)) % len(scene.backgrounds)].copy()
    before = outputs(scene, x)[:, scene.targets]
    widths = np.array([window.shape[1] for window in windows])
    starts = np.clip(starts, 0, length - widths)
    for row, start, window in zip(x, starts, windows, strict=True):
        row[:, start : start + window.shape[1]] = window
    moved = (outputs(scene, x)[:, scene.targets] - before).mean(0)
    most = int(np.abs(moved).argmax())
    column, sign = scene.targets[most], 1 if moved[most] >= 0 else -1
    place, first, last = np.arange(length), starts[:, None], (starts + widths)[:, None]
    inside, near = (place >= first) & (place < last), (place >= first - BESIDE) & (place < last + BESIDE)
    made, _ = evolve(scene.tail, x, column, sign, letters=2 * BESIDE, inputs=scene.inputs, frozen=inside | ~near)
    padded = np.pad(made, ((0, 0), (0, 0), (BESIDE, BESIDE))).astype(float)
    rows = list(zip(padded, starts, widths, strict=True))
    left = _belonging(np.stack([row[:, at : at + BESIDE] for row, at, _ in rows])[:, :, ::-1])
    right = _belonging(np.stack([row[:, at + BESIDE + w : at + 2 * BESIDE + w] for row, at, w in rows]))
    low, high = np.maximum(starts - left, 0), np.minimum(starts + widths + right, length)
    return [row[:, a:b] for row, a, b in zip(made, low, high, strict=True)], low


def _belonging(letters: np.ndarray) -> int:
    """How many of the letters (N, 4, w), from the window outwards, the backgrounds agree on."""
    shares = letters.sum(0) + PSEUDOCOUNT
    shares /= shares.sum(0)
    telling = 2 + (shares * np.log2(shares)).sum(0) > TELLING
    return int(np.argmin([*telling, False]))
