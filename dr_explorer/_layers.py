"""The layers of a network as one watched forward pass shows them: order, shapes, which cuts are clean, "
"what the paper would choose."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import _lineage as lineage
from ._network import Network, is_keras, tensors, tree_map
from ._squash import Squashes, find_squash

#: Types that hold their channels on the last axis, and types that begin the dense part of a network, by name.
_LAST = re.compile(r"^(Linear|LayerNorm|RMSNorm|Embedding|Transformer.*|MultiheadAttention|(LSTM|GRU|RNN)(Cell)?)$")
_DENSE = re.compile(r"Linear$|Dense|LSTM|GRU|RNN|Attention|Transformer|Mamba|Bidirectional")
#: Types that only rescale or do nothing: the layer before them is the one with the natural activations.
_RESCALING = re.compile(r"Norm|Dropout|Identity|InputLayer")


@dataclass(frozen=True)
class Layout:
    """Where a tensor keeps rows, channels and positions, and how to make it a canonical map (N, K, W) or (N, K)."""

    batch: int
    channel: int
    sizes: tuple[int, ...]  # of the other axes, in order; their product is W

    def shape(self, channels: int) -> tuple[int, ...]:
        positions = math.prod(self.sizes)
        return (channels, positions) if positions > 1 else (channels,)

    @property
    def plain(self) -> bool:
        return self.batch == 0 and self.channel == 1 and len(self.sizes) == (math.prod(self.sizes) > 1)

    def canonical(self, native: torch.Tensor) -> torch.Tensor:
        if self.plain:
            return native
        moved = native.movedim((self.batch, self.channel), (0, 1))
        return moved.flatten(2) if math.prod(self.sizes) > 1 else moved.flatten(1)

    def native(self, maps: torch.Tensor) -> torch.Tensor:
        if self.plain:
            return maps
        positions = math.prod(self.sizes)
        if positions > 1 and len(self.sizes) > 1:
            maps = maps.unflatten(2, self.sizes)
        for _ in range(len(self.sizes) if positions == 1 else 0):
            maps = maps.unsqueeze(-1)
        if (self.batch, self.channel) == (0, 1):
            return maps
        if len(self.sizes) == 1 and self.batch == 0:
            return maps.transpose(1, 2)
        return maps.movedim((0, 1), (self.batch, self.channel))


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
    layout: Layout | None
    cut: str = "no"
    reason: str = ""  # why it cannot be cut here
    node: Any = None
    squashes: range = range(0)  # numbers of the squash calls inside it
    template: Any = None  # the structure of its outputs, None for each tensor
    wide: bool = False  # a convolution over several positions
    dense: bool = False

    @property
    def name(self) -> str:
        return self.layer if self.of == 1 else f"{self.layer}#{self.number + 1}"

    @property
    def shape(self) -> tuple[int, ...]:
        if self.layout is None:
            return self.native[1:]
        return self.layout.shape(self.native[self.layout.channel])


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


def _run(network: Network, inputs: tuple, mode: Squashes) -> tuple[list[dict], torch.Tensor]:
    """One forward pass in which every layer's first tensor passes through a node of its own in the autograd graph."""
    records: list[dict] = []
    clock = [0]
    counts: dict[str, int] = {}
    open_calls: list[dict] = []
    handles = []

    def before(name, layer):
        def hook(_module, _inputs):
            number = counts.get(name, 0)
            counts[name] = number + 1
            open_calls.append(
                {"layer": name, "number": number, "type": type(layer).__name__, "start": clock[0], "first": mode.count}
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
            marked = tensor.clone()
            record.update(
                end=clock[0], out=marked.detach(), node=marked.grad_fn, template=tree_map(lambda t: None, out)
            )
            record["squashes"] = range(record.pop("first"), mode.count)
            clock[0] += 1
            records.append(record)
            return with_first(out, marked)

        return hook

    for name, layer in network.layers.items():
        handles.append(layer.register_forward_pre_hook(before(name, layer)))
        handles.append(layer.register_forward_hook(after(name)))
    try:
        with mode:
            output = network.logits(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return records, output


def _with_graph(inputs: tuple) -> tuple:
    return tree_map(lambda x: x.detach().clone().requires_grad_(x.is_floating_point()), inputs)


def watch(network: Network) -> Watched:
    """Run the network twice, on two rows and on three, and read the graph of the first."""
    n = network.fixed or 2
    with torch.enable_grad():
        other, _ = _run(network, _with_graph(network.rows(network.fixed or 3, network.shuffled())), Squashes())
        mode = Squashes()
        records, output = _run(network, _with_graph(network.rows(n)), mode)
    squash, skip = find_squash(mode, output)
    later = {(r["layer"], r["number"]): r["out"] for r in other}
    clean = lineage.bottlenecks(output.grad_fn)
    reached = set(lineage.ancestry(output.grad_fn))
    squashed = {node for node in lineage.ends(output.grad_fn)} if squash else set()
    behind_squash = _behind(output.grad_fn, squashed)
    total: dict[str, int] = {}
    for r in records:
        total[r["layer"]] = max(total.get(r["layer"], 0), r["number"] + 1)
    calls = []
    for r in records:
        out, again = r["out"], later.get((r["layer"], r["number"]))
        layout, reason = _layout(network, network.layers[r["layer"]], r, out, again, n)
        call = Call(
            layer=r["layer"],
            number=r["number"],
            of=total[r["layer"]],
            type=r["type"],
            start=r["start"],
            end=r["end"],
            native=tuple(out.shape),
            layout=layout,
            node=r["node"],
            squashes=r["squashes"],
            template=r["template"],
        )
        node = r["node"]
        if layout is None:
            call.reason = reason
        elif node is None:
            call.reason = "its output does not depend on the network's input (or not in a way that has a gradient)"
        elif node not in reached:
            call.reason = "the network's output does not depend on it"
        elif node in behind_squash:
            call.reason = f"it comes after the output's {squash}: choose a layer before it"
        else:
            call.cut = "clean" if node in clean else "shared"
        if node is not None:
            call.wide = lineage.is_convolution(r["made"])
            call.dense = bool(_DENSE.search(r["type"])) or lineage.is_dense(r["made"])
        calls.append(call)
    return Watched(calls, squash, skip)


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


def _layout(network, layer, record, out, again, n) -> tuple[Layout | None, str]:
    if not out.is_floating_point():
        return None, f"its output is of type {out.dtype}, which has no gradient"
    if network.fixed:
        batch = 0 if out.ndim and len(out) == n else None
    else:
        if again is None or again.ndim != out.ndim:
            return None, "its calls differ from one input to another"
        axes = [i for i, (a, b) in enumerate(zip(out.shape, again.shape, strict=True)) if a != b]
        batch = axes[0] if len(axes) == 1 and out.shape[axes[0]] == 2 and again.shape[axes[0]] == 3 else None
    if batch is None:
        return None, "its output has no axis with one entry a row (the rows are merged into another axis, or absent)"
    if out.ndim == 1:
        return None, "its output is one number a row, without channels"
    if out.ndim == 2:
        channel = 1 - batch
    else:
        channel = None
        if not is_keras(layer):
            if isinstance(layer, nn.modules.conv._ConvNd):
                channel = 1
            elif _LAST.match(record["type"]):
                channel = out.ndim - 1
        if channel is None:
            channel = lineage.channel_axis(record["made"], out.ndim)
        if channel is None or channel == batch or channel >= out.ndim:
            channel = next(i for i in range(out.ndim) if i != batch)
    sizes = tuple(s for i, s in enumerate(out.shape) if i not in (batch, channel))
    return Layout(batch, channel, sizes), ""


def suggest(calls: list[Call]) -> Call | None:
    """The layer the paper would choose.

    The last map before the dense layers; where there are three convolutions or more, the input of the third: early
    enough
    that a channel is a motif-sized pattern, late enough that few non-linear layers follow. Pooled globally, that is a
    vector.
    """
    inner = [c for c in calls if not any(c.start < d.start and d.end < c.end for d in calls)]
    convolutions = [c for c in inner if c.wide]
    dense = [c for c in calls if c.dense and (not convolutions or c.start > convolutions[-1].start)]
    if len(convolutions) >= 3:
        boundary = convolutions[2].start
    elif convolutions and dense:
        boundary = min(c.start for c in dense)
    elif dense:
        boundary = max(c.start for c in dense)  # no convolution: the hidden layer before the last
    else:
        boundary = math.inf
    usable = [c for c in calls if c.cut == "clean" and c.end < boundary and not _is_flattened(c, calls)]
    usable = usable or [c for c in calls if c.cut == "clean" and not _is_flattened(c, calls)][:1]
    usable = usable or [c for c in calls if c.cut != "no"][:1]
    if not usable:
        return None
    chosen = len(usable) - 1
    while chosen and _RESCALING.search(usable[chosen].type) and usable[chosen - 1].shape == usable[chosen].shape:
        chosen -= 1
    best = usable[chosen]
    # A container and its last layer give the same map: name the layer.
    same = [
        c
        for c in usable
        if best.start < c.start and c.end < best.end and c.end == best.end - 1 and c.shape == best.shape
    ]
    return same[0] if same else best


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
