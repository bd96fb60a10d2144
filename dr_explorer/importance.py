"""What a class is made of: its restarts' feature importance vectors put together, each number with its spread.

Shapes: C classes (targets), T restarts, K channels. ``fiv`` is (C, T, K), or (T, K) for one class; ``score`` and
``objective`` are (C, T) or (T,). A restart whose vector or score is not finite (diverged, unfinished) is left out of
every summary; where nothing is left the answer is NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from dr_explorer.basins import basin_table, basins, in_best_basin

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

# Scores come from float32 networks: a spread below a few of its rounding steps is a tie, not an order.
TIE = 4 * float(np.finfo(np.float32).eps)

# How far an ascent that has stopped may still be from its maximum: standard deviation over restarts relative to the
# class's largest importance. In the released networks whose restarts share one basin, the noisiest channel of the worst
# network has 0.03 with the authors' rule (median 0.0035) and 0.017 with the fast one (median 0.0004).
STOPPING_NOISE = 0.05

# One restart in so many may lie anywhere without making a channel inconsistent, and one of as few as four: noise with
# heavy tails, and the odd ascent that stopped on its way.
SPARED = 10
FEWEST_SPARING = 4

# Bits of a typical eukaryotic transcription factor's motif (Wunderlich & Mirny, Trends in Genetics 2009: 12.1).
MOTIF_BITS = 12.0


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
    return _shares(np.where(tie, present, shifted))


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
    return _shares(values)


def _shares(values: np.ndarray) -> np.ndarray:
    """Values over their sum along the last axis; NaN where the sum is 0."""
    total = values.sum(axis=-1, keepdims=True)
    return np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0)


def _mean(weights: np.ndarray, fiv: np.ndarray) -> np.ndarray:
    """Mean over restarts with weights (..., T): (..., T, K) to (..., K)."""
    return (weights[..., None, :] @ fiv)[..., 0, :]


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
        return _mean(score_weights(score), fiv)
    if combine == "max":
        highest = np.where(kept[..., None], fiv, -np.inf).max(axis=-2, initial=-np.inf)
        return np.where(inconsistent(fiv, score), highest, _mean(_shares(kept * 1.0), fiv))
    if combine == "basins":
        return _mean(_shares(_best(fiv, score if objective is None else objective, kept) * 1.0), fiv)
    raise ValueError(f"combine is 'weighted', 'max' or 'basins', not {combine!r}")


def _best(fiv: np.ndarray, objective: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Which restarts are in their class's best basin."""
    objective = np.where(kept, np.asarray(objective, dtype=np.float64), np.nan)
    return in_best_basin(fiv, objective) if fiv.ndim == 3 else in_best_basin(fiv[None], objective[None])[0]


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
    weights = score_weights(score) if weighted else _shares(kept * 1.0)
    centred = fiv - _mean(weights, fiv)[..., None, :]
    return np.where(kept.sum(axis=-1)[..., None] > 1, _mean(weights, centred * centred), np.nan)


