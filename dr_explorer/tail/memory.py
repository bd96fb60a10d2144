"""The whole network with what lies before the cut answered from memory: for networks whose Python decides by values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .cut import Cut, Run
from .graph import NotTraceable
from .layers import Call
from .squash import Squashes, find_squash
from .trees import tensors, tree_map


def by_memory(cut: Cut) -> Run:
    """The definition, with the layers that ran before the cut answering from memory."""
    network = cut.network
    first = [c for c in cut.calls if c.end <= cut.call_cut.end]  # with the cut layer, whose output is swapped anyway
    first = [c for c in first if not any(o.start < c.start and c.end < o.end for o in first)]
    known = _remember(cut, first)
    counts: dict[str, int] = {}

    def answer(name, forward):
        def quick(*args, **kwargs):
            if cut._seen > cut.call_cut.number:  # a call of a remembered layer behind the cut
                return forward(*args, **kwargs)
            number = counts.get(name, 0)
            counts[name] = number + 1
            spread = known.get((name, number))
            return forward(*args, **kwargs) if spread is None else spread(len(cut._maps))

        return quick

    quick = {network.layers[name]: answer(name, network.layers[name].forward) for name in {name for name, _ in known}}

    def run(maps, skip=None):
        with cut.lock:
            counts.clear()
            before = {layer: vars(layer).get("forward") for layer in quick}
            try:
                for layer, forward in quick.items():
                    layer.forward = forward  # in the instance, where it comes before the class's
                return cut.whole(maps, skip=skip)
            finally:
                for layer, forward in before.items():
                    vars(layer).pop("forward", None)
                    if forward is not None:
                        layer.forward = forward

    if not cut.skip:
        return run
    # Remembered layers call no squash, so its number is another one now.
    maps = torch.zeros(network.fixed or 1, *cut.call_cut.shape, device=network.device, dtype=network.dtype)
    with torch.enable_grad(), Squashes() as mode:
        output = run(maps.requires_grad_(), frozenset())
    _, skip = find_squash(mode, output)
    if not skip:
        raise NotTraceable("the output squash was not found again")
    return lambda maps: run(maps, skip)


def _remember(cut: Cut, calls: list[Call]) -> dict[tuple[str, int], Callable[[int], Any]]:
    wanted = {(c.layer, c.number) for c in calls}
    network, found, counts = cut.network, [], {}

    def keep(name):
        def hook(_module, _inputs, out):
            number = counts.get(name, 0)
            counts[name] = number + 1
            if (name, number) in wanted:
                found[-1][name, number] = tree_map(lambda t: t.detach().clone(), out)

        return hook

    handles = [network.layers[name].register_forward_hook(keep(name)) for name in {name for name, _ in wanted}]
    try:
        with torch.no_grad():
            for n in (network.fixed,) * 2 if network.fixed else (2, 3):
                counts.clear()
                found.append({})
                network.call(network.rows(n))
    finally:
        for handle in handles:
            handle.remove()
    known = {}
    for key in found[0].keys() & found[1].keys():
        spread = _spread(found[0][key], found[1][key], network.fixed)
        if spread is not None:
            known[key] = spread
    return known


def _spread(two: Any, three: Any, fixed: int | None) -> Callable[[int], Any] | None:
    """Outputs known for two and for three equal rows, as a function of the number of rows."""
    axes: list[int | None] = []
    for a, b in zip(tensors(two), tensors(three), strict=True):
        if a.ndim != b.ndim:
            return None
        differ = [i for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if m != n]
        if len(differ) > 1 or (differ and (a.shape[differ[0]], b.shape[differ[0]]) != (2, 3)):
            return None
        if not differ and not fixed and not torch.equal(a, b):
            return None
        axes.append(differ[0] if differ else None)

    def spread(n):
        rest = iter(axes)

        def one(tensor):
            axis = next(rest)
            if axis is None:
                return tensor.clone()  # what follows may work in place
            return tensor.narrow(axis, 0, 1).repeat_interleave(n, axis)

        return tree_map(one, two)

    return spread
