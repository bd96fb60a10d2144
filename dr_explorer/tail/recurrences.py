"""Recurrences on CUDA: cuDNN has no backward pass for them in eval mode. Without dropout the two modes are the same."""

from __future__ import annotations

import torch
from torch import nn

_OPERATIONS = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_SETTINGS = {"dropout": 0.0, "train": True}


def for_cudnn(part: nn.Module) -> None:
    """Put a recurrence into training mode, without dropout: a module, or the calls in a part of an exported program."""
    if isinstance(part, nn.RNNBase):
        part.dropout = 0.0
        part.train()
    graph = getattr(part, "graph", None)
    if not isinstance(graph, torch.fx.Graph):
        return
    for node in graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload) and node.target.overloadpacket.__name__ in _OPERATIONS:
            for i, argument in enumerate(node.target._schema.arguments[: len(node.args)]):
                if argument.name in _SETTINGS:
                    node.update_arg(i, _SETTINGS[argument.name])
    if hasattr(part, "finalize"):
        part.finalize()  # the program has the code of its graph beside it
    elif isinstance(part, torch.fx.GraphModule):
        part.recompile()
