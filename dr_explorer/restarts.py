"""The restarts of a class: which of them are left in, and what each one weighs when they are put together.

Shapes: C classes (targets), T restarts, K channels. ``fiv`` is (C, T, K), or (T, K) for one class; ``score`` is (C, T)
or (T,). A restart whose vector or score is not finite (diverged, unfinished) is left out.
"""

from __future__ import annotations

import numpy as np

# Scores come from float32 networks: a spread below a few of its rounding steps is a tie, not an order.
TIE = 4 * float(np.finfo(np.float32).eps)


def readable(fiv: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What there is to read: `fiv` and `score` in float64, and which restarts are left in, (C, T) or (T,) bool.

    The rows of restarts left out are 0, their scores NaN.
    """
    fiv, score = np.asarray(fiv, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if fiv.ndim not in (2, 3):
        raise ValueError(f"expected fiv of shape (C, T, K), or (T, K) for one class, got {fiv.shape}")
    if score.shape != fiv.shape[:-1]:
        raise ValueError(f"expected one score a restart, shape {fiv.shape[:-1]}, got {score.shape}")
    kept = np.isfinite(fiv @ np.ones(fiv.shape[-1])) & np.isfinite(score)
    if not kept.all():
        fiv, score = np.where(kept[..., None], fiv, 0.0), np.where(kept, score, np.nan)
    return fiv, score, kept


def like_score(objective: np.ndarray | None, score: np.ndarray) -> np.ndarray:
    """The objectives in float64, of the scores' shape; the scores where there are none."""
    if objective is None:
        return score
    objective = np.asarray(objective, dtype=np.float64)
    if objective.shape != score.shape:
        raise ValueError(f"expected one objective a restart, shape {score.shape}, got {objective.shape}")
    return objective


def score_weights(score: np.ndarray) -> np.ndarray:
    """Weight of each restart: its class score, shifted by the smallest one when any is negative, over their sum.

    Parameters
    ----------
    score : (..., T) logits. Values that are not finite are left out.

    Returns
    -------
    (..., T) weights that sum to 1, 0 for restarts left out; NaN where none is left in. Where the shifted scores are
    all 0, to within float32 rounding, the formula is 0/0 and the restarts weigh the same.

    Notes
    -----
    The authors' released code. With a negative score among them, the lowest restart weighs nothing.
    """
    score = np.asarray(score, dtype=np.float64)
    present = np.isfinite(score)
    filled = np.where(present, score, 0.0)
    lowest = np.where(present, score, 0.0).min(axis=-1, keepdims=True, initial=0.0)
    shifted = np.where(present, filled - lowest, 0.0)
    size = np.abs(filled).max(axis=-1, keepdims=True, initial=0.0)
    tie = shifted.max(axis=-1, keepdims=True, initial=0.0) <= TIE * size
    return shares(np.where(tie, present, shifted))


def resampled_weights(score: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`score_weights` of resamplings in which restart t was drawn counts[..., t] times.

    ``score`` is (T,) or has the shape of ``counts``; restarts left out are never drawn. Written out in fewer passes
    than `score_weights` on the drawn scores, because intervals are shown live.
    """
    drawn = counts > 0
    filled = np.where(np.isfinite(score), score, 0.0)
    lowest = np.where(drawn, filled, 0.0).min(axis=-1, keepdims=True, initial=0.0)
    values = np.where(drawn, filled - lowest, 0.0)
    tie = values.max(axis=-1, initial=0.0) <= TIE * np.abs(filled).max(axis=-1, initial=0.0)
    values *= counts
    values[tie] = counts[tie]
    return shares(values)


def own_order(fiv: np.ndarray, score: np.ndarray) -> np.ndarray:
    """An order of each class's restarts that does not depend on the one they came in: (C, T) for (C, T, K) and (C, T).

    By score, those left out (NaN) last; where scores are equal, by the vectors.
    """
    order = np.argsort(score, axis=1, kind="stable")
    ascending = np.take_along_axis(score, order, axis=1)
    for c in np.flatnonzero((ascending[:, 1:] == ascending[:, :-1]).any(axis=1)):
        order[c] = np.lexsort((*fiv[c].T[::-1], score[c]))
    return order


def shares(values: np.ndarray) -> np.ndarray:
    """Values over their sum along the last axis; NaN where the sum is 0."""
    total = values.sum(axis=-1, keepdims=True)
    return np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0)


def mean(weights: np.ndarray, fiv: np.ndarray) -> np.ndarray:
    """Mean over restarts with weights (..., T): (..., T, K) to (..., K)."""
    return (weights[..., None, :] @ fiv)[..., 0, :]
