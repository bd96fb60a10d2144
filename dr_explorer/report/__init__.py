"""The stand-alone report: one HTML file, everything inside, linked by selection; and its plots for a notebook.

Bokeh draws. report.js, which runs in the page, fills the plots with the numbers of the class that is selected.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady, DoubleTap, Tap
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, CustomJS, Model, Select, TextInput, Toggle
from bokeh.plotting import figure
from bokeh.resources import INLINE

from dr_explorer import layout, palette
from dr_explorer.asked import whole_number
from dr_explorer.files import whole
from dr_explorer.report import page, plots, text
from dr_explorer.report.letters import LETTERS
from dr_explorer.report.rows import (
    BEYOND,
    DECADE,
    DIGITS,
    LOGO_LEFT,
    LOGO_TALL,
    LOGO_WIDTH,
    MARGIN,
    PALE,
    SOLID,
    convergence_lines,
    importance_rows,
    logo_columns,
)

if TYPE_CHECKING:
    import xarray as xr

    from dr_explorer.resolution import Resolution

__all__ = ["plot_convergence", "plot_importance", "plot_similarity", "write"]

ROWS = 20  # importance rows before the rest is folded
RIGHT = 672  # px: the panels beside the classes
NOBODY = ("-1", "compare with \u2026")
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
        _document(resolution, packed, classes, tree, tables),
        INLINE,
        title=layout.plain(title),
        template=_asset("report.html"),
        template_variables={
            "heading": html.escape(layout.plain(title)),
            "about": html.escape(text.about(resolution)),
            "notes": [html.escape(line) for line in resolution.notes()],
            "settings": [tuple(map(html.escape, line)) for line in settings],
            "call": html.escape(text.call(resolution)),
            "style": _asset("report.css"),
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


def _asset(name: str) -> str:
    return package_files("dr_explorer.report").joinpath(name).read_text(encoding="utf-8")


def _document(resolution: Resolution, packed: dict, classes: list, tree: page.Tree, tables: dict) -> Document:
    """All panels and the code that links them; the roots' names are those of the places in the template."""
    first = int(tree.order[0])
    state = ColumnDataSource({"target": [first], "other": [-1], "channel": [-1], "pair": [-1]}, name="state")
    class_plot, sources = plots.classes(tree, resolution.targets)
    sources |= _class_sources(resolution, packed, classes, first)
    logos = packed["logo"] is not None
    shown = plots.importance_panel(sources, min(ROWS, len(packed["channels"])), logos, RIGHT)
    convergence = plots.convergence(sources["lines"], sources["ends"], width=RIGHT, height=190)
    strip = plots.strip(sources["strip"], class_plot)
    pair_plots, pair_sources = plots.pair_panel() if tables else ({}, {})

    option = (str(first), packed["names"][first])  # the others come when the page stands: a thousand take their time
    widgets: dict[str, Model] = {
        "target": Select(options=[option], value=str(first), width=300),
        "other": Select(options=[NOBODY], value="-1", width=300),
        "search": TextInput(placeholder="Find a class", width=240),
        "everything": Toggle(label=f"All {len(packed['channels'])} channels", width=150, height=26),
    }
    figures = {"classes": class_plot, "strip": strip, "convergence": convergence, **shown, **pair_plots}
    heights, places = layout.tree_lines(tree.branches, tree.order)
    args = {
        "state": state,
        "data": packed,
        "tree": plots.tree_marks(tree, heights, places),
        "tables": [{"target": c, **table} for c, table in tables.items()],
        "sources": sources | pair_sources,
        "figures": figures,
        "widgets": widgets,
        "look": _look(),
    }
    redraw = _link(args)

    roots = {
        "convergence": convergence,
        "importance": row(*shown.values(), spacing=0),
        "everything": widgets["everything"],
    }
    if len(classes) > 1:
        roots["choose"] = row(widgets["target"], widgets["other"], widgets["search"])
        roots["classes"] = row(class_plot, strip, spacing=0)
    if tables:
        roots["pairs"] = row(*pair_plots.values())
    document = Document()
    with document.models.freeze():  # or every root makes Bokeh look through all models again
        for name, root in roots.items():
            root.name = name
            document.add_root(root)
    document.js_on_event(DocumentReady, redraw)
    return document


