"""Tensors in nested tuples, lists and dicts: what networks take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


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


def as_tensors(inputs: Any) -> Any:
    """Arrays as tensors, at any depth of tuples, lists and dicts."""
    if isinstance(inputs, torch.Tensor):
        return inputs
    if isinstance(inputs, Mapping):
        return {key: as_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return type(inputs)(as_tensors(value) for value in inputs)
    return torch.as_tensor(inputs) if hasattr(inputs, "__array__") else inputs
