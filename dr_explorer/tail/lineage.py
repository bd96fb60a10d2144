"""What the autograd graph of one forward pass tells: who depends on whom, and which axis holds the channels.

Every question here is about *how the output was made*, whatever Python made it: plain modules, functional calls, loops,
Keras layers or an exported program leave the same graph. The network's weights are frozen: its leaves are the inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate

import torch
from torch.autograd.graph import saved_tensors_hooks

Node = torch.autograd.graph.Node

#: Operations that move numbers around without changing them, by the start of their name.
RESHAPING = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Alias",
    "Clone",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Permute",
    "T",
    "Expand",
    "Select",
    "Slice",
    "Unbind",
    "Split",
    "Contiguous",
    "ToCopy",
    "AsStrided",
)
_JOINING = ("Cat", "Stack")
_SCALING = ("Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Clamp", "Mean", "Sum", "Index")
_CARRYING = (*RESHAPING, *_JOINING, "ConstantPad")  # an input on its way to a first convolution
_SOURCE = "torch::autograd::AccumulateGrad"
#: Operations whose result has its channels on the last axis (after which views may follow).
_LAST = (
    "Addmm",
    "Mm",
    "Bmm",
    "Baddbmm",
    "Linear",
    "NativeLayerNorm",
    "LayerNorm",
    "MkldnnRnn",
    "CudnnRnn",
    "Embedding",
)
_DENSE = ("Addmm", "Mm", "Bmm", "Linear", "MkldnnRnn", "CudnnRnn", "ScaledDotProduct")
#: Operations that give each channel a function of the same channel alone.
_CHANNELWISE = (
    *("Relu", "LeakyRelu", "Prelu", "Elu", "Celu", "Selu", "Gelu", "Silu", "Mish", "Softplus", "Sigmoid", "LogSigmoid"),
    *("Tanh", "Hardtanh", "Hardswish", "Hardsigmoid", "Threshold", "Clamp", "Exp", "Log", "Pow", "Sqrt", "Abs", "Neg"),
    *("Add", "Sub", "Mul", "Div", "Rsub", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeDropout"),
    *("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool", "Mean", "Sum", "Amax", "Max", "ConstantPad", "Where"),
    *("MkldnnMaxPool", "MkldnnAdaptive", "Identity", "Maximum", "Minimum", "Logsumexp", "BatchNorm"),
)


@cache
def _is_kind(name: str, kinds: tuple[str, ...]) -> bool:
    kind = name.split("Backward")[0]
    return any(kind == k or (len(k) > 3 and kind.startswith(k) and not kind[len(k) :][:1].islower()) for k in kinds)


def is_kind(node: Node | None, kinds: tuple[str, ...]) -> bool:
    """Whether a node's operation is one of `kinds`: "Add" is AddBackward0 but not AddmmBackward0."""
    return node is not None and _is_kind(node.name(), kinds)


def without_activations() -> saved_tensors_hooks:
    """While active, graphs keep what they were made with (weights), but of activations only type and shape.

    A graph that is only read takes no memory then, whatever the length of the sequences.
    """

    def packed(tensor: torch.Tensor) -> torch.Tensor:
        kept = tensor.is_floating_point() and not tensor.requires_grad
        return tensor if kept else torch.empty_like(tensor, device="meta")

    return saved_tensors_hooks(packed, lambda tensor: tensor)


def parents(node: Node) -> list[Node]:
    """The nodes of the tensors this one was made from."""
    return [parent for parent, _ in node.next_functions if parent is not None]


