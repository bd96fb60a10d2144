"""Which call of which layer is meant by what somebody named, gave, or left to us; or why there is none."""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from .layers import Call, Watched, suggest
from .network import Network
from .private import named_layers, unwrap

#: Layer names listed where none is near the one asked for.
_LISTED = 8


class NoSuchLayer(KeyError):
    """No layer of the network has this name."""

    def __str__(self) -> str:  # KeyError shows its message in quotes
        return str(self.args[0])


def choose(network: Network, seen: Watched, layer: Any) -> Call:
    """The call of the layer somebody named, gave, or left to us.

    Raises
    ------
    NoSuchLayer, TypeError, ValueError
        Where there is no such layer, it is none, or the network cannot be cut there.
    """
    if layer is None:
        call = suggest(seen.calls)
        if call is None:
            why = "; ".join(f"{call.name!r}: {call.reason}" for call in seen.calls[-3:])
            none = "it has none: layers are modules; of an exported program give the program itself, not its module()"
            raise ValueError(f"no layer of this network can be cut ({why or none})")
        return call
    if isinstance(layer, nn.Module):
        known = [name for name, module in named_layers(network.original) if module is unwrap(layer)]
        if not known:
            raise ValueError(
                f"the layer given, a {type(layer).__name__}, is not a part of the network; list_layers shows its parts"
            )
        layer = known[0]
    layer = str(layer) if isinstance(layer, int) else layer  # an index into an nn.Sequential
    if not isinstance(layer, str):
        raise TypeError(f"layer: expected a dotted name or a module, got {type(layer).__name__}")
    names = {call.name: call for call in seen.calls}
    for prefix in ("", "module.", "_orig_mod."):
        bare = layer.removeprefix(prefix).replace("._orig_mod", "")  # a name from the wrapped network
        if bare in names:
            call = names[bare]
            if call.cut == "no":
                raise ValueError(f"the network cannot be cut at {call.name!r}: {call.reason}")
            return call
        several = [call.name for call in seen.calls if call.layer == bare]
        if several:
            which = ", ".join(map(repr, several))
            raise ValueError(
                f"layer {bare!r} is called {len(several)} times in one forward pass; say which call: {which}"
            )
        if bare in network.layers:
            raise ValueError(
                f"layer {bare!r} is never called in a forward pass on example_input, so it has no feature map"
            )
    near = difflib.get_close_matches(layer, list(names), n=1, cutoff=0.4)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, list(names)[:_LISTED]))}, ..."
    raise NoSuchLayer(f"no layer {layer!r}; {advice} list_layers(model, example_input) shows them all")
