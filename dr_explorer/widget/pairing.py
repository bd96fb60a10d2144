"""Pairs: truth tables of channels, read in sequences beside the session's thread and told as they come.

Reading a channel means finding the windows of sequence that excite it and the channels that rise with it (see
`dr_explorer.groups`). That takes about a second a channel and does not depend on the class, so it is done once a layer,
the most important channels first; the tables of every class then follow in milliseconds.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from dr_explorer import groups, logic
from dr_explorer.evolution import COST
from dr_explorer.scenes import MOST_CLASSES, N_EVOLVED, N_RANDOM
from dr_explorer.tail import Tail
from dr_explorer.tail.trees import tree_map
from dr_explorer.widget.protocol import Message

LISTED = 14  # channels in the matrix, as many as the importance panel leaves unfolded
RANKING_BACKGROUNDS = 16  # for the matrix; a chosen pair is read on all of them
#: Spent at most on looking at sequences before the first channel is read: some five seconds of two cores. Counted in
#: arithmetic and not in time, so that a network reads the same on every machine and beside whatever else it does.
SCENE_FLOP = 1e11
FEWEST = 1_000  # random sequences looked at
TELL_SECONDS = 0.5  # between two matrices that are still being filled
NORMAL_95 = 1.96

#: Where the matrix will stand while its first channels are read: seconds in which there is nothing to show.
READING = "Reading how this class's channels act together, in sequences …"

#: One line for a view's headline; the full sentence stands below it.
HEADLINES = {
    "AND": "Both are needed",
    "OR": "Either is enough",
    "XOR": "One, but not both",
    "XNOR": "Both or neither",
    "NOR": "Neither may be there",
    "NAND": "Not both together",
    "A": "{a} decides",
    "B": "{b} decides",
    "NOT A": "{a} forbids",
    "NOT B": "{b} forbids",
    "A and not B": "{a}, but not with {b}",
    "B and not A": "{b}, but not with {a}",
    "A or not B": "{b} only with {a}",
    "B or not A": "{a} only with {b}",
    "additive": "They add up",
    "always": "On either way",
    "never": "Not decided here",
    "unclear": "Unclear",
}


@dataclass(frozen=True)
class Question:
    """What the view wants to know: a class, the channels of its matrix, and perhaps one pair in full."""

    target: int  # position among the run's classes
    column: int  # of the network's output
    channels: tuple[int, ...]
    pair: tuple[int, int] | None


class Pairing:
    """Answers `Question`s about one layer on a thread of its own; the newest question is the one that counts.

    Parameters
    ----------
    tail : the cut.
    tell : called on that thread with each ``pairs`` or ``pair`` message.
    sequences : one-hot (N, 4, L) to read channels in; where None, ones that the network makes up (for the class
        first asked about, where there are many).
    backgrounds : one-hot (M, 4, L) without the motifs, as for `dr_explorer.pairwise`.
    """

    def __init__(
        self,
        tail: Tail,
        tell: Callable[[Message], None],
        sequences: np.ndarray | None = None,
        backgrounds: np.ndarray | None = None,
    ) -> None:
        self.tail, self._tell, self._sequences, self._backgrounds = tail, tell, sequences, backgrounds
        self._scene: groups.Scene | None = None
        self._features: dict[int, groups.Feature] = {}
        self._question: Question | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, question: Question) -> None:
        """Answer this from now on; what was asked before is dropped, what was learned for it is kept."""
        with self._changed:
            if question == self._question:
                return
            self._question = question
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._answer, name="dr_explorer pairs", daemon=True)
                self._thread.start()

    def close(self, wait: float = 0.0) -> None:
        """Let the thread end at the next channel; wait so many seconds for it."""
        with self._changed:
            self._question, thread = None, self._thread
        if wait and thread is not None:
            thread.join(wait)

    def _answer(self) -> None:
        done: Question | None = None
        while True:
            with self._changed:
                question = self._question
                if question is None or question == done:
                    self._thread = None
                    return
            try:
                self._answer_one(question)
            except Exception as error:
                self._tell(_no_pairs(question, str(error)))
            done = question

    def _answer_one(self, question: Question) -> None:
        if not set(question.channels) & set(self._features):  # the first cells take seconds: say what they wait for
            self._tell(_no_pairs(question, READING))
        if self._scene is None:
            # Backgrounds without the motifs asked for; made for the first class, and as good for the others.
            scene = _scene(self.tail, question.column, self._sequences, self._backgrounds)
            self._scene = scene.without(question.channels)
        first = question.pair or ()
        told_pair, told_at = False, time.monotonic()
        wanted = list(dict.fromkeys([*first, *question.channels]))
        for channel in wanted:
            if self._question != question:
                return
            if channel not in self._features:
                self._features[channel] = groups.feature(self._scene, channel)
            if first and not told_pair and all(k in self._features for k in first):
                self._tell(self._pair(question))
                told_pair = True
            if time.monotonic() - told_at > TELL_SECONDS:
                self._tell(self._matrix(question))
                told_at = time.monotonic()
        self._tell(self._matrix(question))

    def _matrix(self, question: Question) -> Message:
        """Non-linearities of all pairs whose channels have been read so far."""
        channels = question.channels
        known = [k for k in channels if k in self._features]
        scene = self._scene.first(RANKING_BACKGROUNDS)
        quick = {k: self._features[k].first(RANKING_BACKGROUNDS) for k in known}
        table = np.full((len(channels), len(channels)), np.nan)
        pairs = list(itertools.combinations(known, 2))
        if pairs:
            corners = groups.all_corners(scene, [(quick[i], quick[j]) for i, j in pairs], question.column)
            for (i, j), one in zip(pairs, corners.mean(-1), strict=True):
                a, b = channels.index(i), channels.index(j)
                table[a, b] = table[b, a] = logic.highest_interaction(one)
        return Message(
            {"type": "pairs", "target": question.target, "message": None},
            {"channels": np.array(channels), "nonlinearity": table},
        )

    def _pair(self, question: Question) -> Message:
        i, j = question.pair
        found = [self._features[i], self._features[j]]
        logits = groups.corners(self._scene, found, question.column)
        names = [f"channel {i}", f"channel {j}"]
        reading = logic.read(logits, names)
        n = logits.shape[-1]
        each = logits[1, 1] - logits[1, 0] - logits[0, 1] + logits[0, 0]
        half = NORMAL_95 * each.std(ddof=1) / np.sqrt(n)
        headline = "Either is enough, and makes the other redundant" if reading.redundant else HEADLINES[reading.logic]
        table = {
            "label": "on backgrounds",
            "basin": None,
            "nonlinearity": float(each.mean()),
            "low": float(each.mean() - half),
            "high": float(each.mean() + half),
        }
        header = {
            "type": "pair",
            "target": question.target,
            "pair": [i, j],
            "logic": reading.sentence,
            "confidence": reading.confidence,
            "words": headline.format(a=i, b=j),
            "agree": [round(reading.confidence * n), n],
            "groups": [[int(k) for k in one.members] for one in found],
            "tables": [table],
        }
        levels = np.array([[self._scene.off[k], self._scene.on[k]] for k in (i, j)])
        return Message(
            header,
            {
                "corners": logits.mean(-1)[None],
                "corners_spread": NORMAL_95 * logits.std(-1, ddof=1)[None] / np.sqrt(n),
                "levels": levels[None],
            },
        )


def _no_pairs(question: Question, message: str) -> Message:
    """Words where the matrix will stand."""
    empty = {"channels": np.empty(0), "nonlinearity": np.empty((0, 0))}
    return Message({"type": "pairs", "target": question.target, "message": message}, empty)


def listed(ofiv: np.ndarray) -> tuple[int, ...]:
    """The channels of the matrix: those of the largest |OFIV|, the most favoured first."""
    if not np.isfinite(ofiv).all():
        return ()
    top = np.argsort(-np.abs(ofiv), kind="stable")[:LISTED]
    return tuple(int(k) for k in top[np.argsort(-ofiv[top], kind="stable")])


def _scene(tail: Tail, column: int, sequences: np.ndarray | None, backgrounds: np.ndarray | None) -> groups.Scene:
    """Sequences and what they do at this layer; as many as `SCENE_FLOP` allows."""
    length, inputs = sequence_inputs(tail.example)
    targets = None if tail.n_targets <= MOST_CLASSES else [column]  # None: all of them
    settings = {"inputs": inputs, "backgrounds": backgrounds, "targets": targets}
    if sequences is not None:
        return groups.scene(tail, sequences=sequences, **settings)
    half = SCENE_FLOP / 2 / flop_a_run(tail)  # runs of the network for either kind
    n_random = int(np.clip(half, FEWEST, N_RANDOM))
    n_evolved = int(min(half / COST, N_EVOLVED))
    return groups.scene(tail, length=length, n_random=n_random, n_evolved=n_evolved, **settings)


def flop_a_run(tail: Tail) -> float:
    """Floating-point operations of one sequence on its way through the whole network: products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        tail.predict(tree_map(lambda x: x[:1], tail.example))
    return max(1.0, float(counter.get_total_flops()))


def sequence_inputs(example: Sequence[Any]) -> tuple[int, Callable | None]:
    """How one long sequence (n, 4, L) becomes a network's inputs: L, and the function that cuts it (None: as it is).

    A network with several sequence inputs reads one sequence cut into their lengths; inputs that are no sequences keep
    the example's values.
    """
    is_sequence = [getattr(x, "ndim", 0) == 3 and x.shape[1] == 4 for x in example]
    if not any(is_sequence):
        raise ValueError("no input of this network is a one-hot sequence (N, 4, L): pairs cannot be read in sequences")
    lengths = [x.shape[2] for x, yes in zip(example, is_sequence, strict=True) if yes]
    if len(example) == 1:
        return lengths[0], None

    def cut(x):
        parts = iter(x.split(lengths, dim=2))
        return tuple(
            next(parts) if yes else one[:1].expand(len(x), *one.shape[1:])
            for one, yes in zip(example, is_sequence, strict=True)
        )

    return sum(lengths), cut
