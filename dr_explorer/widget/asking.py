"""Asking about pairs: which question the view has now, and what this run's classes have been told so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dr_explorer.ascent import Ascent
from dr_explorer.widget.pairing import READING, Pairing, Question, listed
from dr_explorer.widget.picture import Picture
from dr_explorer.widget.protocol import Message


def lasting(messages: list[Message]) -> list[Message]:
    """What may be saved: without the words of a reading under way, for in a saved view nothing is."""
    return [message for message in messages if message.header.get("message") != READING]


class Asking:
    """The questions of one session; readings of a layer are kept from run to run.

    Parameters
    ----------
    tell : called on the reading thread with each ``pairs`` or ``pair`` message.
    sequences, backgrounds : one-hot (N, 4, L) to read pairs in, as for `Pairing`.
    """

    def __init__(
        self, tell: Callable[[Message], None], sequences: np.ndarray | None, backgrounds: np.ndarray | None = None
    ) -> None:
        self._tell, self._sequences, self._backgrounds = tell, sequences, backgrounds
        self._pairing: Pairing | None = None
        self._told: dict[tuple[Any, ...], Message] = {}  # "pairs" by class, "pair" by class and channels

    def consider(self, run: Any, picture: Picture, selection: dict[str, Any]) -> None:
        """Have the selected class's channels read in pairs, once all its restarts have ended."""
        target = picture.target(selection)
        if not isinstance(run, Ascent) or not run.trials.ended[target].all():
            return
        ofiv = picture.ofiv_of(target)
        if ofiv is None:
            return
        if self._pairing is None or self._pairing.tail is not run.tail:
            self._pairing = Pairing(run.tail, self._tell, self._sequences, self._backgrounds)
        pair = selection["pair"]
        pair = None if pair is None or max(pair) >= len(ofiv) else tuple(pair)
        self._pairing.ask(Question(target, run.targets[target], listed(ofiv), pair))

    def keep(self, message: Message) -> None:
        """Remember what was told."""
        pair = sorted(message.header.get("pair", ()))
        self._told[(message.header["type"], message.header["target"], *pair)] = message

    def told(self, target: int, pair: list[int] | None) -> list[Message]:
        """What is known of a class's pairs: its matrix, and one pair in full."""
        keys = ("pairs", target), ("pair", target, *sorted(pair or ()))
        return [self._told[key] for key in keys if key in self._told]

    def all_told(self) -> list[Message]:
        """The same of every class and pair that was ever asked for in this run."""
        return list(self._told.values())

    def forget(self) -> None:
        """Another run: what was said of the classes before is not of this one."""
        self._told = {}

    def close(self, wait: float = 0.0) -> None:
        """Let the reading end; wait so many seconds for it."""
        if self._pairing is not None:
            self._pairing.close(wait)
