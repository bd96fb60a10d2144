"""How pairs of features act together, read where real sequences put them: truth tables, logic, confidence.

`pairwise` takes each channel's group as real sequences excite it and reads the logic off the threshold. Beside that it
tells what is quick and only a hint: the non-linearity on the feature map (`dr_explorer.map_pairs`) and what the
restarts say (`dr_explorer.sign_flips`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dr_explorer import groups as feature_groups
from dr_explorer.asked import whole_number
from dr_explorer.logic import read, unclear
from dr_explorer.map_pairs import CONTEXTS, PairBlock, check_channels, nonlinearity, pair_blocks
from dr_explorer.scenes import scene_of
from dr_explorer.sign_flips import opposite_signs, restart_correlation, usable, xor_hint
from dr_explorer.tail import Tail

if TYPE_CHECKING:
    from dr_explorer.resolution import Resolution

__all__ = [
    "PairBlock",
    "best_map",
    "nonlinearity",
    "opposite_signs",
    "pair_blocks",
    "pairwise",
    "restart_correlation",
    "top_channels",
    "xor_hint",
]

# Channels that are compared where none are named.
TOP = 8
# Half a two-sided 95 % interval, in standard errors.
NORMAL_95 = 1.96


def pairwise(
    model,
    layer,
    resolution: Resolution,
    target: int | str,
    *,
    channels: Sequence[int] | None = None,
    groups: Sequence[Sequence[int]] | None = None,
    sequences=None,
    backgrounds=None,
    example_input=None,
    inputs=None,
    positions: tuple[int, int] | None = None,
    output=None,
    threshold: float = 0.0,
    n_backgrounds: int = feature_groups.N_BACKGROUNDS,
    device=None,
    random_state: int = 0,
) -> xr.Dataset:
    """How pairs of features decide a class: their truth tables and the logic these read as.

    A channel stands for its group: the channels that rise when windows which excite it are written into motif-free
    backgrounds. A corner is the class's logit, averaged over the backgrounds, with the groups' channels at the values
    the windows give them and all others at the background's.

    Parameters
    ----------
    model, layer : as for `resolve`; ``layer=None`` takes the resolution's.
    resolution : what `resolve` returned for this model and layer.
    target : class, by name or position in the resolution.
    channels : seeds of the features; default up to 8 of the 16 with the largest importance in any restart, without
        those that stand for the same feature as a more important one.
    groups : the features' channels, instead, the seed first: ``[[3, 17], [8]]``.
    sequences : one-hot (N, 4, L) with instances of what the network knows, such as its test set. Without them the
        network is asked for its own: random ones, changed until they hold what it looks for.
    example_input : an input of the model; needed where no sequences are given, or where it takes more than one input.
    backgrounds : one-hot (M, 4, L) of sequences without the motifs, such as the negatives of the training, to insert
        windows in; default dinucleotide shuffles of the sequences, or random ones.
    inputs : turns sequences (n, 4, L) into the model's inputs, for models that take more than one.
    positions : (lowest, highest) start of inserted windows, bp, where the network was trained on a part only.
    output, device : as for `resolve`.
    threshold : the logit above which the class counts as called.
    n_backgrounds : how many each corner is averaged over.
    random_state : of backgrounds and random sequences.

    Returns
    -------
    xarray.Dataset
        Over ``feature`` and ``feature2``, labelled by seed: ``s00, s10, s01, s11`` (mean logit; the first digit is
        ``feature``, the second ``feature2``), ``half_width`` (..., on, on2) of their 95 % intervals, ``nonlinearity``
        (logit), ``relative`` (by the corners' range), ``logic``, ``formula``, ``confidence``, ``redundant``,
        ``sentence``; ``alike`` (one feature seen twice: read nothing into their logic); beside it, on the map the
        class favours, ``nonlinearity_alone`` and ``nonlinearity_own``, the other channels at 0 and at the class's own
        map, ``restart_correlation``, ``opposite_signs``, ``xor_hint``. Over ``feature``: ``on_level``, ``off_level``
        of the seed, ``group`` (feature, channel), ``window`` (one of those inserted). Where a feature meets itself,
        NaN and "".

    Raises
    ------
    TypeError, ValueError
        An unknown class or channel, no sequence length known, sequences that are not one-hot, a resolution of another
        layer.
    """
    _check_asked(resolution, channels, groups, sequences, positions, n_backgrounds)
    named = channels is not None or groups is not None
    index = resolution.position_of(target)
    column = int(resolution.dataset["column"].values[index]) if "column" in resolution.dataset else index
    layer = resolution.dataset.attrs.get("layer") if layer is None else layer
    fiv = resolution.dataset.fiv.values[index]
    if groups is not None:
        channels, members = [group[0] for group in groups], [list(group) for group in groups]
    else:
        channels, members = list(channels if channels is not None else top_channels(fiv, 2 * TOP)), None
    scene = scene_of(
        model,
        layer,
        target=column,
        sequences=sequences,
        backgrounds=backgrounds,
        example_input=example_input,
        inputs=inputs,
        positions=positions,
        output=output,
        n_backgrounds=n_backgrounds,
        device=device,
        random_state=random_state,
    )
    tail = scene.tail
    if (theirs := resolution.dataset.attrs.get("layer", tail.layer)) != tail.layer:
        raise ValueError(
            f"the resolution is of layer {theirs!r}, not {tail.layer!r}: resolve that one, or name this one"
        )
    check_channels(channels, tail.shape[0])
    for group in members or []:
        check_channels(group, tail.shape[0])
    scene = scene.without(channels)
    found = feature_groups.features(scene, channels, members)
    if not named:
        found = _distinct(found)[:TOP]
        channels = [one.seed for one in found]
    dataset = _read_pairs(scene, found, column, threshold)
    _add_hints(dataset, tail, column, resolution, index, channels)
    dataset.attrs |= {"target": resolution.targets[index], "layer": tail.layer, "threshold": threshold}
    dataset.attrs |= {"n_backgrounds": n_backgrounds, "sequences": "given" if scene.given else "random"}
    return dataset


def _check_asked(resolution, channels, groups, sequences, positions, n_backgrounds) -> None:
    """What can be told to be wrong before any sequence is looked at."""
    if not hasattr(resolution, "position_of"):
        raise TypeError(f"expected what resolve() returned as the third argument, got {type(resolution).__name__}")
    if channels is not None and groups is not None:
        raise ValueError("give channels, each standing for its group, or groups; not both")
    for name, given in {"channels": channels, "groups": groups}.items():
        if given is not None and len(given) == 0:
            raise ValueError(f"{name} is empty: name at least one, or leave it out")
    for group in groups if groups is not None else []:
        if not isinstance(group, Sequence | np.ndarray) or len(group) == 0:
            raise TypeError(f"a group is a list of channels, the seed first, such as [3, 17]; got {group!r}")
    if isinstance(sequences, str) or (isinstance(sequences, Sequence) and any(isinstance(s, str) for s in sequences)):
        raise TypeError("sequences is text: expected one-hot (N, 4, L); dr_explorer.sequences.one_hot makes it")
    if positions is not None and not 0 <= positions[0] <= positions[1]:
        raise ValueError(f"positions is {positions}; expected the lowest and the highest start of a window, in bp")
    whole_number("n_backgrounds", n_backgrounds)


def top_channels(fiv: np.ndarray, top: int = TOP) -> list[int]:
    """The channels with the largest importance in any restart, fiv (T, K): an XOR's average out over the restarts."""
    fiv = usable(fiv)
    if not len(fiv):
        raise ValueError("no restart of this class ended well: there is no importance to choose channels by")
    return np.argsort(-np.abs(fiv).max(0), kind="stable")[:top].tolist()


def _distinct(found: list) -> list:
    """Features without those that stand for the same as an earlier one."""
    kept: list = []
    for one in found:
        if not any(feature_groups.alike(one, other, feature_groups.SAME) for other in kept):
            kept.append(one)
    return kept


def _read_pairs(scene, found, column: int, threshold: float) -> xr.Dataset:
    """Corners, logic and what goes with them, for every ordered pair."""
    n, pair = len(found), ("feature", "feature2")
    numbers = ("s00", "s10", "s01", "s11", "nonlinearity", "relative", "confidence")
    data = {name: np.full((n, n), np.nan) for name in numbers}
    words = {name: np.full((n, n), "", object) for name in ("logic", "formula", "sentence")}
    flags = {name: np.zeros((n, n), bool) for name in ("redundant", "alike")}
    half_width = np.full((n, n, 2, 2), np.nan)
    pairs = [(i, j) for j in range(n) for i in range(j)]
    tables = feature_groups.all_corners(scene, [(found[i], found[j]) for i, j in pairs], column) if pairs else []
    for (i, j), table in zip(pairs, tables, strict=True):
        for a, b, logits in ((i, j, table), (j, i, table.swapaxes(0, 1))):
            reading = read(logits, [f"ch {found[a].seed}", f"ch {found[b].seed}"], threshold)
            if weakness := feature_groups.weak([found[a], found[b]]):
                reading = unclear(reading, weakness)
            for name, value in zip(numbers[:4], reading.corners[[0, 1, 0, 1], [0, 0, 1, 1]], strict=True):
                data[name][a, b] = value
            for name in numbers[4:]:
                data[name][a, b] = getattr(reading, name)
            for name in words:
                words[name][a, b] = getattr(reading, name)
            flags["redundant"][a, b] = reading.redundant
            flags["alike"][a, b] = feature_groups.alike(found[a], found[b], feature_groups.SAME)
            half_width[a, b] = NORMAL_95 * logits.std(-1) / np.sqrt(logits.shape[-1])
    group = np.zeros((n, len(scene.on)), bool)
    for row, one in zip(group, found, strict=True):
        row[one.members] = True
    seeds = [one.seed for one in found]
    return xr.Dataset(
        {name: (pair, values) for name, values in (data | words | flags).items()}
        | {"half_width": ((*pair, "on", "on2"), half_width)}
        | {"on_level": ("feature", scene.on[seeds]), "off_level": ("feature", scene.off[seeds])}
        | {"group": (("feature", "channel"), group), "window": ("feature", [one.windows[0] for one in found])},
        coords={"feature": seeds, "feature2": seeds, "channel": np.arange(len(scene.on)), "on": [0, 1], "on2": [0, 1]},
    )


def _add_hints(dataset: xr.Dataset, tail: Tail, column: int, resolution, index: int, channels) -> None:
    """What the feature map and the restarts say of the same pairs."""
    pair, fiv = ("feature", "feature2"), resolution.dataset.fiv.values[index]
    chosen = np.ix_(channels, channels)
    dataset["restart_correlation"] = (pair, restart_correlation(fiv)[chosen])
    dataset["opposite_signs"] = (pair, opposite_signs(fiv)[chosen])
    dataset["xor_hint"] = (pair, xor_hint(fiv)[chosen])
    own = best_map(resolution, index)
    if own is None or not np.isfinite(own).all():
        return
    place = {channel: k for k, channel in enumerate(channels)}
    for context in CONTEXTS:
        values = np.full((len(channels),) * 2, np.nan)
        for block in pair_blocks(tail, column, own, channels=channels, context=context):
            i, j = ([place[k] for k in part.tolist()] for part in (block.first, block.second))
            values[i, j] = values[j, i] = block.nonlinearity
        dataset[f"nonlinearity_{context}"] = (pair, values)


def best_map(resolution: Resolution, index: int) -> np.ndarray | None:
    """The feature map of a class's best restart, (K, W) or (K,); None where no maps were kept."""
    if "map" not in resolution.dataset:
        return None
    maps = resolution.dataset["map"].isel(target=index)
    if "restart" in maps.dims:
        objective = resolution.dataset.objective.values[index]
        if not np.isfinite(objective).any():
            return None
        maps = maps.isel(restart=int(np.nanargmax(objective)))
    return maps.values
