"""The scale of an ascent: an ``l2`` that makes optimal feature maps as large as natural ones, and a step that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

#: A natural map is "strong" at this quantile of its layer's maps, by norm.
STRONG = 0.95
#: Random sequences that stand in for real ones where only one example row is at hand.
N_RANDOM = 256
#: The published settings, step 0.005 at l2 = 2.8, as a share of 1 / (2 l2), the step that would reach the optimum of one
#: linear region at once.
AUTHORS_SHARE = 0.005 * 2 * 2.8


def choose_step(l2: float) -> float:
    """The authors' step size at another ``l2``: ``0.028 / (2 l2)``, 0.005 at their l2 = 2.8."""
    return AUTHORS_SHARE / (2 * l2)


def natural_maps(tail: Any, inputs: Any = None, *, random_state: int = 0) -> Tensor:
    """Feature maps (N, *shape) that sequences produce at the tail's layer."""
    if inputs is None:
        generator = torch.Generator().manual_seed(random_state)
        inputs = tuple(_random_like(x[:1], generator) for x in tail._network.example)
    return tail.features(inputs)


def _random_like(row: Tensor, generator: torch.Generator) -> Tensor:
    """`N_RANDOM` random sequences where ``row`` is one-hot; copies of it where it is not."""
    axis = next((a for a in (1, 2) if row.ndim == 3 and row.shape[a] == 4), None)
    if axis is None:
        return row.expand(N_RANDOM, *row.shape[1:])
    letters = torch.randint(4, (N_RANDOM, row.shape[3 - axis]), generator=generator)
    x = torch.nn.functional.one_hot(letters, 4).to(row)
    return x.transpose(1, 2) if axis == 1 else x


def choose_l2(tail: Any, targets: Sequence[int] | None = None, *, inputs: Any = None) -> float:
    """An ``l2`` at which optimal feature maps are as large as the layer's strong natural ones."""
    maps = natural_maps(tail, inputs)
    norms = maps.flatten(1).norm(dim=1)
    strong = torch.quantile(norms, STRONG)
    targets = list(range(tail.n_targets)) if targets is None else list(targets)
    chosen = maps[norms.argsort()[-8:]]
    columns = torch.tensor(targets, device=maps.device).repeat_interleave(len(chosen))
    _, grad = tail.value_and_grad(chosen.repeat(len(targets), *[1] * (maps.ndim - 1)), columns)
    pull = grad.flatten(1).norm(dim=1).median()
    l2 = float(pull / (2 * strong))
    return l2 if 0 < l2 < float("inf") else 1.0
