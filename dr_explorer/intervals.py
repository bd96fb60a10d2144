"""What the overall importance is worth: bootstrap intervals over a class's restarts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr, stdtrit

from dr_explorer.asked import share, whole_number
from dr_explorer.basins import in_best_basin
from dr_explorer.disagreement import inconsistent
from dr_explorer.restarts import like_score, own_order, readable, resampled_weights


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
    objective, level, n_boot = like_score(objective, score), share("level", level), whole_number("n_boot", n_boot)
    if fiv.ndim == 2:
        fiv, score, kept, objective = fiv[None], score[None], kept[None], objective[None]
        return tuple(bound[0] for bound in interval(fiv, score, combine, level, n_boot, random_state, objective))
    if combine not in ("weighted", "max", "basins"):
        raise ValueError(f"combine is 'weighted', 'max' or 'basins', not {combine!r}")
    if combine == "basins":
        kept = in_best_basin(fiv, np.where(kept, objective, np.nan))
    low, high = np.full((2, fiv.shape[0], fiv.shape[2]), np.nan)
    order = own_order(fiv, np.where(kept, score, np.nan))  # restarts have no order: neither has the answer
    for c in np.flatnonzero(kept.sum(axis=1) > 1):
        rows = order[c, : kept[c].sum()]
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
