"""Pairs beside the session's thread: what they are read on."""

from __future__ import annotations

import threading

import numpy as np
import torch

from dr_explorer.sequences import one_hot
from dr_explorer.tail import Tail
from dr_explorer.widget import pairing as pairs
from dr_explorer.widget.pairing import Pairing, Question

MOTIFS = ("CGCTTG", "CAGATG")
LENGTH = 60


def network() -> torch.nn.Sequential:
    """Two motifs, both needed: one filter each, felt from four letters on."""
    conv, out = torch.nn.Conv1d(4, 2, 6), torch.nn.Linear(2, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.as_tensor(one_hot(list(MOTIFS))))
        conv.weight += 0.05 * torch.rand(conv.weight.shape, generator=torch.Generator().manual_seed(0))
        conv.bias.fill_(-3.0)
        out.weight.fill_(4.0)
        out.bias.fill_(-22.0)  # 3 + 3 is above it, 3 + 1.5 of a chance likeness well below
    pool = torch.nn.AdaptiveMaxPool1d(1)
    return torch.nn.Sequential(conv, torch.nn.ReLU(), pool, torch.nn.Flatten(), out).eval()


def answered(**settings) -> tuple[dict, Pairing]:
    """The header of the answer about the two channels, and what gave it."""
    told, done = [], threading.Event()

    def tell(message):
        told.append(message.header)
        if message.header["type"] == "pair":
            done.set()

    tail = Tail(network(), "3", example_input=torch.zeros(1, 4, LENGTH))
    pairing = Pairing(tail, tell, **settings)
    pairing.ask(Question(target=0, column=0, channels=(0, 1), pair=(0, 1)))
    assert done.wait(60), told
    pairing.close()
    return next(header for header in told if header["type"] == "pair"), pairing


def test_a_pair_is_read_on_the_backgrounds_given():
    letters = np.random.default_rng(0).choice(list("AG"), size=(200, LENGTH))  # no likeness of either motif
    backgrounds = one_hot(["".join(row) for row in letters])
    header, pairing = answered(backgrounds=backgrounds)
    assert header["words"] == "Both are needed"
    assert (pairing._scene.backgrounds[:, [1, 3]] == 0).all()


def test_without_sequences_a_pair_is_read_on_what_the_network_makes_up():
    header, pairing = answered()
    assert header["words"] == "Both are needed"
    assert not pairing._scene.given


def test_how_many_sequences_are_looked_at_depends_on_the_network_alone(monkeypatch):
    tail = Tail(network(), "3", example_input=torch.zeros(2, 4, LENGTH))
    convolution, dense = 2 * 2 * 4 * 6 * (LENGTH - 5), 2 * 2
    assert pairs.flop_a_run(tail) == convolution + dense
    monkeypatch.setattr(pairs, "SCENE_FLOP", 2 * 12 * pairs.COST * pairs.flop_a_run(tail))
    scene = pairs._scene(tail, 0, None, None)
    assert len(scene.pool) == max(12 * pairs.COST, pairs.FEWEST) + 12  # random ones, and those made up


def test_the_explorer_hands_its_sequences_on_to_the_reading():
    import dr_explorer as dr

    x = one_hot(["A" * LENGTH] * 3)
    explorer = dr.Explorer(network(), "3", example_input=torch.zeros(1, 4, LENGTH), sequences=x, backgrounds=x[:1])
    asking = explorer._session._asking
    assert asking._sequences is x
    assert asking._backgrounds.shape == (1, 4, LENGTH)
    explorer.close()