def inconsistent(fiv: np.ndarray, score: np.ndarray, level: float = 0.05) -> np.ndarray:
    """Which channels end at different values in different restarts, beyond what stopping early explains.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits; they only say which restarts are left in.
    level : probability that any channel at all of a class is flagged while all its restarts share one basin.

    Returns
    -------
    (C, K) or (K,) bool. False with fewer than two restarts: one cannot disagree.

    Notes
    -----
    Ours, in place of the authors' mixture of inconsistency levels. Channel k is flagged when

        (n - 1) s_k**2 / (0.05 m)**2  >  chi2_{n - 1}(1 - level / K)

    where m is the class's largest root-mean-square importance and s_k the channel's least standard deviation over n of
    the T restarts: one in ten may be left out, and one of four to nine. Rescaling the feature map changes nothing.

    Assumed: restarts that share a maximum end around it independently, by at most 5 % of the largest importance
    (standard deviation). Error rate: for normal noise at that bound far below `level` (0.001 at T = 10, K = 16),
    because leaving out is not made up for; `level` itself with two or three restarts, of which none can be spared. That
    leaves room for other noise (`benchmarks/spread.py`): at the bound Student's t with 3 degrees of freedom gives 0.02
    and lognormal noise 0.03 at T = 10, K = 16, above `level` only with hundreds of channels; at half the bound both are
    below 0.01. With every restart counted they were 0.5 and 0.7. The price: what one restart of ten found alone is
    taken for a straggler. None of 61 released networks with one basin is flagged, with either rule. With T = 10 and
    K = 16 two basins 5 : 5 are told apart from 0.2 m, 7 : 3 from 0.25 m.
    """
    fiv, score, kept = readable(fiv, score)
    if fiv.ndim == 2:
        return inconsistent(fiv[None], score[None], level)[0]
    size = np.sqrt(_mean(_shares(kept * 1.0), fiv * fiv).max(axis=-1, keepdims=True))
    counts, flags = kept.sum(axis=-1), np.zeros((len(fiv), fiv.shape[-1]), dtype=bool)
    for n in np.unique(counts[counts > 1]):
        rows = counts == n
        restarts = fiv[rows][kept[rows]].reshape(rows.sum(), n, -1)
        spared = max(n // SPARED, int(n >= FEWEST_SPARING))
        squares = _least_squares(restarts, n - spared)
        flags[rows] = squares > chdtri(n - spared - 1, level / fiv.shape[-1]) * (STOPPING_NOISE * size[rows]) ** 2
    return flags


def _least_squares(values: np.ndarray, n: int) -> np.ndarray:
    """The least sum of squared deviations from their mean of any n values along the middle axis: (C, T, K) to (C, K).

    Such values are neighbours in order, so that T - n + 1 windows hold the least.
    """
    values = np.sort(values, axis=1)
    values -= values[:, [values.shape[1] // 2]]  # near the mean, where little is lost in the difference below
    total, squares = (
        np.concatenate([np.zeros_like(part[:, :1]), part.cumsum(axis=1)], axis=1) for part in (values, values * values)
    )
    total, squares = (part[:, n:] - part[:, : part.shape[1] - n] for part in (total, squares))
    return np.maximum(squares - total * total / n, 0).min(axis=1)


def interval(
    fiv: np.ndarray,
    score: np.ndarray,
    combine: str = "weighted",
    level: float = 0.95,
    n_boot: int = 1000,
    random_state: int = 0,
    objective: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap interval of every number of the OFIV, over restarts.

    Parameters
    ----------
    fiv, score, combine, objective : as for `ofiv`.
    level : confidence of the interval.
    n_boot : resamplings of a class's restarts; the score weights are computed anew in each.
    random_state : the same number gives the same interval.

    Returns
    -------
    low, high : (C, K) or (K,) each. NaN where fewer than two restarts are left.

    Notes
    -----
    Percentiles of the resampled OFIVs, taken further out to make up for few restarts (expanded percentile; Hesterberg,
    The American Statistician 2015): at the normal probability of sqrt(T / (T - 1)) times Student's quantile with T - 1
    degrees of freedom. In a single basin the width falls as 1/sqrt(T). An interval never leaves the range of the
    restarts, so that with fewer than five it covers less than it says.

    ``"max"``: of inconsistent channels the resampled maximum's percentiles are exact, P(max <= i-th smallest) =
    (i / T)**T; which channels those are is taken as known. ``"basins"``: over the restarts in the best basin, NaN where
    that holds one.
    """
    fiv, score, kept = readable(fiv, score)
    objective = score if objective is None else np.asarray(objective, dtype=np.float64)
    if fiv.ndim == 2:
        fiv, score, kept, objective = fiv[None], score[None], kept[None], objective[None]
        return tuple(bound[0] for bound in interval(fiv, score, combine, level, n_boot, random_state, objective))
    if combine not in ("weighted", "max", "basins"):
        raise ValueError(f"combine is 'weighted', 'max' or 'basins', not {combine!r}")
    if combine == "basins":
        kept = _best(fiv, objective, kept)
    low, high = np.full((2, fiv.shape[0], fiv.shape[2]), np.nan)
    for c in np.flatnonzero(kept.sum(axis=1) > 1):
        rows = np.flatnonzero(kept[c])
        rows = rows[np.argsort(score[c, rows], kind="stable")]  # restarts have no order: neither has the answer
        one, scores, n = fiv[c, rows], score[c, rows], len(rows)
        outside = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - level) / 2))
        counts = _resamplings(n, n_boot, random_state)
        weights = resampled_weights(scores, counts) if combine == "weighted" else counts / n
        low[c], high[c] = _percentiles(one.T @ weights.T, outside)
        if combine == "max":
            flags = inconsistent(one, scores)
            ascending = np.sort(one[:, flags], axis=0)
            low[c, flags] = ascending[np.searchsorted((np.arange(1, n + 1) / n) ** n, outside)]
            high[c, flags] = ascending[-1]
    return low, high


@lru_cache(maxsize=16)
def _resamplings(n: int, n_boot: int, random_state: int) -> np.ndarray:
    """(n_boot, n) how many times each of n restarts is drawn in each resampling."""
    drawn = np.random.default_rng(random_state).integers(n, size=(n_boot, n)) + n * np.arange(n_boot)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_boot * n).reshape(n_boot, n).astype(np.float64)
    counts.flags.writeable = False
    return counts


def _percentiles(values: np.ndarray, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """The values along the last axis with a share of `outside` below, and above."""
    last = values.shape[-1] - 1
    low = int(outside * last)
    values = np.sort(values, axis=-1)  # with vector instructions, faster than partitioning at two places
    return values[..., low], values[..., last - low]


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
    real = 1.0 if q is None else 1 - np.nan_to_num(np.asarray(q, dtype=np.float64), nan=1.0)
    behind = np.clip(bits / MOTIF_BITS, 0, 1) * real
    if behind.shape != ofiv.shape[-1:]:
        raise ValueError(f"expected information and q for each of {ofiv.shape[-1]} channels, got {behind.shape}")
    highest = ofiv.max(axis=-1, keepdims=True)
    share = np.maximum(ofiv, 0) / np.where(highest > 0, highest, np.nan)
    return share * (1 - behind)
