"""Sequences made up by a network: written towards a class and away from it, and back on top of that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dr_explorer.evolution import KEPT, LETTERS, evolve, evolved
from dr_explorer.planting import occurrences
from dr_explorer.tail import Tail

LENGTH = 80
WANTED, FORBIDDEN = "CGCTTGAC", "TTGACAGG"


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    """A network whose logit rises with the best likeness of one word and falls with that of another."""
    conv = nn.Conv1d(4, 2, len(WANTED))
    head = nn.Linear(2, 1)
    with torch.no_grad():
        conv.weight.zero_()
        for k, word in enumerate((WANTED, FORBIDDEN)):
            for place, base in enumerate(word):
                conv.weight[k, "ACGT".index(base), place] = 1.0
        # No two places are exactly as good as each other, as in a trained network.
        conv.weight += 0.1 * torch.rand(conv.weight.shape, generator=torch.Generator().manual_seed(0))
        conv.bias.fill_(-3.0)  # four letters in place are felt
        head.weight.copy_(torch.tensor([[1.0, -1.0]]))
        head.bias.zero_()
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), head).eval()


@pytest.fixture(scope="module")
def tail(model) -> Tail:
    return Tail(model, "2", example_input=torch.zeros(2, 4, LENGTH))


def random(n: int, seed: int = 0) -> np.ndarray:
    letters = np.random.default_rng(seed).integers(4, size=(n, LENGTH))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1))


def logits(tail: Tail, x: np.ndarray) -> np.ndarray:
    return tail.predict(torch.from_numpy(x).float())[:, 0].numpy()


def share(x: np.ndarray, word: str) -> float:
    return occurrences(x.argmax(1), word).any(1).mean()


def test_the_gradient_at_sequences_is_the_networks_own(model, tail):
    x = torch.from_numpy(random(5)).float()
    with torch.no_grad():  # whatever the caller does
        score, slope = tail.sequence_gradient(x, 0)
    own = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(own).sum(), own)
    torch.testing.assert_close(slope, expected)
    torch.testing.assert_close(score, model(x)[:, 0].detach())
    assert not x.requires_grad


def test_a_motif_too_long_for_chance_is_completed(tail):
    x = random(40)
    assert share(x, WANTED) < 0.05
    up, changed = evolve(tail, x, 0)
    assert share(up, WANTED) > 0.85  # a few climb beside a likeness that cannot be completed without loss
    assert (logits(tail, up) > logits(tail, x)).all()
    assert changed.sum(1).max() <= LETTERS
    assert ((up != x).any(1) <= changed).all()


def test_on_the_way_back_what_was_written_stays(tail):
    x = random(40)
    there, changed = evolve(tail, x, 0)
    made = evolved(tail, x, 0)
    assert made.shape == (160, 4, LENGTH)
    np.testing.assert_array_equal(made[:40], there)
    assert share(made[40:80], WANTED) >= share(there, WANTED) - 0.05  # one that changed by itself may be lost
    assert share(made[40:80], FORBIDDEN) > 0.4  # its room is what is left beside the other
    assert share(made[80:120], FORBIDDEN) > 0.6
    moved = (made[40:80] != there).any(1)  # elsewhere another start stands
    near = np.array([np.convolve(row, np.ones(2 * KEPT + 1), "same") > 0 for row in changed])
    assert not (moved & near).any()


def test_only_positions_allowed_are_written(tail):
    x = random(20)
    made = evolved(tail, x, 0, where=(20, 50))
    outside = np.r_[0:20, 50:LENGTH]
    for part in made.reshape(4, 20, 4, LENGTH):  # on the way back another start stands around what was written
        own, other = ((part == start).all(1)[:, outside] for start in (x, np.roll(x, 1, axis=0)))
        assert (own | other).all()
    assert (made.sum(1) == 1).all()


def test_inputs_are_made_of_the_sequences_for_networks_that_take_more():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.other = nn.Conv1d(4, 1, 3), nn.Conv1d(4, 1, 3)
            self.out = nn.Linear(2, 1)

        def forward(self, left, right):
            return self.out(torch.cat([self.conv(left).amax(2), self.other(right).amax(2)], 1))

    torch.manual_seed(0)
    half = LENGTH // 2
    example = (torch.zeros(2, 4, half), torch.zeros(2, 4, half))
    two = Tail(Two().eval(), "conv", example_input=example)

    def halves(x):
        return x[..., :half], x[..., half:]

    x = random(6)
    up, _ = evolve(two, x, 0, inputs=halves, letters=3)
    before, after = (two.predict(halves(torch.from_numpy(part).float()))[:, 0] for part in (x, up))
    assert (after >= before).all()
    assert after.mean() > before.mean()
