"""Cutting a network at a layer: the part behind the cut, as a function from feature map to logits."""

from __future__ import annotations

import copy
import difflib
import threading

import pandas as pd
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_SQUASHES = {
    torch.sigmoid: "sigmoid",
    torch.Tensor.sigmoid: "sigmoid",
    torch.nn.functional.sigmoid: "sigmoid",
    torch.softmax: "softmax",
    torch.Tensor.softmax: "softmax",
    torch.nn.functional.softmax: "softmax",
    torch.log_softmax: "log_softmax",
    torch.Tensor.log_softmax: "log_softmax",
    torch.nn.functional.log_softmax: "log_softmax",
}
_CHANNELS_LAST = (nn.Linear, nn.LSTM, nn.GRU, nn.LayerNorm, nn.MultiheadAttention, nn.TransformerEncoderLayer)


class _Unsquashed(TorchFunctionMode):
    """Lets the squash calls whose results are in ``skip`` (by order of call) through unchanged."""

    def __init__(self, skip=None):
        super().__init__()
        self.skip, self.count, self.results = skip, 0, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _SQUASHES and self.skip != "inside":
            self.count += 1
            if self.skip == self.count:
                return args[0] if args else kwargs["input"]
            with self:
                pass
            outer, self.skip = self.skip, "inside"  # F.softmax calls Tensor.softmax: one squash, not two
            try:
                result = func(*args, **(kwargs or {}))
            finally:
                self.skip = outer
            self.results.append((self.count, _SQUASHES[func], result))
            return result
        return func(*args, **(kwargs or {}))


def _tuple(inputs):
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _first(out):
    if isinstance(out, torch.Tensor):
        return out
    values = out.values() if isinstance(out, dict) else out
    return _first(next(iter(values)))


def _with_first(out, value):
    if isinstance(out, torch.Tensor):
        return value
    if isinstance(out, dict):
        key = next(iter(out))
        return {**out, key: _with_first(out[key], value)}
    return type(out)((_with_first(out[0], value), *out[1:]))


def _matrix(out):
    """One row a map, one column a class."""
    if out.ndim == 1:
        return out[:, None]
    if out.ndim > 2 and sum(n > 1 for n in out.shape[1:]) > 1:
        raise ValueError(
            f"the network's output has shape {tuple(out.shape)}, expected (N, C); "
            "pass output=, a function from the network's output to (N, C) logits"
        )
    return out.flatten(1)


class _Network:
    """A private frozen copy of the network, and its layers by name."""

    def __init__(self, model, example_input, output, device):
        if not isinstance(model, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}")
        while isinstance(model, nn.DataParallel) or hasattr(model, "_orig_mod"):
            model = model.module if isinstance(model, nn.DataParallel) else model._orig_mod
        bad = [n for n, p in model.named_parameters() if not torch.isfinite(p).all()]
        if bad:
            raise ValueError(f"weights that are not finite numbers: {', '.join(bad[:5])}")
        self.original = model
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.notes = []
        first = next(self.module.parameters(), torch.zeros(()))
        if first.dtype in (torch.float16, torch.bfloat16):
            self.notes.append(f"the network is {first.dtype}: it runs on a float32 copy")
            self.module.float()
        self.dtype = torch.float64 if first.dtype == torch.float64 else torch.float32
        self.device = torch.device(device) if device is not None else first.device
        self.module.to(self.device)
        self.output = output or (lambda y: y)
        self.example = tuple(self.cast(x)[:1] for x in _tuple(example_input))
        self.names = {n: m for n, m in self.module.named_modules() if n}

    def cast(self, x):
        x = torch.as_tensor(x)
        return x.to(self.device, self.dtype) if x.is_floating_point() else x.to(self.device)

    def rows(self, n):
        return tuple(x.expand(n, *x.shape[1:]) for x in self.example)

    def __call__(self, *inputs):
        return _matrix(_first(self.output(self.module(*inputs))))

    def watch(self):
        """Every layer's calls, in order, on one row: name -> list of outputs."""
        calls, handles = {}, []
        for name, module in self.names.items():

            def hook(_m, _i, out, name=name):
                calls.setdefault(name, []).append(_first(out))

            handles.append(module.register_forward_hook(hook))
        try:
            with torch.no_grad():
                self(*self.rows(2))
        finally:
            for handle in handles:
                handle.remove()
        return calls


