"""Sequences a network makes up: random ones, changed letter by letter until they hold what it looks for.

A motif of ten letters does not occur in any number of random sequences worth looking at, but the network itself tells
what is missing: the letters it gains most from. Written towards a class they complete the motifs that call it, written
away from it those that forbid it; and once these stand, the same the other way round completes what acts on top of
them, such as the second motif of an XOR.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from dr_explorer.tail import Tail

# Letters changed in a sequence. A random sequence of 100 to 300 bp holds about 6 of a motif's 10 letters somewhere, so
# two motifs need about 8; what further letters add is small, and no motif.
LETTERS = 12
# Positions with the steepest slope whose change is tried; the one with the best logit is made.
TRIED = 8
# Letters about each change that stay as they are on the way back, so that it does not undo what was written.
KEPT = 8
# A change must gain this much (logit).
GAIN = 1e-3
BATCH = 128
#: Forward evaluations that one sequence costs, a gradient counted as three.
COST = LETTERS * (TRIED + 3)


def evolved(
    tail: Tail, x: np.ndarray, column: int, *, inputs: Callable | None = None, where: tuple[int, int] | None = None
) -> np.ndarray:
    """Sequences written towards a class, away from it, and each of these back again on top of what was written.

    Parameters
    ----------
    tail : the cut; its whole network is asked.
    x : uint8 (n, 4, L) one-hot starts.
    column : of the class.
    inputs : turns a float tensor (n, 4, L) into the model's inputs, differentiably, for models with more than one.
    where : (first, last + 1) position that may be changed, bp; default all.

    Returns
    -------
    uint8 (4 * n, 4, L)

    Notes
    -----
    Ours. Greedy, and so as good as the network: it stops at letters that the network was not trained to read as well.
    """
    made = []
    for sign in (1, -1):
        there, changed = evolve(tail, x, column, sign, inputs=inputs, where=where)
        # All around what was written stands another start: in its own, what the other way needs was written over.
        kept = _widened(changed, KEPT)
        again = np.where(kept[:, None], there, np.roll(x, 1, axis=0))
        back, _ = evolve(tail, again, column, -sign, inputs=inputs, where=where, frozen=kept)
        made += [there, back]
    return np.concatenate(made)


def evolve(
    tail: Tail,
    x: np.ndarray,
    column: int,
    sign: int = 1,
    *,
    letters: int = LETTERS,
    inputs: Callable | None = None,
    where: tuple[int, int] | None = None,
    frozen: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Raise (sign 1) or lower (-1) a class's logit by changing letters, each time the one that serves best.

    Returns
    -------
    x : uint8 (n, 4, L)
    changed : bool (n, L)
        The positions written, some perhaps more than once.
    """
    x, changed = x.copy(), np.zeros((len(x), x.shape[2]), bool)
    fixed = np.zeros_like(changed) if frozen is None else frozen.copy()
    if where is not None:
        fixed[:, : where[0]] = fixed[:, where[1] :] = True
    for first in range(0, len(x), BATCH):
        rows = slice(first, first + BATCH)
        x[rows], changed[rows] = _climbed(tail, x[rows], column, sign, letters, inputs, fixed[rows])
    return x, changed


def _climbed(tail, x, column, sign, letters, inputs, fixed) -> tuple[np.ndarray, np.ndarray]:
    n, _, length = x.shape
    now = torch.from_numpy(x).to(torch.float32)
    fixed, changed = torch.from_numpy(fixed), torch.zeros(n, length, dtype=torch.bool)
    tried = min(TRIED, length)
    row = torch.arange(n)[:, None].expand(-1, tried)
    number = torch.arange(tried).expand(n, -1)
    for _ in range(letters):
        score, slope = (one.cpu() for one in tail.sequence_gradient(now, column, inputs))
        gain = sign * (slope - (slope * now).sum(1, keepdim=True))
        gain = gain.masked_fill((now > 0) | fixed[:, None], -torch.inf)
        steepest, letter = gain.max(dim=1)
        promised, place = steepest.topk(tried, dim=1)
        base = letter.gather(1, place)
        trials = now[:, None].repeat(1, tried, 1, 1)
        trials[row, number, :, place] = 0
        trials[row, number, base, place] = 1
        flat = trials.flatten(0, 1)
        logits = sign * tail.predict(inputs(flat) if inputs else flat)[:, column].cpu().reshape(n, tried)
        best, which = logits.masked_fill(~torch.isfinite(promised) | ~torch.isfinite(logits), -torch.inf).max(dim=1)
        better = torch.nonzero(best > sign * score + GAIN)[:, 0]
        if not len(better):
            break
        now[better] = trials[better, which[better]]
        changed[better, place[better, which[better]]] = True
    return now.numpy().astype(np.uint8), changed.numpy()


def _widened(mask: np.ndarray, by: int) -> np.ndarray:
    """Positions (n, L) within `by` of a true one."""
    counts = torch.from_numpy(mask)[:, None].to(torch.float32)
    return torch.nn.functional.max_pool1d(counts, 2 * by + 1, 1, by)[:, 0].numpy() > 0