def _class_sources(resolution, packed: dict, classes: list, first: int) -> dict[str, ColumnDataSource]:
    """The columns of the class that is selected when the page opens."""
    parts = importance_rows(classes[first], packed["channels"], packed["sharing"], ROWS)
    columns = dict(zip(("rows", "marks", "fold", "words"), parts, strict=True))
    columns["logo"] = logo_columns(packed["logo"], columns["rows"])
    columns["lines"], columns["ends"] = convergence_lines(*page.convergence(resolution, first), classes[first].basin)
    columns["chosen_row"] = {"y": []}
    place = packed["place"]
    columns["strip"] = {"y": place, "value": 0.0 * place, "colour": ["white"] * len(place), "name": packed["names"]}
    return {name: ColumnDataSource(values) for name, values in columns.items()}


def _link(args: dict[str, Any]) -> CustomJS:
    """Every selection changes `state`; every change of `state` redraws."""
    state, widgets, figures = args["state"], args["widgets"], args["figures"]
    redraw = CustomJS(args=args, code=_asset("report.js"))
    state.js_on_change("data", redraw)
    state.tags = [redraw]
    widgets["everything"].js_on_change("active", redraw)
    figures["classes"].y_range.js_on_change("end", redraw)
    for name in ("target", "other"):
        code = f"state.data = {{...state.data, {name}: [Number(cb_obj.value)]}}"
        widgets[name].js_on_change("value", CustomJS(args={"state": state}, code=code))
    names = args["data"]["names"]
    widgets["search"].js_on_change("value", CustomJS(args={"state": state, "names": names}, code=_FIND))
    order = {"state": state, "order": args["data"]["order"]}
    for name in ("classes", "strip"):
        _on_click(figures[name], CustomJS(args=order, code=_TAP_CLASS))
    rows = {"state": state, "rows": args["sources"]["rows"]}
    for name in ("names", "bars", "numbers"):
        _on_click(figures[name], CustomJS(args=rows, code=_TAP_CHANNEL))
    if "pairs" in figures:
        cells = {"state": state, "cells": args["sources"]["cells"]}
        _on_click(figures["pairs"], CustomJS(args=cells, code=_TAP_PAIR))
    return redraw


def _on_click(p: figure, callback: CustomJS) -> None:
    """Every click counts: of two quick ones, Bokeh calls the second a double tap, wherever it is."""
    p.js_on_event(Tap, callback)
    p.js_on_event(DoubleTap, callback)


_FIND = """
const words = cb_obj.value.trim().toLowerCase()
const n = names.length, now = state.data.target[0]
for (let i = 1; words && i <= n; i++) {
  const c = (now + i) % n
  if (names[c].toLowerCase().includes(words)) { state.data = {...state.data, target: [c]}; break }
}
"""
_TAP_CLASS = """
const c = order[Math.round(cb_obj.y)], {target, other} = state.data
if (c !== undefined) {
  if (cb_obj.modifiers?.shift) state.data = {...state.data, other: [c === other[0] || c === target[0] ? -1 : c]}
  else state.data = {...state.data, target: [c]}
}
"""
_TAP_CHANNEL = """
const i = Array.from(rows.data.y).findIndex((y) => Math.abs(y - cb_obj.y) < 0.5)
if (i >= 0) {
  const k = rows.data.k[i]
  state.data = {...state.data, channel: [k === state.data.channel[0] ? -1 : k]}
}
"""
_TAP_PAIR = """
const {x, y, index} = cells.data
const i = Array.from(x).findIndex((_, j) => Math.abs(x[j] - cb_obj.x) < 0.5 && Math.abs(y[j] - cb_obj.y) < 0.5)
if (i >= 0) state.data = {...state.data, pair: [index[i]]}
"""


def _look() -> dict[str, Any]:
    """What report.js has to know of the looks, so that Python and the page draw the same."""
    return {
        "positive": palette.POSITIVE,
        "negative": palette.NEGATIVE,
        "ink": palette.INK,
        "selected": palette.SELECTED,
        "background": palette.BACKGROUND,
        "bases": list(palette.BASES.values()),
        "basins": [list(basin[:2]) for basin in palette.BASINS],
        "letters": [letter.tolist() for letter in LETTERS],
        "rows": ROWS,
        "nobody": list(NOBODY),
        "solid": SOLID,
        "pale": PALE,
        "digits": DIGITS,
        "margin": MARGIN,
        "beyond": BEYOND,
        "decade": DECADE,
        "logo": {"left": LOGO_LEFT, "width": LOGO_WIDTH, "tall": LOGO_TALL},
        "named": plots.NAMED,
        "name_letters": plots.LETTERS,
        "heat": [plots.TREE + plots.NAMES, plots.HEAT],
        "names_from": plots.TREE,
        "gap_steps": page.GAP_STEPS,
        "nothing": page.NOTHING,
    }
