"""The cut: a network whose layer's output is replaced by the maps given.

`Cut` is the definition: the whole network runs, and the layer's output is swapped on the way. It is right for every
network, and slow: everything before the layer is computed for nothing. Quicker functions that do the same are in
``traced.py`` and ``memory.py``, and ``shortcuts.py`` chooses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import nn

from .layers import Call, first_tensor, with_first
from .network import Network
from .squash import Squashes
from .trees import tensors, tree_map

Run = Callable[[torch.Tensor], torch.Tensor]


class Cut(nn.Module):
    """The whole network, with the output of one call of one layer replaced; or, without maps, kept."""

    def __init__(self, network: Network, call: Call, calls: list[Call], skip: frozenset[int]):
        super().__init__()
        self.network, self.call_cut, self.calls, self.skip = network, call, calls, skip
        self.module = network.module
        self.layer = network.layers[call.layer]
        self.lock = threading.RLock()
        self._maps: torch.Tensor | None = None
        self._kept: torch.Tensor | None = None
        self._seen = 0
        self.layer.register_forward_hook(self._swap)

    def _swap(self, _module, _inputs, out):
        number, self._seen = self._seen, self._seen + 1
        if number != self.call_cut.number:
            return None
        if self._maps is None:
            self._kept = first_tensor(out)
            return None
        return with_first(out, self.native(self._maps))

    def native(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps as the layer itself gives them."""
        native = self.call_cut.axes.native(maps)
        return native if self.call_cut.dtype == self.network.dtype else native.to(self.call_cut.dtype)

    def forward(self, maps: torch.Tensor | None, *flat: torch.Tensor) -> torch.Tensor:
        """Logits with the squash, of maps (N, *shape) and the network's inputs."""
        rest = iter(flat)
        inputs = tree_map(lambda _: next(rest), self.network.example)
        self._maps, self._seen = maps, 0
        try:
            return self.network.logits(inputs)
        finally:
            self._maps = None

    def whole(self, maps: torch.Tensor | None, inputs: tuple | None = None, skip: frozenset[int] | None = None):
        """Logits (N, C) of maps (N, *shape), by running the whole network."""
        maps = None if maps is None else maps.clone()  # the layers behind the cut may work in place
        inputs = self.network.rows(len(maps)) if inputs is None else inputs
        skip = self.skip if skip is None else skip
        with self.lock:
            if not skip:
                return self(maps, *tensors(inputs))
            with Squashes(skip):
                return self(maps, *tensors(inputs))

    def features(self, inputs: tuple) -> torch.Tensor:
        """Maps (N, *shape) that the network's inputs produce."""
        with self.lock, torch.no_grad():
            self(None, *tensors(inputs))
            kept, self._kept = self._kept, None
        if kept is None:
            raise RuntimeError(f"layer {self.call_cut.name!r} was not reached for these inputs")
        maps = self.call_cut.axes.canonical(kept).to(self.network.dtype)
        return maps.clone(memory_format=torch.contiguous_format)
