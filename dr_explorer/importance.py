"""What a class is made of: its restarts' feature importance vectors put together, each number with its spread.

Shapes: C classes (targets), T restarts, K channels. ``fiv`` is (C, T, K), or (T, K) for one class; ``score`` and
``objective`` are (C, T) or (T,). A restart whose vector or score is not finite (diverged, unfinished) is left out of
every summary; where nothing is left the answer is NaN.
"""

from __future__ import annotations

import numpy as np

from dr_explorer.basins import basin_table, basins, in_best_basin
from dr_explorer.disagreement import inconsistent
from dr_explorer.intervals import interval
from dr_explorer.restarts import like_score, mean, readable, resampled_weights, score_weights, shares

__all__ = [
    "activeness",
    "basin_table",
    "basins",
    "inconsistency",
    "inconsistent",
    "interval",
    "ofiv",
    "readable",
    "resampled_weights",
    "score_weights",
    "vulnerability",
]

# Bits of a typical eukaryotic transcription factor's motif (Wunderlich & Mirny, Trends in Genetics 2009: 12.1).
MOTIF_BITS = 12.0


def ofiv(
    fiv: np.ndarray, score: np.ndarray, objective: np.ndarray | None = None, combine: str = "weighted"
) -> np.ndarray:
    """Overall feature importance vector (OFIV): the restarts of a class put together, one number a channel.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits of the runs.
    objective : (C, T) or (T,) penalised objectives, for ``combine="basins"``; the scores where not given.
    combine : how the restarts are put together:

        ``"weighted"``
            the mean weighted by class score (the authors' code and published numbers);
        ``"max"``
            the paper's two-case rule: the plain mean of consistent channels, the maximum over restarts of
            inconsistent ones, as `inconsistent` tells them;
        ``"basins"``
            ours: the plain mean over the restarts in the best basin (`basins`), so that two solutions are never
            averaged into a third that the network does not want.

    Returns
    -------
    (C, K) or (K,), in units of the feature map. NaN where no restart is left.

    Raises
    ------
    ValueError
        For shapes that do not match or an unknown `combine`.
    """
    fiv, score, kept = readable(fiv, score)
    if combine == "weighted":
        return mean(score_weights(score), fiv)
    if combine == "max":
        highest = np.where(kept[..., None], fiv, -np.inf).max(axis=-2, initial=-np.inf)
        return np.where(inconsistent(fiv, score), highest, mean(shares(kept * 1.0), fiv))
    if combine == "basins":
        objective = np.where(kept, like_score(objective, score), np.nan)
        return mean(shares(in_best_basin(fiv, objective) * 1.0), fiv)
    raise ValueError(f"combine is 'weighted', 'max' or 'basins', not {combine!r}")


def inconsistency(fiv: np.ndarray, score: np.ndarray, weighted: bool = True) -> np.ndarray:
    """Inconsistency level (IL): the variance of each channel's importance over restarts.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits of the runs.
    weighted : weigh the restarts by `score_weights` (the authors' code), or all alike (the paper).

    Returns
    -------
    (C, K) or (K,) the (weighted) mean squared deviation from the (weighted) mean, in squared units of the feature map.
    NaN where fewer than two restarts are left: one alone cannot agree or disagree.
    """
    fiv, score, kept = readable(fiv, score)
    weights = score_weights(score) if weighted else shares(kept * 1.0)
    centred = fiv - mean(weights, fiv)[..., None, :]
    return np.where(kept.sum(axis=-1)[..., None] > 1, mean(weights, centred * centred), np.nan)


def activeness(ofiv: np.ndarray) -> np.ndarray:
    """How much of a class is decided by what is there, rather than by elimination.

    Parameters
    ----------
    ofiv : (C, K) or (K,) overall feature importance vectors.

    Returns
    -------
    (C,) or scalar in [0, 1]: ``sum(max(OFIV, 0)**2) / sum(OFIV**2)``. Near 0 the class is decided by elimination, the
    paper's "lazy" network, which more random negatives in training cure. NaN for a vector that is 0 or not finite.

    Notes
    -----
    Ours; the paper gives no formula. Where a map is optimal its gradient is ``2 * l2 * H``, so that a channel's square
    is its share of what the class gains over an empty map.
    """
    ofiv = np.asarray(ofiv, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = ofiv / np.abs(ofiv).max(axis=-1, keepdims=True)
        return (np.maximum(relative, 0) ** 2).sum(axis=-1) / (relative**2).sum(axis=-1)


def vulnerability(ofiv: np.ndarray, information: np.ndarray, q: np.ndarray | None = None) -> np.ndarray:
    """Channels that matter and have little behind them: little information, or no motif they match.

    Parameters
    ----------
    ofiv : (C, K) or (K,) overall feature importance vectors.
    information : (K,) bits of each channel's motif, or (K, width) bits a position.
    q : (K,) q value of each channel's best match in a motif database, 1 or NaN for none. Left out, only the
        information counts.

    Returns
    -------
    (C, K) or (K,) in [0, 1]: ``max(OFIV, 0) / max(OFIV)  *  (1 - min(bits / 12, 1) * (1 - q))``, the importance
    relative to the class's most important channel, times what is missing behind it. NaN where a class has no favoured
    channel, and for channels whose information is NaN.

    Notes
    -----
    Ours; the paper gives no formula. 12 bits is the average motif of a eukaryotic transcription factor; 1 - q is the
    chance that a match is real.
    """
    ofiv, information = np.asarray(ofiv, dtype=np.float64), np.asarray(information, dtype=np.float64)
    bits = information.sum(axis=-1) if information.ndim == 2 else information
    q = np.zeros(bits.shape) if q is None else np.nan_to_num(np.asarray(q, dtype=np.float64), nan=1.0)
    for name, values in {"information": bits, "q": q}.items():
        if values.shape != ofiv.shape[-1:]:
            raise ValueError(f"expected {name} of each of {ofiv.shape[-1]} channels, got shape {values.shape}")
    behind = np.clip(bits / MOTIF_BITS, 0, 1) * (1 - q)
    highest = ofiv.max(axis=-1, keepdims=True)
    share = np.maximum(ofiv, 0) / np.where(highest > 0, highest, np.nan)
    return share * (1 - behind)