def _shape(module, out):
    last = isinstance(module, _CHANNELS_LAST) and out.ndim == 3
    shape = tuple(out.shape[1:])
    if last:
        return (shape[1], shape[0]), last
    if len(shape) > 1:
        positions = 1
        for n in shape[1:]:
            positions *= n
        shape = (shape[0], positions) if positions > 1 else shape[:1]
    return shape, last


def list_layers(model, example_input, *, output=None):
    """The layers a network can be cut at.

    Returns
    -------
    pandas.DataFrame
        One row a layer, in order of execution: ``name``, ``type``, ``shape`` of the feature map (without the batch,
        channels first), ``cut`` (``"clean"``, ``"shared"`` or ``"no"``) and ``suggested``.
    """
    network = _Network(model, example_input, output, None)
    return _table(network, network.watch())


def _table(network, calls):
    rows, best = [], None
    for name, outs in calls.items():
        module = network.names[name]
        shape, _ = _shape(module, outs[0])
        rows.append(
            {
                "name": name,
                "type": type(module).__name__,
                "shape": shape,
                "cut": "clean" if len(outs) == 1 and shape else "no",
                "suggested": False,
            }
        )
    convs = [i for i, r in enumerate(rows) if r["type"].startswith("Conv")]
    dense = [i for i, r in enumerate(rows) if r["type"] in ("Linear", "LSTM", "GRU") and (not convs or i > convs[-1])]
    boundary = convs[2] if len(convs) > 2 else dense[0] if dense else len(rows)
    channels = rows[convs[min(len(convs), 3) - 1 - (len(convs) > 2)]]["shape"][0] if convs else None
    for i in range(boundary - 1, -1, -1):
        r = rows[i]
        inner = next(network.names[r["name"]].children(), None) is None
        if inner and r["cut"] == "clean" and (channels is None or r["shape"][0] == channels):
            best = i
            break
    if best is None and rows:
        best = 0
    if best is not None:
        rows[best]["suggested"] = True
    return pd.DataFrame(rows, columns=["name", "type", "shape", "cut", "suggested"])


