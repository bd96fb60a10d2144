"""Which features are present in a sequence, told from its channels' maxima and what its map holds of their patterns.

A motif raises several channels, other motifs raise some of the same ones, and parts of it occur by chance. What tells
it from all of them is learned from sequences in which it is known to stand: backgrounds into which the features'
windows were written by the toss of a coin. Of such sequences a linear discriminant is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dr_explorer.discriminant import discriminant
from dr_explorer.groups import Feature
from dr_explorer.patterns import Placed
from dr_explorer.scenes import Scene

# Sequences that features are written into, and how many are written into each on average where there are many.
N_WRITTEN = 4_096
EACH = 2.0
# A feature whose windows raise another's channel by more than this part of its range may be the same motif: where it
# was written, the other cannot be called absent.
SAME = 0.6
# Backgrounds hold motifs by chance and other seeds write the same ones: times that sequences in which a feature is
# seen, though none was written, are no longer taken as being without it.
ROUNDS = 3
# Of these at least so many are kept.
FEWEST = 100


@dataclass(frozen=True, eq=False)
class Presence:
    """Linear discriminants of channel maxima, one a feature.

    Attributes
    ----------
    channels : int array (C,)
        The columns looked at.
    weights : float array (F, C)
    offsets : float array (F,)
        A feature is present where ``maxima[:, channels] @ weights + offset`` is above 0.
    """

    channels: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray

    def __call__(self, maxima: np.ndarray) -> np.ndarray:
        """Which features are present, 0 or 1: maxima, as for `learned`, -> (F, N)."""
        return (self.weights @ maxima[:, self.channels].T + self.offsets[:, None] > 0).astype(int)


def learned(features: Sequence[Feature], maxima: np.ndarray, written: np.ndarray, channels=None) -> Presence:
    """Learn to tell features' presence.

    Parameters
    ----------
    features : whose windows were written.
    maxima : (N, K + F) of the sequences it made, as `dr_explorer.patterns.seen` gives them; or the channels' alone.
    written : (F, N) which features stand in which.
    channels : columns to look at; default all.

    Notes
    -----
    Fisher's linear discriminant (1936), the border halfway between the means. With presence told by the mean level of a
    feature's group, the tables of known channels correlated with the network's output at 0.39 to 0.99, in 10 of 77
    planted networks below 0.9; told by a discriminant of the maxima, at 0.88 and more in all but one.
    """
    channels = np.arange(maxima.shape[1]) if channels is None else np.asarray(channels)
    seen = maxima[:, channels].astype(float)
    raised = np.array([[one.rise[other.seed] for other in features] for one in features])  # by row's windows
    weights, offsets = [], []
    for k, here in enumerate(written.astype(bool)):
        others = (raised[:, k] > SAME) & (np.arange(len(features)) != k)
        without = ~here & ~written[others].any(axis=0)
        weight, offset = discriminant(seen[here], seen[without])
        for _ in range(ROUNDS):
            sure = without & (seen @ weight + offset <= 0)
            if sure.sum() < FEWEST:
                break
            weight, offset = discriminant(seen[here], seen[sure])
        weights.append(weight)
        offsets.append(offset)
    return Presence(channels, np.array(weights), np.array(offsets))


def written_into(scene: Scene, placed: Sequence[Placed], n: int = N_WRITTEN) -> tuple[np.ndarray, np.ndarray]:
    """Backgrounds with windows written in at random: sequences (n, 4, L), and which were written (F, n).

    Parameters
    ----------
    placed : for each feature its windows, one-hot (4, w), and where they start.
    n : sequences. Each feature stands in half of them, or, of many, so rarely that there are `EACH` in each on average;
        a window that would overlap another is left out.
    """
    rng = np.random.default_rng([scene.random_state, n, len(placed)])
    x = scene.backgrounds[np.arange(n) % len(scene.backgrounds)].copy()
    written = rng.random((len(placed), n)) < min(0.5, EACH / len(placed))
    taken = np.zeros((n, x.shape[2]), bool)
    for row, k in rng.permutation(np.argwhere(written.T)):
        words, starts = placed[k]
        b = rng.integers(len(words))
        at = slice(starts[b], starts[b] + words[b].shape[1])
        if taken[row, at].any():
            written[k, row] = False
            continue
        x[row, :, at], taken[row, at] = words[b], True
    return x, written
