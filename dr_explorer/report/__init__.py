"""The stand-alone report: one HTML file, everything inside, linked by selection; and its plots for a notebook.

Bokeh draws. report.js, which runs in the page, fills the plots with the numbers of the class that is selected.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from bokeh.resources import INLINE

from dr_explorer import layout
from dr_explorer.asked import whole_number
from dr_explorer.files import whole
from dr_explorer.report import page, plots, text
from dr_explorer.report.linked import asset, document
from dr_explorer.report.rows import ROWS, convergence_lines, importance_rows

if TYPE_CHECKING:
    import xarray as xr

    from dr_explorer.resolution import Resolution

__all__ = ["plot_convergence", "plot_importance", "plot_similarity", "write"]

CORNERS = ("s00", "s01", "s10", "s11")


# ---- plots for a notebook -------------------------------------------------------------------------------------------


def plot_importance(
    resolution: Resolution,
    target: int | str = 0,
    *,
    other: int | str | None = None,
    rows: int = ROWS,
    combine: str = "weighted",
) -> figure:
    """Bars of a class's most important channels with their 95 % intervals over restarts, as a Bokeh figure.

    A pale bar is a channel whose restarts disagree; then the marks are the means of the basins they ended in. Long
    ticks are the class `other`, short ones the channels without a row.
    """
    c, rows = resolution.position_of(target), whole_number("rows", rows)
    theirs = None if other is None else page.read_class(resolution, resolution.position_of(other), combine).ofiv
    channels = [layout.plain(name) for name in resolution.dataset.channel.values]
    sharing = resolution.sharing(combine=combine).values
    columns = importance_rows(page.read_class(resolution, c, combine), channels, sharing, rows, theirs)
    bars, marks, fold, words = (ColumnDataSource(part) for part in columns)
    n = len(columns[0]["y"]) + len(columns[3]["y"])
    p = plots.bars(bars, marks, fold, width=640, height=plots.ROW * n + 70)
    p.y_range.start, p.y_range.end = n - 0.4, -0.6
    p.title.text = plots.no_formula(layout.plain(resolution.targets[c]))
    p.xaxis.axis_label = "OFIV"
    plots.ticks(p, [*columns[0]["y"], *words.data["y"]], [*columns[0]["channel"], *words.data["more"]])
    return p


def plot_convergence(resolution: Resolution, target: int | str = 0) -> figure:
    """How far each restart of a class is below the best one, step by step, as a Bokeh figure (best at the top)."""
    c = resolution.position_of(target)
    steps, gap = page.convergence(resolution, c)
    lines, ends = convergence_lines(steps, gap, page.read_class(resolution, c).basin)
    p = plots.convergence(ColumnDataSource(lines), ColumnDataSource(ends), height=260)
    p.title.text = plots.no_formula(layout.plain(resolution.targets[c]))
    return p


def plot_similarity(
    resolution: Resolution, *, metric: str = "pearson_positive", combine: str = "weighted", n_boot: int = 100
) -> figure:
    """The class tree, with the support of its branches, beside the similarity map, as a Bokeh figure."""
    return plots.classes(page.read_tree(resolution, metric, combine, n_boot), resolution.targets)[0]


# ---- the report -----------------------------------------------------------------------------------------------------


def write(
    resolution: Resolution,
    path: str | os.PathLike,
    *,
    title: str = "What the network wants",
    pairs: xr.Dataset | Sequence[xr.Dataset] | Mapping[Any, xr.Dataset] | None = None,
    metric: str = "pearson_positive",
    combine: str = "weighted",
    n_boot: int = 100,
) -> None:
    """Write the report: one HTML file that needs neither Python nor a network.

    Parameters
    ----------
    resolution : what to report.
    path : where to; the file is written whole or not at all.
    title : the page's heading.
    pairs : what `dr_explorer.pairwise` returned, for one class or several; or {class name or position: that}.
    metric, combine : as in `dr_explorer.similarity` and `dr_explorer.importance`.
    n_boot : resamplings for the support of the tree's branches.

    Raises
    ------
    OSError
        Where `path` cannot be written, with the reason.
    ValueError
        For a class in `pairs` that there is not, a table without its corners, an unknown metric or combine.
    """
    from dr_explorer import __version__

    tables = pair_tables(resolution, pairs)
    tree = page.read_tree(resolution, metric, combine, n_boot)
    classes = [page.read_class(resolution, c, combine) for c in range(resolution.dataset.sizes["target"])]
    packed = page.pack(resolution, classes, tree)
    records = packed.pop("records")
    chosen = {"metric": metric, "combine": combine, "n_boot": n_boot}
    settings = text.settings(resolution, __version__, chosen)
    written = file_html(
        document(resolution, packed, classes, tree, tables),
        INLINE,
        title=layout.plain(title),
        template=asset("report.html"),
        template_variables={
            "heading": html.escape(layout.plain(title)),
            "about": html.escape(text.about(resolution)),
            "notes": [html.escape(line) for line in resolution.notes()],
            "settings": [tuple(map(html.escape, line)) for line in settings],
            "call": html.escape(text.call(resolution)),
            "style": asset("report.css"),
            "several": len(classes) > 1,
            "pairs": bool(tables),
            "logos": "first_layer" in resolution.dataset,
            "records": "\n".join(records),  # most of the page; beside Bokeh's own document, which is slow to read
        },
    )
    with whole(path) as part:
        part.write_text(written, encoding="utf-8")


def pair_tables(resolution: Resolution, pairs) -> dict[int, dict[str, Any]]:
    """The pairs of each class as plain lists, by the class's position."""
    if pairs is None:
        return {}
    if hasattr(pairs, "data_vars"):
        pairs = [pairs]
    if not isinstance(pairs, Sequence | Mapping):
        raise TypeError(f"pairs is {pairs!r}; give what pairwise() returned, a list of these, or {{class: that}}")
    if not isinstance(pairs, Mapping):
        pairs = {table.attrs.get("target", 0): table for table in pairs}
    return {resolution.position_of(target): _pair_table(target, table) for target, table in pairs.items()}


def _pair_table(target: Any, table: xr.Dataset) -> dict[str, Any]:
    missing = [name for name in CORNERS if name not in table]
    if missing:
        raise ValueError(f"the pairs of class {target!r} lack {', '.join(missing)}: give what pairwise() returned")
    corners = {name: np.asarray(table[name].values, np.float32) for name in CORNERS}
    n = len(corners["s00"])
    nothing = np.full((n, n), np.nan)
    words = {name: table[name].values if name in table else np.full((n, n), "") for name in ("logic", "sentence")}
    numbers = corners | {
        "nonlinearity": corners["s11"] - corners["s10"] - corners["s01"] + corners["s00"],
        "confidence": table["confidence"].values if "confidence" in table else nothing,
        "half_width": table["half_width"].values if "half_width" in table else np.full((n, n, 2, 2), np.nan),
    }
    return {
        "features": [layout.plain(name) for name in table.feature.values],
        **{name: np.asarray(values, np.float32).ravel() for name, values in numbers.items()},
        **{name: [str(word) for word in np.ravel(values)] for name, values in words.items()},
    }
