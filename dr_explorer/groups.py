"""Features: the channels that rise together when a window that excites one of them stands in a sequence.

A motif is seen by several channels at once, so "the motif is present" is a state of a *group* of channels: the values
they take when a window that excites one of them strongly is written into a background. All other channels keep what
that background gives them. Neither zero nor the ascended values are states that sequences produce, and truth tables
read there are wrong more often than right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from dr_explorer import sequences as dna
from dr_explorer.completion import completed
from dr_explorer.scenes import (
    BATCH,
    CANDIDATES,
    HALF,
    N_BACKGROUNDS,
    Scene,
    as_rows,
    batches,
    outputs,
    peak,
    peaks,
    scene,
)
from dr_explorer.tail import Tail
from dr_explorer.windows import N_WINDOWS, exciting_windows

__all__ = [
    "CANDIDATES", "N_BACKGROUNDS", "SAME", "Feature", "Scene", "all_corners", "corners", "feature", "features",
    "moved", "outputs", "peaks", "scene", "weak",
]  # fmt: skip

# A channel belongs to a group if its maximum rises by more than this part of its own on-off range (0.1-0.25 equal).
RISES = 0.25
# Seeds that raise each other by more than this are taken for one feature where a pair is shown.
SAME = 0.6
# Times that the group's own response chooses the sequences anew. A channel that sees half a motif fires as strongly
# without the other half; its whole group does not.
ROUNDS = 1


@dataclass(frozen=True, eq=False)
class Feature:
    """A channel and its group, as the windows that excite it show them.

    Attributes
    ----------
    seed : int
    members : int array
        The channels of the group, the seed first.
    rise : float array (K,)
        How far each channel rises when the seed's windows are inserted, in parts of its own on-off range.
    maps : tensor (B, len(members), W)
        The members' rows in each background with a window written in.
    windows : list of str
        What was written, one a background.
    starts : list of int
        Where, in bp.
    """

    seed: int
    members: np.ndarray
    rise: np.ndarray
    maps: torch.Tensor
    windows: list[str]
    starts: list[int]

    def first(self, n: int) -> Feature:
        """The same on fewer backgrounds, as `Scene.first`."""
        return replace(self, maps=self.maps[:n], windows=self.windows[:n], starts=self.starts[:n])

    def words(self) -> list[np.ndarray]:
        """The windows one-hot, (4, w) each."""
        return [dna.one_hot(window)[0] for window in self.windows]

    def placed(self) -> tuple[list[np.ndarray], list[int]]:
        """The windows that differ, one-hot, and where they start: they come again and again over the backgrounds."""
        return self.words()[:N_WINDOWS], self.starts[:N_WINDOWS]


def feature(scene: Scene, seed: int, members=None) -> Feature:
    """A channel's group, or the group given, with its rows when the seed's windows stand in the backgrounds."""
    return features(scene, [seed], None if members is None else [members])[0]


def features(scene: Scene, seeds, members=None) -> list[Feature]:
    """`feature` of several channels, with their sequences run through the network together.

    Raises
    ------
    ValueError
        A channel that does not exist.
    """
    n_channels = scene.maxima.shape[1]
    for k in [*seeds, *(k for group in members or [] for k in group)]:
        if not 0 <= k < n_channels:
            raise ValueError(f"there is no channel {k}: the layer has channels 0 to {n_channels - 1}")
    groups = [[seed] for seed in seeds] if members is None else [[s, *g] for s, g in zip(seeds, members, strict=True)]
    for _ in range(ROUNDS + 1):
        found = []
        chosen = exciting_windows(scene, seeds, groups)
        for seed, group, (windows, starts) in zip(seeds, groups, chosen, strict=True):
            found.append(_inserted(scene, seed, group, windows, starts))
        if members is None:
            groups = [_risen(one) for one in found]
    if not scene.given:
        found = [_completed(scene, one) for one in found]
        if members is None:
            groups = [_risen(one) for one in found]
    return [
        replace(one, members=np.asarray(group), maps=one.maps[:, torch.as_tensor(group)])
        for one, group in zip(found, groups, strict=True)
    ]


def _completed(scene: Scene, one: Feature) -> Feature:
    """A feature with its windows made whole by the network."""
    few = one.first(N_WINDOWS)
    return _inserted(scene, one.seed, one.members, *completed(scene, few.words(), few.starts))


def moved(scene: Scene, one: Feature) -> Feature:
    """The same windows in other backgrounds, with the group of channels that rise there."""
    there = _inserted(scene, one.seed, [one.seed], one.words(), one.starts)
    group = _risen(there)
    return replace(there, members=np.asarray(group), maps=there.maps[:, torch.as_tensor(group)])


def weak(found: list[Feature]) -> str:
    """Why features cannot be read: one that its own windows do not bring near its strong level; "" if there is none."""
    for one in found:
        reached = one.rise[one.seed]
        if reached == 0:
            return f"no sequence excites channel {one.seed}"
        if reached < HALF:
            return f"on these backgrounds channel {one.seed} reaches {reached:.0%} of its strong level, no more"
    return ""


def _risen(one: Feature) -> list[int]:
    """The channels that rise with the seed, itself first and then the highest."""
    others = np.nonzero((one.rise > RISES) & (np.arange(len(one.rise)) != one.seed))[0]
    return [one.seed, *others[np.argsort(-one.rise[others], kind="stable")].tolist()]


def _inserted(scene: Scene, seed: int, group: list[int], windows: list[np.ndarray], starts) -> Feature:
    """What every channel does when the windows stand in the backgrounds (all rows; the group is cut out later)."""
    rng = np.random.default_rng([scene.random_state, seed])
    order = np.arange(len(scene.backgrounds)) % len(windows)
    at = np.asarray(starts)[order]
    if scene.positions is not None:
        at = rng.integers(scene.positions[0], scene.positions[1] + 1, size=len(order))
    at = np.clip(at, 0, [scene.backgrounds.shape[2] - windows[i].shape[1] for i in order])
    x = with_windows(scene.backgrounds, [windows[i] for i in order], at)
    maps = torch.cat(list(batches(scene.tail, x, scene.inputs, as_rows)))
    gain = (peak(maps) - peak(scene.maps)).mean(0).numpy()
    rise = np.divide(gain, scene.range, out=np.zeros(len(gain)), where=scene.range > 0)
    written = [dna.decode(windows[i])[0] for i in order]
    return Feature(int(seed), np.asarray(group), rise, maps, written, at.tolist())


def with_windows(backgrounds: np.ndarray, windows: list[np.ndarray], starts) -> np.ndarray:
    """Each background with a window written in at its start, moved inside where it would stick out."""
    x = backgrounds.copy()
    for row, (window, start) in enumerate(zip(windows, starts, strict=True)):
        at = int(np.clip(start, 0, x.shape[2] - window.shape[1]))
        x[row, :, at : at + window.shape[1]] = window
    return x


def corners(scene: Scene, found: list[Feature], target: int) -> np.ndarray:
    """The class's logits with every combination of features present: (2,) * F + (B,).

    A present feature's group takes, in each background, the element-wise maximum of the background's map and of the map
    with the window inserted; every other channel keeps the background's value.
    """
    return all_corners(scene, [tuple(found)], target)[0]


def all_corners(scene: Scene, sets: list[tuple[Feature, ...]], target: int, rows=None) -> np.ndarray:
    """`corners` of many sets of as many features each: (sets,) + (2,) * F + (B,).

    ``rows`` (sets, B) names the backgrounds that each is read on; default all.
    """
    n = len(sets[0])
    states = np.stack(np.meshgrid(*[[0, 1]] * n, indexing="ij"), axis=-1).reshape(-1, n)
    rows = np.arange(len(scene.maps))[None].repeat(len(sets), 0) if rows is None else np.asarray(rows)
    n_rows = rows.shape[1]
    every = max(1, BATCH * 8 // (n_rows * len(states)))
    out = []
    for first in range(0, len(sets), every):
        part = sets[first : first + every]
        maps = []
        for chosen, on in zip(part, torch.from_numpy(rows[first : first + every]), strict=True):
            background = scene.maps[on]
            for state in states:
                here = background.clone()
                for present, one in zip(state, chosen, strict=True):
                    if present:
                        members = torch.from_numpy(one.members)
                        here[:, members] = torch.maximum(here[:, members], one.maps[on])
                maps.append(here)
        out.append(_logits(scene.tail, torch.cat(maps))[:, target].reshape(len(part), *(2,) * n, n_rows))
    return np.concatenate(out)


@torch.no_grad()
def _logits(tail: Tail, maps: torch.Tensor) -> np.ndarray:
    maps = maps.reshape(len(maps), *tail.shape).to(tail.device, tail.dtype)
    return torch.cat([tail.logits(maps[i : i + BATCH]).cpu() for i in range(0, len(maps), BATCH)]).numpy()


def alike(one: Feature, other: Feature, level: float) -> bool:
    """Do two seeds stand for the same motif, or for parts of it: either's windows raise the other beyond a level."""
    return bool(max(one.rise[other.seed], other.rise[one.seed]) > level)
