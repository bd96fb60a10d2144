"""From a class to the features that decide it and the logic they follow, with nothing known beforehand.

Every channel is tried as the seed of a feature. Of all sets of one, two and three features the smallest is taken whose
truth table explains what the network says of whole sequences: whether each feature is present in a sequence picks a
corner of the table, and the corners' logits are compared with the network's own. Halves and doubles of a motif fall
out by themselves, since they explain nothing that the motif does not; so does a table that was read wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from dr_explorer.groups import Feature, Scene, all_corners, corners, features, levels, outputs, planted, weak
from dr_explorer.logic import MOST_FEATURES, Reading, read, unclear
from dr_explorer.scenes import scene_of

# Channels tried as seeds; beyond that, those whose own strong level moves the class most.
MOST_SEEDS = 48
# Backgrounds the sets are compared on: fewer than for reading, since there are many sets.
N_COMPARING = 16
# Sequences whose outputs have to be explained.
N_EXPLAINED = 4_000
# Seeds that raise each other by this part of their range may stand for one motif. A motif's half raises it by more than
# a different motif with a few letters in common does, but there is no sharp border: all are tried.
ALIKE = (0.25, 0.4, 0.6)
# Features of which sets are made, for each border.
N_DISTINCT = 5
# Sets of one size that explain as much as the best one, to this much, are chosen among by other measures.
TIE = 0.03
# One more feature must raise the correlation with the network's outputs by this much.
WORTH = 0.02
# A table that explains less than this (correlation) is not the class's logic. On 43 planted networks tables read right
# explained 0.906 and more, wrong ones 0.82 and less.
EXPLAINED = 0.88


@dataclass(frozen=True, eq=False)
class Found:
    """The features that decide a class, and how.

    Attributes
    ----------
    features : list of Feature
        One to three, in the order of the names A, B, C.
    reading : Reading
        Their logic; "unclear" where the table does not explain the network's outputs, whatever its bits.
    explained : float
        Correlation of the table's logits with the network's own over sequences.
    by_size : tuple of float
        The best such correlation with one, two, three features, while looking for them on fewer backgrounds.
    """

    features: list[Feature]
    reading: Reading
    explained: float
    by_size: tuple[float, ...]


def find(scene: Scene, target: int, *, seeds=None, keep: int = MOST_FEATURES, threshold: float = 0.0) -> Found:
    """Find the features that decide a class and read their logic.

    Parameters
    ----------
    scene : from `groups.scene`.
    target : column of the class.
    seeds : channels to try; default all that sequences excite, at most 48.
    keep : at most this many features, 1-3.
    threshold : logit above which the class counts as called.

    Raises
    ------
    ValueError
        No channel responds to the sequences, or a channel that does not exist.

    Notes
    -----
    Ours. Ranking seeds by effect and merging those that raise each other was right on 36-37 and wrong on 3-5 of 43
    planted networks: motifs that share three letters were taken for one.
    """
    if not 1 <= keep <= MOST_FEATURES:
        raise ValueError(f"keep must be 1 to {MOST_FEATURES}, not {keep!r}")
    seeds = list(seeds) if seeds is not None else candidates(scene, target)
    if not seeds:
        raise ValueError("no channel responds to the sequences; give sequences= of the kind the network knows")
    # All backgrounds alike while looking: one that is free of every channel's motif is no longer a typical one.
    typical = scene.first(scene.n_backgrounds)
    tried = features(typical, seeds)
    sets = _best_sets(typical, tried, target, keep)
    by_size = tuple(score for score, _ in sets)
    size = next(k for k, score in enumerate(by_size) if score >= max(by_size) - WORTH)
    found = [tried[k].seed for k in sets[size][1]]
    scene = scene.without(found)
    chosen = features(scene, found)
    reading = read(corners(scene, chosen, target), threshold=threshold)
    deciding = [k for k in range(len(chosen)) if (reading.bits.take(0, k) != reading.bits.take(1, k)).any()]
    if 0 < len(deciding) < len(chosen) and reading.logic != "additive":
        chosen = [chosen[k] for k in deciding]
        reading = read(corners(scene, chosen, target), threshold=threshold)
    states, said = presence(scene, chosen, target)
    explained = _correlation(reading.corners[tuple(states)], said)
    if explained < EXPLAINED:
        reading = unclear(reading, f"its features explain too little of what the network says (r = {explained:.2f})")
    elif len(np.unique(reading.bits)) < len(np.unique(said > threshold)):
        reading = unclear(reading, f"the class is called in some sequences, and {reading.formula} by its features")
    elif weakness := weak(chosen):
        reading = unclear(reading, weakness)
    return Found(chosen, reading, explained, by_size)


def read_class(model, layer, target: int = 0, *, threshold: float = 0.0, **looking) -> Found:
    """The features that decide a class of a network and their logic: `find`, from a model.

    Parameters
    ----------
    model, layer : as for `dr_explorer.resolve`.
    target : column of the class.
    threshold : the logit above which the class counts as called.
    **looking : as for `dr_explorer.scenes.scene_of`; best with ``sequences``, one-hot (N, 4, L), in which the class's
        motifs occur, such as the test set. Without them the network is asked for its own, as `dr_explorer.pairwise`
        does.
    """
    return find(scene_of(model, layer, target=target, **looking), target, threshold=threshold)


def _best_sets(scene: Scene, tried: list[Feature], target: int, keep: int) -> list[tuple[float, tuple[int, ...]]]:
    """The best set of each size: how well it explains the outputs, and which of the features it has."""
    few, short = scene.first(N_COMPARING), [one.first(N_COMPARING) for one in tried]
    effect = effects(few, short, target)
    states, said = presence(scene, tried, target)
    best = []
    for sets in _sets(tried, effect, keep):
        logits = all_corners(few, [tuple(short[k] for k in chosen) for chosen in sets], target)
        tables = logits.mean(-1)
        scores = [_correlation(t[tuple(states[list(c)])], said) for t, c in zip(tables, sets, strict=True)]
        # Of sets that explain as much, the one on which the backgrounds agree most: its windows hold the whole motifs.
        agreed = ((logits > 0) == (tables > 0)[..., None]).mean(-1).reshape(len(sets), -1).min(1)
        near = np.array(scores) >= max(scores) - TIE
        index = max(np.nonzero(near)[0], key=lambda k: (round(float(agreed[k]), 1), scores[k]))
        best.append((scores[index], sets[index]))
    return best


def _sets(tried: list[Feature], effect: np.ndarray, keep: int) -> list[list[tuple[int, ...]]]:
    """Sets worth trying, by size: of the most effective features that are not alike, by several measures of alike."""
    order = np.argsort(-effect, kind="stable")
    sets: list[dict[tuple[int, ...], None]] = [{} for _ in range(min(keep, len(tried)))]
    for level in ALIKE:
        distinct: list[int] = []
        for k in order:
            if len(distinct) < N_DISTINCT and not any(alike(tried[k], tried[other], level) for other in distinct):
                distinct.append(int(k))
        for size, found in enumerate(sets, 1):
            found.update(dict.fromkeys(combinations(distinct, size)))
    return [list(found) for found in sets if found]


def alike(one: Feature, other: Feature, level: float) -> bool:
    """Do two seeds stand for the same motif, or for parts of it: either's windows raise the other beyond a level."""
    return bool(max(one.rise[other.seed], other.rise[one.seed]) > level)


