"""Tensors in nested tuples, lists and dicts: what networks take and give."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch


def tree_map(function: Callable[[torch.Tensor], Any], tree: Any) -> Any:
    """`function` on every tensor in nested tuples, lists, dicts and dataclasses; everything else stays as it is."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        mapped = {key: tree_map(function, value) for key, value in tree.items()}
        if type(tree) is dict:
            return mapped
        new = copy.copy(tree)  # a class of somebody's own may also offer its entries as attributes
        for key, value in mapped.items():
            new[key] = value
        return new
    if isinstance(tree, (tuple, list)):
        values = [tree_map(function, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        new = copy.copy(tree)
        for field in dataclasses.fields(tree):
            object.__setattr__(new, field.name, tree_map(function, getattr(tree, field.name)))
        return new
    return tree


def tensors(tree: Any) -> list[torch.Tensor]:
    """Every tensor in nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    values: Iterable[Any] = ()
    if isinstance(tree, Mapping):
        values = tree.values()
    elif isinstance(tree, (tuple, list)):
        values = tree
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        values = [getattr(tree, field.name) for field in dataclasses.fields(tree)]
    return [tensor for value in values for tensor in tensors(value)]


def outline(tree: Any) -> Any:
    """The structure of nested tuples, lists and dicts: True for a tensor, False for anything else."""
    if isinstance(tree, Mapping):
        return {key: outline(value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(outline(value) for value in tree)
    return isinstance(tree, torch.Tensor)


def as_tensors(inputs: Any) -> Any:
    """Arrays as tensors, at any depth of tuples, lists and dicts."""
    if isinstance(inputs, torch.Tensor):
        return inputs
    if isinstance(inputs, Mapping):
        return {key: as_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return type(inputs)(as_tensors(value) for value in inputs)
    return torch.as_tensor(inputs) if hasattr(inputs, "__array__") else inputs
