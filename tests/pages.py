"""A page without a browser, for an explorer: keeps every message and acknowledges it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from dr_explorer.widget.explorer import Explorer
from dr_explorer.widget.protocol import Message, decode


class Reader:
    """Opens an explorer's page: from now on every message arrives here, and in no notebook."""

    def __init__(self, explorer: Explorer) -> None:
        self.messages: list[Message] = []
        self._arrived = threading.Condition()
        self._session = explorer._session
        self._session.outlet.deliver = self._receive
        self._session.outlet.heard()
        self._session.post("hello")

    def _receive(self, header: dict[str, Any], buffers: list[bytes]) -> bool:
        message = decode(header, buffers)
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()
        self._session.post("ack", seq=header["seq"])
        return True

    def wait_for(self, good: Callable[[Message], bool], timeout: float = 60.0) -> Message:
        """The first message, past or to come, that is good."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(map(good, self.messages)), timeout), "no such message came"
            return next(filter(good, self.messages))

    def wait_for_pairs(self, target: int) -> Message:
        """Until all pairs of a class's listed channels have been read."""

        def whole(message: Message) -> bool:
            table = message.arrays.get("nonlinearity", np.empty(0))
            return (
                message.header.get("target") == target
                and table.size > 0
                and np.isfinite(table).sum() == table.size - len(table)
            )

        return self.wait_for(lambda m: m.header["type"] == "pairs" and whole(m))
