"""The pattern that a feature leaves on the feature map, and how well a sequence's map holds it anywhere.

A channel's maximum forgets where it was reached. Of a motif that is told by two channels in one place, each of which
fires somewhere in most sequences, the maxima say next to nothing; the two beside each other say all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dr_explorer.discriminant import discriminant
from dr_explorer.groups import Feature, with_windows
from dr_explorer.scenes import Scene, as_rows, batches, peak

# Positions on either side of a feature's own that belong to its pattern: channels need not rise in the same one.
BESIDE = 1
# Sequences that a feature is written into to learn its pattern, and places of backgrounds that it is told from.
N_WRITTEN = 256
N_ELSEWHERE = 8_192
# Channels of a pattern: those that tell it best.
MOST_CHANNELS = 64

Placed = tuple[list[np.ndarray], list[int]]  # windows, one-hot (4, w), and where they start


def patterns(scene: Scene, features: Sequence[Feature], placed: Sequence[Placed]) -> torch.Tensor:
    """For each feature a filter on feature maps, (F, K, 3), high where it stands; none, (0, K, 3), without positions.

    Parameters
    ----------
    features : whose groups tell where on the map a window stands.
    placed : their windows, and where these start.

    Notes
    -----
    Fisher's discriminant of the map about the feature, its windows written into backgrounds, and about any place of
    these backgrounds.
    """
    maps, rng = scene.maps[:N_WRITTEN], np.random.default_rng(scene.random_state)
    n, n_channels, width = maps.shape
    filters = torch.zeros(len(features), n_channels, 2 * BESIDE + 1)
    if width == 1:
        return filters[:0]
    row, column = rng.integers(n, size=N_ELSEWHERE), rng.integers(width, size=N_ELSEWHERE)
    elsewhere = _about(maps, row, column)
    for filter_, one, (words, starts) in zip(filters, features, placed, strict=True):
        turn = np.arange(n) % len(words)
        x = with_windows(scene.backgrounds[:n], [words[k] for k in turn], rng.permutation(np.asarray(starts)[turn]))
        raised = torch.cat(list(batches(scene.tail, x, scene.inputs, as_rows)))
        members = torch.as_tensor(one.members)
        scale = torch.as_tensor(np.maximum(scene.range[one.members], 1e-12), dtype=maps.dtype)
        at = (torch.clamp(raised[:, members] - maps[:, members], min=0) / scale[:, None]).sum(1).argmax(1).numpy()
        there = _about(raised, np.arange(n), at)
        apart = np.abs(there.mean(0) - elsewhere.mean(0)) / (there.std(0) + elsewhere.std(0) + 1e-12)
        telling = np.sort(np.argsort(-apart.max(1), kind="stable")[:MOST_CHANNELS])
        weight, _ = discriminant(there[:, telling].reshape(n, -1), elsewhere[:, telling].reshape(len(row), -1))
        filter_[torch.from_numpy(telling)] = torch.as_tensor(weight.reshape(len(telling), -1), dtype=filter_.dtype)
    return filters


def _about(maps: torch.Tensor, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Maps (N, K, W) about one place in each of some rows: (n, K, 3), 0 beyond the ends."""
    padded = torch.nn.functional.pad(maps, (BESIDE, BESIDE))
    beside = [padded[torch.from_numpy(rows), :, torch.from_numpy(at + step)] for step in range(2 * BESIDE + 1)]
    return torch.stack(beside, dim=2).numpy().astype(float)


def held(maps: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """What maps (N, K, W) hold: each channel's maximum, and each pattern's, (N, K + F)."""
    if not len(filters):
        return peak(maps)
    found = torch.nn.functional.conv1d(as_rows(maps), filters.to(maps), padding=BESIDE)
    return torch.cat([peak(maps), found.amax(dim=2)], dim=1)


def seen(scene: Scene, x: np.ndarray, filters: torch.Tensor) -> np.ndarray:
    """`held` of the maps of sequences (N, 4, L)."""
    return torch.cat(list(batches(scene.tail, x, scene.inputs, lambda maps: held(maps, filters)))).numpy()