class Tail:
    """The part of a network behind one of its layers, as a function from feature map to logits.

    Runs on a private frozen copy: the model given is never touched.

    Parameters
    ----------
    model : torch.nn.Module
    layer : str or torch.nn.Module, optional
        Default: the layer that `list_layers` suggests.
    example_input : tensor (N, 4, L), or a tuple of the model's inputs
    output : callable, optional
        From the model's output to (N, C) logits.
    device : optional
        Default: where the model is.
    """

    def __init__(self, model, layer=None, *, example_input, output=None, device=None):
        net = self._network = _Network(model, example_input, output, device)
        self.device, self.dtype, self.notes, self.cut = net.device, net.dtype, net.notes, "clean"
        calls = net.watch()
        if isinstance(layer, nn.Module):
            found = [n for n, m in net.original.named_modules() if m is layer and n]
            if not found:
                raise ValueError(f"the layer given, a {type(layer).__name__}, is not a part of the model")
            layer = found[0]
        if layer is None:
            table = _table(net, calls)
            layer = table.loc[table.suggested, "name"].iloc[0]
        if layer not in net.names:
            near = difflib.get_close_matches(str(layer), net.names, n=1, cutoff=0)
            raise KeyError(f"no layer {layer!r}; did you mean {near[0] if near else None!r}? list_layers shows them")
        if layer not in calls:
            raise ValueError(f"layer {layer!r} is not called in the network's forward")
        if len(calls[layer]) > 1:
            raise ValueError(f"layer {layer!r} is called {len(calls[layer])} times in one forward")
        self.layer, self._module = layer, net.names[layer]
        out = calls[layer][0]
        self.shape, self._last = _shape(self._module, out)
        self._native = tuple(out.shape[1:])
        self._lock, self._slot, self._kept = threading.Lock(), None, None
        self._module.register_forward_hook(self._hook)
        self._skip, self.squash = None, None
        self._find_squash()
        self._chain = self._as_chain()
        self.n_targets = self.logits(torch.zeros(1, *self.shape, device=self.device, dtype=self.dtype)).shape[1]

    def _hook(self, _module, _inputs, out):
        self._kept = _first(out)
        return out if self._slot is None else _with_first(out, self._slot)

    def _find_squash(self):
        mode = _Unsquashed()
        with mode, torch.enable_grad():
            inputs = tuple(x.clone().requires_grad_(x.is_floating_point()) for x in self._network.rows(1))
            out = self._network(*inputs)
        node = out.grad_fn
        passing = ("View", "Squeeze", "Unsqueeze", "Transpose", "Clone", "Reshape", "Select", "Slice", "UnsafeView")
        while node is not None and node.name().startswith(passing):
            node = node.next_functions[0][0]
        for count, name, result in mode.results:
            if result.grad_fn is node and node is not None:
                self._skip, self.squash = count, name

    def _as_chain(self):
        """The rest of a (nested) nn.Sequential as a plain one, where the network is that."""
        if self._network.output.__name__ != "<lambda>" or len(self._network.example) != 1:
            return None
        module, rest = self._network.module, []
        for part in self.layer.split("."):
            if type(module) is not nn.Sequential:
                return None
            names = list(dict(module.named_children()))
            rest[:0] = list(module)[names.index(part) + 1 :]
            module = module[names.index(part)]
        if rest and isinstance(rest[-1], (nn.Sigmoid, nn.Softmax, nn.LogSoftmax)) and self.squash:
            rest.pop()
        elif self.squash:
            return None
        return nn.Sequential(*rest)

    def _to_native(self, maps):
        if self._last:
            maps = maps.transpose(1, 2)
        return maps.reshape(len(maps), *self._native)

    def logits(self, maps):
        """Logits (N, C) of feature maps (N, *shape); differentiable in the maps."""
        native = self._to_native(maps).clone()  # a layer behind the cut may work in place
        if self._chain is not None:
            return _matrix(self._chain(native))
        with self._lock, _Unsquashed(self._skip):
            self._slot = native
            try:
                return self._network(*self._network.rows(len(maps)))
            finally:
                self._slot = None

    def value_and_grad(self, maps, targets):
        """Each map's logit at its target (N,), and its gradient (N, *shape)."""
        with torch.enable_grad():
            maps = maps.detach().requires_grad_()
            score = self.logits(maps).gather(1, targets[:, None]).squeeze(1)
            (grad,) = torch.autograd.grad(score, maps, torch.ones_like(score))
        return score.detach(), grad

    @torch.no_grad()
    def features(self, inputs):
        """The feature maps (N, *shape) that inputs produce."""
        with self._lock:
            self._network(*(self._network.cast(x) for x in _tuple(inputs)))
            out, self._kept = self._kept, None
        if self._last:
            out = out.transpose(1, 2)
        return out.reshape(len(out), *self.shape).clone()

    @torch.no_grad()
    def predict(self, inputs):
        """The whole network's logits (N, C)."""
        with self._lock, _Unsquashed(self._skip):
            return self._network(*(self._network.cast(x) for x in _tuple(inputs)))

    def first_layer(self):
        """Kernels (filters, 4, width) of the first convolution, where its channels are this layer's; else None."""
        convs = [m for m in self._network.module.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d))]
        if not convs or convs[0].out_channels != self.shape[0]:
            return None
        weight = convs[0].weight
        if len(convs) > 1 and convs[1] is self._module:
            return None
        weight = weight.reshape(len(weight), 4, -1) if weight[0].numel() % 4 == 0 else None
        return None if weight is None else weight.detach().cpu().numpy()
