"""A private, frozen copy of someone's network, called on rows of inputs and answering with logits."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

#: Names of tensors listed in a message before "...".
_LISTED = 5


def tree_map(function: Callable[[torch.Tensor], Any], tree: Any) -> Any:
    """`function` on every tensor in nested tuples, lists and dicts; everything else stays as it is."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: tree_map(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        values = [tree_map(function, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return tree


def tensors(tree: Any) -> list[torch.Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    values = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, (tuple, list)) else ()
    return [tensor for value in values for tensor in tensors(value)]


def is_keras(module: Any) -> bool:
    return type(module).__module__.split(".")[0] == "keras" or any(
        base.__module__.split(".")[0] == "keras" for base in type(module).__mro__
    )


def named_layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every module below `module` by dotted name, once; Keras keeps its layers in a list of its own."""
    seen: set[int] = set()

    def below(parent: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
        keras = is_keras(parent) and not isinstance(parent, (nn.ModuleList, nn.ModuleDict, nn.ParameterDict))
        children = (
            [(layer.name, layer) for layer in getattr(parent, "layers", [])] if keras else parent._modules.items()
        )
        for name, child in children:
            if isinstance(child, nn.Module) and id(child) not in seen:
                seen.add(id(child))
                yield prefix + name, child
                yield from below(child, f"{prefix}{name}.")

    yield from below(module, prefix)


def unwrap(model: Any) -> Any:
    """The network inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(model, nn.Module) and "_orig_mod" in model._modules:
            model = model._orig_mod
        else:
            return model


def _check_is_network(model: Any) -> None:
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            "a TorchScript module cannot be cut at a layer; give the nn.Module it was made from, "
            "or a program made by torch.export.export"
        )
    if isinstance(model, (nn.Module, torch.export.ExportedProgram)):
        return
    what = f"the class {model.__name__} itself" if isinstance(model, type) else type(model).__name__
    advice = ""
    if isinstance(model, type):
        advice = f": make one, {model.__name__}(...)"
    elif isinstance(model, Mapping):
        advice = ": a state_dict holds weights but no network; load it into one first"
    elif hasattr(model, "__fspath__") or isinstance(model, str):
        advice = ": load it first (load_keras for Keras HDF5 files, torch.export.load for .pt2)"
    elif is_keras(model):
        advice = ": set KERAS_BACKEND=torch before keras is imported, and load the model again"
    raise TypeError(f"expected a network (torch.nn.Module or torch.export.ExportedProgram), got {what}{advice}")


def _check_weights(module: nn.Module) -> None:
    lazy = [n for n, p in module.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]
    if lazy:
        raise ValueError(f"weights that have no values yet: {_list(lazy)}; run the network once on an input first")
    meta = [n for n, p in module.named_parameters() if p.is_meta]
    if meta:
        raise ValueError(f"weights on the 'meta' device have no values: {_list(meta)}; load the trained weights first")
    bad = [n for n, p in module.named_parameters() if p.is_floating_point() and not torch.isfinite(p).all()]
    # An infinite buffer may be meant (attention masks); a NaN never is.
    bad += [n for n, b in module.named_buffers() if b.is_floating_point() and torch.isnan(b).any()]
    if bad:
        raise ValueError(f"weights that are not finite numbers: {_list(bad)}; the network cannot be ascended")


