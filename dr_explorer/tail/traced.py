"""Computing only what lies behind the cut, as a graph: traced with the network's own modules, or exported.

A symbolic trace (`by_trace`) takes milliseconds and keeps the network's own modules; an exported graph (`by_export`)
takes a second and reads what the trace cannot: Keras, control flow on shapes. Neither is trusted before it agreed with
the definition (``shortcuts.py``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import Any

import torch
from torch import fx

from .cut import Cut, Run
from .graph import (
    SQUASH_MODULES,
    NotTraceable,
    as_function,
    drop_unused,
    hold_sides,
    leave_out_nothings,
    leave_out_squash,
)
from .private import is_keras
from .trees import tensors


class _Tracer(fx.Tracer):
    """Traces only into the modules that hold the cut or the squash; all others are called whole."""

    def __init__(self, cut: Cut):
        super().__init__()
        self.cut = cut
        layers, call = cut.network.layers, cut.call_cut
        parts = call.layer.split(".")
        names = [".".join(parts[:i]) for i in range(1, len(parts))]
        names += [c.layer for c in cut.calls if cut.skip & set(c.squashes)]
        self.opened = {id(cut), id(cut.module)} | {id(layers[n]) for n in names if n in layers}
        self.opened -= {id(m) for m in layers.values() if isinstance(m, SQUASH_MODULES)}
        self.seen = 0

    def is_leaf_module(self, module, _name):
        if module is self.cut.layer:
            return True
        # The parts of an exported program are interpreted when called: opened, they cost nothing.
        return id(module) not in self.opened and type(module).__name__ != "InterpreterModule"

    def path_of_module(self, module):
        try:
            return super().path_of_module(module)
        except NameError:  # kept in a plain list or dict, which registers nothing
            name = f"loose_{id(module)}"
            self.root.add_module(name, module)
            return name

    def create_args_for_root(self, function, _is_module, concrete_args=None):
        count = len(tensors(self.cut.network.example))
        names = ["maps", *(f"input_{i}" for i in range(count))]
        self.placeholders = [self.create_proxy("placeholder", name, (), {}) for name in names]
        return function, [self.root, *self.placeholders]

    def call_module(self, module, forward, args, kwargs):
        out = super().call_module(module, forward, args, kwargs)
        if module is not self.cut.layer:
            return out
        number, self.seen = self.seen, self.seen + 1
        if number != self.cut.call_cut.number:
            return out
        return _replaced(self.cut.call_cut.structure, out, self.cut.native(self.placeholders[0]))


def _replaced(structure: Any, out: fx.Proxy, value: fx.Proxy) -> Any:
    """A layer's outputs, its first tensor being `value`."""
    pending = [value]

    def build(part, proxy):
        if isinstance(part, dict):
            return {key: build(item, proxy[key]) for key, item in part.items()}
        if isinstance(part, tuple):
            return tuple(build(item, proxy[i]) for i, item in enumerate(part))
        return pending.pop() if part and pending else proxy

    built = build(structure, out)
    if pending:
        raise NotTraceable("the layer's output is of a class of its own")
    return built


def by_trace(cut: Cut) -> Run:
    """What lies behind the cut as an fx graph over the network's own modules."""
    if is_keras(cut.module):
        raise NotTraceable("Keras layers look at types, which a symbolic trace has none of")
    tracer = _Tracer(cut)
    graph = tracer.trace(cut)
    return _behind(cut, fx.GraphModule(tracer.root, graph))


def by_export(cut: Cut) -> Run:
    """What lies behind the cut as an exported graph of tensor operations."""
    network, shape = cut.network, cut.call_cut.shape
    n = network.fixed or 3
    maps = torch.zeros(n, *shape, device=network.device, dtype=network.dtype)
    flat = [x.contiguous() for x in tensors(network.rows(n))]
    shapes = None
    if not network.fixed:
        rows = torch.export.Dim("rows")
        dynamic = [{0: rows} if network._batched(x) else None for x in tensors(network.example)]
        shapes = {"maps": {0: rows}, "flat": tuple(dynamic)}
    with _quiet():
        program = torch.export.export(cut, (maps, *flat), dynamic_shapes=shapes, strict=False)
        module = program.module()
    module.graph.set_codegen(fx.graph.CodeGen())
    output = next(node for node in module.graph.nodes if node.op == "output")
    result = output.args[0]
    output.args = (result[0] if isinstance(result, (tuple, list)) else result,)
    return _behind(cut, module)


@contextlib.contextmanager
def _quiet():
    """torch.export explains a refusal at length, on three channels, to people who did not ask it anything."""
    loggers = [logging.getLogger(name) for name in ("torch.fx.experimental.symbolic_shapes", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _behind(cut: Cut, module: fx.GraphModule) -> Run:
    graph = module.graph
    if cut.skip:
        leave_out_squash(graph, module)
    leave_out_nothings(graph, module)
    drop_unused(graph)
    hold_sides(module, cut.network)
    return as_function(module)
