"""Which classes are made of the same parts: similarity, the class tree and its support, difference, sharing.

Shapes: C classes (targets), T restarts, K channels. A class whose vector is not finite (all its restarts diverged) or,
where the metric needs variance, constant or zero, has no similarity: its row and column are NaN. It is no crash and no
silent 0. In the tree such classes stand last, joined one by one at the largest distance there is, with support NaN.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from dr_explorer import importance, restarts
from dr_explorer.asked import whole_number
from dr_explorer.class_tree import FARTHEST, clade_marks, cut, leaf_order, linkage, own_order, tied

__all__ = [
    "METRICS",
    "cut",
    "difference",
    "favoured",
    "leaf_order",
    "linkage",
    "shared_by",
    "sharing",
    "similarity",
    "support",
]

#: The metrics by name: what is done to the OFIVs before they are scaled to unit length and multiplied.
METRICS = {
    "pearson_positive": "Pearson's r of max(OFIV, 0): shared favoured features (the paper's)",
    "signed": "Pearson's r of the OFIV itself: unfavoured features count too",
    "cosine": "cosine of the angle between OFIVs: signed, and not centred",
    "spearman": "Spearman's rank correlation of OFIVs",
}

# Resamplings for the support: as many as compare this many pairs of classes in all, a second's work, within bounds.
PAIRS = 5e7
RESAMPLINGS = (50, 300)

# Feature vectors are means of float32 numbers: a spread below its rounding, relative to their size, is none.
FLAT = float(np.finfo(np.float32).eps)


def similarity(ofiv: np.ndarray, metric: str = "pearson_positive") -> np.ndarray:
    """Similarity of every pair of classes.

    Parameters
    ----------
    ofiv : (C, K) overall feature importance vectors.
    metric : a key of `METRICS`.

    Returns
    -------
    (C, C) symmetric, in [-1, 1], 1 on the diagonal; NaN in the rows and columns of classes without a similarity: those
    that are not finite, or whose compared vector is constant (zero for the cosine). With one channel that is every
    class, except for the cosine.

    Raises
    ------
    ValueError
        For another shape, or an unknown `metric`.

    Notes
    -----
    The default is the paper's: shared favoured features make classes alike, shared unfavoured ones do not.
    """
    unit = _unit_vectors(np.asarray(ofiv, dtype=np.float64), metric)
    similar = np.clip(unit @ unit.T, -1, 1)
    defined = np.isfinite(unit).all(axis=1)
    np.fill_diagonal(similar, np.where(defined, 1.0, np.nan))
    return similar


def _unit_vectors(ofiv: np.ndarray, metric: str) -> np.ndarray:
    """(C, K) vectors of length 1 whose products are the similarities; NaN for classes that have none."""
    if ofiv.ndim != 2:
        raise ValueError(f"expected ofiv of shape (C, K), got {ofiv.shape}")
    if metric not in METRICS:
        raise ValueError(f"metric is one of {', '.join(map(repr, METRICS))}, not {metric!r}")
    if metric == "spearman":
        finite = np.isfinite(ofiv).all(axis=1, keepdims=True)
        ofiv = np.where(finite, rankdata(ofiv, axis=1).astype(ofiv.dtype), np.nan)
    elif metric == "pearson_positive":
        ofiv = np.maximum(ofiv, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        vectors = ofiv / np.abs(ofiv).max(axis=1, keepdims=True)  # so that squares neither overflow nor vanish
        size = np.sqrt(np.einsum("ck,ck->c", vectors, vectors))
        if metric != "cosine":
            vectors -= vectors.mean(axis=1, keepdims=True)
        length = np.sqrt(np.einsum("ck,ck->c", vectors, vectors))
        vectors /= np.where(length > FLAT * size, length, np.nan)[:, None]
    return vectors


def support(
    fiv: np.ndarray,
    score: np.ndarray,
    tree: np.ndarray,
    n_boot: int | None = None,
    *,
    metric: str = "pearson_positive",
    combine: str = "weighted",
    objective: np.ndarray | None = None,
    random_state: int = 0,
) -> np.ndarray:
    """Support of every branch of the class tree: in what share of resamplings its classes are one clade again.

    In each resampling the restarts are drawn anew within each class, and OFIVs, similarity and linkage made from them.

    Parameters
    ----------
    fiv : (C, T, K) feature importance vectors; NaN rows are left out.
    score : (C, T) logits.
    tree : (C - 1, 4) the tree to support, from `linkage`.
    n_boot : resamplings; by default 300, for more than 400 classes fewer: 200 for 500, 50 for 1,000 and more. The
        standard error of a support p is sqrt(p (1 - p) / n_boot): at most 0.03 for 300 and 0.07 for 50.
    metric, combine, objective : as the tree was made; the scores stand in for objectives that are not given.
    random_state : the same number gives the same support.

    Returns
    -------
    (C - 1,) in [0, 1], row by row. NaN where there is nothing to say: no class has two restarts; the branch holds a
    class without a similarity; or it is as high as the branch above it, so that the order of joining is arbitrary.
    """
    fiv, score, kept = importance.readable(fiv, score)
    tree = np.asarray(tree, dtype=np.float64)
    if fiv.ndim != 3 or tree.shape != (len(fiv) - 1, 4):
        raise ValueError(f"expected fiv (C, T, K) and its tree (C - 1, 4), got {fiv.shape} and {tree.shape}")
    if len(tree) == 0 or kept.sum(axis=1).max() < 2:
        return np.full(len(tree), np.nan)
    objective = restarts.like_score(objective, score)
    similar = similarity(importance.ofiv(fiv, score, objective, combine), metric)
    undefined = np.isnan(np.diagonal(similar))
    own = own_order(similar)
    n_boot = int(np.clip(PAIRS / len(fiv) ** 2, *RESAMPLINGS)) if n_boot is None else whole_number("n_boot", n_boot)
    rng = np.random.default_rng(random_state)
    marks = rng.integers(2**62, size=len(fiv)).tolist()
    wanted = clade_marks(tree, [marks[seat] for seat in np.argsort(own)])
    fiv, score, objective, kept = fiv[own], score[own], objective[own], kept[own]
    order = restarts.own_order(fiv, score)
    found = np.zeros(len(tree))
    for _ in range(n_boot):
        drawn = _resampled_ofiv(fiv, score, objective, kept, order, combine, rng)
        again = set(clade_marks(_unordered_tree(_unit_vectors(drawn, metric)), marks))
        found += [mark in again for mark in wanted]
    nameless = np.array(clade_marks(tree, undefined.astype(int).tolist())) > 0
    return np.where(nameless | tied(tree), np.nan, found / n_boot)


def _resampled_ofiv(fiv, score, objective, kept, order, combine: str, rng: np.random.Generator) -> np.ndarray:
    """(C, K) OFIVs of one resampling of the restarts within each class."""
    n_classes, n_restarts = kept.shape
    sizes = kept.sum(axis=1, keepdims=True)
    turn = (rng.random(kept.shape) * sizes).astype(int)  # which of the restarts that are left; all 0 where none is
    restart = np.take_along_axis(order, turn, axis=1)  # those left out come last
    counted = np.arange(n_restarts) < sizes  # a class with fewer restarts has fewer draws
    if combine != "weighted":
        rows = np.arange(n_classes)[:, None]
        again = np.where(counted[..., None], fiv[rows, restart], np.nan)
        return importance.ofiv(again, score[rows, restart], objective[rows, restart], combine)
    counts = np.zeros(kept.shape)
    np.add.at(counts, (np.arange(n_classes)[:, None], restart), counted)
    weights = importance.resampled_weights(score, counts)
    return (weights[:, None, :] @ fiv)[:, 0]


def _unordered_tree(unit: np.ndarray) -> np.ndarray:
    undefined = np.isnan(unit[:, 0])
    unit[undefined] = 0
    similar = unit @ unit.T
    similar[undefined] = similar[:, undefined] = 1 - FARTHEST
    return scipy_linkage(1 - squareform(similar, checks=False), method="average")


def difference(
    fiv: np.ndarray,
    score: np.ndarray,
    a: int,
    b: int,
    *,
    combine: str = "weighted",
    objective: np.ndarray | None = None,
    level: float = 0.95,
    random_state: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class difference ``OFIV_a - OFIV_b``, signed, with its interval over restarts.

    Parameters
    ----------
    fiv, score : (C, T, K) and (C, T).
    a, b : positions of the two classes.
    combine, objective, level, random_state : as for `dr_explorer.importance.interval`.

    Returns
    -------
    difference, low, high : (K,) each. The interval is NaN where a class has fewer than two restarts left.

    Notes
    -----
    The classes' restarts are independent, so that their intervals combine as squares on each side (MOVER; Zou & Donner,
    Statistics in Medicine 2008). Exchanging the classes changes the signs and nothing else.
    """
    fiv, score, _ = importance.readable(fiv, score)
    if fiv.ndim != 3:
        raise ValueError(f"expected the restarts of every class, fiv (C, T, K), got {fiv.shape}")
    for position in (a, b):
        if whole_number("a class's position", position, 0) >= len(fiv):
            raise ValueError(f"there is no class {position}: there are {len(fiv)}, 0 to {len(fiv) - 1}")
    pair = [a, b]
    fiv, score, objective = fiv[pair], score[pair], restarts.like_score(objective, score)[pair]
    first, second = importance.ofiv(fiv, score, objective, combine)
    low, high = importance.interval(fiv, score, combine, level, random_state=random_state, objective=objective)
    down = np.hypot(first - low[0], high[1] - second)
    up = np.hypot(high[0] - first, second - low[1])
    return first - second, first - second - down, first - second + up


