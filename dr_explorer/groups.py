"""What sequences do to the feature map: the windows that excite a channel, the channels that rise with it, the levels.

A motif is seen by several channels at once, so "the motif is present" is a state of a *group* of channels: the values
they take when a window that excites one of them strongly is written into a background. All other channels keep what
that background gives them. Neither zero nor the ascended values are states that sequences produce, and truth tables
read there are wrong more often than right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dr_explorer import sequences as dna
from dr_explorer.evolution import evolved
from dr_explorer.tail import Tail

# Backgrounds a corner is averaged over.
N_BACKGROUNDS = 64
# Candidates for each background; kept are those in which fewest of the channels studied are on.
CANDIDATES = 8
# A channel counts as on in a sequence from this part of its on-off range.
HALF = 0.5
# Sequences to look for windows in where none are given: random ones, and made-up ones that hold the classes' motifs.
N_RANDOM = 4_000
N_EVOLVED = 768
# Classes for which sequences are made up where none is named.
MOST_CLASSES = 8
# Letters that may be written beyond the last position at which a window may start.
MOTIF = 12
# "On" is the median of this many strongest sequence maxima; windows are taken from the same sequences.
STRONGEST = 100
N_WINDOWS = 32
# Only sequences that excite a channel more than this share of the backgrounds are looked at for its windows.
BY_CHANCE = 0.98
# Of these the strongest, so many times what is needed.
MOST_BEYOND = 4
# Windows the most alike ones are chosen from.
N_CANDIDATES = 96
PSEUDOCOUNT = 2.0
# A channel belongs to a group if its maximum rises by more than this part of its own on-off range (0.1-0.25 equal).
RISES = 0.25
# Seeds that raise each other by more than this are taken for one feature where a pair is shown.
SAME = 0.6
# A window keeps this part of the activation's rise over background; what lies outside it is not needed for that.
KEEPS = 0.9
# Letters beside it that may belong to the motif, which can be longer than what one channel sees of it: those whose
# shares over the windows hold this many bits. (With 96 windows chance gives 0.02, a motif in half of them 0.4.)
FLANK = 6
TELLING = 0.2
# Times that the group's own response chooses the sequences anew. A channel that sees half a motif fires as strongly
# without the other half; its whole group does not.
ROUNDS = 1
BATCH = 512


@dataclass(frozen=True, eq=False)
class Scene:
    """Sequences, what they make of the channels, and the backgrounds that windows are written into.

    Attributes
    ----------
    tail : Tail
    pool : uint8 (N, 4, L)
        Sequences in which exciting windows are looked for.
    maxima : float32 (N, K)
        Each channel's maximum over positions in each of them.
    backgrounds : uint8 (B, 4, L)
        More than are needed, until `without` chooses.
    maps : tensor (B, K, W)
        Their feature maps; W = 1 where the layer has no positions.
    on, off : float (K,)
        A channel's strong level (median of the 100 strongest maxima) and its level on backgrounds (median).
    given : bool
        Whether `pool` came from the user.
    """

    tail: Tail
    pool: np.ndarray
    maxima: np.ndarray
    backgrounds: np.ndarray
    maps: torch.Tensor
    on: np.ndarray
    off: np.ndarray
    given: bool
    inputs: Callable | None
    positions: tuple[int, int] | None
    n_backgrounds: int
    random_state: int

    @property
    def range(self) -> np.ndarray:
        """On minus off (K,); 0 for a channel that no sequence excites."""
        return np.maximum(self.on - self.off, 0)

    def first(self, n: int) -> Scene:
        """The same with fewer backgrounds, for quick comparisons."""
        return replace(self, backgrounds=self.backgrounds[:n], maps=self.maps[:n])

    def without(self, channels) -> Scene:
        """The same with the backgrounds in which fewest of these channels are on: free of their motifs, if any are."""
        channels = np.asarray(channels, int)
        level = _peak(self.maps).numpy()[:, channels] - self.off[channels]
        on = (level > HALF * self.range[channels]) & (self.range[channels] > 0)
        kept = np.sort(np.argsort(on.sum(1), kind="stable")[: self.n_backgrounds])
        return replace(self, backgrounds=self.backgrounds[kept], maps=self.maps[torch.from_numpy(kept)])


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


def scene(
    tail: Tail,
    *,
    length: int | None = None,
    sequences=None,
    backgrounds=None,
    inputs: Callable[[torch.Tensor], object] | None = None,
    positions: tuple[int, int] | None = None,
    n_backgrounds: int = N_BACKGROUNDS,
    targets: Sequence[int] | None = None,
    n_random: int = N_RANDOM,
    n_evolved: int = N_EVOLVED,
    random_state: int = 0,
) -> Scene:
    """Look at a layer through sequences.

    Parameters
    ----------
    tail : the cut.
    length : sequence length in bp, where no sequences are given.
    sequences : one-hot (N, 4, L), array or tensor. Without them the network is asked for its own: `n_random` uniform
        random ones, and about `n_evolved` that are changed until they hold what it looks for (`evolution.evolved`).
        The backgrounds are dinucleotide shuffles of the sequences given, else further random ones.
    backgrounds : one-hot (M, 4, L) of sequences without the motifs, such as the negatives of the training; the first
        ones are used, and best is to give more than are needed.
    inputs : turns a float tensor (n, 4, L) into the model's inputs, for models that take more than a sequence.
    positions : (lowest, highest) start of an inserted window, bp; default anywhere (with `sequences`, where their own
        windows lie). Give it where the network was trained on motifs in a part of the sequence only.
    targets : columns of the classes whose motifs are looked for, where no sequences are given; default all, or 8
        evenly spread ones.
    n_random, n_evolved : how many sequences are made up, where none are given.

    Raises
    ------
    ValueError
        Neither length nor sequences, sequences of another form, NaN.
    """
    rng = np.random.default_rng(random_state)
    n = CANDIDATES * n_backgrounds
    if sequences is None and length is None:
        raise ValueError("give example_input or sequences: the length of the sequences is not known otherwise")
    if sequences is None:
        pool = _made_up(tail, rng, length, targets, n_random, n_evolved, inputs, positions)
    else:
        pool = _checked(sequences)
    if backgrounds is not None:
        backgrounds = _checked(backgrounds)[:n]
        if backgrounds.shape[2] != pool.shape[2]:
            raise ValueError(f"the backgrounds have {backgrounds.shape[2]} bp, the sequences {pool.shape[2]}")
    elif sequences is None:
        backgrounds = _random(rng, n, length)
    else:
        chosen = pool[rng.choice(len(pool), n, replace=len(pool) < n)]
        backgrounds = np.asarray(dna.dinucleotide_shuffle(chosen, random_state=random_state)).astype(np.uint8)
    maxima = np.concatenate([peaks.numpy() for peaks in _batches(tail, pool, inputs, _peak)])
    maps = torch.cat(list(_batches(tail, backgrounds, inputs, _rows)))
    strongest = np.sort(maxima, axis=0)[-STRONGEST:]
    on, off = np.median(strongest, axis=0), np.median(_peak(maps).numpy(), axis=0)
    given = sequences is not None
    settings = (inputs, positions, n_backgrounds, random_state)
    return Scene(tail, pool, maxima, backgrounds, maps, on, off, given, *settings)


def _made_up(tail: Tail, rng, length: int, targets, n_random: int, n_evolved: int, inputs, positions) -> np.ndarray:
    """Sequences to look for windows in where none are given: made up for each class in turn, and random ones."""
    if targets is None:
        at = np.linspace(0, tail.n_targets - 1, min(tail.n_targets, MOST_CLASSES))
        targets = np.unique(at.round().astype(int)).tolist()
    where = None if positions is None else (positions[0], positions[1] + MOTIF)
    random = _random(rng, n_random, length)
    each = min(n_evolved // (4 * len(targets)), n_random)  # four ways to write from each start
    if not each:
        return random
    # Starts that excite one channel each already hold most of a motif, and of every channel's.
    response = np.concatenate([peaks.numpy() for peaks in _batches(tail, random, inputs, _peak)])
    strongest = np.argsort(-response, axis=0, kind="stable").ravel()  # the best of each channel, then the second best
    starts = random[list(dict.fromkeys(strongest.tolist()))[: each * len(targets)]]
    made = [evolved(tail, starts[k :: len(targets)], c, inputs=inputs, where=where) for k, c in enumerate(targets)]
    return np.concatenate([*made, random])


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
        for seed, group, (windows, starts) in zip(seeds, groups, _windows(scene, seeds, groups), strict=True):
            found.append(_inserted(scene, seed, group, windows, starts))
        if members is None:
            groups = [_risen(one) for one in found]
    return [
        replace(one, members=np.asarray(group), maps=one.maps[:, torch.as_tensor(group)])
        for one, group in zip(found, groups, strict=True)
    ]


def weak(found: list[Feature]) -> str:
    """Why features cannot be read: one that its own windows do not bring near its strong level; "" if there is none."""
    for one in found:
        reached = one.rise[one.seed]
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
    x = _written(scene.backgrounds, [windows[i] for i in order], at)
    maps = torch.cat(list(_batches(scene.tail, x, scene.inputs, _rows)))
    gain = (_peak(maps) - _peak(scene.maps)).mean(0).numpy()
    rise = np.divide(gain, scene.range, out=np.zeros(len(gain)), where=scene.range > 0)
    written = [dna.decode(windows[i])[0] for i in order]
    return Feature(int(seed), np.asarray(group), rise, maps, written, at.tolist())


def corners(scene: Scene, found: list[Feature], target: int) -> np.ndarray:
    """The class's logits with every combination of features present: (2,) * F + (B,).

    A present feature's group takes, in each background, the element-wise maximum of the background's map and of the map
    with the window inserted; every other channel keeps the background's value.
    """
    return all_corners(scene, [tuple(found)], target)[0]


def all_corners(scene: Scene, sets: list[tuple[Feature, ...]], target: int) -> np.ndarray:
    """`corners` of many sets of as many features each: (sets,) + (2,) * F + (B,)."""
    n = len(sets[0])
    states = np.stack(np.meshgrid(*[[0, 1]] * n, indexing="ij"), axis=-1).reshape(-1, n)
    background = len(scene.maps)
    every = max(1, BATCH * 8 // (background * len(states)))
    out = []
    for first in range(0, len(sets), every):
        part = sets[first : first + every]
        maps = scene.maps.repeat(len(part) * len(states), 1, 1)
        for index, row in enumerate((s, state) for s in part for state in states):
            chosen, state = row
            rows = maps[index * background : (index + 1) * background]
            for on, one in zip(state, chosen, strict=True):
                if on:
                    members = torch.from_numpy(one.members)
                    rows[:, members] = torch.maximum(rows[:, members], one.maps)
        out.append(_logits(scene.tail, maps)[:, target].reshape(len(part), *(2,) * n, background))
    return np.concatenate(out)


def levels(scene: Scene, one: Feature, level: Callable) -> tuple[float, float]:
    """A measure ``level(scene, maxima, feature)`` of the backgrounds without and with the feature's windows."""
    without = _peak(scene.maps).numpy()
    present = without.copy()
    present[:, one.members] = np.maximum(without[:, one.members], _peak(one.maps).numpy())
    return float(level(scene, without, one).mean()), float(level(scene, present, one).mean())


