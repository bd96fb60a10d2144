"""What a class is made of: its restarts' feature importance vectors put together, each number with its spread.

Shapes throughout: C classes (targets), T restarts, K channels. `fiv` is (C, T, K) or (T, K); `score` and `objective`
are (C, T) or (T,). A restart whose vector or score is not finite (diverged, unfinished) is left out of every summary;
where nothing is left the answer is NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.special import stdtrit
from scipy.stats import norm

# Scores come from float32 networks: a spread below a few of its rounding steps is a tie, not an order.
TIE = 4 * float(np.finfo(np.float32).eps)


def score_weights(score: np.ndarray) -> np.ndarray:
    """Weight of each restart: its class score, shifted by the smallest one when any is negative, over their sum.

    Parameters
    ----------
    score : (..., T) logits. Values that are not finite are left out (weight 0).

    Returns
    -------
    (..., T) weights that sum to 1 (NaN where no restart is left). Where all shifted scores are 0 to within float32
    rounding, and the formula is 0/0, the restarts that are left weigh the same.

    Notes
    -----
    The authors' released code. With a negative score among them the lowest restart weighs nothing.
    """
    score = np.asarray(score, dtype=np.float64)
    present = np.isfinite(score)
    filled = np.where(present, score, 0.0)
    lowest = np.where(present, score, np.inf).min(axis=-1, keepdims=True)
    shifted = np.where(present & (lowest < 0), filled - np.minimum(lowest, 0), filled)
    size = np.abs(filled).max(axis=-1, keepdims=True)
    tie = shifted.max(axis=-1, keepdims=True) <= TIE * size
    shifted = np.where(tie, present, shifted)
    total = shifted.sum(axis=-1, keepdims=True)
    return np.divide(shifted, total, out=np.full_like(shifted, np.nan), where=total > 0)


def _readable(fiv: np.ndarray, score: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`fiv` in float64 with the rows left out set to 0, the scores with NaN there, and which rows are left."""
    fiv = np.asarray(fiv, dtype=np.float64)
    if fiv.ndim not in (2, 3):
        raise ValueError(f"expected fiv of shape (C, T, K) or (T, K), got {fiv.shape}")
    score = np.zeros(fiv.shape[:-1]) if score is None else np.asarray(score, dtype=np.float64)
    if score.shape != fiv.shape[:-1]:
        raise ValueError(f"expected one value a restart, shape {fiv.shape[:-1]}, got {score.shape}")
    kept = np.isfinite(fiv @ np.ones(fiv.shape[-1])) & np.isfinite(score)
    if not kept.all():
        fiv = np.where(kept[..., None], fiv, 0.0)
        score = np.where(kept, score, np.nan)
    return fiv, score, kept


def _weighted_mean(weights: np.ndarray, fiv: np.ndarray) -> np.ndarray:
    return (weights[..., None, :] @ fiv)[..., 0, :]


def _even(kept: np.ndarray) -> np.ndarray:
    """Equal weights over the restarts that are left; NaN where none is."""
    count = kept.sum(axis=-1, keepdims=True)
    return np.divide(kept, count, out=np.full(kept.shape, np.nan), where=count > 0)


def inconsistency(fiv: np.ndarray, score: np.ndarray, weighted: bool = True) -> np.ndarray:
    """Inconsistency level (IL): variance of each channel's importance over the restarts.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits of the runs.
    weighted : weigh restarts by `score_weights` (the authors' code); otherwise the plain variance of the paper.

    Returns
    -------
    (C, K) or (K,): the (weighted) mean of squared deviations from the (weighted) mean, in squared units of the feature
    map. NaN where no restart is left.
    """
    fiv, score, kept = _readable(fiv, score)
    weights = score_weights(score) if weighted else _even(kept)
    centred = fiv - _weighted_mean(weights, fiv)[..., None, :]
    return _weighted_mean(weights, centred * centred)


def ofiv(
    fiv: np.ndarray, score: np.ndarray, objective: np.ndarray | None = None, combine: str = "weighted"
) -> np.ndarray:
    """Overall feature importance vector (OFIV): the restarts of a class put together, one number a channel.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits of the runs.
    objective : (C, T) or (T,) penalised objective of the runs, for ``combine="basins"``; the scores where not given.
    combine : how the restarts are put together:

        ``"weighted"``
            mean weighted by class score (the authors' code and published numbers);
        ``"max"``
            the paper's two-case rule: the plain mean for consistent channels, the maximum over restarts for
            inconsistent ones, as told by `inconsistent`;
        ``"basins"``
            ours: the plain mean over the restarts of the best basin (`basins`), so that two different solutions are
            never averaged into a third that the network does not want.

    Returns
    -------
    (C, K) or (K,), in units of the feature map. NaN where no restart is left.

    Raises
    ------
    ValueError
        for shapes that do not match, or an unknown `combine`.
    """
    fiv, score, kept = _readable(fiv, score)
    if combine == "weighted":
        return _weighted_mean(score_weights(score), fiv)
    if combine == "max":
        highest = np.where(kept[..., None], fiv, -np.inf).max(axis=-2)
        return np.where(inconsistent(fiv, score), highest, _weighted_mean(_even(kept), fiv))
    if combine == "basins":
        objective = score if objective is None else np.asarray(objective, dtype=np.float64)
        if fiv.ndim == 2:
            best = basins(fiv, np.where(kept, objective, np.nan)) == 0
        else:
            rows = zip(fiv, np.where(kept, objective, np.nan), strict=True)
            best = np.array([basins(one, values) == 0 for one, values in rows]).reshape(kept.shape)
        return _weighted_mean(_even(best), fiv)
    raise ValueError(f"combine is 'weighted', 'max' or 'basins', not {combine!r}")


