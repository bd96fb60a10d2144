"""Frames: what a run looks like right now, as messages. Pure readings of a run; nothing here moves it.

A run is an `Ascent`, or a `Recorded` one: anything with its arrays and its `live_fiv` and `map_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dr_explorer import importance, similarity
from dr_explorer.trials import CONVERGED, DIVERGED, STATES, WAITING, Trials
from dr_explorer.widget.protocol import Message

TOP_SHARED = 5  # a class "has" a channel that is among its five most favoured (the paper's feature sharing)
MAP_QUANTILE = 0.99  # of the feature map's absolute values: its colour scale ends here
EXPECTED_STEPS = 50  # of a trial, until some have finished and tell


class Run(Protocol):
    """What a frame is read from: C classes, T restarts, K channels."""

    trials: Trials
    n_steps: int
    finished: bool
    l2: float
    step_size: float
    rule_name: str

    def live_fiv(self, target: int) -> np.ndarray: ...
    def map_of(self, target: int, restart: int) -> np.ndarray | None: ...


def summary(run: Run) -> dict[str, np.ndarray]:
    """One number or two a class."""
    ended = run.trials.status >= CONVERGED
    expected = np.median(run.trials.steps[ended]) if ended.any() else EXPECTED_STEPS
    share = np.where(ended, 1.0, np.minimum(0.95, run.trials.steps / max(expected, 1.0)))
    with np.errstate(invalid="ignore"):
        best = np.where(np.isfinite(run.trials.objective), run.trials.objective, -np.inf).max(1)
    return {
        "class_finished": ended.sum(1),
        "class_progress": share.mean(1),
        "class_best": np.where(np.isfinite(best), best, np.nan),
    }


def detail(run: Run, target: int) -> dict[str, np.ndarray]:
    """Where every restart of one class stands, and its line so far."""
    objective = run.trials.traces.objective[target]
    drawn = np.isfinite(objective)
    points = int(drawn.any(0).nonzero()[0].max(initial=-1)) + 1
    step = np.where(drawn[:, :points], run.trials.traces.step[:points], np.nan).astype(np.float32)
    line = objective[:, :points]
    # The grid thins out, so the present end of a line usually lies between two of its points: it is added.
    last = np.where(np.isfinite(run.trials.objective[target]), run.trials.steps[target], np.nan)
    return {
        "status": run.trials.status[target],
        "steps": run.trials.steps[target],
        "objective": run.trials.objective[target],
        "score": run.trials.score[target],
        "trace_step": np.column_stack([step, last]),
        "trace_objective": np.column_stack([line, run.trials.objective[target]]),
    }


def readings(run: Run, target: int, resamplings: int | None = None) -> dict[str, np.ndarray]:
    """The importance of every channel for one class, with its spread over the restarts there are so far."""
    fiv, score, objective = run.live_fiv(target), run.trials.score[target], run.trials.objective[target]
    fiv = np.where((run.trials.status[target] == DIVERGED)[:, None], np.nan, fiv)
    ofiv, low, high = _with_interval(fiv, score, resamplings)
    return {
        "fiv": fiv,
        "basin": importance.basins(fiv, objective) + 1,
        "ofiv": ofiv,
        "ofiv_low": low,
        "ofiv_high": high,
        "deviation": np.sqrt(importance.inconsistency(fiv, score)),
        "inconsistent": importance.inconsistent(fiv, score),
    }


def compared(run: Run, other: int, resamplings: int | None = None) -> dict[str, np.ndarray]:
    """The importance of the compared class and its interval, from its trials that have finished."""
    fiv = np.where((run.trials.status[other] >= CONVERGED)[:, None], run.trials.fiv[other], np.nan)
    ofiv, low, high = _with_interval(fiv, run.trials.score[other], resamplings)
    return {"other_ofiv": ofiv, "other_low": low, "other_high": high}


def _with_interval(fiv: np.ndarray, score: np.ndarray, resamplings: int | None) -> tuple[np.ndarray, ...]:
    """OFIV (K,) and the ends of its interval; None: as many resamplings as where nobody waits."""
    options = {} if resamplings is None else {"n_boot": resamplings}
    return importance.ofiv(fiv, score), *importance.interval(fiv, score, **options)


def idle(targets: int, n_restarts: int, l2: float | None, rule: str) -> dict[str, Any]:
    """What the header of a frame without arrays tells of a run that has not begun."""
    counts = {"trials": targets * n_restarts, **dict.fromkeys(STATES, 0), STATES[WAITING]: targets * n_restarts}
    return {"n_restarts": n_restarts, "l2": l2, "rule": rule, "counts": counts}


def best_restart(run: Run, target: int) -> int:
    """The restart of a class that stands highest, still running or not."""
    objective = run.trials.objective[target]
    return int(np.where(np.isfinite(objective), objective, -np.inf).argmax())


def shown_map(run: Run, target: int, restart: int | None) -> tuple[int, float, np.ndarray | None]:
    """The trial to show (the best one when ``restart`` is None), its scale and its map as bytes (K, W)."""
    if restart is None or not 0 <= restart < run.trials.status.shape[1]:
        restart = best_restart(run, target)
    found = run.map_of(target, restart)
    if found is None or found.ndim != 2:
        return restart, 0.0, None
    return restart, *_bytes(found)


def _bytes(values: np.ndarray) -> tuple[float, np.ndarray]:
    size = np.abs(values).ravel()
    at = int(MAP_QUANTILE * (size.size - 1))
    scale = float(np.partition(size, at)[at])
    if not np.isfinite(scale) or scale <= 0:
        return 0.0, np.full(values.shape, 128, np.uint8)
    return scale, np.rint(np.clip(values / scale, -1, 1) * 127 + 128).astype(np.uint8)


def all_ofiv(run: Run) -> np.ndarray:
    """OFIVs (C, K) from the trials that have finished; NaN rows where none has."""
    fiv = np.where((run.trials.status >= CONVERGED)[..., None], run.trials.fiv, np.nan)
    return importance.ofiv(fiv, run.trials.score)


def sharing(ofiv: np.ndarray) -> np.ndarray:
    """(K,) classes in which each channel is among the top."""
    return np.asarray(similarity.sharing(ofiv, top=TOP_SHARED))


def clade(ofiv: np.ndarray, targets: Sequence[int]) -> dict[str, np.ndarray]:
    """What the classes of a clade have in common: how many favour a channel, and its mean importance in them."""
    inside = ofiv[[t for t in targets if 0 <= t < len(ofiv)]]
    known = inside[np.isfinite(inside).all(1)]
    if len(known) == 0:
        return {}
    return {"clade_sharing": sharing(known), "clade_ofiv": known.mean(0)}


def tree(ofiv: np.ndarray) -> Message | None:
    """The class tree, its branches' support still unknown; None before every class has a finished trial."""
    if len(ofiv) < 2 or np.isnan(ofiv).all(1).any():
        return None
    similar = similarity.similarity(ofiv)
    linkage = similarity.linkage(similar)
    return Message(
        {"type": "tree", "metric": "Pearson's r of the favoured features"},
        {
            "linkage": linkage,
            "order": similarity.leaf_order(linkage),
            "support": np.full(len(linkage), np.nan),
            "similarity": np.nan_to_num(np.rint(similar * 127) + 128, nan=0),
        },
    )


