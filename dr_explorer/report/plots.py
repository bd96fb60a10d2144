"""The plots, empty of any one class: each takes its columns, which Python or the page fills."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSHover,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    LinearColorMapper,
    PanTool,
    Range1d,
    Span,
    WheelPanTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from dr_explorer import layout, palette
from dr_explorer.report import page
from dr_explorer.report.rows import LOGO_LEFT, LOGO_WIDTH, decades, extent

ROW = 20  # px an importance row
TREE, NAMES, HEAT, STRIP = 84, 196, 184, 96  # px: the columns of the classes panel
PITCH = 15.6  # px a class, where there is room
LOW, HIGH = 220, 860  # px: least and greatest height of the classes panel
NAMED = 70  # class names drawn at most; more would overlap, so they come with zooming in
LETTERS = 30  # of a class name before it is cut; all of it on hover
SUPPORTED, WEAK = 0.95, 0.70
LEAST = 12  # px: a clade less tall carries no support dot
SMALL, TEXT = "11px", "12px"
SIGN = "return String(Number(tick.toPrecision(6))).replace('-', '\\u2212')"
DECADE = "return tick >= 1e4 || tick < 1e-4 ? tick.toExponential(0) : String(tick)"


def plain_figure(**options: Any) -> figure:
    """A figure in the widget's manner: hairlines, no frame, no toolbar."""
    p = figure(toolbar_location=None, tools="", background_fill_color=None, border_fill_color=None, **options)
    p.outline_line_color = None
    p.min_border = 0  # of the sides that the options leave open
    for axis in (*p.xaxis, *p.yaxis):
        axis.axis_line_color = palette.FAINT
        axis.major_tick_line_color = palette.FAINT
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = palette.INK_2
        axis.major_label_text_font_size = axis.axis_label_text_font_size = SMALL
        axis.axis_label_text_font_style = "normal"
        axis.major_tick_in, axis.major_tick_out = 0, 4
    p.grid.grid_line_color = palette.LINE
    p.ygrid.visible = False
    p.title.text_color, p.title.text_font_size, p.title.text_font_style = palette.INK, TEXT, "bold"
    return p


def no_formula(text: str) -> str:
    """Text that Bokeh will not read as TeX, whatever it holds."""
    return text.replace("$$", "$\u200b$").replace("\\(", "\\\u200b(").replace("\\[", "\\\u200b[")


# ---- importance -----------------------------------------------------------------------------------------------------


def bars(rows: ColumnDataSource, marks: ColumnDataSource, fold: ColumnDataSource, **options: Any) -> figure:
    """Bars with whiskers; marks of the basins where restarts disagree; the comparison; ticks of the folded channels."""
    p = plain_figure(y_range=Range1d(0, 1), x_range=Range1d(*extent(rows.data, marks.data)), **options)
    p.yaxis.visible = False
    p.xaxis.formatter = CustomJSTickFormatter(code=SIGN)
    p.add_layout(Span(location=0, dimension="height", line_color=palette.INK_3, line_width=1, level="underlay"))
    drawn = p.hbar(
        y="y", right="value", left=0, height=0.6, source=rows, fill_color="colour", fill_alpha="alpha",
        line_color="colour", line_width="line", hover_fill_alpha=1.0,
    )  # fmt: skip
    p.segment(x0="low", x1="high", y0="y", y1="y", source=rows, line_color=palette.INK)
    for end in ("low", "high"):
        p.scatter(x=end, y="y", source=rows, marker="dash", angle=np.pi / 2, size=7, line_color=palette.INK)
    p.scatter(
        x="other", y="y", source=rows, marker="dash", angle=np.pi / 2, size=15, line_width=2, line_color=palette.INK
    )
    p.scatter(x="x", y="y", source=marks, marker="mark", size=9, fill_color="colour", line_color=palette.BACKGROUND)
    p.scatter(x="x", y="y", source=fold, marker="dash", angle=np.pi / 2, size=8, line_color=palette.INK_3)
    tips = [("channel", "@channel"), ("OFIV", "@value{0.0000}"), ("95 %", "@low{0.0000} to @high{0.0000}")]
    tips += [("s.d. over restarts", "@spread"), ("in the top 5 of", "@sharing classes")]
    p.add_tools(HoverTool(renderers=[drawn], tooltips=tips, mode="hline"))
    return p