def favoured(ofiv: np.ndarray, top: int = 5) -> np.ndarray:
    """Which channels rank in the top `top` of each class and are favoured at all (OFIV > 0).

    Parameters
    ----------
    ofiv : (C, K) overall feature importance vectors.
    top : how many channels of a class count (the paper's 5).

    Returns
    -------
    (C, K) bool. Channels of equal importance rank as they stand. A class that is not finite has none.
    """
    ofiv = np.asarray(ofiv, dtype=np.float64)
    if ofiv.ndim != 2:
        raise ValueError(f"expected ofiv of shape (C, K), got {ofiv.shape}")
    top = whole_number("top", top)
    finite = np.isfinite(ofiv).all(axis=1, keepdims=True)
    values = np.where(finite, ofiv, 0)
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    among = np.zeros(ofiv.shape, dtype=bool)
    np.put_along_axis(among, best, True, axis=1)
    return among & (values > 0)


def sharing(ofiv: np.ndarray, top: int = 5) -> np.ndarray:
    """Feature sharing: in how many classes each channel is `favoured`.

    Parameters
    ----------
    ofiv, top : as for `favoured`.

    Returns
    -------
    (K,) int.

    Notes
    -----
    The paper's feature sharing (the classes in which a channel ranks in the top 5), favoured channels only.
    """
    return favoured(ofiv, top).sum(axis=0)


def shared_by(ofiv: np.ndarray, top: int = 5) -> list[np.ndarray]:
    """For each channel the classes in which it is `favoured`, the ones it is most important to first.

    Parameters
    ----------
    ofiv, top : as for `favoured`.

    Returns
    -------
    K arrays of positions of classes.
    """
    ofiv = np.asarray(ofiv, dtype=np.float64)
    among = favoured(ofiv, top)
    found = (np.flatnonzero(column) for column in among.T)
    return [classes[np.argsort(-ofiv[classes, k], kind="stable")] for k, classes in enumerate(found)]