def ancestry(node: Node | None) -> list[Node]:
    """`node` and everything it was made from, each before what it was made from."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, Iterator[Node]]] = []
    if node is not None:
        seen.add(node)
        stack.append((node, iter(parents(node))))
    while stack:
        current, rest = stack[-1]
        parent = next((p for p in rest if p not in seen), None)
        if parent is None:
            order.append(current)
            stack.pop()
        else:
            seen.add(parent)
            stack.append((parent, iter(parents(parent))))
    return order[::-1]


def bottlenecks(output: Node | None, inputs: Iterable[torch.Tensor]) -> set[Node]:
    """The nodes that *every* path from the output back to one of `inputs` passes: where a cut is clean.

    In topological order, a node is one exactly when no edge jumps over it. Other leaves, such as the weights of a head
    that somebody uses in ``output=``, are no inputs.
    """
    order = ancestry(output)
    leaves = {id(x) for x in inputs}
    sources = {node for node in order if node.name() == _SOURCE and id(node.variable) in leaves}
    fed: set[Node] = set()
    for node in reversed(order):
        if node in sources or any(p in fed for p in parents(node)):
            fed.add(node)
    order = [node for node in order if node in fed]
    place = {node: i for i, node in enumerate(order)}
    # Several inputs are one source: an edge to any of them reaches the end.
    end = len(order)
    jumps = [0] * (end + 2)
    for node in order:
        ahead = [end] if node in sources else [place[p] for p in parents(node) if p in fed]
        for target in ahead:
            jumps[place[node] + 1] += 1
            jumps[target] -= 1
    over = list(accumulate(jumps))
    return {node for node in order if over[place[node]] == 0}


def _axis(dim: int, ndim: int) -> int:
    # Saved as an unsigned 64-bit integer: -1 comes back as 2**64 - 1.
    dim = dim - 2**64 if dim >= 2**63 else dim
    return dim % ndim


def channel_axis(node: Node | None, ndim: int, known: Mapping[Node, int]) -> int | None:
    """Which axis of a tensor of `ndim` axes holds the channels, or None where the graph does not tell.

    `known` has the answer for tensors on the way.
    """
    while node is not None and node.name() != _SOURCE:
        if node in known:
            return known[node]
        if is_kind(node, ("Convolution", "MkldnnConvolution", "NativeBatchNorm", "CudnnBatchNorm")):
            return 1
        if is_kind(node, _LAST):
            return ndim - 1
        if not parents(node):
            return None
        parent = parents(node)[0]
        if is_kind(node, ("Transpose",)):
            a, b = _axis(node._saved_dim0, ndim), _axis(node._saved_dim1, ndim)
            axis = channel_axis(parent, ndim, known)
            return {a: b, b: a}.get(axis, axis)
        if is_kind(node, ("Permute",)):
            axis = channel_axis(parent, ndim, known)
            dims = [_axis(d, ndim) for d in node._saved_dims]
            return None if axis is None else dims.index(axis)
        if is_kind(node, ("Squeeze",)) and hasattr(node, "_saved_dim") and isinstance(node._saved_dim, int):
            gone = _axis(node._saved_dim, ndim + 1)
            axis = channel_axis(parent, ndim + 1, known)
            return None if axis is None or axis == gone else axis - (axis > gone)
        if is_kind(node, ("Unsqueeze",)):
            new = _axis(node._saved_dim, ndim)
            axis = channel_axis(parent, ndim - 1, known)
            return None if axis is None else axis + (axis >= new)
        if is_kind(node, ("Mean", "Sum", "Amax", "Max")) and not getattr(node, "_saved_keepdim", True):
            return None
        if is_kind(node, ("View", "UnsafeView", "ReshapeAlias")):
            inner = parent
            while is_kind(inner, ("View", "UnsafeView", "ReshapeAlias")) and parents(inner):
                inner = parents(inner)[0]
            return ndim - 1 if is_kind(inner, _LAST) else None
        if is_kind(node, ("Stack", "UnsafeSplit", "Split", "Unbind", "Select")):
            return None
        node = parent
    return None


def depths(output: Node | None) -> dict[Node, int]:
    """For each node behind `output`: how many convolutions in a row, wider than one position, lead to it."""
    depth: dict[Node, int] = {}
    for node in reversed(ancestry(output)):
        wide = is_kind(node, ("Convolution",)) and any(size > 1 for size in node._saved_weight.shape[2:])
        depth[node] = max((depth[p] for p in parents(node)), default=0) + wide
    return depth


def is_convolution(node: Node | None, marks: set[Node]) -> bool:
    """Whether a layer's output is a convolution's, wider than one position, up to what it does to each channel alone.

    `marks` are the nodes between layers, where this layer's own work begins.
    """
    found = _maker(node, ("Convolution",), RESHAPING + _CHANNELWISE, marks)
    return found is not None and any(size > 1 for size in found._saved_weight.shape[2:])


def is_dense(node: Node | None, marks: set[Node]) -> bool:
    """Whether a layer's output is a matrix product's, a recurrence's or that of a convolution of width one."""
    found = _maker(node, (*_DENSE, "Convolution"), RESHAPING + _CHANNELWISE + _JOINING, marks)
    return found is not None and not (is_kind(found, ("Convolution",)) and max(found._saved_weight.shape[2:]) > 1)


def _maker(node: Node | None, kinds: tuple[str, ...], passed: tuple[str, ...], marks: set[Node]) -> Node | None:
    """The first node of `kinds` behind `node`, along the first parents, with only `passed` ones between."""
    while node is not None and node not in marks:
        if is_kind(node, kinds):
            return node
        if not is_kind(node, passed) or not parents(node):
            return None
        node = parents(node)[0]
    return None


def ends(node: Node | None, *, scaled: bool = False) -> list[Node]:
    """The nodes a tensor's numbers come from unchanged: itself, or what is behind reshaping and joining.

    With `scaled`, those from which they come up to scaling, adding and averaging.
    """
    return list(_behind(node, RESHAPING + _JOINING + (_SCALING if scaled else ())))


def _behind(node: Node | None, passed: tuple[str, ...]) -> Iterator[Node]:
    """The first nodes of other kinds than `passed` on every way back, each once; `node` itself may be one."""
    stack, seen = [node] if node is not None else [], set()
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        if is_kind(current, passed) and parents(current):
            stack.extend(parents(current))
        else:
            yield current


def first_kernels(node: Node | None) -> torch.Tensor | None:
    """The weights of the convolution on the input whose channels a tensor's channels are, one to one.

    Every way back from the tensor to the input must pass channel-wise operations and then that one convolution, which
    reads the input itself; the same convolution on several inputs counts as one.
    """
    weights: dict[tuple, torch.Tensor] = {}
    for maker in _behind(node, RESHAPING + _JOINING + _CHANNELWISE):
        if not is_kind(maker, ("Convolution", "MkldnnConvolution")):
            return None
        if any(not (is_kind(n, _CARRYING) or n.name() == _SOURCE) for n in ancestry(maker)[1:]):
            return None
        if maker._saved_groups != 1 or maker._saved_transposed:
            return None
        weight = maker._saved_weight
        if weight.is_meta:  # made from the input itself
            return None
        weights[weight.data_ptr(), tuple(weight.shape)] = weight
    return next(iter(weights.values())) if len(weights) == 1 else None
