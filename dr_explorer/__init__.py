"""See, live in a notebook, what a trained genomic CNN has learned: DeepResolve's feature maps, class by class.

In a notebook::

    explorer = dr.Explorer(model, "conv3", example_input=torch.zeros(1, 4, 1000), target_names=names)
    explorer.run()                                # the view appears below the cell and moves while the search runs

In a script, with the same arguments::

    resolution = dr.resolve(model, "conv3", example_input=torch.zeros(1, 4, 1000), target_names=names)
    resolution.ofiv().sel(target="CTCF")          # what a class is built from, a number a channel, as xarray
    resolution.similarity()                       # which classes are made of the same parts
    resolution.report("conv3.html")               # one linked page for a colleague

=====================  =================================================================================
`list_layers`          where a network can be cut, and which layer is the usual choice
`load_keras`           Keras 1 and 2 networks from HDF5 files, as PyTorch modules
`Explorer`             the live view of a network, or of a saved result
`resolve`              the search without a view
`Resolution`           its result: labelled arrays, readings, files, tables, report
`pairwise`             how pairs of features act together: truth tables, logic, confidence
`importance`           pure functions on arrays: what a class favours, with intervals, basins, inconsistency
`similarity`           pure functions on arrays: alike classes, their tree and its support, differences
`figures`              figures for a paper
`synthetic`            sequences with planted rules, and networks that learn them
=====================  =================================================================================

Words: a *class* is an output of the network (``target`` in code), a *channel* one of the patterns that the layer
detects, a *restart* one search from one random feature map. Sequences are one-hot (N, 4, length) in the order A, C, G,
T. The method: Liu & Gifford, ICML 2017 workshop; Liu, Zeng & Gifford, BMC Bioinformatics 2019.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dr_explorer import figures, importance, similarity, synthetic
    from dr_explorer.interaction import pairwise
    from dr_explorer.keras import load_keras
    from dr_explorer.resolution import Resolution
    from dr_explorer.resolving import resolve
    from dr_explorer.tail import list_layers
    from dr_explorer.widget.explorer import Explorer

#: Where each public name lives. Names load when first used, so that a script without a notebook never imports one.
_HOME = {
    "Explorer": "dr_explorer.widget.explorer",
    "Resolution": "dr_explorer.resolution",
    "list_layers": "dr_explorer.tail",
    "figures": "dr_explorer.figures",
    "importance": "dr_explorer.importance",
    "load_keras": "dr_explorer.keras",
    "pairwise": "dr_explorer.interaction",
    "resolve": "dr_explorer.resolving",
    "similarity": "dr_explorer.similarity",
    "synthetic": "dr_explorer.synthetic",
}

__all__ = [
    "Explorer",
    "Resolution",
    "figures",
    "importance",
    "list_layers",
    "load_keras",
    "pairwise",
    "resolve",
    "similarity",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dr_explorer' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    home = import_module(_HOME[name])
    return home if _HOME[name] == f"dr_explorer.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