def _list(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _private_copy(model: nn.Module) -> nn.Module:
    # Tensors that carry a graph (an activation somebody kept on the module) refuse to be deep-copied.
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in tensors(list(vars(module).values())):
            if tensor.grad_fn is not None:
                memo[id(tensor)] = tensor.detach().clone()
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise TypeError(
            f"this {type(model).__name__} cannot be copied ({type(error).__name__}: {error}); networks are read from a "
            "private copy. Make it work with copy.deepcopy, or export it with torch.export.export"
        ) from error


def _freeze(module: nn.Module) -> nn.Module:
    for parent in module.modules():
        parent._compiled_call_impl = None
        for name, child in list(parent._modules.items()):
            parent._modules[name] = unwrap(child)
        # Hooks on gradients never change an output, and a full one wraps tensors on their way.
        parent._backward_hooks.clear()
        parent._backward_pre_hooks.clear()
    return module.eval().requires_grad_(False)


class Network:
    """A private copy of a network: eval mode, frozen, float, on one device.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        Never touched.
    example_input : tensor, or tuple, list or dict of the network's inputs
        Its first row is what other rows are made of where only the batch size matters.
    output : callable, or key, optional
        From the network's output to logits (N, C).
    device : optional
        Default: where the network is.

    Attributes
    ----------
    module : torch.nn.Module
    layers : dict
        Dotted name -> module of the copy.
    notes : list of str
        What the user should know.
    fixed : int or None
        The only batch size this network runs at.
    """

    def __init__(self, model, example_input, output=None, device=None):
        model = unwrap(model)
        _check_is_network(model)
        self.notes: list[str] = []
        if isinstance(model, torch.export.ExportedProgram):
            self.original = module = torch.export.unflatten(model)
            module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)
        else:
            _check_weights(model)
            self.original, module = model, _private_copy(model)
        self.module = _freeze(module)
        _check_weights(self.module)
        self._settle(device)
        # Names and modules of the original and of the copy run in parallel.
        self.layers = {_plain(name): layer for name, layer in named_layers(self.module)}
        self.output = (lambda y: y) if output is None else output
        if not callable(self.output):
            self.output = lambda y: y[output]
        self.path: tuple = ()
        self.rank = 2
        self.fixed: int | None = None
        self._arrange(example_input)
        self._drop_observers()
        self._read_output()

    def _settle(self, device) -> None:
        parameters = [*self.module.parameters(), *self.module.buffers()]
        places = {p.device for p in parameters}
        if device is None and len(places) > 1:
            raise ValueError(
                f"the network lies on several devices ({', '.join(sorted(map(str, places)))}); pass "
                f"device= to say where "
                "its copy should run"
            )
        self.device = torch.device(device) if device is not None else next(iter(places), torch.device("cpu"))
        kinds = {p.dtype for p in parameters if p.is_floating_point()}
        half = {torch.float16, torch.bfloat16} & kinds
        if half:
            names = " and ".join(sorted(str(k).removeprefix("torch.") for k in half))
            self.notes.append(f"the network is in {names}: its copy runs in float32")
        self.dtype = torch.float64 if kinds == {torch.float64} else torch.float32
        self.module.to(self.device, self.dtype)

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _cast(self, x: torch.Tensor) -> torch.Tensor:
        # A copy: a network may work in place on its input.
        return x.detach().to(self.device, self.dtype if x.is_floating_point() or self._floats else x.dtype, copy=True)

    def prepare(self, inputs: Any) -> tuple:
        """Somebody's inputs as this network takes them: tensors on its device, in a tuple of arguments."""
        inputs = _as_tensors(inputs)
        if isinstance(inputs, Mapping) and self._keywords is None:
            self._keywords = _takes(self.module, kwargs=inputs) and not is_keras(self.module)
        if isinstance(inputs, tuple):
            arguments = inputs
        elif isinstance(inputs, list) and _takes(self.module, args=inputs):
            arguments = tuple(inputs)
        else:
            arguments = (inputs,)
        if is_keras(self.module) and len(arguments) > 1:
            arguments = (list(arguments),)
        return tree_map(self._cast, arguments)

    def rows(self, n: int, inputs: tuple | None = None) -> tuple:
        """`n` rows, each the first row of the example (or of `inputs`)."""
        return tree_map(
            lambda x: x[:1].repeat(n, *[1] * (x.ndim - 1)) if self._batched(x) else x.clone(),
            self.example if inputs is None else inputs,
        )

    def shuffled(self, generator_seed: int = 0) -> tuple:
        """The example with its positions (last axis) in another order: other values, as valid as the first."""
        generator = torch.Generator().manual_seed(generator_seed)

        def shuffle(x):
            if not self._batched(x) or x.ndim < 2:
                return x
            axis = x.ndim - 2 if x.ndim > 2 and x.shape[-1] == 4 else x.ndim - 1
            return x.index_select(axis, torch.randperm(x.shape[axis], generator=generator).to(x.device))

        return tree_map(shuffle, self.example)

    def _batched(self, x: torch.Tensor) -> bool:
        return x.ndim > 0 and len(x) == self.batch

    def _arrange(self, example_input) -> None:
        self._floats, self._keywords = False, None
        if example_input is None or not tensors(_as_tensors(example_input)):
            raise ValueError("example_input: expected a tensor (N, 4, L) or a tuple of the network's inputs")
        bad = [x for x in tensors(_as_tensors(example_input)) if x.is_floating_point() and not torch.isfinite(x).all()]
        if bad:
            raise ValueError("example_input has values that are not finite numbers")
        if any(x.numel() == 0 for x in tensors(_as_tensors(example_input))):
            raise ValueError("example_input is empty: at least one row is needed")
        self.example = self.prepare(example_input)
        first = tensors(self.example)[0]
        self.batch = len(first) if first.ndim else 1
        try:
            self.call(self.example)
        except Exception as error:
            self._explain(example_input, error)

    def _explain(self, example_input, error: Exception) -> None:
        """Look for what would have run; whole numbers become floats by themselves, all else is for the user."""

        def runs(change, floats=False):
            self._floats = floats
            try:
                self.example = self.prepare(tree_map(change, _as_tensors(example_input)))
                self.batch = len(tensors(self.example)[0])
                self.call(self.example)
            except Exception:
                return False
            return True

        whole = any(not x.is_floating_point() for x in tensors(self.example))
        if whole and runs(lambda x: x, floats=True):
            return
        given = " and ".join(str(tuple(x.shape)) for x in tensors(_as_tensors(example_input)))
        for floats in (False, True):
            if runs(lambda x: x.transpose(1, 2) if x.ndim == 3 else x, floats):
                taken = " and ".join(str(tuple(x.shape)) for x in tensors(self.example))
                raise ValueError(
                    f"example_input has shape {given}, but this network takes {taken}: the axes of alphabet and "
                    "positions are swapped; pass x.transpose(1, 2)"
                ) from error
            if runs(lambda x: x[None], floats):
                raise ValueError(
                    f"example_input has shape {given}, without an axis for the rows; pass x[None] (one row)"
                ) from error
            if runs(lambda x: x[:, :, None] if x.ndim == 3 else x, floats) or runs(
                lambda x: x[:, None] if x.ndim == 3 else x, floats
            ):
                taken = " and ".join(str(tuple(x.shape)) for x in tensors(self.example))
                raise ValueError(f"example_input has shape {given}, but this network takes {taken}") from error
        raise ValueError(
            f"the network does not run on example_input of shape {given} ({type(error).__name__}: {error}); "
            "give a tensor (N, 4, L), one-hot ACGT, or a tuple of the network's inputs"
        ) from error

    # -- outputs --------------------------------------------------------------------------------------------------

    def call(self, inputs: tuple) -> Any:
        """The network's own output."""
        if self._keywords:
            return self.module(**inputs[0])
        return self.module(*inputs)

    def logits(self, inputs: tuple) -> torch.Tensor:
        """The output as (N, C)."""
        return self.finish(self.call(inputs))

    def finish(self, raw: Any) -> torch.Tensor:
        """The network's own output -> (N, C), by indexing and reshaping only, so that it can be traced."""
        out = self.output(raw)
        for key in self.path:
            out = out[key]
        if self.rank == 1:
            return out.unsqueeze(1)
        return out.flatten(1) if self.rank > 2 else out

    @torch.no_grad()
    def _read_output(self) -> None:
        for n in (2, 3):
            try:
                self.call(self.rows(n))
            except Exception:
                self.fixed = self.batch
                self.notes.append(
                    f"the network runs at a batch size of {self.batch} only: feature maps go through it "
                    f"{self.batch} at a time"
                )
                break
        n = self.fixed or 3
        try:
            out = self.output(self.call(self.rows(n)))
        except Exception as error:
            raise ValueError(f"output= failed on the network's output: {type(error).__name__}: {error}") from error
        while not isinstance(out, torch.Tensor):
            entries = dict(out) if isinstance(out, Mapping) else dict(enumerate(out)) if _is_sequence(out) else {}
            if len(entries) != 1:
                listed = "; ".join(f"{k!r}: {_describe(v)}" for k, v in entries.items()) or type(out).__name__
                key = repr(next(iter(entries), 0))
                raise ValueError(
                    f"the network has several outputs ({listed}); say which to ascend: output=lambda y: y[{key}]"
                )
            ((key, out),) = entries.items()
            self.path += (key,)
        shape = tuple(out.shape)
        if not shape or shape[0] != n:
            raise ValueError(
                f"the network's output for {n} rows has shape {shape}; expected a row each, (N, C): pass output="
            )
        if not out.is_floating_point():
            raise ValueError(
                f"the network's output is of type {out.dtype}, which has no gradient; expected logits (N, C)"
            )
        if sum(size > 1 for size in shape[1:]) > 1:
            raise ValueError(
                f"the network's output has shape (N, {', '.join(map(str, shape[1:]))}), expected one number a class, "
                "(N, C); say how: for instance output=lambda y: y.mean(-1)"
            )
        if not torch.isfinite(out).all():
            raise ValueError("the network's output for example_input is not finite (NaN or infinity)")
        self.rank = len(shape)

    @torch.no_grad()
    def _drop_observers(self) -> None:
        """Forget forward hooks that only look (loggers, recorders); keep those the output depends on (weight norm)."""
        hooked = [m for m in self.module.modules() if m._forward_hooks or m._forward_pre_hooks]
        if not hooked:
            return
        before = tensors(self.call(self.example))
        kept = [(m, m._forward_hooks.copy(), m._forward_pre_hooks.copy()) for m in hooked]
        for m in hooked:
            m._forward_hooks.clear()
            m._forward_pre_hooks.clear()
        after = tensors(self.call(self.example))
        same = len(before) == len(after) and all(
            a.shape == b.shape and torch.equal(a, b) for a, b in zip(before, after, strict=True)
        )
        if not same:
            for m, hooks, pre_hooks in kept:
                m._forward_hooks.update(hooks)
                m._forward_pre_hooks.update(pre_hooks)


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _describe(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _as_tensors(inputs: Any) -> Any:
    """Arrays as tensors, at any depth of tuples, lists and dicts."""
    if isinstance(inputs, torch.Tensor):
        return inputs
    if isinstance(inputs, Mapping):
        return {key: _as_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return type(inputs)(_as_tensors(value) for value in inputs)
    return torch.as_tensor(inputs) if hasattr(inputs, "__array__") else inputs


def _takes(module: nn.Module, args=(), kwargs=None) -> bool:
    try:
        inspect.signature(module.forward).bind(*args, **(kwargs or {}))
    except TypeError:
        return False
    return True
