"""Small steps without autograd: one evaluation with its gradient, recorded as tensor operations and replayed.

A step of a small network takes microseconds of arithmetic and ten times as much of preparing a backward pass, the same
at every step. Here the operations of a forward and a backward pass are recorded once, below autograd, for two and for
three rows, which shows how numbers in them follow the number of rows; the list, without what nobody needs, is a plain
function of the maps. It does the same sums in the same order, and is not trusted before it has shown that.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .cut import Run
from .graph import NotTraceable, as_function, follow

#: From maps (N, *shape) and weights (N, C) to logits (N, C) and the gradient of their weighted sum.
Replay = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

#: What depends on values in more than the numbers it gives cannot be replayed for other values.
_OF_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded}
_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)  # the same numbers, without autograd
_FACTORS = (0.3, 1.0, 30.0)  # of typical maps, on which a replay must agree


def record(run: Run, maps: Tensor, n_targets: int) -> Replay | None:
    """`run` with its gradient as a list of operations, or None where that cannot be.

    Parameters
    ----------
    run : from maps (N, \\*shape) to logits (N, C).
    maps : (3, \\*shape), typical ones.
    n_targets : C.
    """
    weights = torch.linspace(-0.5, 1.5, 3 * n_targets, dtype=maps.dtype, device=maps.device).view(3, n_targets)
    try:
        replay = _program(_Recording(run, maps[:2], weights[:2]), _Recording(run, maps, weights))
        for factor in _FACTORS:
            for n in (1, 2, 3):
                trial = (factor * maps[-n:], weights[-n:])
                with torch.no_grad():
                    found = replay(*trial)
                if not all(map(torch.equal, found, _Recording(run, *trial).results)):
                    return None
    except Exception:  # whatever stops it, autograd always does
        return None
    return replay


class _Call(NamedTuple):
    operation: torch._ops.OpOverload
    args: tuple
    kwargs: dict[str, Any]
    made: Any


class _Recording(TorchDispatchMode):
    """The operations of one evaluation and its gradient. It keeps every tensor, so that each is known by its id."""

    def __init__(self, run: Run, maps: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        maps = maps.detach().clone().requires_grad_()
        self.inputs = (maps, weights)
        with torch.enable_grad(), self:
            logits = run(maps)
            (grad,) = torch.autograd.grad(logits, maps, weights)
        self.results = (logits, grad)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and guarding against it would import the compiler: a second

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if _OF_VALUES.intersection(operation.tags):
            raise NotTraceable(f"{operation} depends on values")
        made = operation(*args, **(kwargs or {}))
        self.calls.append(_Call(operation, args, kwargs or {}, made))
        return made


def _program(two: _Recording, three: _Recording) -> Replay:
    """The function that both recordings are cases of."""
    module, graph = nn.Module(), fx.Graph()
    nodes: dict[int, fx.Node] = {}
    for name, value in zip(("maps", "weights"), two.inputs, strict=True):
        nodes[id(value)] = graph.placeholder(name)
    rows = graph.call_method("size", (nodes[id(two.inputs[0])], 0))

    def held(value: Any) -> fx.Node:
        name = f"held_{len(list(module.buffers()))}"
        module.register_buffer(name, value.detach())
        return graph.get_attr(name)

    def built(a: Any, b: Any) -> Any:
        if isinstance(a, Tensor):
            if id(a) not in nodes:
                nodes[id(a)] = held(a) if a is b else follow(module, f"side_{len(nodes)}", a, b, rows)
            return nodes[id(a)]
        if isinstance(a, (tuple, list)):
            return type(a)(built(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(a, int) and not isinstance(a, bool):
            return follow(module, "", a, b, rows)
        if a != b:
            raise NotTraceable("an argument changes with the number of rows")
        return a

    for a, b in zip(two.calls, three.calls, strict=True):
        if a.operation is not b.operation:
            raise NotTraceable("other operations for another number of rows")
        args = built(a.args, b.args)
        kwargs = {key: built(value, b.kwargs[key]) for key, value in a.kwargs.items()}
        needs: list[fx.Node] = []
        fx.node.map_arg((args, kwargs), needs.append)
        fixed = bool(needs) and all(node.op == "get_attr" for node in needs)
        if _writes(a) and any(node.op == "get_attr" for node in needs):
            raise NotTraceable(f"{a.operation} may write where others read")
        if a.operation in _SAME:
            nodes[id(a.made)] = args[0]
        elif fixed and isinstance(a.made, Tensor) and a.made.shape == b.made.shape:
            nodes[id(a.made)] = held(a.made)
        else:
            node = graph.call_function(a.operation, args, kwargs)
            if isinstance(a.made, Tensor):
                nodes[id(a.made)] = node
            else:
                for i, part in enumerate(a.made):
                    if isinstance(part, Tensor):
                        nodes[id(part)] = graph.call_function(operator.getitem, (node, i))
    graph.output(tuple(nodes[id(result)] for result in two.results))
    graph.eliminate_dead_code()
    return as_function(fx.GraphModule(module, graph))


def _writes(call: _Call) -> bool:
    return any(a.alias_info is not None and a.alias_info.is_write for a in call.operation._schema.arguments)
