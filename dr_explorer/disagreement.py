"""Which channels the restarts of a class disagree on, beyond what stopping early explains: a test with an error rate.

The authors fit a mixture to the inconsistency levels, a step that their released code never takes. This test asks
instead whether one maximum could have left the restarts where they ended, whatever the noise around it looks like, as
long as its tails are no heavier than a stated bound.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

from dr_explorer.asked import share
from dr_explorer.restarts import mean, readable, shares

# How far an ascent that has stopped may still be from its maximum, relative to the class's largest importance: at most
# one restart in k**3 is further than k times this. In 56 released networks whose 50 restarts share one basin, k**3
# times the share of end points further than that is at most 0.02 over all networks. In the worst one it is 0.7 with the
# authors' rule; with the fast rule it is above 1 in two, in which a lone restart of the 50 ended far off.
STOPPING_NOISE = 0.05
TAIL = 3

# One restart in so many may lie anywhere without making a channel inconsistent, and one of as few as four: the odd
# ascent that stopped on its way, and what makes heavy tails bearable.
SPARED = 10
FEWEST_SPARING = 4

# Draws of the bound's sums, evenly over the logarithm of their tail down to exp(-30), and numbers drawn in all: the
# critical value of any level comes out within 1 %.
DRAWS = 2**14
DEEPEST = 30.0
NUMBERS = 2**20


def inconsistent(fiv: np.ndarray, score: np.ndarray, level: float = 0.05) -> np.ndarray:
    """Which channels end at different values in different restarts, beyond what stopping early explains.

    Parameters
    ----------
    fiv : (C, T, K) or (T, K) feature importance vectors.
    score : (C, T) or (T,) logits; they only say which restarts are left in.
    level : probability that any channel at all of a class is flagged while all its restarts share one basin; between
        0 and 1.

    Returns
    -------
    (C, K) or (K,) bool. False with fewer than two restarts: one cannot disagree.

    Raises
    ------
    ValueError
        For shapes that do not match, or a `level` that is no probability.

    Notes
    -----
    Ours, in place of the authors' mixture of inconsistency levels. With m the class's largest root-mean-square
    importance, s = 0.05 m, and K channels, the hypothesis is that a channel's restarts end independently around one
    value mu, and

        P(|x - mu| > k s)  <=  1 / k**3        for every k.

    Nothing else is assumed: normal, exponential, Student's t with 3 degrees of freedom and lognormal noise with a
    standard deviation of s all keep below that bound, and so does any noise whose mean cubed deviation is at most s**3;
    channels may depend on each other as they like. Rescaling the feature map changes nothing.

    A channel is flagged when the least sum of squared deviations from their mean of n of its T restarts, in units of
    s**2, exceeds the 1 - level / K quantile of the sum of the n smallest of T independent draws of U**(-2/3), U uniform
    on (0, 1). One restart in ten is spared (n < T), and one of four to nine. The sum around the mean is no larger than
    the one around mu, and each squared deviation is stochastically no larger than such a draw, so that the error rate
    is at most `level` (Bonferroni), for any number of restarts and channels. `benchmarks/spread.py` measures it: 0.02
    to 0.05 for noise at the bound itself, and less for all others; and how far released networks keep below the bound.

    The price: what one restart of ten found alone is taken for a straggler, and differences must be large. Of ten
    restarts two basins 5 : 5, 7 : 3 and 8 : 2 are told apart from 0.23, 0.27 and 0.37 m with 16 channels and from 0.34,
    0.41 and 0.54 m with 480.
    """
    level = share("level", level)
    fiv, score, kept = readable(fiv, score)
    if fiv.ndim == 2:
        return inconsistent(fiv[None], score[None], level)[0]
    n_channels = fiv.shape[-1]
    size = np.sqrt(mean(shares(kept * 1.0), fiv * fiv).max(axis=-1, keepdims=True, initial=0.0))
    counts, flags = kept.sum(axis=-1), np.zeros((len(fiv), n_channels), dtype=bool)
    if n_channels == 0:
        return flags
    for total in np.unique(counts[counts > 1]):
        rows = counts == total
        restarts = fiv[rows][kept[rows]].reshape(rows.sum(), total, -1)
        n = total - max(total // SPARED, int(total >= FEWEST_SPARING))
        largest = critical_sum(int(total), int(n), level / n_channels)
        flags[rows] = least_squares(restarts, n) > largest * (STOPPING_NOISE * size[rows]) ** 2
    return flags


def least_squares(values: np.ndarray, n: int) -> np.ndarray:
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


def critical_sum(total: int, n: int, probability: float) -> float:
    """What the sum of the n smallest of `total` draws of U**(-2 / TAIL) exceeds with the given probability."""
    sums, exceeded = _sums(total, n)
    return float(sums[min(np.searchsorted(exceeded, probability), len(sums) - 1)])


@lru_cache(maxsize=64)
def _sums(total: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the n smallest of `total` draws, the largest first, and the probability that such a sum reaches each.

    The largest of the n decides the tail. It is drawn evenly over the logarithm of its tail probability and weighted
    accordingly; given it, the others are independent draws below it.
    """
    rng = np.random.default_rng(0)
    draws = min(DRAWS, NUMBERS // n)
    depth = DEEPEST * (np.arange(draws) + rng.random(draws)) / draws
    weight = np.exp(-depth) * DEEPEST / draws
    smallest = betaincinv(total - n + 1, n, np.exp(-depth))  # the U of the largest: an order statistic of uniforms
    others = smallest[:, None] + (1 - smallest[:, None]) * rng.random((draws, n - 1))
    sums = smallest ** (-2 / TAIL) + (others ** (-2 / TAIL)).sum(axis=1)
    order = np.argsort(-sums)
    return sums[order], weight[order].cumsum()
