"""What somebody set around a call must not reach the private copy: it computes the same wherever it is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

#: Devices whose automatic mixed precision somebody may have switched on.
_KINDS = ("cpu", "cuda")


def mixed_precision() -> list[str]:
    """Where it is switched on just now."""
    return [kind for kind in _KINDS if torch.is_autocast_enabled(kind)]


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Without inference mode, in which nothing made has a gradient, ever; and without automatic mixed precision.

    A network that switches mixed precision on within its own forward pass still does.
    """
    with torch.inference_mode(False), contextlib.ExitStack() as stack:
        for kind in mixed_precision():
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield
