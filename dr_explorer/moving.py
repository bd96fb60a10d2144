"""How far windows move the classes: which of them do, and which of their letters it takes.

What excites a channel is not always what the network uses it for. A kernel may prefer a chance likeness of the motif to
the motif, and letters beside it that the class does not care for; written into sequences, only the motif tells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dr_explorer.scenes import Scene, outputs

# Sequences that each window is written into: in half of them, the pool's, other motifs stand beside it, so that what
# acts on these alone is seen too.
N_CONTEXTS = 8
# Windows are kept that move the class at least this part as far as the one at this quantile.
MOVES = 0.7
MOST_MOVING = 0.9
# A window is cut as long as what it does stays the same up to this part of its square, over so many windows. (Half a
# motif may move the class as far as the whole one, and elsewhere.)
CHANGES = 0.1
N_CUT = 8
# No window is cut below this many letters.
SHORTEST = 4


def changes(scene: Scene, words: Sequence[np.ndarray], starts, columns) -> np.ndarray:
    """What each window does to classes' logits when it is written into sequences, (n, `N_CONTEXTS`, C).

    Parameters
    ----------
    words, starts : one-hot (4, w) windows, and where they are written, bp.
    columns : of the classes.
    """
    rng, half = np.random.default_rng(scene.random_state), N_CONTEXTS // 2
    contexts = np.concatenate([part[rng.choice(len(part), half)] for part in (scene.backgrounds, scene.pool)])
    x = np.repeat(contexts[None], len(words), axis=0)
    for row, word, at in zip(x, words, starts, strict=True):
        row[..., at : at + word.shape[1]] = word
    before = outputs(scene, contexts)[:, columns]
    return outputs(scene, x.reshape(-1, *x.shape[2:]))[:, columns].reshape(len(words), len(contexts), -1) - before


def moving(scene: Scene, words: Sequence[np.ndarray], starts) -> np.ndarray:
    """Which windows move the class that they move most nearly as far as the best of them do, as positions.

    All of them where the network does not answer with finite numbers: that shows where its answers are read.
    """
    far = np.sqrt((changes(scene, words, starts, scene.targets) ** 2).mean(axis=1))
    if not np.isfinite(far).all():
        return np.arange(len(words))
    far = far[:, far.mean(axis=0).argmax()]
    return np.nonzero(far >= MOVES * np.quantile(far, MOST_MOVING))[0]


def needed(scene: Scene, words: Sequence[np.ndarray], starts, column: int) -> tuple[list[np.ndarray], list[int]]:
    """Windows cut to the letters that move a class, from whichever end changes less of it, and where these start.

    The windows lie on each other letter for letter, so that all are cut alike; those that an end of the sequence made
    shorter are left out.
    """
    width = max(word.shape[1] for word in words)
    whole = [(word, int(at)) for word, at in zip(words, starts, strict=True) if word.shape[1] == width]

    def done(left: int, right: int) -> np.ndarray:
        some = whole[:N_CUT]
        return changes(
            scene, [word[:, left : width - right] for word, _ in some], [at + left for _, at in some], [column]
        )

    left, right, full = 0, 0, done(0, 0)
    while width - left - right > SHORTEST:
        lost = [((done(*cut) - full) ** 2).sum() for cut in ((left + 1, right), (left, right + 1))]
        if not min(lost) < CHANGES * (full**2).sum():
            break
        left, right = (left + 1, right) if lost[0] <= lost[1] else (left, right + 1)
    return [word[:, left : width - right] for word, _ in whole], [at + left for _, at in whole]
