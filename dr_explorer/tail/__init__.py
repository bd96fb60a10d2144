"""Cutting a network at a layer: the part behind the cut, as a function from feature map to logits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from . import lineage
from .choice import NoSuchLayer as NoSuchLayer
from .choice import choose
from .cut import Cut
from .layers import table_rows, watch
from .network import Network
from .replay import record
from .shortcuts import check_rows, depends_on_input, quickest, same_rows
from .surroundings import mixed_precision, undisturbed
from .trees import tensors, tree_map

#: What is raised where too many maps are asked for at once, on a GPU and on a CPU.
OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)
#: Factors on natural feature maps at which outputs are looked at for a hidden squash.
_PROBES = (1.0, 10.0, 100.0)
#: Feature-map numbers up to which preparing a backward pass takes longer than it: such steps are replayed, on a CPU.
_SMALL = 2**17
#: Trials that must fit into such a step to make recording it worth while.
_FEW = 16
#: Numbers in the inputs that go through the whole network at once: its activations are a thousand times as many.
_AT_ONCE = 2**19


@undisturbed()
def list_layers(model: nn.Module, example_input: Any, *, output: Any = None) -> pd.DataFrame:
    """The layers of a network, and where it can be cut.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        Any network. It is read from a private copy and comes back as it was.
    example_input : tensor (N, 4, L), or a tuple of the network's inputs
        Only its shape matters here.
    output : callable or key, optional
        From the network's output to logits (N, C), for networks with several outputs.

    Returns
    -------
    pandas.DataFrame
        A row for each layer call, in the order in which they end:

        name : str
            What `Tail` takes; the calls of a layer called several times in one forward pass are ``name#1``,
            ``name#2``, ...
        type : str
        shape : tuple
            Of its feature map without the rows, channels first: ``(K, W)`` or ``(K,)``.
        cut : str
            ``"clean"``: the output depends on the input through this layer only. ``"shared"``: a skip connection
            crosses the cut. ``"no"``: it cannot be cut here.
        suggested : bool
            The paper's choice: the last map before the dense layers, or the input of the third convolution.

    Raises
    ------
    TypeError
        For what is not a network.
    ValueError
        When the network does not run on `example_input`, or its output is not (N, C).
    """
    columns = ["name", "type", "shape", "cut", "suggested"]
    return pd.DataFrame(table_rows(watch(Network(model, example_input, output)).calls), columns=columns)


class Tail:
    """The part of a network behind one of its layers: feature map in, logits out.

    The network is copied, frozen, put in eval mode and in float; the one given is never touched. Only what lies behind
    the cut is computed. Rows of a batch are independent of each other, in any number.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        Any network from sequences to one number a class.
    layer : str or torch.nn.Module, optional
        Dotted name (see `list_layers`), or the module itself. Default: what `list_layers` suggests.
    example_input : tensor (N, 4, L), or a tuple of the network's inputs
        Values matter only where a skip connection crosses the cut: the other branch is held at those of the first row.
    output : callable or key, optional
        From the network's output to logits (N, C), for networks with several outputs.
    device : optional
        Where the copy runs. Default: where the network is.

    Attributes
    ----------
    layer : str
    shape : tuple
        Of one feature map, channels first: ``(K, W)`` or ``(K,)``.
    n_targets : int
        Number of logits, C.
    cut : str
        ``"clean"`` or ``"shared"``.
    squash : str or None
        The output squash that was left out (``"sigmoid"``, ``"softmax"``, ...).
    device, dtype
        Of maps and logits.
    notes : list of str
        What the user should know.
    way : str
        How the tail is computed: ``"trace"``, ``"export"``, ``"memory"`` or ``"whole"`` (see ``shortcuts.py``).

    Raises
    ------
    TypeError
        For what is not a network.
    NoSuchLayer
        A KeyError, when there is no such layer (the nearest name is in the message).
    ValueError
        When the network cannot be cut there, does not run on `example_input`, has weights that are not finite, or
        mixes the rows of a batch.
    """

    @undisturbed()
    def __init__(self, model, layer=None, *, example_input, output=None, device=None):
        self._network = Network(model, example_input, output, device)
        seen = watch(self._network)
        call = choose(self._network, seen, layer)
        self.layer, self.shape, self.cut, self.squash = call.name, call.shape, call.cut, seen.squash
        self.device, self.dtype = self._network.device, self._network.dtype
        self.notes: list[str] = self._network.notes
        kernels = lineage.first_kernels(call.node)
        self._kernels = None if kernels is None else _as_filters(kernels.detach().float().cpu().numpy(), self.shape[0])
        self._cut = Cut(self._network, call, seen.calls, seen.skip)
        # What a test of a way to compute the tail is made on: natural maps and others of their size.
        self._maps = self._typical_maps()
        self._run, self.way, logits = quickest(self._cut, self._maps)
        check_rows(self._run, self._maps)
        if self.cut == "clean" and depends_on_input(self._cut, self._maps, logits):
            self.cut = "shared"
        self._tell_of_sides()
        self._last_picked: tuple | None = None
        with torch.no_grad():
            self.n_targets = self.logits(self._maps[:1]).shape[1]
        small = self._maps[0].numel() <= _SMALL // _FEW and self.device.type == "cpu" and not self._network.fixed
        self._replay = record(self._run, self._maps, self.n_targets) if small else None
        self._check_squash(seen.hidden)

    @property
    def example(self) -> tuple[Any, ...]:
        """The network's inputs as it was shown them, on its device."""
        return self._network.example

    # -- the three functions --------------------------------------------------------------------------------------

    @undisturbed()
    def logits(self, maps: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of feature maps (N, \\*shape), before any squash; differentiable in the maps."""
        return self._run(maps)

    def value_and_grad(self, maps: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each map's logit at its own target, and its gradient.

        Parameters
        ----------
        maps : tensor (N, \\*shape)
        targets : LongTensor (N,)
            The column of each row's class.

        Returns
        -------
        score : tensor (N,)
        grad : tensor (N, \\*shape)
            No graph is left behind.

        Raises
        ------
        torch.OutOfMemoryError, MemoryError
            Where these are too many maps at once, on a GPU or a CPU.
        """
        if torch.is_inference_mode_enabled() or mixed_precision():
            with undisturbed():
                return self.value_and_grad(maps, targets)
        small = self._replay is not None and maps.numel() <= _SMALL
        with torch.set_grad_enabled(not small):
            columns, picked = self._picked(targets)
            try:
                if small:
                    logits, grad = self._replay(maps, picked)
                else:
                    maps = (maps.clone() if maps.is_inference() else maps.detach()).requires_grad_()
                    logits = self._run(maps)
                    (grad,) = torch.autograd.grad(logits, maps, picked)
            except RuntimeError as error:  # on a CPU, a lack of memory has no class of its own
                if "can't allocate memory" in str(error):
                    raise MemoryError(str(error)) from error
                raise
            return logits.detach().gather(1, columns).squeeze(1), grad

    def _picked(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets as a column, and ones in their places: the gradient of the sum of one logit a row.

        Kept from one step to the next while the targets stay the same tensor, unchanged: an eighth of a small step.
        """
        key = (id(targets), None if targets.is_inference() else targets._version)
        kept = self._last_picked
        if kept is not None and kept[0] == key and kept[1] is targets and key[1] is not None and not targets.is_cuda:
            return kept[2]
        columns = targets.unsqueeze(1)
        picked = torch.zeros(len(targets), self.n_targets, dtype=self.dtype, device=self.device)
        found = columns, picked.scatter_(1, columns, 1.0)
        self._last_picked = (key, targets, found)  # in one assignment, for another thread may read it
        return found

    @undisturbed()
    def features(self, inputs: Any) -> torch.Tensor:
        """Feature maps (N, \\*shape) of inputs, (N, 4, L) or a tuple: the part before the cut. No gradient."""
        maps = self._by_rows(self._cut.features, inputs)
        if maps.shape[1:] != self.shape:
            raise ValueError(
                f"these inputs give maps of shape {tuple(maps.shape[1:])}, example_input gave {self.shape}: sequences "
                "must be as long as in example_input"
            )
        return maps

    def predict(self, inputs: Any) -> torch.Tensor:
        """Logits (N, C) of the whole network, before any squash. No gradient."""
        with undisturbed(), torch.no_grad():
            return self._by_rows(lambda given: self._cut.whole(None, given), inputs)

    def sequence_gradient(self, x: torch.Tensor, target: int, inputs: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The whole network's logit (N,) of one class for sequences (N, 4, L), and its gradient at them (N, 4, L).

        ``inputs`` turns the sequences into the network's inputs, differentiably, where it takes more than these.
        """
        with undisturbed(), torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            logits = self._by_rows(lambda given: self._cut.whole(None, given), inputs(x) if inputs else x, graph=True)
            (grad,) = torch.autograd.grad(logits[:, target].sum(), x)
        return logits[:, target].detach(), grad

    def first_layer(self) -> np.ndarray | None:
        """Kernels (filters, 4, width) of the first convolution, or None.

        Where this layer's channels are that convolution's channels, one to one: through activations, batch norm,
        pooling and flattening after global pooling.
        """
        return None if self._kernels is None else self._kernels.copy()

    def __repr__(self) -> str:
        squash = f", {self.squash} left out" if self.squash else ""
        return f"Tail({self.layer!r}: {self.shape} -> {self.n_targets} logits{squash}, {self.cut} cut, {self.device})"

    # -- how it is made -------------------------------------------------------------------------------------------

    def _by_rows(self, function, inputs, *, graph: bool = False):
        """`function` of the inputs, some rows at a time: as many as fit, or as the network takes."""
        network = self._network
        given = network.prepare(inputs, graph=graph)
        total = len(tensors(given)[0])
        size = sum(x[0].numel() for x in tensors(given) if x.ndim and len(x) == total)
        n = network.fixed or max(1, _AT_ONCE // max(1, size))
        parts = []
        try:
            if not network.fixed and total <= n:
                return function(given)
            for start in range(0, total, n):
                rows = torch.arange(start, start + n, device=self.device)
                rows = rows.clamp(max=total - 1) if network.fixed else rows[rows < total]
                some = tree_map(lambda x, rows=rows: x[rows] if x.ndim and len(x) == total else x, given)
                parts.append(function(some)[: total - start])
        except Exception as error:
            shapes, shown = ([tuple(x.shape[1:]) for x in tensors(one)] for one in (given, network.example))
            if shapes == shown:
                raise
            raise ValueError(
                f"inputs of shape {_rows_of(shapes)}; the network was shown {_rows_of(shown)} as example_input"
            ) from error
        return torch.cat(parts)

    def _typical_maps(self) -> torch.Tensor:
        network = self._network
        n = network.fixed or 2
        both = [self._cut.features(network.rows(n, inputs)) for inputs in (None, network.shuffled())]
        for maps in both:
            same_rows(maps)
        natural, other = (maps[:1] for maps in both)
        generator = torch.Generator("cpu").manual_seed(0)
        size = max(float(natural.abs().max()), float(other.abs().max()), 1e-3)
        random = (
            torch.rand((3, *self.shape), generator=generator, dtype=self.dtype, device="cpu").to(self.device) * size
        )
        return torch.cat([random[:1] + natural, random[1:2] + other, random[2:]])

    def _tell_of_sides(self) -> None:
        if self.cut == "shared":
            message = (
                f"the output depends on the input by other ways than {self.layer!r} (a skip connection, another "
                "input): they are held at the values that the first row of example_input gives them. list_layers "
                "shows clean cuts"
            )
            self.notes.append(message)
            warnings.warn(message, UserWarning, stacklevel=4)

    def _check_squash(self, hidden: str | None) -> None:
        if self.squash is not None:
            return
        advice = "Give the logits with output=, or leave the squash out of the network"
        if hidden is not None:
            message = (
                f"the network's outputs come from a {hidden}, scaled, clamped or averaged: the ascent stops where it "
                f"saturates. {advice}"
            )
        else:
            with torch.no_grad():
                outputs = [self.logits(self._maps * factor) for factor in _PROBES]
            if not all(bool(((y >= 0) & (y <= 1)).all()) for y in outputs) or float(torch.stack(outputs).std()) == 0:
                return
            message = (
                "the network's outputs stay within [0, 1], but no sigmoid or softmax was found at its end: if these "
                f"are probabilities, the ascent stops where they saturate. {advice}"
            )
        self.notes.append(message)
        warnings.warn(message, UserWarning, stacklevel=4)


def _rows_of(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(f"(N, {', '.join(map(str, shape))})" for shape in shapes)


def _as_filters(weight: np.ndarray, channels: int) -> np.ndarray | None:
    """A convolution's weights as (filters, 4, width), where they read an alphabet of four."""
    if len(weight) != channels:
        return None
    if weight.ndim == 4 and weight.shape[1] == 1 and weight.shape[3] == 4:
        return weight[:, 0].swapaxes(1, 2)  # (F, 1, width, 4)
    if weight.ndim == 4:
        weight = weight[:, 0] if weight.shape[1:3] == (1, 4) else weight[:, :, 0] if weight.shape[2] == 1 else weight
    return weight if weight.ndim == 3 and weight.shape[1] == 4 else None
