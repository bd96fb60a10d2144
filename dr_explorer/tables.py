"""Every table of a resolution as a DataFrame, and all of them as CSV files in a folder.

Classes are told by their position (``target``) and named beside it, since names may repeat. Branches of the tree are
numbered as scipy does: 0 to C - 1 are the classes, C the first row of the table. A NUL in a name, at which readers of
CSV stop, becomes U+FFFD.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dr_explorer import similarity
from dr_explorer.files import whole
from dr_explorer.trials import STATES

if TYPE_CHECKING:
    from dr_explorer.resolution import Resolution

#: Float32 results need no more digits than this to come back as they were.
DIGITS = "%.9g"


def tables(resolution: Resolution, combine: str = "weighted") -> dict[str, pd.DataFrame]:
    """All tables by name.

    Returns
    -------
    dict of DataFrame
        ``importance`` a row a class and channel: OFIV, 95 % interval, inconsistency level, whether restarts disagree;
        ``restarts`` a row a trial: status, steps, score, objective (logits), basin;
        ``fiv`` a row a trial, a column a channel;
        ``classes`` a row a class: activeness, place in the tree's order, number of basins;
        ``similarity`` a row and a column a class; ``tree`` a row a branch, with its support;
        ``sharing`` a row a channel: in how many classes it is among the top five.
    """
    data = resolution.dataset
    n_targets, n_restarts, n_channels = (data.sizes[name] for name in ("target", "restart", "channel"))
    names = np.array([name.replace("\0", "\ufffd") for name in resolution.targets], dtype=object)
    channels = data.channel.values
    interval, basins = resolution.ofiv_interval(combine), resolution.basins().values
    branches = resolution.linkage(combine=combine)
    order = similarity.leaf_order(branches) if n_targets > 1 else np.arange(n_targets)

    classes = pd.DataFrame({"target": np.arange(n_targets), "name": names})
    by_channel = classes.loc[classes.index.repeat(n_channels)].reset_index(drop=True)
    by_trial = classes.loc[classes.index.repeat(n_restarts)].reset_index(drop=True)
    by_trial["restart"] = np.tile(data.restart.values, n_targets)
    support = resolution.support(combine=combine) if n_targets > 1 else np.zeros(0)
    return {
        "importance": by_channel.assign(
            channel=np.tile(channels, n_targets),
            ofiv=resolution.ofiv(combine).values.ravel(),
            low=interval.sel(bound="low").values.ravel(),
            high=interval.sel(bound="high").values.ravel(),
            inconsistency=resolution.inconsistency().values.ravel(),
            disagree=resolution.inconsistent().values.ravel(),
        ),
        "restarts": by_trial.assign(
            status=np.array(STATES)[data.status.values.ravel().astype(int)],
            steps=data.steps.values.ravel() if "steps" in data else 0,
            score=data.score.values.ravel(),
            objective=data.objective.values.ravel(),
            basin=basins.ravel(),
        ),
        "fiv": pd.concat(
            [by_trial, pd.DataFrame(data.fiv.values.reshape(-1, n_channels), columns=[str(k) for k in channels])],
            axis=1,
        ),
        "classes": classes.assign(
            activeness=resolution.activeness(combine).values, place=np.argsort(order), basins=basins.max(axis=1) + 1
        ),
        "similarity": pd.concat(
            [classes, pd.DataFrame(resolution.similarity(combine=combine).values, columns=map(str, range(n_targets)))],
            axis=1,
        ),
        "tree": pd.DataFrame(
            {
                "branch": n_targets + np.arange(len(branches)),
                "left": branches[:, 0].astype(int),
                "right": branches[:, 1].astype(int),
                "distance": branches[:, 2],
                "classes": branches[:, 3].astype(int),
                "support": support,
            }
        ),
        "sharing": pd.DataFrame({"channel": channels, "classes": resolution.sharing(combine=combine).values}),
    }


def write(resolution: Resolution, folder: str | os.PathLike, combine: str = "weighted") -> list[Path]:
    """Write every table as CSV (UTF-8, NaN as an empty field) into a folder, each file whole; and say where.

    Raises
    ------
    OSError
        Where a file cannot be written, with the reason.
    """
    folder = Path(folder)
    made = tables(resolution, combine)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot make the folder {folder}: {error.strerror}") from error
    paths = []
    for name, table in made.items():
        path = folder / f"{name}.csv"
        with whole(path) as part:
            table.to_csv(part, index=False, float_format=DIGITS, encoding="utf-8")
        paths.append(path)
    return paths
