"""The plan: what a session can run, and what its classes and layers are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dr_explorer.ascent import Ascent
from dr_explorer.widget.protocol import Message


@dataclass
class Plan:
    """How to begin a run, and how to describe it."""

    begin: Callable[[str, dict[str, Any]], Ascent]  # (layer, settings) -> a new run
    describe: Callable[[Any, dict[str, Any]], Message]  # (run or None, settings) -> the meta message
    layer: str
    settings: dict[str, Any] = field(default_factory=dict)  # keyword arguments of Ascent; n_restarts, rule always
    sequences: np.ndarray | None = None  # (N, 4, L) to read pairs in; where None the network makes some up
    backgrounds: np.ndarray | None = None  # (M, 4, L) to read them on
