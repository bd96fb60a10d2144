"""Copies of a motif read as one: whose disagreement is the motif's, and whose is only about which copy is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_explorer.groups import Feature
from dr_explorer.importance import inconsistency
from dr_explorer.parts import partition, summed


def group(*members: int, n: int = 6) -> Feature:
    return Feature(members[0], np.array(members), np.zeros(n), torch.zeros(1, len(members), 1), ["A"], [0])


def test_every_channel_is_in_one_part_and_the_heaviest_choose_first():
    found = [group(0, 1), group(1, 0, 2), group(2, 1), group(4)]
    parts = partition(found, [1.0, 3.0, 2.0, 0.0, 5.0, 0.5])
    assert [part.tolist() for part in parts] == [[4], [1, 0, 2], [5], [3]]


def test_a_heavier_motif_leaves_the_rest_of_a_group_to_the_next():
    parts = partition([group(0, 2, 3), group(1, 2, 5)], [2.0, 1.0, 0.1, 0.1, 0.0, 0.1])
    assert [part.tolist() for part in parts] == [[0, 2, 3], [1, 5], [4]]


def test_copies_that_take_turns_do_not_disagree_as_a_feature():
    """Channels 0 and 1 are copies of which each restart raises one; 2 and 3 are an XOR's, one of them on in each."""
    rng = np.random.default_rng(0)
    turn, side = rng.random(40) < 0.5, rng.random(40) < 0.5
    fiv = np.stack([turn, ~turn, side * 2.0 - 1, 1 - side * 2.0], axis=1) * 1.0
    score = np.ones(40)
    assert inconsistency(fiv, score).min() > 0.2
    level = inconsistency(summed(fiv, partition([group(0, 1, n=4)], [4.0, 3.0, 2.0, 1.0])), score)
    np.testing.assert_allclose(level[0], 0, atol=1e-12)
    assert level[1:].min() > 0.9


def test_sums_keep_classes_and_restarts():
    fiv = np.arange(24.0).reshape(2, 3, 4)
    parts = [np.array([3, 0]), np.array([1]), np.array([2])]
    np.testing.assert_array_equal(summed(fiv, parts)[..., 0], fiv[..., 0] + fiv[..., 3])
    assert summed(fiv, parts).shape == (2, 3, 3)


@pytest.mark.parametrize("weight", [np.ones(5), np.full(6, np.nan)])
def test_weights_of_other_channels_or_none_are_refused(weight):
    with pytest.raises(ValueError, match="finite weight for each of 6 channels"):
        partition([group(0, 1)], weight)