def inconsistent(fiv: np.ndarray, score: np.ndarray, level: float = 0.05) -> np.ndarray:
    """Which channels end at different values in different restarts: (C, K) or (K,) of bool."""
    fiv, score, kept = _readable(fiv, score)
    weights = _even(kept)
    mean = _weighted_mean(weights, fiv)
    spread = np.sqrt(_weighted_mean(weights, (fiv - mean[..., None, :]) ** 2))
    size = np.abs(mean).max(axis=-1, keepdims=True)
    return np.nan_to_num(spread, nan=0.0) > level * np.nan_to_num(size, nan=np.inf)


# Two groups of end points are two basins when the empty space between them is this many times the wider of the two...
GAP = 2.0
# ...and at least this share of the feature vectors' own length: what an unconverged iterate wanders is far below it.
APART = 0.1


def basins(fiv: np.ndarray, objective: np.ndarray) -> np.ndarray:
    """Clusters of the restarts' end points: (T,) labels, 0 for the basin of the best objective, -1 for left out.

    Parameters
    ----------
    fiv : (T, K) feature importance vectors of one class.
    objective : (T,) penalised objective of the runs; orders the basins, best first.
    """
    fiv, objective, kept = _readable(fiv, objective)
    labels = np.full(len(kept), -1)
    points, values = fiv[kept], objective[kept]
    if len(points) == 0:
        return labels
    found = _clusters(points)
    best = np.array([values[found == one].max() for one in range(found.max() + 1)])
    rank = np.empty(len(best), dtype=int)
    rank[np.argsort(-best, kind="stable")] = np.arange(len(best))
    labels[kept] = rank[found]
    return labels


def _clusters(points: np.ndarray) -> np.ndarray:
    """Single-linkage clusters, cut at the widest gap in merge heights that is wide enough."""
    if len(points) == 1:
        return np.zeros(1, dtype=int)
    square = (points * points).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * points @ points.T, 0))
    upper = np.triu_indices(len(points), 1)
    tree = scipy_linkage(distance[upper], method="single")
    heights = tree[:, 2]
    floor = APART * np.sqrt(square.max())
    below = np.maximum(np.concatenate([[0.0], heights[:-1]]), floor / GAP)
    ratio = heights / below
    widest = int(ratio.argmax())
    if ratio[widest] <= GAP:
        return np.zeros(len(points), dtype=int)
    return fcluster(tree, heights[widest] * (1 - 1e-9), criterion="distance") - 1


@lru_cache(maxsize=32)
def _resamplings(n: int, n_boot: int, random_state: int) -> np.ndarray:
    """(n_boot, n) times each of n restarts is drawn in each resampling."""
    drawn = np.random.default_rng(random_state).integers(n, size=(n_boot, n))
    counts = np.zeros((n_boot, n))
    np.add.at(counts, (np.arange(n_boot)[:, None], drawn), 1)
    counts.flags.writeable = False
    return counts


def interval(
    fiv: np.ndarray,
    score: np.ndarray,
    combine: str = "weighted",
    level: float = 0.95,
    n_boot: int = 500,
    random_state: int = 0,
    objective: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap interval of every OFIV number over the restarts of a class.

    Parameters
    ----------
    fiv, score, combine, objective : as for `ofiv`.
    level : confidence of the interval.
    n_boot : resamplings of the restarts; the score weights are computed anew in each.
    random_state : the same number gives the same interval.

    Returns
    -------
    low, high : (C, K) or (K,) each. NaN where fewer than two restarts are left.
    """
    fiv, score, kept = _readable(fiv, score)
    objective = score if objective is None else np.asarray(objective, dtype=np.float64)
    if fiv.ndim == 2:
        return _interval_of_class(fiv[kept], score[kept], objective[kept], combine, level, n_boot, random_state)
    low, high = np.full((2, fiv.shape[0], fiv.shape[2]), np.nan)
    for c in range(len(fiv)):
        rows = kept[c]
        low[c], high[c] = _interval_of_class(
            fiv[c, rows], score[c, rows], objective[c, rows], combine, level, n_boot, random_state
        )
    return low, high


def _interval_of_class(fiv, score, objective, combine, level, n_boot, random_state):
    n = len(fiv)
    if n < 2:
        return np.full((2, fiv.shape[1]), np.nan)
    order = np.argsort(score, kind="stable")  # restarts have no order of their own: neither has the answer
    fiv, score, objective = fiv[order], score[order], objective[order]
    tail = norm.cdf(stdtrit(n - 1, (1 - level) / 2) * np.sqrt(n / (n - 1)))
    if combine == "basins":
        best = basins(fiv, objective) == 0
        if best.sum() < 2:
            return np.full((2, fiv.shape[1]), np.nan)
        fiv, score, n = fiv[best], score[best], int(best.sum())
    counts = _resamplings(n, n_boot, random_state)
    if combine == "weighted":
        weights = score_weights(np.where(counts > 0, score, np.nan))
        weights = weights * counts
        weights = weights / weights.sum(axis=1, keepdims=True)
    else:
        weights = counts / n
    means = np.sort(fiv.T @ weights.T, axis=1)
    at = np.clip(np.array([tail, 1 - tail]) * (n_boot - 1), 0, n_boot - 1)
    low, high = (means[:, int(np.floor(at[0]))], means[:, int(np.ceil(at[1]))])
    if combine == "max":
        flags = inconsistent(fiv, score)
        ascending = np.sort(fiv, axis=0)
        reach = (np.arange(1, n + 1) / n) ** n
        low = np.where(flags, ascending[np.searchsorted(reach, tail)], low)
        high = np.where(flags, ascending[-1], high)
    return low, high
