"""The network that learns planted sets: the paper's, its settings, and what a training leaves behind."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from dr_explorer.asked import whole_number
from dr_explorer.planting import Dataset

# The layer whose output is the feature map: the boundary between convolution and dense layers, as in the paper.
LAYER = "pool"
POOL = 4


@dataclass(frozen=True)
class Settings:
    """How a network is built and trained."""

    pool: str = "local"  # "local": maximum of 4 with stride 4; "global": one maximum a channel
    filters: int = 32
    width: int = 8
    dense: int = 64
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    sparsity: float = 0.0  # weight of the mean activation of the feature map in the loss
    warm_up: bool = True  # filters first learn what was planted at all, see `warm_up`
    patience: int = 2  # epochs without a better validation loss, once something was learned


# Settings that are whole numbers from 1.
COUNTS = ("filters", "width", "dense", "epochs", "batch_size", "patience")


def settings_of(given: dict) -> Settings:
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        raise TypeError(
            f"train() has no setting {sorted(unknown)[0]!r}; it has {', '.join(Settings.__dataclass_fields__)}"
        )
    for name in COUNTS:
        whole_number(name, given.get(name, 1))
    return Settings(**given)


@dataclass(eq=False)
class Trained:
    """A network that was trained on a planted set.

    Attributes
    ----------
    model : nn.Sequential
        Layers ``conv, relu, pool, flatten, dense, relu2, out``; (N, 4, L) in, logits (N, C) out, in eval mode.
    layer : str
        The layer to resolve: its output is the feature map (channels, positions).
    auc : dict of str to float
        Area under the ROC curve on the held-out part, one a target.
    history : list of dict
        Per epoch: epoch, loss, validation_loss, validation_auc, seconds.
    """

    model: nn.Sequential
    dataset: Dataset
    settings: Settings
    auc: dict[str, float]
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    layer: str = LAYER

    @property
    def example_input(self) -> torch.Tensor:
        return self.dataset.example_input

    @property
    def target_names(self) -> list[str]:
        return self.dataset.target_names


def network(length: int, n_targets: int, settings: Settings | None = None) -> nn.Sequential:
    """The paper's network, untrained.

    Parameters
    ----------
    length : bp of the one-hot sequences (N, 4, length) that it takes.
    n_targets : classes, a logit each.
    settings : filters, their width, pooling and the dense layer.

    Raises
    ------
    ValueError
        For sequences too short for the filters and the pooling, or a pooling that there is not.
    """
    settings = settings or Settings()
    if settings.pool not in ("local", "global"):
        raise ValueError(f"pool must be 'local' or 'global', not {settings.pool!r}")
    span = length - settings.width + 1
    if span < POOL:
        raise ValueError(
            f"sequences of {length} bp are too short for filters of {settings.width} and pooling by {POOL}"
        )
    pool = nn.MaxPool1d(POOL) if settings.pool == "local" else nn.AdaptiveMaxPool1d(1)
    positions = span // POOL if settings.pool == "local" else 1
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv1d(4, settings.filters, settings.width),
            relu=nn.ReLU(),
            pool=pool,
            flatten=nn.Flatten(),
            dense=nn.Linear(settings.filters * positions, settings.dense),
            relu2=nn.ReLU(),
            out=nn.Linear(settings.dense, n_targets),
        )
    )


def predict(model: nn.Module, x, batch_size: int = 1000) -> np.ndarray:
    """A network's logits.

    Parameters
    ----------
    model : the network.
    x : one-hot sequences (N, 4, length), an array or tensor of any number type.
    batch_size : sequences at a time.

    Returns
    -------
    (N, C) logits.
    """
    x = torch.as_tensor(x)
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [model(x[i : i + batch_size].to(device, torch.float32)).cpu() for i in range(0, len(x), batch_size)]
    return torch.cat(parts).numpy()


def auc(y: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, one a column: the share of positive-negative pairs in the right order, ties half.

    Parameters
    ----------
    y : (N, C), 0 or 1.
    score : (N, C), any increasing scale.

    Returns
    -------
    (C,); NaN where a column has one kind only.
    """
    from scipy.stats import rankdata

    rank = rankdata(score, axis=0)
    positive = (y > 0.5).sum(axis=0)
    negative = len(y) - positive
    above = (rank * (y > 0.5)).sum(axis=0) - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / (positive * negative)
