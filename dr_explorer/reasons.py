"""Why numbers of a resolution are missing or say little, in sentences."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dr_explorer.layout import plain
from dr_explorer.trials import DIVERGED, STOPPED

NAMED = 5  # classes named in a sentence, before the rest is counted


def reasons(data: xr.Dataset, ofiv: np.ndarray) -> list[str]:
    """What a reader must know: the cut's own notes, what was left out, and what can therefore not be said.

    Parameters
    ----------
    data : of a `dr_explorer.Resolution`.
    ofiv : (C, K) its overall feature importance vectors.

    Returns
    -------
    list of str, empty where everything could be computed.
    """
    names = np.array([plain(name) for name in data.target.values], dtype=object)
    status = data.status.values
    left = (np.isfinite(data.fiv.values).all(axis=2) & np.isfinite(data.score.values)).sum(axis=1)
    lines = [line for line in str(data.attrs.get("notes", "")).splitlines() if line.strip()]
    if diverged := int((status == DIVERGED).sum()):
        lines.append(f"{count(diverged, 'restart')} diverged and left out of every number.")
    if stopped := int((status == STOPPED).sum()):
        lines.append(f"{count(stopped, 'restart')} stopped before the end, with the numbers reached by then.")
    if lost := _listed(names[left == 0]):
        why = "all restarts diverged" if (status[left == 0] == DIVERGED).all() else "no restart came to an end"
        lines.append(f"Nothing is left of {lost}: {why}.")
    if data.sizes["restart"] == 1:
        lines.append("One restart: there are no intervals, no inconsistency and no branch support to show.")
    elif single := _listed(names[left == 1]):
        lines.append(f"One restart is left of {single}: no intervals and no inconsistency.")
    if data.sizes["target"] == 1:
        lines.append("One class: there is nothing to compare it with.")
    if data.sizes["channel"] == 1:
        lines.append("One channel: correlations of classes need at least two.")
    elif nothing := _listed(names[(left > 0) & (ofiv <= 0).all(axis=1)]):
        lines.append(f"No channel is favoured by {nothing}: no similarity of positive parts.")
    return lines


def count(n: int, one: str, many: str | None = None) -> str:
    """ "1 class", "2 classes"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _listed(names: np.ndarray) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
