"""Random sequences in the shape of somebody's inputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def random_like(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Random sequences (n, ...) where ``x`` has the shape of one-hot ones; its first row n times where it has not.

    That is (N, 4, L), (N, L, 4), or one of these with an axis of 1.
    """
    if x.ndim == 0:
        return x
    sizes = [(axis, size) for axis, size in enumerate(x.shape) if axis > 0 and size > 1]
    if len(sizes) != 2 or 4 not in (sizes[0][1], sizes[1][1]):
        return x[:1].expand(n, *x.shape[1:])
    letters_first = sizes[0][1] == 4
    letters = torch.randint(4, (n, sizes[letters_first][1]), generator=generator, device="cpu")
    one_hot = functional.one_hot(letters, 4)
    return (one_hot.transpose(1, 2) if letters_first else one_hot).reshape(n, *x.shape[1:]).to(x)