def support(run: Run, linkage: np.ndarray) -> np.ndarray:
    """How sure each branch of the tree is, from the trials that have finished; NaN with one restart."""
    if run.trials.n_restarts < 2:
        return np.full(len(linkage), np.nan)
    fiv = np.where(run.trials.ended[..., None], run.trials.fiv, np.nan)
    return similarity.support(fiv, run.trials.score, linkage)


def meta(
    *, model: str, device: str, layer: str, layers: list[dict[str, Any]], targets: Sequence[str],
    shape: tuple[int, ...], rule: str, l2: float | None, logos: np.ndarray | None, fixed: bool = False,
) -> Message:  # fmt: skip
    """What stays as it is while a run lasts.

    ``l2`` is None where it is not chosen yet, NaN where it was not kept; ``fixed`` says that there is no model to run.
    """
    positions = shape[1] if len(shape) == 2 else 0
    header = {
        "type": "meta",
        "model": model,
        "device": device,
        "layer": layer,
        "layers": layers,
        "targets": list(targets),
        "channels": shape[0],
        "positions": positions,
        "segments": [{"name": "", "start": 0, "stop": positions}] if positions else [],
        "l2_range": None if l2 is None or not np.isfinite(l2) else [l2 / 100, l2 * 100],
        "rule": rule,
        "fixed": fixed,
    }
    return Message(header, {} if logos is None else {"logos": logos})
