"""A graded rule: each motif adds evidence, and the label is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Additive:
    """A graded rule: the label is drawn with probability ``sigmoid(bias + sum of the weights of what is present)``.

    ``Additive({"A": 4, "B": 4}, bias=-4)``: neither motif decides alone, each adds the same evidence.
    """

    weights: Mapping[str, float]
    bias: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def probability(self, present) -> np.ndarray:
        logit = self.bias + sum(w * np.asarray(present[name], float) for name, w in self.weights.items())
        return 1 / (1 + np.exp(-logit))

    def __str__(self) -> str:
        return " ".join(f"{w:+g} {name}" for name, w in self.weights.items()) + f" {self.bias:+g}"
