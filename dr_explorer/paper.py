"""The paper that publication figures are drawn on: millimetres, fonts, text that stays text, files written whole."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dr_explorer import layout, palette
from dr_explorer.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MM = 1 / 25.4  # in inches, matplotlib's unit
TEXT, SMALL = 7.0, 6.0  # points: what journals ask for
SHOWN = 130  # CSS pixels an inch in a notebook: text of 7 points is as tall as the page's own
FONTS = ("Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")


def number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"


def write(figure: Figure, x: float, y: float, text: object, *, size: float = TEXT, **options):
    """Text at millimetres from the figure's left and top; never read as a formula."""
    width, height = figure.get_size_inches() / MM
    options = {"va": "center", "color": palette.INK, **options}
    return figure.text(x / width, 1 - y / height, layout.plain(text), fontsize=size, parse_math=False, **options)


def axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at millimetres from the figure's left and top, without frame."""
    across, down = figure.get_size_inches() / MM
    ax = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    ax.spines[:].set_visible(False)
    ax.spines[:].set_linewidth(0.5)
    ax.spines[:].set_color(palette.FAINT)
    ax.tick_params(labelsize=SMALL, length=1.5, width=0.5, pad=1.5, color=palette.FAINT, labelcolor=palette.INK_2)
    ax.xaxis.label.set(fontsize=SMALL, color=palette.INK_2)
    ax.yaxis.label.set(fontsize=SMALL, color=palette.INK_2)
    ax.set_facecolor("none")
    return ax


def sheet(width_mm: float, height_mm: float) -> Figure:
    import matplotlib as mpl

    with mpl.rc_context(_style()):
        return _figure_class()(figsize=(width_mm * MM, height_mm * MM), dpi=200, facecolor=palette.BACKGROUND)


def _style() -> dict:
    return {
        "svg.fonttype": "none",  # text as text, for the journal's and the author's editor
        "pdf.fonttype": 42,
        "font.family": "sans-serif",
        "font.sans-serif": [font()],
        "axes.unicode_minus": True,
        "svg.hashsalt": "dr_explorer",  # the same figure is the same file
    }


@lru_cache
def font() -> str:
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in there), "DejaVu Sans")


@lru_cache
def _figure_class() -> type:
    from base64 import b64encode
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class PublicationFigure(Figure):
        """A figure that keeps its text as text, and leaves no half-written file, however it is saved."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            FigureCanvasAgg(self)

        def savefig(self, fname, **options):
            with mpl.rc_context(_style()):
                if not isinstance(fname, str | os.PathLike):
                    return super().savefig(fname, **options)
                options.setdefault("format", Path(fname).suffix[1:] or "pdf")
                with whole(fname) as part:
                    super().savefig(part, **options)

        def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
            """What a notebook shows: sharp, and not much larger than on paper, whatever backend is in use."""
            out = BytesIO()
            self.savefig(out, format="png")
            width, height = (round(side * SHOWN) for side in self.get_size_inches())
            shown = {"image/png": b64encode(out.getvalue()).decode("ascii"), "text/plain": repr(self)}
            return shown, {"image/png": {"width": width, "height": height}}

    return PublicationFigure
