"""The windows of sequence that excite a channel: where they lie, how much of them is needed, which are the motif's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dr_explorer.moving import moving
from dr_explorer.scenes import Scene, peaks

N_WINDOWS = 32
# Only sequences that excite a channel more than this share of the backgrounds are looked at for its windows.
BY_CHANCE = 0.98
# Of these the strongest, so many times what is needed.
MOST_BEYOND = 4
# Windows the most alike ones are chosen from.
N_CANDIDATES = 96
PSEUDOCOUNT = 2.0
# Times that the shares are taken anew from the windows chosen by them: of a channel that sees two motifs, one is left.
SETTLES = 3
# Windows that score less than this part of the one most like the others hold something else.
ALIKE = 0.5
# Windows longer than so many times the usual one are not asked what they do to the class: half a sequence holds much
# besides what excites the channel.
LONGEST = 2
# A window keeps this part of the activation's rise over background; what lies outside it is not needed for that.
KEEPS = 0.9
# Letters beside it that may belong to the motif, which can be longer than what one channel sees of it: those whose
# shares over the windows hold this many bits. (With 96 windows chance gives 0.02, a motif in half of them 0.4.)
FLANK = 6
TELLING = 0.2


def exciting_windows(scene: Scene, seeds, groups: list[list[int]]) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """For each seed the parts of sequences that excite its group, one-hot (4, w), and where they start.

    The sequences are those with the group's strongest response; the part is what the seed needs of them, found by
    halving (with everything outside blank the seed keeps `KEEPS` of its rise), and the letters beside it. Of these
    windows, where sequences are given, the ones are taken that move the classes: a channel may prefer a chance likeness
    to the motif it is used for. Of those the ones most like each other: where the channel sees a part of a motif only,
    the rest of it stands beside the true instances and not beside the chance ones.
    """
    n = min(N_CANDIDATES, len(scene.pool))
    rows = np.array(
        [
            _exciting(_summed(scene, scene.maxima, g), _summed(scene, scene.chance, g) if scene.given else None, n)
            for g in groups
        ]
    )
    flat = rows.ravel()
    x, channel, length = scene.pool[flat], np.repeat(seeds, n), scene.pool.shape[2]
    keep = scene.off[channel] + KEEPS * (scene.maxima[flat, channel] - scene.off[channel])
    place = np.arange(length)

    def holds(start, stop):
        blanked = x * ((place >= start[:, None]) & (place < stop[:, None]))[:, None]
        return peaks(scene, blanked)[np.arange(len(x)), channel] >= keep

    whole = np.full(len(x), length)
    start = _halve(np.zeros(len(x), int), whole, lambda at: holds(at, whole))
    stop = length - _halve(np.zeros(len(x), int), length - start, lambda cut: holds(start, length - cut))
    chosen = []
    for first in range(0, len(x), n):
        mine = np.arange(first, first + n)
        if scene.given:  # the network writes motifs beside each other, and these would be taken for one
            core = stop[mine] - start[mine]
            mine = mine[core <= LONGEST * np.median(core)]
            low, high = np.maximum(start[mine] - FLANK, 0), np.minimum(stop[mine] + FLANK, length)
            mine = mine[moving(scene, [x[i, :, a:b] for i, a, b in zip(mine, low, high, strict=True)], low)]
        best, low, high = most_alike(x[mine], start[mine], stop[mine])
        low, high = np.maximum(low, 0), np.minimum(high, length)
        chosen.append(([x[mine[i], :, a:b] for i, a, b in zip(best, low, high, strict=True)], low))
    return chosen


def _summed(scene: Scene, maxima: np.ndarray, group: list[int]) -> np.ndarray:
    """A group's response to sequences (N,): its channels' levels, each between 0 (off) and 1 (on), summed."""
    scale = np.where(scene.range[group] > 0, scene.range[group], np.inf)
    return np.clip((maxima[:, group] - scene.off[group]) / scale, 0, 1).sum(1)


def _exciting(response: np.ndarray, by_chance: np.ndarray | None, n: int) -> np.ndarray:
    """Sequences that excite a group beyond what backgrounds do, n of them evenly from the strongest to the weakest.

    The very strongest are often chance likenesses that a kernel happens to prefer; of instances there are many. Not so
    among sequences that the network made up (no `by_chance`): there the strongest are taken.
    """
    order = np.argsort(-response, kind="stable")
    if by_chance is None:
        return order[:n]
    beyond = int(np.clip((response > np.quantile(by_chance, BY_CHANCE)).sum(), n, MOST_BEYOND * n))
    return order[np.linspace(0, beyond - 1, n).astype(int)]


def most_alike(x: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which windows look most like the others, (N_WINDOWS,), and where they start and end with what belongs to them.

    Windows are laid on each other by their first needed letter, or by their last one: where a channel needs more of
    one window than of another, only one of them is the same letter of the motif in all. Letters beside the needed ones
    belong to the motif as far as their shares say anything; windows are scored by the log-odds of the shares over all
    of it, and equals keep the order of their strength.
    """
    core = int(np.median(stop - start))
    ways = [_laid(x, first, core) for first in (start, stop - core)]
    told = [(_shares(way) * np.log2(_shares(way))).sum() for way in ways]
    laid, first = (ways[1], stop - core) if told[1] > told[0] else (ways[0], start)
    shares = _shares(laid)
    telling = 2 + (shares * np.log2(shares)).sum(0) > TELLING
    left = int(np.argmin([*telling[:FLANK][::-1], False]))
    right = int(np.argmin([*telling[FLANK + core :], False]))
    motif = slice(FLANK - left, FLANK + core + right)
    for _ in range(SETTLES):
        score = (laid[..., motif] * np.log(4 * shares[:, motif])).sum((1, 2))
        best = np.argsort(-score.round(6), kind="stable")[:N_WINDOWS]
        best = best[score[best] >= score[best[0]] - (1 - ALIKE) * np.abs(score[best[0]])]
        shares = _shares(laid[best])
    return best, first[best] - left, first[best] + core + right


def _laid(x: np.ndarray, first: np.ndarray, core: int) -> np.ndarray:
    """Windows cut at the same distance from a letter of each, `FLANK` letters on either side: (N, 4, w)."""
    padded = np.pad(x, ((0, 0), (0, 0), (FLANK + core, core + 2 * FLANK))).astype(float)
    return np.stack([row[:, at + core : at + 2 * core + 2 * FLANK] for row, at in zip(padded, first, strict=True)])


def _shares(laid: np.ndarray) -> np.ndarray:
    counts = laid.sum(0) + PSEUDOCOUNT
    return counts / counts.sum(0)


def _halve(low: np.ndarray, high: np.ndarray, holds: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest number in [low, high) for which `holds` is true, elementwise; it is taken to be true at low."""
    low, high = low.copy(), high.copy()
    while (high - low > 1).any():
        middle = (low + high) // 2
        good = holds(middle)
        low, high = np.where(good, middle, low), np.where(good, high, np.maximum(middle, low + 1))
    return low
