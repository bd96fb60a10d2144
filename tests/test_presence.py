"""Presence told from channel maxima: what is shared, what stands there by chance, and what was written where."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dr_explorer import groups, presence
from dr_explorer.groups import Feature
from dr_explorer.sequences import one_hot
from dr_explorer.tail import Tail

LENGTH = 40


def features_of(effects: np.ndarray) -> list[Feature]:
    """Features that raise the channels by these parts of their range (F, K), each seeded by its own number."""
    return [Feature(k, np.array([k]), row, torch.zeros(1, 1, 1), ["ACGTAC"], [0]) for k, row in enumerate(effects)]


def seen(effects: np.ndarray, present: np.ndarray, rng) -> np.ndarray:
    """Maxima of sequences in which features are present (F, N): their effects, and noise."""
    return present.T @ effects + rng.normal(0, 0.15, (present.shape[1], effects.shape[1]))


def test_a_motif_is_told_from_another_that_raises_the_same_channels():
    """B raises A's own channel more than A does; only what B alone raises tells them apart."""
    rng = np.random.default_rng(0)
    effects = np.array([[1.0, 0.0, 0.5], [1.5, 1.0, 0.0]])
    written, truth = rng.random((2, 2000)) < 0.5, rng.random((2, 1000)) < 0.5
    tell = presence.learned(features_of(effects * [0.3, 1, 1]), seen(effects, written, rng), written)
    maxima = seen(effects, truth, rng)
    assert (tell(maxima) == truth).mean() > 0.98
    by_level = maxima[:, 0] > 0.5  # of its own channel, halfway
    assert (by_level == truth[0]).mean() < 0.8


def test_motifs_that_stand_in_backgrounds_by_chance_do_not_blur_the_border():
    rng = np.random.default_rng(1)
    effects = np.eye(2, 4) + 0.5 * np.eye(2, 4, 2)
    written = rng.random((2, 3000)) < 0.1
    by_chance = rng.random((2, 3000)) < 0.4
    tell = presence.learned(features_of(effects), seen(effects, written | by_chance, rng), written)
    truth = rng.random((2, 1000)) < 0.5
    assert (tell(seen(effects, truth, rng)) == truth).mean() > 0.98


def test_where_another_seed_wrote_the_same_motif_it_is_not_called_absent():
    """Channels 0 and 1 see one motif: sequences with either's windows hold it."""
    rng = np.random.default_rng(2)
    effects = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    written = rng.random((3, 3000)) < [[0.2], [0.6], [0.3]]
    tell = presence.learned(features_of(effects), np.clip(seen(effects, written, rng), None, 1.2), written)
    truth = rng.random((3, 1000)) < 0.5
    truth[1] = False
    assert (tell(seen(effects, truth, rng))[[0, 2]] == truth[[0, 2]]).mean() > 0.98


def test_channels_that_never_move_have_no_say():
    rng = np.random.default_rng(3)
    effects = np.array([[1.0, 0.0, 0.0]])
    written = rng.random((1, 500)) < 0.5
    maxima = seen(effects, written, rng)
    maxima[:, 1:] = 0
    tell = presence.learned(features_of(effects), maxima, written)
    assert np.isfinite(tell.weights).all()
    assert (tell(maxima) == written).mean() > 0.98


def test_only_the_channels_named_are_looked_at():
    rng = np.random.default_rng(4)
    effects = np.array([[1.0, 1.0, 1.0]])
    written = rng.random((1, 500)) < 0.5
    maxima = seen(effects, written, rng)
    tell = presence.learned(features_of(effects), maxima, written, channels=[0, 2])
    other = maxima.copy()
    other[:, 1] = np.nan
    np.testing.assert_array_equal(tell(maxima), tell(other))


@pytest.mark.parametrize("n_features", [1, 2, 12])
def test_windows_are_written_whole_and_where_it_is_said(n_features):
    model = nn.Sequential(nn.Conv1d(4, 2, 6), nn.ReLU(), nn.Flatten(), nn.Linear(2 * (LENGTH - 5), 1)).eval()
    tail = Tail(model, "1", example_input=torch.zeros(1, 4, LENGTH))
    scene = groups.scene(tail, length=LENGTH, n_random=200, n_evolved=0)
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ACGT"), 10)) for _ in range(n_features)]
    starts = rng.integers(0, LENGTH - 10, n_features)
    placed = [([one_hot([word])[0]], [int(at)]) for word, at in zip(words, starts, strict=True)]
    x, written = presence.written_into(scene, placed, 600)
    assert (x.sum(1) == 1).all()
    share = min(0.5, presence.EACH / n_features)
    for word, at, where in zip(words, starts, written, strict=True):
        held = np.array(["".join(row) for row in np.array(list("ACGT"))[x[:, :, at : at + 10].argmax(1)]]) == word
        assert held[where].all()
        assert where.mean() <= share + 0.08  # fewer, where it would have lain on another
        assert where.any()
