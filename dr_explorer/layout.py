"""Where things stand in a picture: which channels get a row, the lines of the class tree, the gaps of convergence.

Plain arrays for the report, the figures and whatever else draws a resolution; nothing here draws.
"""

from __future__ import annotations

import numpy as np

# A restart closer to the best than this share of the objective's size has arrived: the line ends there.
SMALLEST_GAP = 1e-6


def plain(name: object) -> str:
    """A name as one line that every file format can hold: no control characters or broken ones, never empty."""
    text = "".join(c if c.isprintable() or c == "\u200d" else " " for c in str(name))
    return text.encode("utf-8", "replace").decode("utf-8").strip() or "(no name)"


def rank(values: np.ndarray, rows: int) -> tuple[np.ndarray, int]:
    """The channels that get a row, top to bottom, and how many of them stand above the fold.

    Parameters
    ----------
    values : (K,) importance, NaN counts as 0.
    rows : how many rows there are.

    Returns
    -------
    channels (min(rows, K),) : those with the largest size, positive ones first, descending.
    above : the channels of value >= 0 among them; the folded ones belong below these.
    """
    values = np.nan_to_num(np.asarray(values, float))
    largest = np.argsort(-np.abs(values), kind="stable")[:rows]
    shown = np.sort(largest)
    shown = shown[np.argsort(-values[shown], kind="stable")]
    return shown, int((values[shown] >= 0).sum())


def tree_lines(tree: np.ndarray, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each branch of a linkage as a bracket of four points: heights (C - 1, 4) and places (C - 1, 4).

    Parameters
    ----------
    tree : (C - 1, 4) scipy's linkage.
    leaves : (C,) the classes in the order in which they stand, the first at place 0.

    Notes
    -----
    Heights are square roots of the distances, so that close branches can be told apart.
    """
    n = len(leaves)
    place, height = np.zeros(2 * n - 1), np.zeros(2 * n - 1)
    place[leaves] = np.arange(n)
    for row, (left, right, distance) in enumerate(tree[:, :3]):
        left, right, node = int(left), int(right), n + row
        place[node] = (place[left] + place[right]) / 2
        height[node] = np.sqrt(max(distance, 0.0))
    left, right = tree[:, 0].astype(int), tree[:, 1].astype(int)
    top = height[n:]
    heights = np.stack([height[left], top, top, height[right]], axis=1)
    return heights, np.stack([place[left], place[left], place[right], place[right]], axis=1)


def parents(tree: np.ndarray) -> np.ndarray:
    """(2 C - 1,) for each class and branch the row of the branch above it, -1 at the root."""
    n = len(tree) + 1
    above = np.full(2 * n - 1, -1)
    for row, (left, right) in enumerate(tree[:, :2].astype(int)):
        above[[left, right]] = row
    return above


def gaps(trace: np.ndarray) -> np.ndarray:
    """How far below the best objective of its class each restart is, step by step.

    Parameters
    ----------
    trace : (..., T, P) objectives; NaN before a restart began and after it ended.

    Returns
    -------
    (..., T, P) best minus objective, in logits, at least `SMALLEST_GAP` of the best's size; NaN where the trace is.
    """
    trace = np.asarray(trace, np.float64)
    finite = np.isfinite(trace)
    best = np.where(finite, trace, -np.inf).max(axis=(-2, -1), keepdims=True)
    best = np.where(np.isfinite(best), best, 0)
    floor = SMALLEST_GAP * np.maximum(np.abs(best), 1)
    return np.where(finite, np.maximum(best - np.where(finite, trace, best), floor), np.nan)
