"""The layers of a network as one watched forward pass shows them: order, shapes, clean cuts, the paper's choice."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from . import lineage
from .axes import Axes, find_axes
from .network import Network
from .private import type_name
from .squash import Squashes, find_squash, hidden_squash
from .trees import outline, tensors, tree_map

#: Types that begin the dense part of a network.
_DENSE = re.compile(r"Linear$|Dense|LSTM|GRU|RNN|Attention|Transformer|Mamba|Bidirectional")
#: Types that only rescale or do nothing: the layer before them is the one with the natural activations.
_RESCALING = re.compile(r"Norm|Dropout|Identity|InputLayer")


@dataclass
class Call:
    """One call of one layer in a forward pass."""

    layer: str
    number: int  # the how-manieth call of this layer in one forward pass
    of: int
    type: str
    start: int  # when it began and ended, counted in layer calls
    end: int
    native: tuple[int, ...]  # shape with two rows
    axes: Axes | None
    cut: str = "no"
    reason: str = ""  # why it cannot be cut here
    made: Any = None  # the node of its output in the autograd graph
    node: Any = None  # and the one after it, which stands for the cut
    squashes: range = range(0)  # numbers of the squash calls inside it
    structure: Any = True  # of its outputs: see `outline`
    dtype: torch.dtype = torch.float32
    convolution: int = 0  # of a convolution over several positions: the how-manieth in a row
    dense: bool = False

    @property
    def name(self) -> str:
        return self.layer if self.of == 1 else f"{self.layer}#{self.number + 1}"

    @property
    def shape(self) -> tuple[int, ...]:
        if self.axes is None:
            return self.native[1:]
        return self.axes.shape(self.native[self.axes.channel])


def first_tensor(out: Any) -> torch.Tensor | None:
    """The feature map among a layer's outputs: the first tensor (a recurrent layer's sequence, not its states)."""
    found = tensors(out)
    return found[0] if found else None


def with_first(out: Any, value: torch.Tensor) -> Any:
    """A layer's outputs with `value` in place of the first tensor."""
    done = False

    def swap(tensor):
        nonlocal done
        if done:
            return tensor
        done = True
        return value

    return tree_map(swap, out)


@dataclass
class Watched:
    """What one forward pass showed."""

    calls: list[Call]
    squash: str | None
    skip: frozenset[int]  # numbers of the squash calls to leave out
    hidden: str | None  # a squash that cannot be left out


