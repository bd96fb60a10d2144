"""Publication figures: logos, importance, the class tree, a pair's truth table.

Sizes are in millimetres and exact; text stays text in SVG and PDF; the background is light and the colours are those of
the widget. Every function returns a `matplotlib.figure.Figure` for further work; its `savefig` writes a file whole or
not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_explorer import importance as numbers
from dr_explorer import layout, palette, similarity
from dr_explorer.asked import whole_number
from dr_explorer.motifs import MAX_BITS, information_content, letter_heights, ppm_from_weights
from dr_explorer.paper import SMALL, TEXT, axes, font, number, sheet, write

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dr_explorer.resolution import Resolution

__all__ = ["importance", "logo", "tree", "truth_table"]

POINTS_PER_MM = 72 / 25.4
SMALLEST = 4.5  # points below which a class name is left out rather than drawn unreadably
SUPPORTED, WEAK = 0.95, 0.70  # branch support: full dot, hollow dot; below that, a red one


# ---- figures --------------------------------------------------------------------------------------------------------


def logo(ppm: np.ndarray, *, width_mm: float = 60, height_mm: float = 18, axis: bool = True) -> Figure:
    """A sequence logo: letters as tall as their probability times the position's information content, in bits.

    Parameters
    ----------
    ppm : (4, width) probabilities, rows A, C, G, T.
    width_mm, height_mm : size of the figure.
    axis : draw positions and bits.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For another shape, or columns that do not sum to 1.
    """
    figure = sheet(width_mm, height_mm)
    left, bottom = (9, 5) if axis else (0, 0)
    ax = axes(figure, left, 1, width_mm - left - 1, height_mm - bottom - 1)
    draw_logo(ax, ppm)
    if axis:
        n = np.shape(ppm)[1]
        ax.set_yticks([0, 1, 2])
        places = np.unique([0, *range(4, n, 5), n - 1])
        ax.set_xticks(places, [str(i + 1) for i in places])
        ax.set_ylabel("bits")
        ax.spines[["left", "bottom"]].set(visible=True, color=palette.FAINT, linewidth=0.5)
    return figure


def importance(
    resolution: Resolution,
    target: int | str = 0,
    *,
    other: int | str | None = None,
    rows: int = 14,
    combine: str = "weighted",
    level: float = 0.95,
    ppms: np.ndarray | None = None,
    width_mm: float = 120,
    row_mm: float = 4.6,
) -> Figure:
    """The channels a class is built from: bars with their intervals over restarts, logos, and the inconsistency.

    A pale bar is a channel whose restarts disagree; then the marks are the means of the basins the restarts ended in.
    The number at the right is the standard deviation over restarts, bold where they disagree.

    Parameters
    ----------
    resolution : what `dr_explorer.resolve` returned.
    target, other : the class, and one to compare it with (ticks); by name or position.
    rows : channels shown, the largest ones, favoured above unfavoured.
    combine, level : as in `dr_explorer.importance`.
    ppms : (K, 4, width) a motif for each channel; default the first layer's filters where the channels are those.
    width_mm, row_mm : width of the figure, and height of a channel.

    Returns
    -------
    matplotlib.figure.Figure
        OFIVs and standard deviations in units of the feature map.

    Raises
    ------
    ValueError
        For a class that there is not.
    """
    c, data, rows = resolution.position_of(target), resolution.dataset, whole_number("rows", rows)
    fiv, score, objective = (data[name].values[c] for name in ("fiv", "score", "objective"))
    value = numbers.ofiv(fiv, score, objective, combine=combine)
    shown, _ = layout.rank(value, rows)
    spread, disagree = np.sqrt(numbers.inconsistency(fiv, score)), numbers.inconsistent(fiv, score)
    if ppms is None and "first_layer" in data:
        ppms = ppm_from_weights(data.first_layer.values)

    name_mm, logo_mm, spread_mm, head, foot = 10.0, 24.0 if ppms is not None else 0.0, 13.0, 9.0, 8.0
    left, right = name_mm + logo_mm + 2, width_mm - spread_mm
    figure = sheet(width_mm, head + row_mm * len(shown) + foot)
    ax = axes(figure, left, head, right - left, row_mm * len(shown))
    _bars(ax, value[shown], numbers.interval(fiv, score, combine, level, objective=objective), shown, disagree)
    _basin_marks(ax, fiv, numbers.basins(fiv, objective), shown, disagree)
    if other is not None:
        o = resolution.position_of(other)
        theirs = numbers.ofiv(*(data[name].values[o] for name in ("fiv", "score", "objective")), combine=combine)
        ax.plot(theirs[shown], range(len(shown)), "|", color=palette.INK, markersize=9, markeredgewidth=1.2, zorder=3)
        write(figure, width_mm - 2, 2.6, f"| {layout.plain(resolution.targets[o])}", ha="right", size=SMALL)
    ax.locator_params(axis="x", nbins=max(2, int((right - left) / 15)))
    ax.set_xlabel(f"OFIV, {level:.0%} interval over restarts")

    write(figure, 1, 2.6, resolution.targets[c], size=TEXT + 1, weight="bold")
    grey = {"ha": "right", "size": SMALL, "color": palette.INK_3}
    write(figure, name_mm - 1, head - 2, "channel", **grey)
    write(figure, width_mm - 2, head - 2, "s.d.", **grey)
    for i, k in enumerate(shown):
        middle = head + (i + 0.5) * row_mm
        weight = "bold" if disagree[k] else "normal"
        write(figure, name_mm - 1, middle, data.channel.values[k], ha="right", weight="bold")
        write(figure, width_mm - 2, middle, number(spread[k]), ha="right", weight=weight)
        if ppms is not None:
            draw_logo(axes(figure, name_mm + 1, middle - row_mm / 2 + 0.3, logo_mm - 2, row_mm - 0.6), ppms[k])
    return figure


def _bars(ax: Axes, value: np.ndarray, interval, shown: np.ndarray, disagree: np.ndarray) -> None:
    """A bar a row with its whisker, pale and outlined where restarts disagree."""
    y, pale = np.arange(len(shown)), disagree[shown]
    colour = np.where(value < 0, palette.NEGATIVE, palette.POSITIVE)
    face = [palette.mix(palette.BACKGROUND, c, 0.3 if p else 0.8) for c, p in zip(colour, pale, strict=True)]
    ax.barh(y, value, height=0.62, color=face, edgecolor=np.where(pale, colour, "none"), linewidth=0.6)
    low, high = (bound[shown] for bound in interval)
    ax.hlines(y, low, high, color=palette.INK, linewidth=0.7)
    for ends in (low, high):
        ax.vlines(ends, y - 0.16, y + 0.16, color=palette.INK, linewidth=0.7)
    ax.axvline(0, color=palette.INK_3, linewidth=0.6, zorder=0.5)
    ax.grid(axis="x", color=palette.LINE, linewidth=0.4)
    ax.set_axisbelow(True)
    ax.margins(x=0.04)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_yticks([])


def _basin_marks(ax: Axes, fiv: np.ndarray, basin: np.ndarray, shown: np.ndarray, disagree: np.ndarray) -> None:
    """Where restarts disagree, the mean of each basin; nothing where they all ended in one."""
    y = np.flatnonzero(disagree[shown])
    for label in range(basin.max(initial=0) + 1 if basin.max(initial=0) > 0 else 0):
        tone, _, mark = palette.basin(label)
        mean = fiv[basin == label].mean(axis=0)[shown[y]]
        ax.plot(mean, y, mark, color=tone, markersize=3, markeredgecolor="white", markeredgewidth=0.3, zorder=3)


def tree(
    resolution: Resolution,
    *,
    metric: str = "pearson_positive",
    combine: str = "weighted",
    n_boot: int = 100,
    width_mm: float = 170,
    row_mm: float | None = None,
) -> Figure:
    """The class tree beside the similarity map, classes in the tree's order, branches with their support.

    Parameters
    ----------
    resolution : what `dr_explorer.resolve` returned.
    metric, combine : as in `dr_explorer.similarity`.
    n_boot : resamplings of the restarts for the support of the branches; 0 leaves it out.
    width_mm : width of the figure.
    row_mm : height of a class; default 3, less where a page would not hold them. Names too small to read are left out.

    Returns
    -------
    matplotlib.figure.Figure
        A branch's height is the square root of its distance (1 - similarity), so that close ones can be told apart.
    """
    similar = resolution.similarity(metric, combine).values
    n = len(similar)
    page = 230.0  # mm of a page that a figure may take
    row_mm = min(3.0, page / n) if row_mm is None else row_mm
    size = min(TEXT, 0.8 * row_mm * POINTS_PER_MM)
    named = size >= SMALLEST
    names = [layout.plain(name) for name in resolution.targets]
    names_mm = min(50.0, 1.2 + 0.55 * size / POINTS_PER_MM * max(map(len, names))) if named else 2.0
    head, foot = 2.0, 11.0
    heat_mm = min(row_mm * n, 0.55 * (width_mm - names_mm))
    tree_mm = width_mm - names_mm - heat_mm - 4
    figure = sheet(width_mm, head + row_mm * n + foot)

    branches = similarity.linkage(similar)
    order = similarity.leaf_order(branches) if n > 1 else np.arange(1)
    ax = axes(figure, 2, head, tree_mm, row_mm * n)
    heights, places = layout.tree_lines(branches, order)
    for x, y in zip(heights, places, strict=True):
        ax.plot(x, y, color=palette.INK_2, linewidth=0.6, solid_joinstyle="miter")
    if n_boot and n > 1:
        share = resolution.support(metric, combine, n_boot)
        for low, high, face, edge in _SUPPORT_MARKS:
            chosen = (share >= low) & (share < high)
            middle = (places[chosen, 1] + places[chosen, 2]) / 2
            ax.plot(
                heights[chosen, 1], middle, "o", color=edge, markerfacecolor=face, markersize=2.2, markeredgewidth=0.5
            )
    ax.set_xlim(max(heights.max(initial=0) * 1.03, 1e-9), 0)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_axis_off()
    if named:
        for i, c in enumerate(order):
            label = write(figure, 2 + tree_mm + 1, head + (i + 0.5) * row_mm, names[c], size=size)
            label.set_clip_on(True)
    heat = axes(figure, 2 + tree_mm + names_mm, head, heat_mm, row_mm * n)
    shades = palette.diverging(palette.UNLIKE, palette.LIKE, similar[np.ix_(order, order)], 1.0, palette.SIMILARITY)
    heat.imshow(shades, aspect="auto", interpolation="nearest")
    heat.set_xticks([])
    heat.set_yticks([])
    _colour_key(figure, width_mm - heat_mm - 2, head + row_mm * n + 2.5, min(heat_mm, 40.0), "similarity")
    if n_boot and n > 1:
        _support_key(figure, 2, head + row_mm * n + 3.5)
    return figure


def truth_table(pairs: xr.Dataset, feature, feature2, *, width_mm: float = 60) -> Figure:
    """The four corners of a pair: the logit with neither, one or both features, and the logic it reads as.

    Parameters
    ----------
    pairs : what `dr_explorer.pairwise` returned.
    feature, feature2 : labels of the two features in it.
    width_mm : width of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Mean logits with half their 95 % interval over backgrounds.

    Raises
    ------
    ValueError
        For a pair that was not computed, or something that is no table of pairs.
    """
    missing = [name for name in ("feature", "feature2", "s00", "s01", "s10", "s11") if name not in pairs]
    if missing:
        raise ValueError(f"the pairs lack {', '.join(missing)}: give what pairwise() returned")
    try:
        pair = pairs.sel(feature=feature, feature2=feature2)
    except KeyError:
        known = ", ".join(str(label) for label in pairs.feature.values[:10])
        raise ValueError(f"no pair ({feature!r}, {feature2!r}) was computed; features: {known}") from None
    corners = np.array([[float(pair[f"s{i}{j}"]) for j in (0, 1)] for i in (0, 1)])
    if not np.isfinite(corners).all():
        raise ValueError(
            f"the pair ({feature!r}, {feature2!r}) has no truth table: a feature makes no pair with itself"
        )
    half = pair["half_width"].values if "half_width" in pair else np.full((2, 2), np.nan)
    left, head, side = 20.0, 15.0, (width_mm - 24.0) / 2
    figure = sheet(width_mm, head + 1.2 * side + 9)
    ax = axes(figure, left, head, 2 * side, 1.2 * side)
    limit = max(np.abs(corners).max(), 1e-12) * 1.6  # text must read on the strongest colour
    shades = palette.diverging(palette.NEGATIVE, palette.POSITIVE, corners, limit, palette.PAIRS)
    ax.imshow(shades, aspect="auto", extent=(-0.5, 1.5, 1.5, -0.5))
    for i in (0, 1):
        for j in (0, 1):
            ink = palette.INK if palette.luminance(shades[i, j]) > 0.18 else palette.BACKGROUND
            middle = {"ha": "center", "va": "center", "color": ink, "parse_math": False}
            spread = np.isfinite(half[i, j])
            ax.text(j, i - 0.1 * spread, number(corners[i, j], 2), fontsize=TEXT + 2, **middle)
            if spread:
                ax.text(j, i + 0.22, f"±{number(half[i, j], 2)}", fontsize=SMALL, **middle)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.axhline(0.5, color=palette.BACKGROUND, linewidth=1)
    ax.axvline(0.5, color=palette.BACKGROUND, linewidth=1)
    for k, word in enumerate(("off", "on")):
        write(figure, left + (k + 0.5) * side, head - 1.8, word, ha="center", size=SMALL, color=palette.INK_2)
        write(figure, left - 1.2, head + (k + 0.5) * 0.6 * side, word, ha="right", size=SMALL, color=palette.INK_2)
    write(figure, left + side, head - 5, feature2, ha="center", weight="bold")
    write(figure, left - 7, head + 0.6 * side, feature, ha="right", weight="bold")
    if "logic" in pair:
        sure = f", confidence {float(pair.confidence):.2f}" if "confidence" in pair else ""
        write(figure, 2, 3.2, f"{pair.logic.item()}{sure}", size=TEXT + 1, weight="bold")
    beyond = corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0]
    words = f"non-linearity {number(beyond, 2)} logits"
    write(figure, 2, head + 1.2 * side + 4, words, size=SMALL, color=palette.INK_2)
    return figure


# ---- parts ----------------------------------------------------------------------------------------------------------


def draw_logo(ax: Axes, ppm: np.ndarray) -> None:
    """The letters of `ppm` (4, width) into the matplotlib axes `ax`, two bits high, without axis."""
    import logomaker
    import pandas as pd

    ppm = np.asarray(ppm, float)
    table = pd.DataFrame(letter_heights(ppm).T, columns=list("ACGT"))
    if information_content(ppm).max(initial=0) > 0:  # logomaker cannot draw a logo without letters
        logomaker.Logo(
            table, ax=ax, color_scheme=palette.BASES, font_name=font(), font_weight="bold", show_spines=False
        )
    ax.set_xlim(-0.5, ppm.shape[1] - 0.5)
    ax.set_ylim(0, MAX_BITS)
    ax.set_xticks([])
    ax.set_yticks([])


_SUPPORT_MARKS = (
    (SUPPORTED, np.inf, palette.INK_2, palette.INK_2),
    (WEAK, SUPPORTED, palette.BACKGROUND, palette.INK_2),
    (0.0, WEAK, palette.WRONG, palette.WRONG),
)


def _support_key(figure: Figure, left: float, top: float) -> None:
    words = (f"support ≥ {SUPPORTED:.2f}", f"≥ {WEAK:.2f}", f"< {WEAK:.2f}")
    for (_, _, face, edge), word in zip(_SUPPORT_MARKS, words, strict=True):
        ax = axes(figure, left, top - 1, 2, 2)
        ax.plot(0, 0, "o", color=edge, markerfacecolor=face, markersize=2.6, markeredgewidth=0.5)
        ax.set_axis_off()
        write(figure, left + 2.4, top, word, size=SMALL, color=palette.INK_2)
        left += 4.5 + 1.25 * len(word)


def _colour_key(figure: Figure, left: float, top: float, width: float, word: str) -> None:
    ax = axes(figure, left, top, width, 2.2)
    shades = palette.diverging(palette.UNLIKE, palette.LIKE, np.linspace(-1, 1, 256)[None], 1.0, palette.SIMILARITY)
    ax.imshow(shades, aspect="auto", extent=(-1, 1, 0, 1))
    ax.set_yticks([])
    ax.set_xticks([-1, 0, 1], ["−1", "0", "1"])
    ax.set_xlabel(word, labelpad=1)
