"""Basins: the clusters of a class's end points, in which alternatives (OR, XOR) show.

Restarts that climb into the same maximum end at the same point, to within where the rule stopped; different maxima lie
far apart. Nothing here is to be tuned: distances are compared with the vectors' own length and with the clusters' own
spread, so that rescaling the feature map changes nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.special import stdtrit

# End points nearer than this share of the longest vector's length are one: rules stop within about 0.01 of a maximum,
# the authors' loop mostly within 0.05, and the nearest two maxima that matter in the released networks are 0.067 apart.
APART = 0.05

# Empty space parts two basins when it is too wide for the spread within them: a t statistic at this two-sided level.
# Small, because every cut of the tree is tried; with it Gaussian noise of any width splits in at most 1 % of classes, a
# single channel included.
LEVEL = 2e-4

# Distances that differ by less than this, relative to their size, are equal: they are roots of differences in float64.
ROUNDING = 1e-7


def basins(fiv: np.ndarray, objective: np.ndarray) -> np.ndarray:
    """Basin of each restart's end point.

    Parameters
    ----------
    fiv : (T, K) feature importance vectors of one class; rows that are not finite are left out.
    objective : (T,) penalised objectives; they only rank the basins.

    Returns
    -------
    (T,) int: 0 for the basin with the best objective, 1 for the next, ...; -1 for restarts left out.

    Notes
    -----
    Ours. The single-linkage tree of the end points is cut at the lowest merge that

    * joins groups further apart than 0.05 of the longest vector;
    * and than ``t * s``, where ``s`` is the pooled root mean square distance of the points from their group's centre,
      with T - B degrees of freedom for B groups, and ``t`` Student's quantile at the two-sided level 0.0002: one noisy
      basin is not split;
    * and leaves at most ``(T + 1) / 2`` groups: a basin is a place that restarts return to. Where nearly every restart
      ends somewhere of its own, as behind a convolution, there are no basins to tell and the answer is one, whose
      spread `basin_table` states. So two restarts are always one basin.
    """
    fiv, objective = np.asarray(fiv, dtype=np.float64), np.asarray(objective, dtype=np.float64)
    if fiv.ndim != 2 or objective.shape != fiv.shape[:1]:
        raise ValueError(f"expected fiv (T, K) and objective (T,) of one class, got {fiv.shape} and {objective.shape}")
    labels = np.full(len(fiv), -1)
    kept = np.isfinite(fiv).all(axis=1) & np.isfinite(objective)
    if kept.any():
        found = _groups(fiv[kept])
        labels[kept] = _ranks(found, fiv[kept], objective[kept])[found]
    return labels


def _ranks(found: np.ndarray, points: np.ndarray, objective: np.ndarray) -> np.ndarray:
    """Rank of each group: by its best objective, its size, and, so that any order of restarts gives the same, place."""
    groups = range(found.max() + 1)
    best = [objective[found == group].max() for group in groups]
    size = [(found == group).sum() for group in groups]
    place = np.array([points[found == group].mean(axis=0) for group in groups])
    return np.argsort(np.lexsort((*place.T[::-1], np.negative(size), np.negative(best))))


def basin_table(fiv: np.ndarray, score: np.ndarray, objective: np.ndarray):
    """The basins of one class, best first.

    Parameters
    ----------
    fiv, score, objective : (T, K), (T,) and (T,).

    Returns
    -------
    pandas.DataFrame indexed by basin, with ``size`` (restarts), ``share`` of the restarts that are left, ``score``
    (mean logit), ``objective`` (best), and ``spread``: root mean square distance of the end points from their mean,
    over the mean's length. About 0.01 is one maximum; about 1 is no one place at all. Empty where no restart is left.
    """
    import pandas as pd

    fiv, score, objective = (np.asarray(one, dtype=np.float64) for one in (fiv, score, objective))
    labels = basins(fiv, np.where(np.isfinite(score), objective, np.nan))
    rows = []
    for basin in range(labels.max(initial=-1) + 1):
        inside = labels == basin
        centre = fiv[inside].mean(axis=0)
        off = np.sqrt(((fiv[inside] - centre) ** 2).sum(axis=1).mean())
        length = np.sqrt((centre**2).sum())
        rows.append(
            {
                "size": int(inside.sum()),
                "share": inside.sum() / (labels >= 0).sum(),
                "score": score[inside].mean(),
                "objective": objective[inside].max(),
                "spread": off / length if length > 0 else (np.nan if off > 0 else 0.0),
            }
        )
    return pd.DataFrame(rows, columns=["size", "share", "score", "objective", "spread"]).rename_axis("basin")


def in_best_basin(fiv: np.ndarray, objective: np.ndarray) -> np.ndarray:
    """Which restarts of each class are in its best basin: bool (C, T) for fiv (C, T, K), or (T,) for (T, K)."""
    if fiv.ndim == 2:
        return in_best_basin(fiv[None], objective[None])[0]
    kept = np.isfinite(fiv).all(axis=-1) & np.isfinite(objective)
    points = np.where(kept[..., None], fiv, 0)
    centre = points.sum(axis=1, keepdims=True) / np.maximum(kept.sum(axis=1), 1)[:, None, None]
    from_centre = np.sqrt(((points - centre) ** 2).sum(axis=-1))
    reach = np.where(kept, from_centre, 0).max(axis=1, initial=0)
    length = np.sqrt((points * points).sum(axis=-1).max(axis=1, initial=0))
    best = kept.copy()
    for c in np.flatnonzero(2 * reach > APART * length):  # the others cannot have two: no two points are far enough
        best[c] = basins(fiv[c], objective[c]) == 0
    return best


def _groups(points: np.ndarray) -> np.ndarray:
    """(T,) group of each point, numbered from 0."""
    n = len(points)
    one = np.zeros(n, dtype=int)
    points = points / (np.abs(points).max() or 1.0)  # so that squares neither overflow nor vanish
    square = np.einsum("tk,tk->t", points, points)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * points @ points.T, 0))
    far = distance > APART * np.sqrt(square.max())
    if n < 3 or not far.any():
        return one
    tree = scipy_linkage(distance[np.triu_indices(n, 1)], method="single")
    height = tree[:, 2]
    below = np.append(0.0, height[:-1])
    groups = n - np.arange(n - 1)  # how many there are just below each merge
    freedom = np.maximum(n - groups, 1)
    spread = np.sqrt(_within(points, square, tree) / freedom)
    parted = (
        (height > APART * np.sqrt(square.max()))
        & (height > stdtrit(freedom, 1 - LEVEL / 2) * spread)
        & (2 * groups <= n + 1)
        & (height - below > ROUNDING * height)  # of merges at one height, only the first is a cut
    )
    if not parted.any():
        return one
    lowest = int(parted.argmax())
    return fcluster(tree, (below[lowest] + height[lowest]) / 2, criterion="distance") - 1


def _within(points: np.ndarray, square: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """(T - 1,) sum of squared distances from the groups' centres, just below each merge of the tree."""
    n = len(points)
    total, size = np.vstack([points, np.zeros((n - 1, points.shape[1]))]), np.ones(2 * n - 1)
    held = np.append(square, np.zeros(n - 1))  # |sum|**2 / size of each node
    left = np.empty(n - 1)
    rest = 0.0
    for row, (a, b) in enumerate(tree[:, :2].astype(int).tolist()):
        left[row] = rest
        node = n + row
        np.add(total[a], total[b], out=total[node])
        size[node] = size[a] + size[b]
        held[node] = total[node] @ total[node] / size[node]
        rest += max(held[a] + held[b] - held[node], 0.0)
    return left