def effects(scene: Scene, tried: list[Feature], target: int) -> np.ndarray:
    """The most each feature moves the class (logit), alone or with one of the others present: (S,)."""
    alone = all_corners(scene, [(one,) for one in tried], target).mean(-1)  # (S, 2)
    most = np.abs(alone[:, 1] - alone[:, 0])
    pairs = [(i, j) for j in range(len(tried)) for i in range(j) if not alike(tried[i], tried[j], ALIKE[0])]
    if pairs:
        table = all_corners(scene, [(tried[i], tried[j]) for i, j in pairs], target).mean(-1)
        for (i, j), s in zip(pairs, table, strict=True):
            most[i] = max(most[i], abs(s[1, 1] - s[0, 1]))
            most[j] = max(most[j], abs(s[1, 1] - s[1, 0]))
    return most


def presence(scene: Scene, tried: list[Feature], target: int) -> tuple[np.ndarray, np.ndarray]:
    """Which features are present in sequences (S, N), 0 or 1, and the network's logits for them (N,).

    The sequences are the given ones, or, with none given, backgrounds with windows of the features planted at random:
    in random sequences two motifs hardly ever meet. A feature is present where its group's mean level is above the
    middle between backgrounds and backgrounds with its windows.
    """
    if scene.given:
        maxima, logits = scene.maxima[:N_EXPLAINED], outputs(scene, scene.pool[:N_EXPLAINED])
    else:
        maxima, logits = planted(scene, tried, N_EXPLAINED)
    states = [_level(scene, maxima, one) > np.mean(levels(scene, one, _level)) for one in tried]
    return np.array(states).astype(int), logits[:, target]


def _level(scene: Scene, maxima: np.ndarray, one: Feature) -> np.ndarray:
    """Mean level of a feature's group in sequences (N,), each channel's between 0 (off) and 1 (on)."""
    range_ = scene.range[one.members]
    rise = maxima[:, one.members] - scene.off[one.members]
    return np.clip(np.divide(rise, range_, out=np.zeros_like(rise), where=range_ > 0), 0, 1).mean(1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r; 0 where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def candidates(scene: Scene, target: int) -> list[int]:
    """The channels worth trying as seeds: those that sequences excite, at most 48, those that move the class most."""
    alive = np.nonzero(scene.range > 0)[0]
    if len(alive) <= MOST_SEEDS:
        return alive.tolist()
    few = scene.first(N_COMPARING)
    width = few.maps.shape[2]
    raised = []
    for k in alive:
        rows = few.maps[:, [k]].clone()
        rows[torch.arange(len(rows)), 0, torch.arange(len(rows)) % width] = float(scene.on[k])
        raised.append(Feature(int(k), np.array([k]), np.zeros(len(scene.on)), rows, [], []))
    single = all_corners(few, [(one,) for one in raised], target).mean(-1)
    return alive[np.argsort(-np.abs(single[:, 1] - single[:, 0]), kind="stable")[:MOST_SEEDS]].tolist()
