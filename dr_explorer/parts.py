"""Channels put together by what they see: every channel in one part, a motif and its copies read as one.

Of several channels that see the same motif, one restart raises these and another those; each of them then disagrees
over the restarts although the motif does not. What a class makes of the motif is the sum over its copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dr_explorer.groups import Feature


def partition(found: Sequence[Feature], weight: np.ndarray) -> list[np.ndarray]:
    """Every channel in exactly one part, the heaviest channel's part first.

    Parameters
    ----------
    found : features of some or all channels (`dr_explorer.groups.features`), whose groups are taken.
    weight : (K,) how much a channel matters, such as its largest importance in any restart.

    Returns
    -------
    list of int arrays : the seed first. The heaviest seed takes its group, the next one what is left of its own, and so
    on; a channel that is in no group is a part by itself.

    Raises
    ------
    ValueError
        Weights of another number of channels, or that are not finite.
    """
    weight = np.asarray(weight, float)
    n = len(found[0].rise) if found else weight.size
    if weight.shape != (n,) or not np.isfinite(weight).all():
        raise ValueError(f"expected a finite weight for each of {n} channels, got {weight.shape}")
    groups = {one.seed: one.members for one in found}
    free, parts = np.ones(n, bool), []
    for seed in np.argsort(-weight, kind="stable"):
        if free[seed]:
            rest = [k for k in groups.get(int(seed), []) if free[k] and k != seed]
            parts.append(np.array([seed, *rest]))
            free[parts[-1]] = False
    return parts


def summed(fiv: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Importance of parts, the sum of their channels': (..., K) -> (..., P).

    In units of the feature map, like a channel's; `dr_explorer.importance` reads it as it reads channels', so that
    ``inconsistency(summed(fiv, parts), score)`` is the inconsistency level of features instead of channels.
    """
    fiv = np.asarray(fiv)
    return np.stack([fiv[..., part].sum(-1) for part in parts], axis=-1)