def importance_panel(sources: dict[str, ColumnDataSource], n_rows: int, logos: bool, width: int) -> dict[str, figure]:
    """Channel and logo, bars, and numbers: three figures that share their rows."""
    left = int(LOGO_LEFT + (LOGO_WIDTH + 10 if logos else 30))
    right = 122
    height = ROW * (n_rows + 1) + 26
    rows, chosen = sources["rows"], sources["chosen_row"]
    y_range = Range1d(n_rows + 0.5, -0.5)
    shared = {"height": height, "y_range": y_range, "min_border_bottom": 26}

    names = plain_figure(width=left, x_range=Range1d(0, left), **shared)
    p = bars(rows, sources["marks"], sources["fold"], width=width - left - right, height=height)
    p.y_range, p.min_border_bottom = y_range, 26
    numbers = plain_figure(width=right, x_range=Range1d(0, right), **shared)
    for side in (names, numbers):
        side.axis.visible = False
        side.grid.visible = False
    for part in (names, p, numbers):
        band = part.hbar(
            y="y", left=-1e9, right=1e9, height=1, source=chosen, fill_color=palette.SELECTED, fill_alpha=0.09
        )
        band.glyph.line_color = None
        band.level = "underlay"
    bold = {"text_font_size": TEXT, "text_baseline": "middle", "text_color": palette.INK}
    names.text(x=LOGO_LEFT - 8, y="y", text="channel", source=rows, text_align="right", text_font_style="bold", **bold)
    names.patches(xs="xs", ys="ys", source=sources["logo"], fill_color="colour", line_color=None)
    numbers.scatter(
        x=16,
        y="y",
        source=rows,
        marker="diamond",
        size=9,
        line_color=palette.INK_3,
        fill_color=palette.INK,
        fill_alpha="mark",
    )
    numbers.text(x=70, y="y", text="spread", source=rows, text_align="right", **bold)
    numbers.text(x=right - 8, y="y", text="sharing", source=rows, text_align="right", **bold)
    words = {**bold, "text_color": palette.INK_3, "text_font_size": SMALL}
    names.text(x=4, y="y", text="more", source=sources["words"], **words)
    numbers.text(x=right - 8, y="y", text="within", source=sources["words"], text_align="right", **words)
    for part in (names, p, numbers):
        part.add_tools(pan := WheelPanTool(dimension="height"))
        part.toolbar.active_scroll = None
        pan.visible = False
    return {"names": names, "bars": p, "numbers": numbers}


# ---- convergence ----------------------------------------------------------------------------------------------------


def convergence(lines: ColumnDataSource, ends: ColumnDataSource, **options: Any) -> figure:
    """Gap to the best objective, the best at the top; a line a restart, in the colour of the basin it ended in."""
    options = {"width": 520, "height": 220} | options
    across, down = decades(lines.data)
    p = plain_figure(y_axis_type="log", y_range=Range1d(*down), x_range=Range1d(*across), **options)
    p.ygrid.visible, p.xgrid.visible = True, False
    p.xaxis.axis_label, p.yaxis.axis_label = "step", "gap to the best, logits"
    p.yaxis.formatter = CustomJSTickFormatter(code=DECADE)
    p.yaxis.ticker.num_minor_ticks = 0
    p.multi_line("xs", "ys", source=lines, line_color="colour", line_alpha=0.75, line_width=1.2)
    drawn = p.scatter(x="x", y="y", source=ends, marker="mark", size=9, color="colour")
    p.add_layout(Legend(items=[LegendItem(label={"field": "word"}, renderers=[drawn])], border_line_color=None,
                        background_fill_color=None, label_text_font_size=SMALL, label_text_color=palette.INK_2,
                        padding=2, spacing=1, glyph_width=14), "right")  # fmt: skip
    p.add_tools(
        HoverTool(renderers=[drawn], tooltips=[("restart", "@restart"), ("gap", "@y{0.000000}"), ("", "@word")])
    )
    return p


# ---- classes --------------------------------------------------------------------------------------------------------


def classes(tree: page.Tree, targets: list[str]) -> tuple[figure, dict[str, ColumnDataSource]]:
    """The class tree, names and similarity map in one figure, classes from top to bottom in the tree's order."""
    n = len(targets)
    width, height = TREE + NAMES + HEAT, int(np.clip(PITCH * n, LOW, HIGH))
    p = plain_figure(
        width=width, height=height, x_range=Range1d(0, width), y_range=Range1d(n - 0.5, -0.5), min_border_top=2
    )
    p.axis.visible = False
    p.grid.visible = False
    heights, places = layout.tree_lines(tree.branches, tree.order)
    in_order = tree.similarity[np.ix_(tree.order, tree.order)]
    none, *shades = ["#ffffff", *palette.ramp(palette.UNLIKE, palette.LIKE, 255, palette.SIMILARITY)]
    mapper = LinearColorMapper(palette=[none, *shades], low=0, high=255)
    image = p.image([page.similarity_bytes(in_order)], x=TREE + NAMES, y=-0.5, dw=HEAT, dh=n, color_mapper=mapper)
    x = tree_x(heights)
    path, other_path = (ColumnDataSource({"xs": [], "ys": []}) for _ in range(2))
    p.multi_line(list(x), list(places), line_color=palette.INK_2, line_width=1)
    p.multi_line("xs", "ys", source=other_path, line_color=palette.INK, line_width=1.5, line_dash=[3, 2])
    p.multi_line("xs", "ys", source=path, line_color=palette.SELECTED, line_width=2)
    marks = ColumnDataSource(dots(tree_marks(tree, heights, places), height / n))
    support = p.scatter("x", "y", source=marks, size=5, line_color="edge", fill_color="fill")

    names = [layout.plain(name) for name in targets]
    labels = ColumnDataSource({"y": [], "text": [], "style": [], "colour": []})
    if n <= NAMED:
        labels.data = {
            "y": np.arange(n, dtype=float),
            "text": [short(names[c]) for c in tree.order],
            "style": ["normal"] * n,
            "colour": [palette.INK] * n,
        }
    frames = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": [], "colour": [], "fill": [], "dash": []})
    p.quad("left", "right", "top", "bottom", source=frames, line_color="colour", line_dash="dash", fill_color="colour",
           fill_alpha="fill", line_width=1.5)  # fmt: skip
    size = f"{min(12, max(9, int(height / max(n, 1) * 0.78)))}px" if n <= NAMED else SMALL
    p.text(x=TREE + 4, y="y", text="text", source=labels, text_font_style="style", text_color="colour",
           text_font_size=size, text_baseline="middle", background_fill_color="white",
           background_fill_alpha=0.0 if n <= NAMED else 0.85)  # fmt: skip

    _hover_classes(p, image, support, names, tree.order)
    p.add_tools(zoom := WheelZoomTool(dimensions="height"), PanTool(dimensions="height"))
    p.toolbar.active_scroll = zoom
    return p, {"labels": labels, "frames": frames, "path": path, "other_path": other_path, "dots": marks}


def tree_x(heights: np.ndarray) -> np.ndarray:
    """Where heights of the tree lie in the panel, in pixels: leaves at the right, the root at the left."""
    return TREE - 2 - heights / max(heights.max(initial=0), 1e-12) * (TREE - 8)


def tree_marks(tree: page.Tree, heights: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """Of every branch: its bracket (4 x and 4 y, one after another), how many classes it holds, its support dot."""
    share = np.nan_to_num(tree.support, nan=-1.0)
    edge = np.where(share < WEAK, palette.WRONG, palette.INK_2)
    return {
        "x": tree_x(heights).ravel(),
        "y": places.ravel(),
        "size": tree.branches[:, 3].astype(np.int32),
        "support": share.astype(np.float32),
        "edge": edge.tolist(),
        "fill": np.where((share >= WEAK) & (share < SUPPORTED), palette.BACKGROUND, edge).tolist(),
        "least": LEAST,
    }


def dots(marks: dict[str, Any], pitch: float) -> dict[str, list]:
    """Columns of the support dots of the branches that are tall enough to carry one, at `pitch` pixels a class."""
    chosen = np.flatnonzero((marks["support"] >= 0) & (marks["size"] * pitch >= LEAST))
    x, y = marks["x"].reshape(-1, 4), marks["y"].reshape(-1, 4)
    return {
        "x": x[chosen, 1].tolist(),
        "y": y[chosen, 1:3].mean(axis=1).tolist(),
        "edge": [marks["edge"][i] for i in chosen],
        "fill": [marks["fill"][i] for i in chosen],
        "support": marks["support"][chosen].tolist(),
    }


def _hover_classes(p: figure, image, support, names: list[str], order: np.ndarray) -> None:
    arguments = {"names": [names[c] for c in order], "x0": TREE + NAMES, "step": HEAT / len(names)}
    row = CustomJSHover(args=arguments, code="return names[Math.round(value)] ?? ''")
    column = CustomJSHover(args=arguments, code="return names[Math.floor((value - x0) / step)] ?? ''")
    r = CustomJSHover(
        code=f"""
        const b = value
        if (b === {page.NO_SIMILARITY}) return 'none'
        return ((b - {page.MIDDLE}) / {page.MIDDLE - 1}).toFixed(2).replace('-', '\\u2212')
    """
    )
    p.add_tools(
        HoverTool(renderers=[image], formatters={"$y": row, "$x": column, "@image": r}, attachment="left",
                  tooltips=[("", "$y{custom}"), ("", "$x{custom}"), ("similarity", "@image{custom}")]),
        HoverTool(renderers=[support], tooltips=[("support", "@support{0.00}")]),
    )  # fmt: skip


def strip(source: ColumnDataSource, classes_plot: figure) -> figure:
    """One channel's importance in every class, beside the classes."""
    p = plain_figure(
        width=STRIP, height=classes_plot.height, y_range=classes_plot.y_range, x_range=Range1d(0, 1), min_border_top=2
    )
    p.axis.visible = False
    p.grid.visible = False
    p.hbar(y="y", right="value", left=0, height=0.8, source=source, fill_color="colour", line_color=None)
    p.add_tools(HoverTool(tooltips=[("", "@name"), ("OFIV", "@value{0.0000}")], mode="hline", attachment="left"))
    p.add_tools(zoom := WheelZoomTool(dimensions="height"))
    p.toolbar.active_scroll = zoom
    return p


def short(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "\u2026"


# ---- pairs ----------------------------------------------------------------------------------------------------------


def pair_panel() -> tuple[dict[str, figure], dict[str, ColumnDataSource]]:
    """The pairs of a class as a triangle of non-linearities, and the chosen pair's truth table."""
    sources = {
        "cells": ColumnDataSource(
            {name: [] for name in ("x", "y", "level", "value", "first", "second", "logic", "index")}
        ),
        "diagonal": ColumnDataSource({"x": [], "y": [], "text": []}),
        "chosen_cell": ColumnDataSource({"x": [], "y": []}),
        "corners": ColumnDataSource({"x": [], "y": [], "level": [], "text": [], "ink": []}),
        "words": ColumnDataSource({"x": [], "y": [], "text": [], "size": [], "style": [], "align": []}),
    }
    shades = palette.ramp(palette.NEGATIVE, palette.POSITIVE, 255, palette.PAIRS)
    mapper = {"field": "level", "transform": LinearColorMapper(palette=shades, low=-1, high=1)}
    grid = plain_figure(width=300, height=260, x_range=Range1d(-0.7, 1), y_range=Range1d(1, -0.7), match_aspect=True)
    cells = grid.rect("x", "y", 0.92, 0.92, source=sources["cells"], fill_color=mapper, line_color=palette.LINE)
    grid.rect(
        "x", "y", 0.98, 0.98, source=sources["chosen_cell"], fill_color=None, line_color=palette.SELECTED, line_width=2
    )
    grid.text("x", "y", "text", source=sources["diagonal"], text_font_size=SMALL, text_color=palette.INK_2,
              text_align="center", text_baseline="middle")  # fmt: skip
    tips = [("", "@first \u00d7 @second"), ("non-linearity", "@value{0.00} logits"), ("reads as", "@logic")]
    grid.add_tools(HoverTool(renderers=[cells], tooltips=tips))
    table = plain_figure(width=380, height=260, x_range=Range1d(-1.2, 2.2), y_range=Range1d(2.2, -1.5))
    table.rect("x", "y", 0.97, 0.97, source=sources["corners"], fill_color=mapper, line_color=None)
    table.text("x", "y", "text", source=sources["corners"], text_font_size="14px", text_align="center",
               text_baseline="middle", text_color="ink")  # fmt: skip
    table.text("x", "y", "text", source=sources["words"], text_font_size="size", text_font_style="style",
               text_align="align", text_baseline="middle", text_color=palette.INK)  # fmt: skip
    for p in (grid, table):
        p.axis.visible = False
        p.grid.visible = False
    sources["pair_words"] = sources.pop("words")
    return {"pairs": grid, "truth": table}, sources


def ticks(p: figure, at: list[float], words: list[str]) -> None:
    """Row names as the labels of the y axis."""
    p.yaxis.visible = True
    p.yaxis.ticker = FixedTicker(ticks=at)
    p.yaxis.major_label_overrides = {y: no_formula(word) for y, word in zip(at, words, strict=True)}
