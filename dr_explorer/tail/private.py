"""A private copy of someone's network: eval mode, frozen, float, on one device. The network itself is only read."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from .recurrences import for_cudnn
from .trees import tensors

#: Where a module keeps what it has registered.
_OWN = frozenset(vars(nn.Module()))
#: What becomes of a network in half precision.
HALF = "its copy runs in float32"
#: Names of tensors listed in a message before "and so many more".
_LISTED = 5


def is_keras(module: Any) -> bool:
    return any(base.__module__.split(".")[0] == "keras" for base in type(module).__mro__)


def _children(parent: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a module: registered, in plain lists and dicts, or in the list where Keras keeps its layers."""
    if isinstance(parent, (torch.jit.ScriptModule, Scripted)):
        return
    if is_keras(parent) and not isinstance(parent, (nn.ModuleList, nn.ModuleDict, nn.ParameterDict)):
        yield from ((layer.name, layer) for layer in getattr(parent, "layers", []))
        return
    yield from ((name, unwrap(child)) for name, child in parent._modules.items())
    for name, value in vars(parent).items():
        if name not in _OWN:
            yield from _in_containers(name, value)


def _in_containers(name: str, value: Any, depth: int = 3) -> Iterator[tuple[str, nn.Module]]:
    """The modules in plain lists and dicts, and in those within, which register nothing."""
    entries = value.items() if type(value) is dict else enumerate(value) if type(value) in (list, tuple) else ()
    for key, entry in entries:
        if isinstance(entry, nn.Module):
            yield f"{name}.{key}", unwrap(entry)
        elif depth > 1 and type(entry) in (dict, list, tuple):
            yield from _in_containers(f"{name}.{key}", entry, depth - 1)


def named_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module below `module` by dotted name, once."""
    seen = {id(module)}

    def below(parent: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
        for name, child in _children(parent):
            if isinstance(child, nn.Module) and id(child) not in seen:
                seen.add(id(child))
                yield prefix + name, child
                yield from below(child, f"{prefix}{name}.")

    yield from below(module, "")


def unwrap(model: Any) -> Any:
    """The network inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(model, nn.Module) and "_orig_mod" in model._modules:
            model = model._orig_mod
        else:
            return model


class Scripted(nn.Module):
    """A part of a network in TorchScript, called whole: it takes no hooks itself."""

    def __init__(self, script: torch.jit.ScriptModule):
        super().__init__()
        self.script = script

    def forward(self, *args, **kwargs):
        return self.script(*args, **kwargs)

    def type_name(self) -> str:
        return self.script.original_name


def _as_part(child: Any) -> Any:
    return Scripted(child) if isinstance(child, torch.jit.ScriptModule) else child


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


@torch.no_grad()
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


def _keras_knows(model: nn.Module):
    """Keras copies by name: lend it the names of the classes somebody wrote."""
    if not is_keras(model):
        return contextlib.nullcontext()
    own = {type(layer) for layer in (model, *(layer for _, layer in named_layers(model)))}
    return sys.modules["keras"].saving.custom_object_scope({kind.__name__: kind for kind in own})


@torch.no_grad()  # or the weights of a scripted part would be copies with a history
def _copy(model: nn.Module) -> nn.Module:
    # Tensors that carry a graph (an activation somebody kept on the module) refuse to be deep-copied.
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in tensors(list(vars(module).values())):
            if tensor.grad_fn is not None:
                memo[id(tensor)] = tensor.detach().clone()
    try:
        with _keras_knows(model):
            return copy.deepcopy(model, memo)
    except Exception as error:
        raise TypeError(
            f"this {type(model).__name__} cannot be copied ({type(error).__name__}: {str(error)[:200]}); networks are "
            "read from a private copy. Make copy.deepcopy work on it (a Keras model of your own class needs get_config "
            "and from_config), or give a program made by torch.export.export"
        ) from error


def _freeze(module: nn.Module) -> None:
    for parent in [module, *(layer for _, layer in named_layers(module))]:
        for part in parent.modules():
            if isinstance(part, (torch.jit.ScriptModule, Scripted)):
                continue
            part._compiled_call_impl = None
            part._modules.update({name: _as_part(unwrap(child)) for name, child in part._modules.items()})
            # Hooks on gradients never change an output, and a full one wraps tensors on their way.
            part._backward_hooks.clear()
            part._backward_pre_hooks.clear()
        for weight in parent.eval().parameters():
            weight.requires_grad_(False)


def _settle(module: nn.Module, device, notes: list[str]) -> tuple[torch.device, torch.dtype]:
    """Bring everything to one device, and to float."""
    parts = [module, *(layer for _, layer in named_layers(module))]
    held = {id(t): t for part in parts for t in (*part.parameters(), *part.buffers())}.values()
    places = {tensor.device for tensor in held}
    if device is None and len(places) > 1:
        raise ValueError(
            f"the network lies on several devices ({', '.join(sorted(map(str, places)))}); pass device= to say where "
            "its copy should run"
        )
    device = torch.device(device) if device is not None else next(iter(places), torch.device("cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={str(device)!r}: there is no CUDA device here, or torch was built without CUDA")
    kinds = {tensor.dtype for tensor in held if tensor.is_floating_point()}
    half = sorted(str(kind).removeprefix("torch.") for kind in kinds & {torch.float16, torch.bfloat16})
    if half:
        notes.append(f"the network is in {' and '.join(half)}: {HALF}")
    dtype = torch.float64 if kinds == {torch.float64} else torch.float32
    for part in parts:
        part.to(device, dtype)
        if device.type == "cuda":
            for_cudnn(part)
        if isinstance(part, nn.TransformerEncoder):
            part.use_nested_tensor = False  # a padding mask would pack the rows, which no layer's map can be read from
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor):  # a constant that is no buffer, which .to() passes by
                vars(part)[name] = value.detach().to(device, dtype if value.is_floating_point() else value.dtype)
    return device, dtype


def private_copy(model: Any, device, notes: list[str]) -> tuple[nn.Module, nn.Module, torch.device, torch.dtype]:
    """The network without its wrappings, its private copy, and where and in which type the copy runs.

    Raises
    ------
    TypeError
        For what is not a network, or cannot be copied.
    ValueError
        For weights without values or with values that are not finite numbers, and for several devices.
    """
    original = unwrap(model)
    _check_is_network(original)
    if isinstance(original, torch.export.ExportedProgram):
        original = module = torch.export.unflatten(original)  # makes new modules, on the program's own weights
        module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)
    else:
        _check_weights(original)
        module = _copy(original)
    _freeze(module)
    _check_weights(module)
    return original, module, *_settle(module, device, notes)


def type_name(layer: nn.Module) -> str:
    """The name of a layer's class: in an exported program, of the class it had before."""
    given = getattr(layer, "type_name", None)
    name = (given() if callable(given) else None) or type(layer).__name__
    return name.split(".")[-1]
