"""Taking a traced network apart: what lies behind the cut stays, what lies before it is held fixed.

The graph traced has a placeholder for the feature maps, which stand in for the cut layer's output, and one for each
input. What the output needs of the maps is the tail. What it needs of the inputs besides is a *side value*: the number
of rows in a reshape, the zeros a recurrence starts from, or the other branch of a skip connection. Side values are
computed for two and for three rows of the example, which shows how they follow the number of rows, and become
constants; so no input is left, and any number of maps fits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import fx, nn

from .network import Network
from .squash import squash_name
from .trees import tensors

SQUASH_MODULES = (nn.Sigmoid, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.LogSigmoid)
_NOTHING_IN_EVAL = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_RESHAPING = {
    *(
        "view",
        "reshape",
        "_unsafe_view",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "transpose",
        "permute",
        "movedim",
    ),
    *("t", "contiguous", "clone", "alias", "getitem", "select", "slice", "narrow", "expand", "to", "float", "double"),
    *("cat", "concat", "concatenate", "stack", "swapaxes", "moveaxis", "split", "chunk", "unbind"),
}


class NotTraceable(Exception):
    """This way of tracing does not do for this network; another may."""


def _operation(node: fx.Node, modules: nn.Module) -> str:
    if node.op == "call_function":
        return getattr(node.target, "__name__", "").split(".")[0]
    if node.op == "call_method":
        return node.target
    if node.op == "call_module":
        module = modules.get_submodule(node.target)
        if isinstance(module, SQUASH_MODULES):
            return "sigmoid"  # which one does not matter here
        return "view" if isinstance(module, (nn.Flatten, nn.Unflatten, *_NOTHING_IN_EVAL)) else ""
    return ""


def leave_out_squash(graph: fx.Graph, modules: nn.Module) -> None:
    """Connect what follows the output squash to what precedes it."""
    output = next(node for node in graph.nodes if node.op == "output")
    stack, squashes, seen = list(output.all_input_nodes), [], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        name = _operation(node, modules)
        if squash_name(name):
            squashes.append(node)
        elif name in _RESHAPING:
            stack.extend(n for n in node.all_input_nodes if isinstance(n, fx.Node))
        else:
            raise NotTraceable(f"the output squash is not in sight behind {node}")
    for node in squashes:
        node.replace_all_uses_with(node.args[0] if node.args else node.kwargs["input"])


def leave_out_nothings(graph: fx.Graph, modules: nn.Module) -> None:
    """Take out what does nothing in eval mode: dropout, identities, casts to the type a tensor already has."""
    for node in graph.nodes:
        nothing = node.op == "call_module" and isinstance(modules.get_submodule(node.target), _NOTHING_IN_EVAL)
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            name = node.target.__name__
            if name in ("to.dtype", "to.dtype_layout", "alias.default", "lift_fresh_copy.default", "detach.default"):
                before, after = node.args[0].meta.get("val"), node.meta.get("val")
                nothing = before is not None and before.dtype == after.dtype and before.device == after.device
            elif name == "dropout.default":
                nothing = node.args[2] is False
            elif name == "slice.Tensor":
                nothing = node.args[2:4] == (0, 2**63 - 1) and len(node.args) == 4
        if nothing:
            node.replace_all_uses_with(node.args[0])


def drop_unused(graph: fx.Graph) -> None:
    """Keep what the output needs and the placeholders."""
    needed: set[fx.Node] = set()
    stack = [node for node in graph.nodes if node.op == "output"]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(node.all_input_nodes)
    for node in reversed(list(graph.nodes)):
        if node not in needed and node.op != "placeholder":
            graph.erase_node(node)


def _evaluate(graph: fx.Graph, modules: nn.Module, wanted: list[fx.Node], given: dict[fx.Node, Any]) -> list[Any]:
    """The values of `wanted`, computing only what they need."""
    needed, stack = set(), list(wanted)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(node.all_input_nodes)
    values = dict(given)
    for node in graph.nodes:
        if node not in needed or node in values:
            continue
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "get_attr":
            values[node] = operator.attrgetter(node.target)(modules)
        elif node.op == "call_function":
            values[node] = node.target(*args, **kwargs)
        elif node.op == "call_method":
            values[node] = getattr(args[0], node.target)(*args[1:], **kwargs)
        elif node.op == "call_module":
            values[node] = modules.get_submodule(node.target)(*args, **kwargs)
        else:
            raise NotTraceable(f"{node} is not known before the cut")
    return [values[node] for node in wanted]


def hold_sides(module: fx.GraphModule, network: Network) -> None:
    """Replace every side value by a constant, or by a constant spread over as many rows as there are maps."""
    graph = module.graph
    maps, *inputs = [node for node in graph.nodes if node.op == "placeholder"]
    behind: set[fx.Node] = set()
    for node in graph.nodes:
        if node is maps or any(n in behind for n in node.all_input_nodes):
            behind.add(node)
    if maps not in behind or not any(n in behind for n in graph.nodes if n.op == "output"):
        raise NotTraceable("the output does not depend on the maps")
    sides = [
        node
        for node in graph.nodes
        if node not in behind and node.op not in ("get_attr", "output") and any(user in behind for user in node.users)
    ]
    if sides:
        sizes = (network.fixed,) if network.fixed else (2, 3)
        with torch.no_grad():
            found = [
                _evaluate(graph, module, sides, dict(zip(inputs, tensors(network.rows(n)), strict=True))) for n in sizes
            ]
        rows = None
        for i, side in enumerate(sides):
            with graph.inserting_before(side):
                if network.fixed:
                    new = _constant(module, graph, f"held_{i}", found[0][i])
                else:
                    if rows is None:
                        with graph.inserting_after(maps):
                            rows = graph.call_method("size", (maps, 0))
                    new = follow(module, f"held_{i}", found[0][i], found[1][i], rows)
            side.replace_all_uses_with(new) if isinstance(new, fx.Node) else _replace(side, new)
    drop_unused(graph)
    for node in inputs:
        graph.erase_node(node)
    graph.lint()


def as_function(module: fx.GraphModule) -> Callable[[torch.Tensor], torch.Tensor]:
    """The graph as a Python function of the maps.

    A small tail takes tens of microseconds, of which looking up nested modules and calling them the long way round (for
    hooks that are not there) is a fifth: here every module's ``forward`` and every constant is an attribute of one flat
    object.
    """
    parts = SimpleNamespace()
    for i, node in enumerate(module.graph.nodes):
        if node.op == "get_attr":
            part = operator.attrgetter(node.target)(module)
        elif node.op == "call_module":
            layer = module.get_submodule(node.target)
            hooked = layer._forward_hooks or layer._forward_pre_hooks or type(layer).__call__ is not nn.Module.__call__
            part = layer if hooked else layer.forward
        else:
            continue
        node.target = f"part_{i}"
        setattr(parts, node.target, part)
    code = module.graph.python_code("self")
    scope = dict(code.globals)
    exec(code.src, scope)
    return partial(scope["forward"], parts)


def _replace(side: fx.Node, value: Any) -> None:
    for user in list(side.users):
        user.args = fx.node.map_arg(user.args, lambda n: value if n is side else n)
        user.kwargs = fx.node.map_arg(user.kwargs, lambda n: value if n is side else n)


def _constant(module: nn.Module, graph: fx.Graph, name: str, value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        if tensors(value):
            raise NotTraceable("several tensors in one side value")
        return value
    module.register_buffer(name, value.detach().clone(), persistent=False)
    return graph.get_attr(name)


def follow(module: nn.Module, name: str, two: Any, three: Any, rows: fx.Node) -> Any:
    """A value as a function of the number of rows, known for two and for three; constants go into the module."""
    graph = rows.graph
    if isinstance(two, torch.Tensor):
        if two.shape == three.shape:
            if not torch.equal(two, three):
                raise NotTraceable("a side value changes with the number of rows")
            return _constant(module, graph, name, two)
        axes = [i for i, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b]
        if len(axes) != 1 or two.shape[axes[0]] != 2 or three.shape[axes[0]] != 3:
            raise NotTraceable("a side value has its rows folded into another axis")
        (axis,) = axes
        one = _constant(module, graph, name, two.narrow(axis, 0, 1))
        return graph.call_method("expand", (one, *[rows if i == axis else -1 for i in range(two.ndim)]))
    if isinstance(two, (bool, str)) or two is None or two == three:
        return _constant(module, graph, name, two)
    if isinstance(two, int):
        slope = three - two  # affine in the number of rows
        node = graph.call_function(operator.mul, (rows, slope)) if slope != 1 else rows
        start = two - 2 * slope
        return graph.call_function(operator.add, (node, start)) if start else node
    if isinstance(two, (tuple, list)):
        return tuple(follow(module, f"{name}_{i}", a, b, rows) for i, (a, b) in enumerate(zip(two, three, strict=True)))
    raise NotTraceable(f"a side value of type {type(two).__name__}")
