"""What the plots of one class show, as columns; report.js fills the same columns when another class is selected."""

from __future__ import annotations

import numpy as np

from dr_explorer import layout, palette
from dr_explorer.report import page
from dr_explorer.report.letters import logo_polygons

ROWS = 20  # importance rows before the rest is folded
LOGO_LEFT, LOGO_WIDTH, LOGO_TALL = 44.0, 96.0, 0.84  # px, px, rows
SOLID, PALE = 0.8, 0.28  # opacity of a bar whose restarts agree, and disagree
DIGITS = 3  # of the standard deviation
MARGIN = 0.04  # room beside the bars, of their range
BEYOND, DECADE = 1.03, 1.6  # room around the convergence lines: behind the last step, and factors above and below


def importance_rows(
    reading: page.ClassReading,
    channels: list[str],
    sharing: np.ndarray,
    rows: int,
    theirs: np.ndarray | None = None,
) -> tuple[dict, dict, dict, dict]:
    """Columns of the bars, of the basin marks, of the folded channels' ticks and of the fold's words."""
    shown, above = layout.rank(reading.ofiv, rows)
    folded = np.setdiff1d(np.arange(len(reading.ofiv)), shown)
    y = np.arange(len(shown)) + (np.arange(len(shown)) >= above) * bool(len(folded))
    value, disagree = reading.ofiv[shown], reading.disagree[shown]
    bars = {
        "y": y.astype(float),
        "k": shown,
        "channel": [channels[k] for k in shown],
        "value": value,
        "low": reading.low[shown],
        "high": reading.high[shown],
        "colour": np.where(value < 0, palette.NEGATIVE, palette.POSITIVE).tolist(),
        "alpha": np.where(disagree, PALE, SOLID),
        "line": np.where(disagree, 1.0, 0.0),
        "spread": [number(v, DIGITS) for v in reading.spread[shown]],
        "mark": np.where(disagree, 1.0, 0.0),
        "sharing": [str(n) for n in sharing[shown]],
        "other": np.full(len(shown), np.nan) if theirs is None else theirs[shown],
    }
    marks: dict[str, list] = {"x": [], "y": [], "colour": [], "mark": []}
    for b, mean in enumerate(reading.basin_means):
        colour, mark, _ = palette.basin(b)
        for i in np.flatnonzero(disagree):
            for name, entry in zip(marks, (float(mean[shown[i]]), float(y[i]), colour, mark), strict=True):
                marks[name].append(entry)
    at = float(above)
    ticks = {"x": np.nan_to_num(reading.ofiv[folded]), "y": np.full(len(folded), at)}
    words: dict[str, list] = {"y": [], "more": [], "within": []}
    if len(folded):
        within = np.abs(np.nan_to_num(reading.ofiv[folded])).max()
        words = {"y": [at], "more": [f"{len(folded)} more"], "within": [f"within \u00b1{number(within, DIGITS)}"]}
    return bars, marks, ticks, words


def extent(bars: dict, marks: dict) -> tuple[float, float]:
    """The range of the bars' axis: everything drawn, and zero."""
    values = np.concatenate(
        [np.asarray(bars[name], float) for name in ("value", "low", "high", "other")] + [marks["x"]]
    )
    values = values[np.isfinite(values)]
    least, most = min(values.min(initial=0), 0.0), max(values.max(initial=0), 0.0)
    margin = MARGIN * (most - least) or 1.0
    return least - margin, most + margin


def decades(lines: dict) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of the convergence's axes: steps from 0, gaps from the widest (at the bottom) to the narrowest."""
    steps, gaps = (np.concatenate([[], *lines[name]]) for name in ("xs", "ys"))
    if not gaps.size:
        return (0.0, 1.0), (1.0, 0.1)
    return (0.0, BEYOND * float(steps.max())), (DECADE * float(gaps.max()), float(gaps.min()) / DECADE)


def logo_columns(heights: np.ndarray | None, bars: dict) -> dict[str, list]:
    """The letters beside the rows: polygons in pixels across and rows down."""
    columns: dict[str, list] = {"xs": [], "ys": [], "colour": []}
    if heights is None:
        return columns
    colours = list(palette.BASES.values())
    for y, k in zip(bars["y"], bars["k"], strict=True):
        xs, ys, bases = logo_polygons(heights[k], LOGO_LEFT, LOGO_WIDTH, y + LOGO_TALL / 2, -LOGO_TALL)
        columns["xs"] += xs
        columns["ys"] += ys
        columns["colour"] += [colours[b] for b in bases]
    return columns


def convergence_lines(steps: np.ndarray, gap: np.ndarray, basin: np.ndarray) -> tuple[dict, dict]:
    """Columns of the lines (gap to the best, logits) and of their ends, with a word for each basin.

    `gap` is (T, P) with NaN where there is no point; restarts without a point have no line.
    """
    lines: dict[str, list] = {"xs": [], "ys": [], "colour": [], "restart": []}
    ends: dict[str, list] = {"x": [], "y": [], "colour": [], "mark": [], "word": [], "restart": []}
    sizes = np.bincount(basin[basin >= 0], minlength=1)
    for t, line in enumerate(gap):
        there = np.flatnonzero(np.isfinite(line))
        if not there.size:
            continue
        colour, mark, _ = palette.basin(basin[t])
        lines["xs"].append(steps[there].astype(float).tolist())
        lines["ys"].append(line[there].astype(float).tolist())
        lines["colour"].append(colour)
        lines["restart"].append(t)
        word = basin_word(int(basin[t]), sizes)
        for name, entry in zip(
            ends, (float(steps[there[-1]]), float(line[there[-1]]), colour, mark, word, t), strict=True
        ):
            ends[name].append(entry)
    return lines, ends


def basin_word(label: int, sizes: np.ndarray) -> str:
    """The key of a basin: which one, and how many restarts ended in it."""
    if label < 0:
        return "left out"
    return f"basin {label + 1}: {sizes[label]} restart{'' if sizes[label] == 1 else 's'}"


def number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\u2212") if np.isfinite(value) else "\u2013"
