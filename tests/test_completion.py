"""Parts of a motif are made whole by the network that knows it, and what it does not know is left alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dr_explorer import groups
from dr_explorer.completion import BESIDE, completed
from dr_explorer.sequences import decode, one_hot
from dr_explorer.tail import Tail

LENGTH, WORD = 60, "CGCTTGACAT"


def scene_of(sign: float):
    """A network whose logit rises (or falls) with the best likeness of one word of ten letters."""
    conv, head = nn.Conv1d(4, 1, len(WORD)), nn.Linear(1, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.as_tensor(one_hot([WORD])).float())
        conv.bias.fill_(-4.0)
        head.weight.fill_(sign)
        head.bias.zero_()
    model = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), head).eval()
    tail = Tail(model, "2", example_input=torch.zeros(1, 4, LENGTH))
    return groups.scene(tail, length=LENGTH, n_random=300, n_evolved=0)


def whole(sign: float, part: str, start: int = 20) -> tuple[list[str], list[int]]:
    windows = [one_hot([part])[0].astype(np.uint8) for _ in range(32)]
    made, starts = completed(scene_of(sign), windows, np.full(32, start))
    return [decode(window)[0] for window in made], list(starts)


def test_the_rest_of_a_motif_is_written_beside_its_part():
    for sign in (1.0, -1.0):  # whichever way the motif moves the class
        made, starts = whole(sign, WORD[2:8])
        assert np.mean([WORD in window for window in made]) > 0.9
        assert starts == [18] * 32


def test_a_whole_motif_stays_as_it_is():
    made, starts = whole(1.0, WORD)
    assert made == [WORD] * 32
    assert starts == [20] * 32


def test_windows_at_the_ends_grow_inwards_only():
    made, starts = whole(1.0, WORD[:8], start=0)
    assert np.mean([window.startswith(WORD) for window in made]) > 0.9
    assert starts == [0] * 32
    made, _ = whole(1.0, WORD[2:], start=LENGTH - 8)
    assert np.mean([window.endswith(WORD) for window in made]) > 0.9
    assert max(map(len, made)) <= 8 + BESIDE
