"""A feature told by channels beside each other, where each alone says nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dr_explorer import groups
from dr_explorer.groups import Feature
from dr_explorer.patterns import held, patterns, seen
from dr_explorer.sequences import one_hot
from dr_explorer.synthetic import auc
from dr_explorer.tail import Tail

LENGTH, MOTIF, HALF = 100, "ACGTTC", 3


def scene_of(pool: nn.Module):
    """Two channels that see half a motif each, in the same place of the map where the motif is whole."""
    conv = nn.Conv1d(4, 2, len(MOTIF))
    word = torch.as_tensor(one_hot([MOTIF])[0]).float()
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, :, :HALF], conv.weight[1, :, HALF:] = word[:, :HALF], word[:, HALF:]
        conv.bias.fill_(1.0 - HALF)
    head = nn.Sequential(nn.Flatten(), nn.LazyLinear(1))
    model = nn.Sequential(conv, nn.ReLU(), pool, head)
    model(torch.zeros(1, 4, LENGTH))
    tail = Tail(model.eval(), "2", example_input=torch.zeros(1, 4, LENGTH))
    return groups.scene(tail, length=LENGTH, n_random=500, n_evolved=0)


def random_sequences(n: int, seed: int) -> np.ndarray:
    return np.eye(4, dtype=np.uint8)[np.random.default_rng(seed).integers(4, size=(n, LENGTH))].transpose(0, 2, 1)


def feature_of(scene) -> tuple[Feature, tuple]:
    words, starts = [one_hot([MOTIF])[0]] * 4, [10, 30, 50, 70]
    turn = np.arange(len(scene.backgrounds)) % 4
    x = groups.with_windows(scene.backgrounds, [words[k] for k in turn], np.array(starts)[turn])
    maps = torch.cat(list(groups.batches(scene.tail, x, None, groups.as_rows)))
    return Feature(0, np.array([0, 1]), np.ones(2), maps, [MOTIF] * len(x), starts), (words, starts)


def test_two_channels_beside_each_other_are_told_from_the_same_two_apart():
    scene = scene_of(nn.Identity())
    one, placed = feature_of(scene)
    x = random_sequences(1000, 1)
    there = np.arange(1000) % 2 == 0
    x[there, :, 40 : 40 + len(MOTIF)] = one_hot([MOTIF])[0]
    levels = seen(scene, x, patterns(scene, [one], [placed]))
    areas = auc(np.repeat(there[:, None], 3, 1), levels)
    # Three letters stand in 100 random ones with a chance of 0.78; six with 0.02.
    assert areas[:2].max() < 0.65
    assert areas[2] > 0.97


def test_a_pattern_is_found_wherever_it_stands():
    scene = scene_of(nn.Identity())
    one, placed = feature_of(scene)
    filters = patterns(scene, [one], [placed])
    levels = []
    for at in (0, 47, LENGTH - len(MOTIF)):
        x = np.zeros((1, 4, LENGTH), np.uint8)
        x[:, :, at : at + len(MOTIF)] = one_hot([MOTIF])[0]
        levels.append(float(seen(scene, x, filters)[0, 2]))
    np.testing.assert_allclose(levels, levels[0], rtol=1e-5)  # float32, the same sums


def test_a_layer_without_positions_has_maxima_only():
    scene = scene_of(nn.AdaptiveMaxPool1d(1))
    one, placed = feature_of(scene)
    filters = patterns(scene, [one], [placed])
    assert tuple(filters.shape) == (0, 2, 3)
    np.testing.assert_array_equal(held(scene.maps, filters), scene.maps.amax(2))