def peaks(scene: Scene, x: np.ndarray) -> np.ndarray:
    """Each channel's maximum in sequences (N, 4, L): (N, K)."""
    return torch.cat(list(_batches(scene.tail, x, scene.inputs, _peak))).numpy()


def outputs(scene: Scene, x: np.ndarray) -> np.ndarray:
    """The whole network's logits (N, C) for sequences (N, 4, L)."""
    parts = []
    for first in range(0, len(x), BATCH):
        batch = torch.from_numpy(x[first : first + BATCH]).to(torch.float32)
        parts.append(scene.tail.predict(scene.inputs(batch) if scene.inputs else batch).cpu())
    return torch.cat(parts).numpy()


def planted(scene: Scene, tried: list[Feature], n: int, share: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Random sequences with features' windows written in: maxima (n, K), logits (n, C).

    Each in half of the sequences, or, of many, so rarely that there are `share` in each on average.
    """
    each = min(0.5, share / len(tried))
    rng = np.random.default_rng([scene.random_state, n])
    x = _random(rng, n, scene.pool.shape[2])
    for row in range(n):
        for k in np.nonzero(rng.random(len(tried)) < each)[0]:
            b = rng.integers(len(tried[k].windows))
            window = dna.one_hot(tried[k].windows[b])[0]
            start = tried[k].starts[b]
            x[row, :, start : start + window.shape[1]] = window
    return peaks(scene, x), outputs(scene, x)


# ---- windows


def _windows(scene: Scene, seeds, groups: list[list[int]]) -> list[tuple[list[np.ndarray], np.ndarray]]:
    """For each seed the parts of sequences that excite its group, one-hot (4, w), and where they start.

    The sequences are those with the group's strongest response; the part is what the seed needs of them, found by
    halving (with everything outside blank the seed keeps `KEEPS` of its rise), and the letters beside it. Of these
    windows the ones most like each other are taken: where the channel sees a part of a motif only, the rest of it
    stands beside the true instances and not beside the chance ones.
    """
    n = min(N_CANDIDATES, len(scene.pool))
    backgrounds = _peak(scene.maps).numpy()
    rows = np.array(
        [
            _exciting(_summed(scene, scene.maxima, g), _summed(scene, backgrounds, g) if scene.given else None, n)
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
        order, left, right = _most_alike(x[mine], start[mine], stop[mine])
        best = mine[order]
        low, high = np.maximum(start[best] - left, 0), np.minimum(stop[best] + right, length)
        chosen.append(([x[i, :, a:b] for i, a, b in zip(best, low, high, strict=True)], low))
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


def _most_alike(x: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Which windows look most like the others, (N_WINDOWS,), and how many letters on either side belong to them.

    Windows are laid on each other by their first needed letter. Letters beside the needed ones belong to the motif as
    far as their shares say anything; windows are scored by the log-odds of the shares over all of it, and equals keep
    the order of their strength.
    """
    core = int(np.median(stop - start))
    padded = np.pad(x, ((0, 0), (0, 0), (FLANK, core + FLANK))).astype(float)
    laid = np.stack([row[:, at : at + core + 2 * FLANK] for row, at in zip(padded, start, strict=True)])
    shares = (laid.sum(0) + PSEUDOCOUNT) / (laid.sum(0) + PSEUDOCOUNT).sum(0)
    telling = 2 + (shares * np.log2(shares)).sum(0) > TELLING
    left = int(np.argmin([*telling[:FLANK][::-1], False]))
    right = int(np.argmin([*telling[FLANK + core :], False]))
    motif = slice(FLANK - left, FLANK + core + right)
    score = (laid[..., motif] * np.log(4 * shares[:, motif])).sum((1, 2))
    return np.argsort(-score.round(6), kind="stable")[:N_WINDOWS], left, right


def _written(backgrounds: np.ndarray, windows: list[np.ndarray], starts) -> np.ndarray:
    """Each background with a window written in at its start, moved inside where it would stick out."""
    x = backgrounds.copy()
    for row, (window, start) in enumerate(zip(windows, starts, strict=True)):
        at = int(np.clip(start, 0, x.shape[2] - window.shape[1]))
        x[row, :, at : at + window.shape[1]] = window
    return x


def _halve(low: np.ndarray, high: np.ndarray, holds: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest number in [low, high) for which `holds` is true, elementwise; it is taken to be true at low."""
    low, high = low.copy(), high.copy()
    while (high - low > 1).any():
        middle = (low + high) // 2
        good = holds(middle)
        low, high = np.where(good, middle, low), np.where(good, high, np.maximum(middle, low + 1))
    return low


# ---- through the network


def _rows(maps: torch.Tensor) -> torch.Tensor:
    """Maps as (N, K, W), W = 1 for a layer without positions."""
    return maps if maps.ndim == 3 else maps[:, :, None]


def _peak(maps: torch.Tensor) -> torch.Tensor:
    return _rows(maps).amax(dim=2)


def _batches(tail: Tail, x: np.ndarray, inputs, summary):
    for first in range(0, len(x), BATCH):
        batch = torch.from_numpy(x[first : first + BATCH]).to(torch.float32)
        yield summary(tail.features(inputs(batch) if inputs else batch)).cpu()


@torch.no_grad()
def _logits(tail: Tail, maps: torch.Tensor) -> np.ndarray:
    maps = maps.reshape(len(maps), *tail.shape).to(tail.device, tail.dtype)
    return torch.cat([tail.logits(maps[i : i + BATCH]).cpu() for i in range(0, len(maps), BATCH)]).numpy()


def _random(rng, n: int, length: int) -> np.ndarray:
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[rng.integers(4, size=(n, length))].transpose(0, 2, 1))


def _checked(sequences) -> np.ndarray:
    x = sequences.detach().cpu().numpy() if isinstance(sequences, torch.Tensor) else np.asarray(sequences)
    if x.ndim != 3 or x.shape[1] != 4 or not len(x):
        raise ValueError(f"expected one-hot sequences (N, 4, L), got {x.shape}")
    if not np.isin(x, (0, 1)).all():
        raise ValueError("expected one-hot sequences of zeros and ones (N, 4, L); there are other values, or NaN")
    return x.astype(np.uint8)
