"""What a page shows of a resolution, as arrays: computed once, small enough to travel in one file.

C classes (targets), T restarts, K channels, B basins. Importances are rounded to 1/32767 of the class's largest number,
far below their spread; convergence to 1/32 of a decade.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dr_explorer import importance, layout, similarity
from dr_explorer.motifs import letter_heights, ppm_from_weights

if TYPE_CHECKING:
    from dr_explorer.resolution import Resolution

INT16 = 32767
NOTHING = -INT16 - 1  # stands for NaN
TINY = float(np.finfo(np.float32).tiny)  # the scale of a class whose numbers are all zero
GAP_STEPS = 32  # steps a decade of the convergence lines
DECADES = 7  # told apart below a class's widest gap
POINTS = 96  # of a convergence line: more than its panel has pixels to tell apart
BASINS = 4  # basins with a mark of their own; those with fewer restarts are left out
NO_SIMILARITY = 0  # the byte of a pair of classes without a similarity; 1 to 255 are -1 to 1
MIDDLE = 128


@dataclass
class ClassReading:
    """One class: everything its importance rows show, (K,) each, and the basins of its restarts (T,)."""

    ofiv: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spread: np.ndarray  # standard deviation over restarts, the square root of the inconsistency level
    disagree: np.ndarray
    basin: np.ndarray
    basin_means: np.ndarray  # (B, K) mean FIV of each basin; B = 0 where all restarts ended in one


def read_class(resolution: Resolution, c: int, combine: str = "weighted", level: float = 0.95) -> ClassReading:
    """The numbers of one class."""
    fiv, score, objective = (resolution.dataset[name].values[c] for name in ("fiv", "score", "objective"))
    low, high = importance.interval(fiv, score, combine, level, objective=objective)
    labels = importance.basins(fiv, objective)
    found = np.bincount(labels[labels >= 0], minlength=1)
    means = [fiv[labels == b].mean(axis=0) for b in range(min(len(found), BASINS))] if len(found) > 1 else []
    return ClassReading(
        ofiv=importance.ofiv(fiv, score, objective, combine=combine),
        low=low,
        high=high,
        spread=np.sqrt(importance.inconsistency(fiv, score)),
        disagree=importance.inconsistent(fiv, score),
        basin=labels,
        basin_means=np.reshape(means, (-1, fiv.shape[-1])),
    )


@dataclass
class Tree:
    """The classes by what they share: similarity (C, C), linkage, leaf order, support of the branches (C - 1,)."""

    similarity: np.ndarray
    branches: np.ndarray
    order: np.ndarray
    support: np.ndarray

    @property
    def place(self) -> np.ndarray:
        """(C,) where each class stands in the order."""
        return np.argsort(self.order)


def read_tree(resolution: Resolution, metric: str, combine: str = "weighted", n_boot: int = 0) -> Tree:
    """Similarity, tree and, with `n_boot` resamplings, the support of its branches (NaN without)."""
    similar = resolution.similarity(metric, combine).values
    branches = similarity.linkage(similar)
    support = np.full(len(branches), np.nan)
    if n_boot and len(branches):
        support = resolution.support(metric, combine, n_boot)
    order = similarity.leaf_order(branches) if len(branches) else np.zeros(1, int)
    return Tree(similar, branches, order, support)


def similarity_bytes(values: np.ndarray) -> np.ndarray:
    """Similarities as bytes: 1 to 255 for -1 to 1, 0 where there is none."""
    filled = np.nan_to_num(values)
    return np.where(np.isfinite(values), np.rint(MIDDLE + (MIDDLE - 1) * filled), NO_SIMILARITY).astype(np.uint8)


def logo_heights(resolution: Resolution) -> np.ndarray | None:
    """(K, 4, width) letter heights in bits of the channels' own filters, where the channels are the first layer's."""
    if "first_layer" not in resolution.dataset:
        return None
    return letter_heights(ppm_from_weights(resolution.dataset.first_layer.values)).astype(np.float32)


def pack(resolution: Resolution, classes: list[ClassReading], tree: Tree) -> dict[str, Any]:
    """Everything the page's own code reads.

    The numbers of a class are one base64 string, which the page decodes when that class is selected: int16 for OFIV,
    low, high and spread (K each) and the basins' means (B x K), in units of the class's scale, then bytes for its
    convergence (T x P). A negative spread says that the restarts disagree, so that the flag costs nothing.
    """
    data = resolution.dataset
    steps, gap, gap_low = convergence_bytes(data)
    records, scales = [], []
    for one, lines in zip(classes, gap, strict=True):
        numbers = np.concatenate([np.stack([one.ofiv, one.low, one.high, one.spread]), one.basin_means])
        scale = max(float(np.abs(np.nan_to_num(numbers, posinf=0, neginf=0)).max(initial=0)) / INT16, TINY)
        rounded = _int16(numbers, scale)
        rounded[3] = np.where(one.disagree, -np.maximum(rounded[3], 1), rounded[3])
        records.append(b64encode(rounded.astype("<i2").tobytes() + lines.tobytes()).decode("ascii"))
        scales.append(scale)
    return {
        "records": records,
        "scale": np.array(scales),
        "basins": np.array([len(one.basin_means) for one in classes], np.int32),
        "names": [layout.plain(name) for name in resolution.targets],
        "channels": [layout.plain(name) for name in data.channel.values],
        "basin": np.stack([one.basin for one in classes]).astype(np.int8),
        "sharing": similarity.sharing(np.stack([one.ofiv for one in classes])).astype(np.int32),
        "place": tree.place.astype(np.int32),
        "order": tree.order.astype(np.int32),
        "parent": layout.parents(tree.branches).astype(np.int32),
        "steps": steps.astype(np.int32),
        "gap_low": gap_low,
        "status": data.status.values.astype(np.uint8),
        "logo": logo_heights(resolution),
    }


def _int16(values: np.ndarray, scale: float) -> np.ndarray:
    """Values in units of a scale; NaN as the smallest number there is."""
    scaled = np.rint(np.clip(np.nan_to_num(values) / scale, -INT16, INT16))
    return np.where(np.isfinite(values), scaled, NOTHING).astype(np.int16)


def convergence(resolution: Resolution, c: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps (P,) of a class's convergence lines and how far below the best each restart is (T, P); NaN: none."""
    data = resolution.dataset
    if "trace_objective" not in data:
        return np.zeros(1), np.full((data.sizes["restart"], 1), np.nan)
    return data.trace_step.values, layout.gaps(data.trace_objective.values[c])


def convergence_bytes(data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convergence lines with at most `POINTS` points: steps (P,), gaps (C, T, P) as bytes, and their zero (C,).

    A byte b is the gap ``10**(zero + (b - 1) / GAP_STEPS)``; 0 is no point.
    """
    if "trace_objective" not in data:
        shape = (data.sizes["target"], data.sizes["restart"], 1)
        return np.zeros(1), np.zeros(shape, np.uint8), np.zeros(shape[0])
    trace = data.trace_objective.values
    used = np.flatnonzero(np.isfinite(trace).any(axis=(0, 1)))
    used = used if used.size else np.arange(1)
    kept = used[np.unique(np.linspace(0, len(used) - 1, POINTS).astype(int))]
    decades = np.log10(layout.gaps(trace)[..., kept])
    finite = np.isfinite(decades)
    top = np.where(finite, decades, -np.inf).max(axis=(1, 2))
    zero = np.where(np.isfinite(top), top, 0.0) - DECADES
    level = 1 + np.clip(np.rint((np.nan_to_num(decades) - zero[:, None, None]) * GAP_STEPS), 0, 254)
    return data.trace_step.values[kept], np.where(finite, level, 0).astype(np.uint8), zero