def _run(
    network: Network, inputs: tuple, mode: Squashes, sources: frozenset[tuple[str, int]] = frozenset()
) -> tuple[list[dict], torch.Tensor, list[torch.Tensor]]:
    """One forward pass in which every layer's first tensor passes through a node of its own in the autograd graph.

    The graph begins at inputs that require a gradient, and at the layer calls in `sources`.

    Returns
    -------
    Records of the calls, the output, and the tensors at which the graph begins.
    """
    records: list[dict] = []
    leaves = tensors(inputs)
    clock = [0]
    counts: dict[str, int] = {}
    open_calls: list[dict] = []
    handles = []

    def before(name, layer):
        def hook(_module, _inputs):
            number = counts.get(name, 0)
            counts[name] = number + 1
            open_calls.append(
                {"layer": name, "number": number, "type": type_name(layer), "start": clock[0], "first": mode.count}
            )
            clock[0] += 1

        return hook

    def after(name):
        def hook(_module, _inputs, out):
            while open_calls and open_calls[-1]["layer"] != name:
                open_calls.pop()  # a call that an exception of its own ended
            record = open_calls.pop() if open_calls else None
            tensor = first_tensor(out)
            if record is None or tensor is None:
                return None
            record["made"] = tensor.grad_fn
            if tensor.grad_fn is None and (name, record["number"]) in sources:
                tensor = tensor.detach().requires_grad_(tensor.is_floating_point())
                leaves.append(tensor)
            with torch.enable_grad():  # a part of the network may run without
                marked = tensor.clone()
            record.update(end=clock[0], node=marked.grad_fn, structure=outline(out))
            # Its numbers matter only where it has no gradient (see `watch`): all of them would fill the memory.
            record["out"] = torch.empty_like(marked, device="meta") if record["node"] else marked.detach()
            record["squashes"] = range(record.pop("first"), mode.count)
            clock[0] += 1
            records.append(record)
            return with_first(out, marked)

        return hook

    for name, layer in network.layers.items():
        handles.append(layer.register_forward_pre_hook(before(name, layer)))
        handles.append(layer.register_forward_hook(after(name)))
    try:
        with mode, lineage.without_activations():
            output = network.logits(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return records, output, leaves


def _with_graph(inputs: tuple) -> tuple:
    return tree_map(lambda x: x.detach().clone().requires_grad_(x.is_floating_point()), inputs)


def watch(network: Network) -> Watched:
    """Run the network twice, on two rows and on three, and read the graph of the first."""
    two, three = (network.fixed,) * 2 if network.fixed else (2, 3)
    shuffled = network.shuffled()
    with torch.enable_grad():
        other, _, _ = _run(network, _with_graph(network.rows(three, shuffled)), Squashes())
        later = {(r["layer"], r["number"]): r["out"] for r in other}
        sources: set[tuple[str, int]] = set()
        if any(r["node"] is None and r["out"].is_floating_point() for r in other):
            # Whole numbers (tokens) have no gradient, nor has a part that runs without: the graph begins behind them,
            # at what changes with the input.
            for r in _run(network, _with_graph(network.rows(three)), Squashes())[0]:
                again = later.get((r["layer"], r["number"]))
                if r["node"] is None and again is not None and not torch.equal(r["out"], again):
                    sources.add((r["layer"], r["number"]))
        mode = Squashes()
        records, output, leaves = _run(network, _with_graph(network.rows(two)), mode, frozenset(sources))
    squash, skip = find_squash(mode, output)
    clean = lineage.bottlenecks(output.grad_fn, leaves)
    reached = set(lineage.ancestry(output.grad_fn))
    depth = lineage.depths(output.grad_fn)
    marks = {r["node"] for r in records if r["node"] is not None}
    squashed = {node for node in lineage.ends(output.grad_fn)} if squash else set()
    behind_squash = _behind(output.grad_fn, squashed)
    total: dict[str, int] = {}
    for r in records:
        total[r["layer"]] = max(total.get(r["layer"], 0), r["number"] + 1)
    calls, known = [], {}
    for r in records:
        out, again = r["out"], later.get((r["layer"], r["number"]))
        axes, reason = find_axes(network.layers[r["layer"]], r["made"], out, again, network.fixed, known)
        if axes is not None and r["node"] is not None:
            known[r["node"]] = axes.channel
        call = Call(
            layer=r["layer"],
            number=r["number"],
            of=total[r["layer"]],
            type=r["type"],
            start=r["start"],
            end=r["end"],
            native=tuple(out.shape),
            axes=axes,
            made=r["made"],
            node=r["node"],
            squashes=r["squashes"],
            structure=r["structure"],
            dtype=out.dtype,
        )
        node = r["node"]
        if axes is None:
            call.reason = reason
        elif node is None:
            call.reason = "its output does not depend on the network's input (or not in a way that has a gradient)"
        elif node not in reached:
            call.reason = "the network's output does not depend on it, or only by steps that have no gradient"
            if _several(r["structure"]):
                call.reason += " (of the several tensors it returns, the first would be the feature map)"
        elif node in behind_squash:
            call.reason = f"it comes after the output's {squash}: choose a layer before it"
        else:
            call.cut = "clean" if node in clean else "shared"
        if node is not None:
            call.convolution = depth.get(r["made"], 0) if lineage.is_convolution(r["made"], marks) else 0
            call.dense = bool(_DENSE.search(r["type"])) or lineage.is_dense(r["made"], marks)
        calls.append(call)
    return Watched(calls, squash, skip, None if squash else hidden_squash(mode, output))


def _several(structure: Any) -> bool:
    parts = structure.values() if isinstance(structure, dict) else structure if isinstance(structure, tuple) else ()
    return len(parts) > 1


def _behind(output, squashed: set) -> set:
    """The nodes from the output back to, and not including, the squash's input."""
    found, stack = set(), [output] if squashed and output is not None else []
    while stack:
        node = stack.pop()
        if node in found:
            continue
        found.add(node)
        if node not in squashed:
            stack.extend(lineage.parents(node))
    return found


def suggest(calls: list[Call]) -> Call | None:
    """The layer the paper would choose.

    The last map before the dense layers; where three convolutions or more follow each other, the input of the third:
    early enough that a channel is a motif-sized pattern, late enough that few non-linear layers follow. Pooled
    globally, that is a vector.
    """
    inner = [c for c in calls if not any(c.start < d.start and d.end < c.end for d in calls)]
    convolutions = [c for c in inner if c.convolution]
    dense = [c for c in calls if c.dense and (not convolutions or c.start > convolutions[-1].start)]
    third = [c for c in convolutions if c.convolution >= 3]
    if third:
        boundary = min(c.start for c in third)
    elif convolutions and dense:
        boundary = min(c.start for c in dense)
    elif dense:
        boundary = max(c.start for c in dense)  # no convolution: the hidden layer before the last
    else:
        boundary = math.inf
    # A container whose output is its last layer's is that layer.
    natural = [c for c in calls if not _is_flattened(c, calls) and not _is_its_last_layer(c, calls)]
    # What comes before the first convolution wider than one position tells of single bases only.
    first = min((c.start for c in convolutions), default=-1)
    before = [c for c in natural if first < c.end < boundary]
    usable = [c for c in before if c.cut == "clean"] or [c for c in before if c.cut == "shared"]
    usable = usable or [c for c in natural if c.cut == "clean"][:1] or [c for c in calls if c.cut != "no"][:1]
    if not usable:
        return None
    chosen = len(usable) - 1
    while chosen and _RESCALING.search(usable[chosen].type) and usable[chosen - 1].shape == usable[chosen].shape:
        chosen -= 1
    return usable[chosen]


def _is_its_last_layer(call: Call, calls: list[Call]) -> bool:
    return any(
        d.start > call.start and d.end == call.end - 1 and d.shape == call.shape and call.made is d.node for d in calls
    )


def _is_flattened(call: Call, calls: list[Call]) -> bool:
    """Whether positions were folded into channels."""
    earlier = [c for c in calls if c.end < call.start and len(c.shape) == 2]
    return len(call.shape) == 1 and bool(earlier) and math.prod(earlier[-1].shape) == call.shape[0]


def table_rows(calls: list[Call]) -> list[Mapping[str, Any]]:
    suggested = suggest(calls)
    return [
        {"name": c.name, "type": c.type, "shape": c.shape, "cut": c.cut, "suggested": c is suggested}
        for c in sorted(calls, key=lambda c: c.end)
    ]
