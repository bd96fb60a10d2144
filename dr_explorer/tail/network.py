"""A private, frozen copy of someone's network, called on rows of inputs and answering with logits."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .likeness import random_like
from .private import HALF, is_keras, named_layers, private_copy
from .trees import as_tensors, tensors, tree_map

#: Rows of the example on which it is seen whether the network runs.
_FEW = 3


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
        self.notes: list[str] = []
        self.original, self.module, self.device, self.dtype = private_copy(model, device, self.notes)
        # Names and modules of the original and of the copy run in parallel.
        self.layers = dict(named_layers(self.module))
        self.output = (lambda y: y) if output is None else output
        if isinstance(output, nn.Module):  # a head of its own: frozen and in eval mode like the rest
            self.output = private_copy(output, self.device, [])[1].to(self.dtype)
        elif not callable(self.output):
            self.output = lambda y: y[output]
        self.path: tuple = ()
        self.rank, self.cast = 2, False
        self.fixed: int | None = None
        self._arrange(example_input)
        self._drop_observers()
        self._read_output()

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _cast(self, x: torch.Tensor) -> torch.Tensor:
        return self._moved(x.detach())

    def _moved(self, x: torch.Tensor) -> torch.Tensor:
        # A copy: a network may work in place on its input.
        return x.to(self.device, self.dtype if x.is_floating_point() or self._floats else x.dtype, copy=True)

    def prepare(self, inputs: Any, *, graph: bool = False) -> tuple:
        """Somebody's inputs as this network takes them: tensors on its device, in a tuple of arguments.

        With `graph` a gradient finds its way back to them.
        """
        inputs = as_tensors(inputs)
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
        return tree_map(self._moved if graph else self._cast, arguments)

    def rows(self, n: int, inputs: tuple | None = None) -> tuple:
        """`n` rows, each the first row of the example (or of `inputs`)."""
        return tree_map(
            lambda x: x[:1].repeat(n, *[1] * (x.ndim - 1)) if self._batched(x) else x.clone(),
            self.example if inputs is None else inputs,
        )

    def shuffled(self, generator_seed: int = 0) -> tuple:
        """The example with its positions in another order: other values, as valid as the first.

        Where every position has the same, zeros mostly, random sequences.
        """
        generator = torch.Generator("cpu").manual_seed(generator_seed)

        def shuffle(x):
            if not self._batched(x) or x.ndim < 2:
                return x
            axis = x.ndim - 2 if x.ndim > 2 and x.shape[-1] == 4 else x.ndim - 1
            order = torch.randperm(x.shape[axis], generator=generator, device="cpu").to(x.device)
            other = x.index_select(axis, order)
            return random_like(x, len(x), generator).clone() if torch.equal(other, x) else other

        return tree_map(shuffle, self.example)

    def _batched(self, x: torch.Tensor) -> bool:
        return x.ndim > 0 and len(x) == self.batch

    def _arrange(self, example_input) -> None:
        self._floats, self._keywords = False, None
        if example_input is None or not tensors(as_tensors(example_input)):
            raise ValueError("example_input: expected a tensor (N, 4, L) or a tuple of the network's inputs")
        bad = [x for x in tensors(as_tensors(example_input)) if x.is_floating_point() and not torch.isfinite(x).all()]
        if bad:
            raise ValueError("example_input has values that are not finite numbers")
        if any(x.numel() == 0 for x in tensors(as_tensors(example_input))):
            raise ValueError("example_input is empty: at least one row is needed")
        self.example = self.prepare(example_input)
        first = tensors(self.example)[0]
        self.batch = len(first) if first.ndim else 1
        try:
            self._output_of_some()
        except Exception as error:
            self._explain(example_input, error)

    def _output_of_some(self) -> Any:
        """The network's own output for some rows: the example may be a whole data set."""
        if self.batch > _FEW:
            with contextlib.suppress(Exception):  # a network for one batch size takes all of its rows or none
                return self.call(self._first_rows(_FEW))
        return self.call(self._first_rows(self.batch))

    def _first_rows(self, n: int) -> tuple:
        return tree_map(lambda x: (x[:n] if self._batched(x) else x).clone(), self.example)

    def _explain(self, example_input, error: Exception) -> None:
        """Look for what would have run; whole numbers become floats by themselves, all else is for the user."""

        def runs(change, floats=False):
            self._floats = floats
            try:
                self.example = self.prepare(tree_map(change, as_tensors(example_input)))
                self.batch = len(tensors(self.example)[0])
                self._output_of_some()
            except Exception:
                return False
            return True

        whole = any(not x.is_floating_point() for x in tensors(self.example))
        if whole and runs(lambda x: x, floats=True):
            return
        given = " and ".join(str(tuple(x.shape)) for x in tensors(as_tensors(example_input)))
        swapped = "the axes of alphabet and positions are swapped; pass x.transpose(1, 2)"
        changes = [
            (swapped, lambda x: x.transpose(1, 2) if x.ndim == 3 else x),
            ("there is no axis for the rows; pass x[None] (one row)", lambda x: x[None]),
            ("pass x[:, :, None]", lambda x: x[:, :, None] if x.ndim == 3 else x),
            ("pass x[:, None]", lambda x: x[:, None] if x.ndim == 3 else x),
            ("pass x[:, 0]", lambda x: x[:, 0] if x.ndim == 4 else x),
            ("pass x[:, :, 0]", lambda x: x[:, :, 0] if x.ndim == 4 else x),
        ]
        for floats in (False, True):
            for advice, change in changes:
                if runs(change, floats):
                    taken = " and ".join(str(tuple(x.shape)) for x in tensors(self.example))
                    raise ValueError(
                        f"example_input has shape {given}, but this network takes {taken}: {advice}"
                    ) from error
        advice = "give a tensor (N, 4, L), one-hot ACGT, or a tuple of the network's inputs"
        if any(HALF in note for note in self.notes) and "type" in str(error):
            advice = (
                "its copy runs in float32, where its own forward pass casts to half precision: let that cast to the "
                "type of the weights instead, x.to(self.conv.weight.dtype)"
            )
        raise ValueError(
            f"the network does not run on example_input of shape {given} ({type(error).__name__}: {error}); {advice}"
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
        if self.cast:
            out = out.to(self.dtype)
        if self.rank == 1:
            return out.unsqueeze(1)
        return out.flatten(1) if self.rank > 2 else out

    @torch.no_grad()
    def _read_output(self) -> None:
        for n in (2, 3):
            try:
                raw = self.call(self.rows(n))
            except Exception:
                n = self.fixed = self.batch
                self.notes.append(
                    f"the network runs at a batch size of {self.batch} only: feature maps go through it "
                    f"{self.batch} at a time (a program exported with a dynamic batch is quicker)"
                )
                raw = self.call(self.rows(n))
                break
        try:
            out = self.output(raw)
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
                "(N, C); say how: for instance output=lambda y: y.mean(-1), or y.mean(1) where classes come last"
            )
        if not torch.isfinite(out).all():
            raise ValueError("the network's output for example_input is not finite (NaN or infinity)")
        self.rank, self.cast = len(shape), out.dtype != self.dtype

    @torch.no_grad()
    def _drop_observers(self) -> None:
        """Forget forward hooks that only look (loggers, recorders); keep those the output depends on (weight norm)."""
        modules = [self.module, *self.layers.values()]
        kinds = [hooks for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks) if hooks]
        if not kinds:
            return
        before = tensors(self._output_of_some())

        def matter(kept: list[dict]) -> bool:
            for hooks, some in zip(kinds, kept, strict=True):
                hooks.clear()
                hooks.update(some)
            try:
                after = tensors(self._output_of_some())
            except Exception:  # without it the network does not even run
                return True
            return len(before) != len(after) or not all(map(torch.equal, before, after))

        kept = [dict(hooks) for hooks in kinds]
        if not matter([{} for _ in kinds]):
            return
        for i, hooks in enumerate(kept):
            for key in list(hooks):
                without = {k: hook for k, hook in kept[i].items() if k != key}
                if not matter([*kept[:i], without, *kept[i + 1 :]]):
                    kept[i] = without
        matter(kept)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _describe(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _takes(module: nn.Module, args=(), kwargs=None) -> bool:
    try:
        inspect.signature(module.forward).bind(*args, **(kwargs or {}))
    except TypeError:
        return False
    return True
