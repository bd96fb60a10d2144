"""Pairs on the feature map alone: ``S(i,j) - S(i) - S(j) + S(none)`` with the channels at the values the ascent found.

Quick, for every pair, and a hint only: no sequence needs to produce those values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch

from dr_explorer.tail import Tail

# Pairs evaluated between two looks at whether anyone still wants them.
BLOCK = 256
#: What the other channels hold: zeros, or the class's own map.
CONTEXTS = ("alone", "own")


@dataclass(frozen=True)
class PairBlock:
    """Some pairs' corners.

    Attributes
    ----------
    first, second : int array (P,)
        Channels.
    corners : float array (P, 2, 2)
        Logits with first off/on along axis 1, second off/on along axis 2.
    done, total : int
        Pairs so far, this block included, and in all.
    """

    first: np.ndarray
    second: np.ndarray
    corners: np.ndarray
    done: int
    total: int

    @property
    def nonlinearity(self) -> np.ndarray:
        """(P,), logit."""
        return nonlinearity(self.corners)


def nonlinearity(corners: np.ndarray) -> np.ndarray:
    """``S(i,j) - S(i) - S(j) + S(none)``, in logits, of corners (..., 2, 2): what a pair does beyond its parts' sum.

    Ours: the interaction contrast of a two-way table, 0 for any class that adds its features up.
    """
    return corners[..., 1, 1] - corners[..., 1, 0] - corners[..., 0, 1] + corners[..., 0, 0]


def pair_blocks(
    tail: Tail,
    target: int,
    importance_map,
    *,
    channels: Sequence[int] | None = None,
    context: str = "alone",
    block: int = BLOCK,
) -> Iterator[PairBlock]:
    """The corners of every pair of channels at the values of a feature importance map, block by block.

    Pairs of the first channels come first, so that a view can show what matters while the rest is computed. To cancel,
    stop iterating.

    Parameters
    ----------
    tail : the cut.
    target : column of the class.
    importance_map : array or tensor (K, W) or (K,): the map the class favours; "on" is a channel's row in it, "off" 0.
    channels : which, the most important first; default by the largest mean of their row's absolute values.
    context : what the other channels hold: ``"alone"`` zeros, ``"own"`` the class's own map.
    block : pairs evaluated at a time.

    Yields
    ------
    PairBlock
        The corners are logits: ``S(none)``, ``S(j)``, ``S(i)`` and ``S(i, j)``.

    Raises
    ------
    TypeError, ValueError
        For a map of another shape or with NaN, an unknown channel or context.
    """
    if context not in CONTEXTS:
        raise ValueError(f"context must be one of {', '.join(CONTEXTS)}, not {context!r}")
    own = torch.as_tensor(np.asarray(importance_map)).to(tail.device, tail.dtype)
    if tuple(own.shape) != tuple(tail.shape):
        raise ValueError(f"expected one feature map of shape {tuple(tail.shape)}, got {tuple(own.shape)}")
    if not torch.isfinite(own).all():
        raise ValueError("the feature map holds NaN or infinity: the class has no restart that ended well")
    if channels is None:
        channels = own.abs().reshape(len(own), -1).mean(1).argsort(descending=True, stable=True).tolist()
    channels = [int(k) for k in channels]
    check_channels(channels, len(own))
    pairs = [(channels[i], channels[j]) for j in range(len(channels)) for i in range(j)]
    base = own if context == "own" else torch.zeros_like(own)
    for at in range(0, len(pairs), block):
        first, second = (np.array(part) for part in zip(*pairs[at : at + block], strict=True))
        maps = base.expand(len(first), 2, 2, *own.shape).clone()
        rows = torch.arange(len(first))
        for axis, chosen in enumerate((first, second)):
            off, on = (maps[:, state] if axis == 0 else maps[:, :, state] for state in (0, 1))
            off[rows, :, chosen] = 0
            on[rows, :, chosen] = own[torch.as_tensor(chosen)][:, None].expand(-1, 2, *own.shape[1:])
        with torch.no_grad():
            logits = tail.logits(maps.reshape(-1, *own.shape))[:, target]
        corners = logits.reshape(-1, 2, 2).cpu().numpy()
        yield PairBlock(first, second, corners, at + len(first), len(pairs))


def check_channels(channels: Sequence[int], n: int) -> None:
    for k in channels:
        if isinstance(k, bool) or not isinstance(k, Integral):
            raise TypeError(f"a channel is a whole number, 0 to {n - 1}; got {k!r}")
        if not 0 <= k < n:
            raise ValueError(f"there is no channel {k}: the layer has channels 0 to {n - 1}")
    if len(set(channels)) < len(channels):
        raise ValueError(f"a channel is named twice: {list(channels)}")
