"""The colours of everything drawn outside the widget: its light palette, and ramps from the background at zero.

Violet is the class and what is selected; red and blue are contributions, favoured and unfavoured. Basins have a shape
besides their colour, and the bases are told apart with every kind of colour vision.
"""

from __future__ import annotations

import numpy as np

BACKGROUND = "#ffffff"
SURFACE = "#f5f6f8"
LINE = "#e2e5e9"
INK = "#1b1e23"
INK_2 = "#545b65"
INK_3 = "#646b75"
FAINT = "#c3c8cf"
SELECTED = "#6a3db3"
NEGATIVE = "#2b69b3"
POSITIVE = "#c2402d"
UNLIKE = "#b8812a"
LIKE = "#6a3db3"
WRONG = "#b3261e"
#: Colour and mark (Bokeh's name, matplotlib's name) of each basin; those beyond the fourth look like the fourth.
BASINS = (
    ("#6a3db3", "circle", "o"),
    ("#1a7c8a", "diamond", "D"),
    ("#a06a00", "triangle", "^"),
    ("#767d87", "square", "s"),
)
BASES = {"A": "#009980", "C": "#59b3e6", "G": "#e69b04", "T": "#1a1a1a"}

#: How a ramp follows its value: exponents below 1 keep small values visible, strengths below 1 keep large blocks quiet.
IMPORTANCE = (1.0, 1.0)
PAIRS = (0.55, 1.0)
SIMILARITY = (1.15, 0.85)

# Ottosson, "A perceptual color space for image processing" (2020).
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def basin(label: int) -> tuple[str, str, str]:
    """Colour and marks of the basin with this label (0 the best)."""
    return BASINS[min(max(int(label), 0), len(BASINS) - 1)]


def mix(start: str, end: str, t) -> np.ndarray:
    """Colours between two, in OKLab: t (...,) in [0, 1] gives (..., 3) sRGB in [0, 1]."""
    t = np.asarray(t, float)[..., None]
    return _from_oklab(_to_oklab(_rgb(start)) * (1 - t) + _to_oklab(_rgb(end)) * t)


def diverging(
    negative: str, positive: str, values, limit: float, curve: tuple[float, float] = IMPORTANCE
) -> np.ndarray:
    """Colours (..., 3) in [0, 1] of signed values on a scale of half width `limit`; the background at 0 and NaN."""
    values = np.asarray(values, float)
    exponent, strength = curve
    size = np.clip(np.abs(np.nan_to_num(values)) / limit, 0, 1) if limit > 0 else np.zeros(values.shape)
    t = strength * size**exponent
    return np.where((values < 0)[..., None], mix(BACKGROUND, negative, t), mix(BACKGROUND, positive, t))


def ramp(negative: str, positive: str, n: int = 255, curve: tuple[float, float] = IMPORTANCE) -> list[str]:
    """The same as `n` hex colours from -1 to 1; the middle one, of an odd number, is the background."""
    return [to_hex(rgb) for rgb in diverging(negative, positive, np.linspace(-1, 1, n), 1.0, curve)]


def to_hex(rgb) -> str:
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in rgb)


def luminance(rgb) -> float:
    """WCAG's relative luminance of an sRGB colour, 0 to 1: dark text reads on what is above about 0.18."""
    return float(_linear(np.asarray(rgb, float)) @ (0.2126, 0.7152, 0.0722))


def symmetric_limit(values) -> float:
    """Half width of a symmetric colour scale: the 99th percentile of the sizes; one outlier washes nothing out."""
    sizes = np.abs(np.asarray(values, float))
    sizes = sizes[np.isfinite(sizes)]
    limit = float(np.quantile(sizes, 0.99)) if sizes.size else 0.0
    return limit if limit > 0 else float(sizes.max(initial=0)) or 1.0


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _linear(c: np.ndarray) -> np.ndarray:
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    return _TO_LAB @ np.cbrt(_TO_LMS @ _linear(rgb))


def _from_oklab(lab: np.ndarray) -> np.ndarray:
    linear = np.clip((lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T, 0, None)
    return np.clip(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), 0, 1)
