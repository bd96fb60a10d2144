"""The scale of an ascent: an ``l2`` that makes optimal feature maps as large as natural ones, and a step to match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_explorer.cutting_planes import CuttingPlanes
from dr_explorer.tail import OUT_OF_MEMORY, Tail
from dr_explorer.tail.likeness import random_like
from dr_explorer.tail.trees import tensors, tree_map

STRONG = 0.95  # quantile, over sequences, of the norm of the layer's map: what counts as a strong natural activation
#: Rows of an example input that are taken for a sample of real sequences; fewer are replaced by random ones,
REAL_ROWS = 16
MOST_ROWS = 256  # and of more than these, a data set, so many are enough.
#: Random sequences: as many as have so many positions together, but no fewer and no more than these.
RANDOM_POSITIONS, LEAST_RANDOM_ROWS, RANDOM_ROWS = 2**18, 4, 64
TRIALS = 8  # that measure how large optimal maps are, of different classes as far as there are as many
EVALUATIONS = 8  # of each, a round; the second goes on where the first ended, within a few per cent of the final norm
ROUNDS = 2
FACTOR = 30.0  # the most a round may change l2 by
DIGITS = 2  # l2 is a choice, not a measurement: it is rounded to so many significant digits
PROBES = (0.1, 1.0, 10.0, 100.0)  # sizes of the random maps that tell whether a tail is linear
SAME = 1e-4  # of a gradient's norm: more than float32 rounding, less than the smallest bend of a network
#: The published settings, step 0.005 at l2 = 2.8, as a share of 1 / (2 l2): that step would reach the optimum of one
#: linear region at once.
AUTHORS_SHARE = 0.005 * 2 * 2.8


def choose_step(l2: float) -> float:
    """The step size of the authors' rule that corresponds to theirs at another ``l2``.

    ``0.028 / (2 l2)``: their 0.005 at their l2 = 2.8. The way to the optimum of a linear region shrinks by the factor
    ``1 - 2 l2 step = 0.972`` a step, whatever ``l2``.
    """
    return AUTHORS_SHARE / (2 * l2)


def choose_l2(tail: Tail, targets: Sequence[int] | None = None, *, inputs: Any = None, random_state: int = 0) -> float:
    """The ``l2`` at which optimal feature maps are as large as the layer's strong natural activations.

    It solves, to about ten per cent and rounded to two digits,

        median over classes and restarts of |H*(l2)|  =  95 % quantile over sequences of |H|

    where |.| is the Euclidean norm of a whole map. In a linear region of the network ``H* = grad S / (2 l2)``, which
    gives the first value, with the gradient at the strongest natural maps; then a few short ascents measure ``|H*|``,
    and ``l2`` is multiplied by what is too much.

    Parameters
    ----------
    tail : from feature maps to logits.
    targets : output columns the run is about; a few of them, evenly spread, are ascended. Default all.
    inputs : the network's inputs, real sequences if at hand. Default: the example input if it has at least `REAL_ROWS`
        different rows, else random sequences.

    Returns
    -------
    A positive number; 1.0 for a network whose logits do not depend on the layer at all, where any will do.

    Source: ours; the paper gives no rule (its released models use 2.8 throughout).
    """
    maps = natural_maps(tail, inputs, random_state=random_state)
    norms = maps.flatten(1).norm(dim=1)
    natural = float(torch.quantile(norms, STRONG))
    chosen = _spread(range(tail.n_targets) if targets is None else targets)
    columns = torch.tensor(chosen * (TRIALS // len(chosen)), device=maps.device)
    strong = maps[norms.argsort(descending=True)[torch.arange(len(columns), device=maps.device) % len(maps)]]
    pull = float(_evaluated(tail, strong, columns)[1].flatten(1).norm(dim=1).median())
    if not _usable(natural):  # a layer that is silent on all of these: as large as where the ascent starts
        natural = float(np.sqrt(strong[0].numel() / 3))
    if not _usable(pull):
        return 1.0
    l2 = pull / (2 * natural)
    generator = torch.Generator("cpu").manual_seed(random_state)
    climbing = _normal(tail, len(columns), generator)
    for _ in range(ROUNDS):
        climbing = _climbed(tail, climbing, columns, l2)
        size = float(climbing.flatten(1).norm(dim=1).median()) if len(climbing) else float("nan")
        if not _usable(size):
            break
        l2 *= float(np.clip(size / natural, 1 / FACTOR, FACTOR))
    return float(f"{l2:.{DIGITS}g}")


def is_linear(tail: Tail, *, random_state: int = 0) -> bool:
    """Whether the tail is linear, its gradient the same everywhere: then ``grad S / (2 l2)`` is the one optimum.

    Looked at on maps of very different sizes and signs, for a few classes.
    """
    columns = torch.tensor(_spread(range(tail.n_targets)), device=tail.device)
    generator = torch.Generator("cpu").manual_seed(random_state)
    first = None
    for size in PROBES:
        slope = _evaluated(tail, size * _normal(tail, len(columns), generator), columns)[1].flatten(1)
        first = slope if first is None else first
        if not float((slope - first).norm()) <= SAME * float(first.norm()):
            return False
    return True


def natural_maps(tail: Tail, inputs: Any = None, *, random_state: int = 0) -> Tensor:
    """Feature maps (N, *shape) that sequences produce at the tail's layer; see `choose_l2` for which sequences."""
    if inputs is not None:
        return tail.features(inputs)
    example = tail.example
    rows = [x for x in tensors(example) if x.ndim > 1]
    n = min((len(x) for x in rows), default=0)
    if n >= REAL_ROWS:
        at = torch.linspace(0, n - 1, min(n, MOST_ROWS), device=tail.device).round().long()
        some = tree_map(lambda x: x[at] if x.ndim else x, example)
        if any(len(x.unique(dim=0)) >= REAL_ROWS for x in tensors(some) if x.ndim > 1):
            return tail.features(some)
    generator = torch.Generator("cpu").manual_seed(random_state)
    positions = max((x[0].numel() // 4 for x in rows), default=1)
    n = int(np.clip(RANDOM_POSITIONS // max(1, positions), LEAST_RANDOM_ROWS, RANDOM_ROWS))
    return tail.features(tree_map(lambda x: random_like(x, n, generator), example))


def _evaluated(tail: Tail, maps: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and gradients, of half the maps at a time where memory does not do for all."""
    try:
        return tail.value_and_grad(maps, columns)
    except OUT_OF_MEMORY:
        if len(maps) == 1:
            raise
    halves = zip(maps.chunk(2), columns.chunk(2), strict=True)
    return tuple(map(torch.cat, zip(*(_evaluated(tail, *half) for half in halves), strict=True)))


def _normal(tail: Tail, n: int, generator: torch.Generator) -> Tensor:
    """The same maps (n, *shape) on every device, whatever somebody's default one."""
    return torch.randn((n, *tail.shape), generator=generator, dtype=tail.dtype, device="cpu").to(tail.device)


def _spread(targets: Sequence[int]) -> list[int]:
    """At most `TRIALS` of the targets, from the first to the last."""
    at = np.linspace(0, len(targets) - 1, min(TRIALS, len(targets))).round().astype(int)
    return [int(targets[i]) for i in at]


def _climbed(tail: Tail, maps: Tensor, columns: Tensor, l2: float) -> Tensor:
    """Where a short ascent from some maps has come to."""
    rule = CuttingPlanes(l2=l2, max_steps=EVALUATIONS)
    state = rule.begin(maps.flatten(1))
    for _ in range(EVALUATIONS):
        score, grad = _evaluated(tail, state["x"].view_as(maps), columns)
        rule.update(state, score, grad.flatten(1))
    return rule.answer(state).view_as(maps)


def _usable(number: float) -> bool:
    return bool(np.isfinite(number)) and number > 0
