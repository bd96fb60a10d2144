"""A layer seen through sequences: what they make of its channels, and the backgrounds that windows are written into.

Without sequences the network is asked for its own: random ones, changed until they hold what it looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dr_explorer import sequences as dna
from dr_explorer.evolution import evolved
from dr_explorer.motif_words import one_hot
from dr_explorer.tail import Tail

# Backgrounds a corner is averaged over.
N_BACKGROUNDS = 64
# Candidates for each background; kept are those in which fewest of the channels studied are on.
CANDIDATES = 8
# A channel counts as on in a sequence from this part of its on-off range.
HALF = 0.5
# Sequences to look for windows in where none are given: random ones, and made-up ones that hold the classes' motifs.
N_RANDOM = 4_000
N_EVOLVED = 768
# Classes for which sequences are made up where none is named.
MOST_CLASSES = 8
# Letters that may be written beyond the last position at which a window may start.
MOTIF = 12
# "On" is the median of this many strongest sequence maxima; windows are taken from the same sequences.
STRONGEST = 100
BATCH = 512


@dataclass(frozen=True, eq=False)
class Scene:
    """Sequences, what they make of the channels, and the backgrounds that windows are written into.

    Attributes
    ----------
    tail : Tail
    pool : uint8 (N, 4, L)
        Sequences in which exciting windows are looked for.
    maxima : float32 (N, K)
        Each channel's maximum over positions in each of them.
    backgrounds : uint8 (B, 4, L)
        More than are needed, until `without` chooses.
    maps : tensor (B, K, W)
        Their feature maps; W = 1 where the layer has no positions.
    on, off : float (K,)
        A channel's strong level (median of the 100 strongest maxima) and its level on backgrounds (median).
    chance : float32 (M, K)
        Each channel's maximum in every background, before any are chosen.
    given : bool
        Whether `pool` came from the user.
    targets : list of int
        Columns of the classes it was made for, where it did not.
    """

    tail: Tail
    pool: np.ndarray
    maxima: np.ndarray
    backgrounds: np.ndarray
    maps: torch.Tensor
    on: np.ndarray
    off: np.ndarray
    chance: np.ndarray
    given: bool
    targets: list[int]
    inputs: Callable | None
    positions: tuple[int, int] | None
    n_backgrounds: int
    random_state: int

    @property
    def range(self) -> np.ndarray:
        """On minus off (K,); 0 for a channel that no sequence excites."""
        return np.maximum(self.on - self.off, 0)

    def first(self, n: int) -> Scene:
        """The same with fewer backgrounds, for quick comparisons."""
        return replace(self, backgrounds=self.backgrounds[:n], maps=self.maps[:n])

    def without(self, channels) -> Scene:
        """The same with the backgrounds in which fewest of these channels are on: free of their motifs, if any are."""
        channels = np.asarray(channels, int)
        level = peak(self.maps).numpy()[:, channels] - self.off[channels]
        on = (level > HALF * self.range[channels]) & (self.range[channels] > 0)
        return self.freest(on.sum(1))

    def freest(self, present: np.ndarray) -> Scene:
        """The same with the backgrounds in which least is present, by a count for each."""
        kept = np.sort(np.argsort(present, kind="stable")[: self.n_backgrounds])
        return replace(self, backgrounds=self.backgrounds[kept], maps=self.maps[torch.from_numpy(kept)])


def scene(
    tail: Tail,
    *,
    length: int | None = None,
    sequences=None,
    backgrounds=None,
    inputs: Callable[[torch.Tensor], object] | None = None,
    positions: tuple[int, int] | None = None,
    n_backgrounds: int = N_BACKGROUNDS,
    targets: Sequence[int] | None = None,
    n_random: int = N_RANDOM,
    n_evolved: int = N_EVOLVED,
    random_state: int = 0,
) -> Scene:
    """Look at a layer through sequences.

    Parameters
    ----------
    tail : the cut.
    length : sequence length in bp, where no sequences are given.
    sequences : one-hot (N, 4, L), array or tensor. Without them the network is asked for its own: `n_random` uniform
        random ones, and about `n_evolved` that are changed until they hold what it looks for (`evolution.evolved`).
        The backgrounds are dinucleotide shuffles of the sequences given, else further random ones.
    backgrounds : one-hot (M, 4, L) of sequences without the motifs, such as the negatives of the training; the first
        ones are used, and best is to give more than are needed.
    inputs : turns a float tensor (n, 4, L) into the model's inputs, for models that take more than a sequence.
    positions : (lowest, highest) start of an inserted window, bp; default anywhere (with `sequences`, where their own
        windows lie). Give it where the network was trained on motifs in a part of the sequence only.
    targets : columns of the classes whose motifs are looked for, where no sequences are given; default all, or 8
        evenly spread ones.
    n_random, n_evolved : how many sequences are made up, where none are given.

    Raises
    ------
    ValueError
        Neither length nor sequences, sequences of another form, NaN.
    """
    rng = np.random.default_rng(random_state)
    n = CANDIDATES * n_backgrounds
    if sequences is None and length is None:
        raise ValueError("give example_input or sequences: the length of the sequences is not known otherwise")
    if targets is None:
        at = np.linspace(0, tail.n_targets - 1, min(tail.n_targets, MOST_CLASSES))
        targets = np.unique(at.round().astype(int))
    targets = [int(c) for c in targets]
    if sequences is None:
        pool, maxima = _made_up(tail, rng, length, targets, n_random, n_evolved, inputs, positions)
    else:
        pool = _checked(sequences)
        maxima = _peaks(tail, pool, inputs)
    if backgrounds is not None:
        backgrounds = _checked(backgrounds)[:n]
        if backgrounds.shape[2] != pool.shape[2]:
            raise ValueError(f"the backgrounds have {backgrounds.shape[2]} bp, the sequences {pool.shape[2]}")
    elif sequences is None:
        backgrounds = random_sequences(rng, n, length)
    else:
        chosen = pool[rng.choice(len(pool), n, replace=len(pool) < n)]
        backgrounds = np.asarray(dna.dinucleotide_shuffle(chosen, random_state=random_state)).astype(np.uint8)
    maps = torch.cat(list(batches(tail, backgrounds, inputs, as_rows)))
    strongest = np.sort(maxima, axis=0)[-STRONGEST:]
    chance = peak(maps).numpy()
    on, off = np.median(strongest, axis=0), np.median(chance, axis=0)
    given = sequences is not None
    settings = (inputs, positions, n_backgrounds, random_state)
    return Scene(tail, pool, maxima, backgrounds, maps, on, off, chance, given, targets, *settings)


def scene_of(
    model,
    layer,
    *,
    target: int | None = None,
    sequences=None,
    example_input=None,
    inputs=None,
    output=None,
    device=None,
    **settings,
) -> Scene:
    """`scene` of a model: cut, and looked at through its own or the given sequences.

    Parameters
    ----------
    model, layer, output, device : as for `dr_explorer.resolve`.
    target : column of the class in question.
    example_input : an input of the model; needed where no sequences are given, or where it takes more than one input.
    sequences, inputs, **settings : as for `scene`.

    Raises
    ------
    ValueError
        No length of sequences is known; there is no such class.
    """
    if example_input is None:
        if sequences is None:
            raise ValueError("give sequences, or example_input: an input of the model, for the length of its sequences")
        example = torch.as_tensor(np.asarray(sequences[:2])).to(torch.float32)
        example_input = inputs(example) if inputs else example
    tail = Tail(model, layer, example_input=example_input, output=output, device=device)
    if target is not None and not 0 <= target < tail.n_targets:
        raise ValueError(f"there is no class {target}: the network has classes 0 to {tail.n_targets - 1}")
    first = example_input[0] if isinstance(example_input, (tuple, list)) else example_input
    targets = None if target is None else [target]
    return scene(tail, length=first.shape[-1], sequences=sequences, inputs=inputs, targets=targets, **settings)


def _made_up(
    tail: Tail, rng, length: int, targets, n_random: int, n_evolved: int, inputs, positions
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences to look for windows in where none are given, and the channels' maxima in each (N, K).

    They are made up for each class in turn, and random ones follow.
    """
    where = None if positions is None else (positions[0], positions[1] + MOTIF)
    random = random_sequences(rng, n_random, length)
    response = _peaks(tail, random, inputs)
    each = min(n_evolved // (4 * len(targets)), n_random)  # four ways to write from each start
    if not each:
        return random, response
    # Starts that excite one channel each already hold most of a motif, and of every channel's.
    strongest = np.argsort(-response, axis=0, kind="stable").ravel()  # the best of each channel, then the second best
    starts = random[list(dict.fromkeys(strongest.tolist()))[: each * len(targets)]]
    made = np.concatenate(
        [evolved(tail, starts[k :: len(targets)], c, inputs=inputs, where=where) for k, c in enumerate(targets)]
    )
    return np.concatenate([made, random]), np.concatenate([_peaks(tail, made, inputs), response])


def peaks(scene: Scene, x: np.ndarray) -> np.ndarray:
    """Each channel's maximum in sequences (N, 4, L): (N, K)."""
    return _peaks(scene.tail, x, scene.inputs)


def _peaks(tail: Tail, x: np.ndarray, inputs) -> np.ndarray:
    return torch.cat(list(batches(tail, x, inputs, peak))).numpy()


def outputs(scene: Scene, x: np.ndarray) -> np.ndarray:
    """The whole network's logits (N, C) for sequences (N, 4, L)."""
    parts = []
    for first in range(0, len(x), BATCH):
        batch = torch.from_numpy(x[first : first + BATCH]).to(torch.float32)
        parts.append(scene.tail.predict(scene.inputs(batch) if scene.inputs else batch).cpu())
    return torch.cat(parts).numpy()


def as_rows(maps: torch.Tensor) -> torch.Tensor:
    """Maps as (N, K, W), W = 1 for a layer without positions."""
    return maps if maps.ndim == 3 else maps[:, :, None]


def peak(maps: torch.Tensor) -> torch.Tensor:
    return as_rows(maps).amax(dim=2)


def batches(tail: Tail, x: np.ndarray, inputs, summary):
    for first in range(0, len(x), BATCH):
        batch = torch.from_numpy(x[first : first + BATCH]).to(torch.float32)
        yield summary(tail.features(inputs(batch) if inputs else batch)).cpu()


def random_sequences(rng, n: int, length: int) -> np.ndarray:
    return one_hot(rng.integers(4, size=(n, length)))


def _checked(sequences) -> np.ndarray:
    x = sequences.detach().cpu().numpy() if isinstance(sequences, torch.Tensor) else np.asarray(sequences)
    if x.ndim != 3 or x.shape[1] != 4 or not len(x):
        raise ValueError(f"expected one-hot sequences (N, 4, L), got {x.shape}")
    if not np.isin(x, (0, 1)).all():
        raise ValueError("expected one-hot sequences of zeros and ones (N, 4, L); there are other values, or NaN")
    return x.astype(np.uint8)
