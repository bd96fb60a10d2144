"""The output squash (sigmoid, softmax): finding it at the end of a network, and leaving it out.

A squash is left out where everything the output holds comes straight from it, through reshaping and joining only:
ascending a probability stops where it saturates, its logit goes on.
"""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode

from .lineage import Node, ends

_NAMES = {
    "sigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "expit": "sigmoid",
    "softmax": "softmax",
    "_softmax": "softmax",
    "log_softmax": "log_softmax",
    "_log_softmax": "log_softmax",
    "log_sigmoid": "log_sigmoid",
    "logsigmoid": "log_sigmoid",
}


def squash_name(function: object) -> str | None:
    """Which squash a function is: "sigmoid" for torch.sigmoid, Tensor.sigmoid_, aten.sigmoid.default; or None."""
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    name = name.split(".")[0]
    return _NAMES.get(name) or _NAMES.get(name.removesuffix("_"))


class Squashes(TorchFunctionMode):
    """While active, counts the calls of squashes, and lets those with a number in `skip` pass their input through."""

    def __init__(self, skip: frozenset[int] = frozenset()):
        super().__init__()
        self.skip = skip
        self.calls: list[tuple[str, Node | None]] = []
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = squash_name(function)
        if name is None:
            return function(*args, **kwargs)
        number, self.count = self.count, self.count + 1
        if number in self.skip:
            return args[0] if args else kwargs["input"]
        # The mode is not active in here: F.softmax calls Tensor.softmax, and is one squash.
        result = function(*args, **kwargs)
        self.calls.append((name, result.grad_fn))  # the tensor itself would be kept alive
        return result


def hidden_squash(mode: Squashes, output: torch.Tensor) -> str | None:
    """The squash from which everything in the output comes, scaled, clamped or averaged: it saturates all the same.

    Differences of logarithms of probabilities do not.
    """
    made = {node: name for name, node in mode.calls if node is not None}
    found = {made.get(node) for node in ends(output.grad_fn, scaled=True)}
    name = found.pop() if len(found) == 1 else None
    return name if name in ("sigmoid", "softmax") else None


def find_squash(mode: Squashes, output: torch.Tensor) -> tuple[str | None, frozenset[int]]:
    """The squash at the end of what ran under `mode`: its name, and the numbers of its calls.

    Several calls are one squash when together they make up the whole output (one sigmoid a head, joined).
    """
    made = {node: (number, name) for number, (name, node) in enumerate(mode.calls)}
    found = [made.get(node) for node in ends(output.grad_fn)]
    if not found or None in found or len({name for _, name in found}) != 1:
        return None, frozenset()
    return found[0][1], frozenset(number for number, _ in found)
