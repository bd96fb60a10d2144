"""What an ascent has reached, finished or not, as one labelled dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from dr_explorer.trials import USABLE

if TYPE_CHECKING:
    from dr_explorer.ascent import Ascent


def labelled(ascent: Ascent, names: Sequence[str]) -> xr.Dataset:
    """The trials of an `Ascent` with its classes' names (C,); the variables are those of `Resolution.dataset`.

    Trials that diverged or never began are NaN.
    """
    tail, trials = ascent.tail, ascent.trials
    usable = np.isin(trials.status, USABLE)
    trial = ("target", "restart")
    data: dict[str, Any] = {
        "fiv": ((*trial, "channel"), np.where(usable[..., None], trials.fiv, np.nan)),
        "score": (trial, np.where(usable, trials.score, np.nan)),
        "objective": (trial, np.where(usable, trials.objective, np.nan)),
        "status": (trial, trials.status.copy()),
        "steps": (trial, trials.steps.copy()),
        "trace_step": (("point",), trials.traces.step.copy()),
        "trace_objective": ((*trial, "point"), trials.traces.objective.copy()),
        "column": (("target",), np.asarray(ascent.targets)),
    }
    place = ("channel", "position")[: len(tail.shape)]
    if trials.keep_maps == "best":
        data["map"] = (("target", *place), trials.best_maps())
    elif trials.keep_maps == "all" and trials.ends is not None:
        data["map"] = ((*trial, *place), trials.ends.copy())
    if (weights := tail.first_layer()) is not None:
        data["first_layer"] = (("channel", "base", "width"), np.asarray(weights, np.float32))
    coords: dict[str, Any] = {
        "target": np.array(list(names), dtype=object),
        "restart": np.arange(ascent.trials.n_restarts),
        "channel": np.arange(tail.shape[0]),
    }
    if len(tail.shape) == 2:
        coords["position"] = np.arange(tail.shape[1])
    if "first_layer" in data:
        coords["base"] = list("ACGT")
    return xr.Dataset(data, coords, attrs=_attributes(ascent))


def _attributes(ascent: Ascent) -> dict[str, Any]:
    from dr_explorer import __version__

    tail = ascent.tail
    return {
        "layer": tail.layer,
        "cut": tail.cut,
        "squash": tail.squash or "",
        "notes": "\n".join(tail.notes),
        "rule": ascent.rule_name,
        "l2": ascent.l2,
        "step_size": ascent.step_size,
        "patience": ascent.patience,
        "max_steps": ascent.max_steps,
        "init": ascent.init,
        "random_state": str(ascent.random_state),  # may be beyond a signed 64-bit integer
        "dr_explorer": __version__,
        "torch": str(torch.__version__),
        "device": str(tail.device),
    }
