"""See, live in a notebook, what a trained genomic CNN has learned: DeepResolve's feature maps, class by class."""

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
