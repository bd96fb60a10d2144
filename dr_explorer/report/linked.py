"""The panels of the page, and the code that links them: every selection moves all of them."""

from __future__ import annotations

from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from bokeh.document import Document
from bokeh.events import DocumentReady, DoubleTap, Tap
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, CustomJS, Model, Select, TextInput, Toggle
from bokeh.plotting import figure

from dr_explorer import layout, palette
from dr_explorer.report import page, plots
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
    ROWS,
    SOLID,
    convergence_lines,
    importance_rows,
    logo_columns,
)

if TYPE_CHECKING:
    from dr_explorer.resolution import Resolution

RIGHT = 672  # px: the panels beside the classes
NOBODY = ("-1", "compare with \u2026")


def asset(name: str) -> str:
    """A file of this folder, as text."""
    return package_files("dr_explorer.report").joinpath(name).read_text(encoding="utf-8")


def document(resolution: Resolution, packed: dict, classes: list, tree: page.Tree, tables: dict) -> Document:
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
    linked = Document()
    with linked.models.freeze():  # or every root makes Bokeh look through all models again
        for name, root in roots.items():
            root.name = name
            linked.add_root(root)
    linked.js_on_event(DocumentReady, redraw)
    return linked


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
    redraw = CustomJS(args=args, code=asset("report.js"))
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
