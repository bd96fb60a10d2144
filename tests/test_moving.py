"""Windows told by what they do to the class, and cut to the letters that do it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dr_explorer import groups
from dr_explorer.moving import changes, moving, needed
from dr_explorer.sequences import decode, one_hot
from dr_explorer.tail import Tail

LENGTH, FIRST, SECOND = 60, "CAAGCG", "TTGACA"


class Both(nn.Module):
    """On where both channels are."""

    def forward(self, found):
        return found.amax(2).amin(1, keepdim=True)


def network(head: nn.Module) -> nn.Module:
    """Two channels that see one word each, at 1 where it stands and at 0 with a letter of it wrong."""
    conv = nn.Conv1d(4, 2, len(FIRST))
    with torch.no_grad():
        conv.weight.copy_(torch.as_tensor(one_hot([FIRST, SECOND])).float())
        conv.bias.fill_(1.0 - len(FIRST))
    return nn.Sequential(conv, nn.ReLU(), head).eval()


def scene(head: nn.Module, held: str):
    """That network seen through 200 random sequences, every other one with a word in its first half."""
    rng = np.random.default_rng(0)
    x = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(200, LENGTH))].transpose(0, 2, 1)
    x[::2, :, 5 : 5 + len(held)] = one_hot([held])[0]
    tail = Tail(network(head), "1", example_input=torch.zeros(1, 4, LENGTH))
    return groups.scene(tail, length=LENGTH, sequences=x)


def windows(words, at: int = 40) -> tuple[list[np.ndarray], list[int]]:
    return [one_hot([word])[0] for word in words], [at] * len(words)


class First(nn.Module):
    """The first channel alone."""

    def forward(self, found):
        return found.amax(2)[:, :1]


def test_of_a_channels_windows_those_are_kept_that_hold_what_the_class_wants():
    likeness, motif = ["GGCAAGTT", "GGCAAGAC"] * 4, ["TACAAGCG", "GCCAAGCG"] * 4
    kept = moving(scene(First(), "TTTTTT"), *windows(likeness + motif))
    np.testing.assert_array_equal(kept, np.arange(8, 16))


def test_windows_that_move_the_class_alike_are_all_kept():
    kept = moving(scene(First(), "TTTTTT"), *windows(["TACAAGCG", "GCCAAGCG"] * 4))
    np.testing.assert_array_equal(kept, np.arange(8))


@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (0, 4), (2, 3)])
def test_a_window_is_cut_to_the_letters_that_move_the_class(left, right):
    rng = np.random.default_rng(1)
    beside = ["".join(rng.choice(list("AT"), left + right)) for _ in range(12)]
    words = [letters[:left] + FIRST + letters[left:] for letters in beside]
    cut, starts = needed(scene(First(), "TTTTTT"), *windows(words), 0)
    assert {decode(word)[0] for word in cut} == {FIRST}
    assert starts == [40 + left] * 12


def test_windows_that_an_end_of_the_sequence_made_shorter_are_left_out():
    words, starts = windows(["AACAAGCG", "TTCAAGCG", "CAAGCG"])
    cut, _ = needed(scene(First(), "TTTTTT"), words, starts, 0)
    assert [decode(word)[0] for word in cut] == [FIRST] * 2


def test_what_acts_beside_another_motif_only_is_seen_to_move_the_class():
    """In backgrounds half an AND does nothing; beside the other half it does."""
    words, starts = windows([FIRST, "GTGTGT"])
    done = changes(scene(Both(), SECOND), words, starts, [0])[..., 0]
    assert set(done[0].tolist()) == {0, 1}  # the logit is the lower channel's level
    assert set(done[1].tolist()) == {0}
