"""The four bases as polygons, for logos in programs that draw no SVG paths.

In the unit square, y downwards. The shapes are those of the widget's logos; the hole of the A is reached by a seam, so
that each letter is one polygon.
"""

from __future__ import annotations

import numpy as np

CURVE_POINTS = 6  # straight pieces of a curve: smooth at the size of a logo's letter

# (x, y) is a corner; ((x, y), (x, y), (x, y)) a cubic curve from the last point, two controls and its end.
_A = [(0, 1), (0.37, 0), (0.63, 0), (1, 1), (0.77, 1), (0.69, 0.77), (0.31, 0.77)]
_A += [(0.37, 0.6), (0.63, 0.6), (0.5, 0.2), (0.37, 0.6), (0.31, 0.77), (0.23, 1)]
_C = [
    (1, 0.3),
    ((0.94, 0.1), (0.77, 0), (0.54, 0)),
    ((0.2, 0), (0, 0.2), (0, 0.5)),
    ((0, 0.8), (0.2, 1), (0.54, 1)),
    ((0.77, 1), (0.94, 0.9), (1, 0.7)),
    (0.79, 0.64),
    ((0.75, 0.77), (0.67, 0.83), (0.54, 0.83)),
    ((0.33, 0.83), (0.22, 0.71), (0.22, 0.5)),
    ((0.22, 0.29), (0.33, 0.17), (0.54, 0.17)),
    ((0.67, 0.17), (0.75, 0.23), (0.79, 0.36)),
]
_G = [
    (0.98, 0.28),
    ((0.91, 0.09), (0.75, 0), (0.53, 0)),
    ((0.2, 0), (0, 0.2), (0, 0.5)),
    ((0, 0.8), (0.2, 1), (0.54, 1)),
    ((0.74, 1), (0.9, 0.95), (1, 0.85)),
    (1, 0.46),
    (0.52, 0.46),
    (0.52, 0.62),
    (0.79, 0.62),
    (0.79, 0.76),
    ((0.73, 0.81), (0.65, 0.83), (0.55, 0.83)),
    ((0.33, 0.83), (0.22, 0.71), (0.22, 0.5)),
    ((0.22, 0.29), (0.33, 0.17), (0.53, 0.17)),
    ((0.66, 0.17), (0.73, 0.22), (0.77, 0.33)),
]
_T = [(0, 0), (1, 0), (1, 0.17), (0.61, 0.17), (0.61, 1), (0.39, 1), (0.39, 0.17), (0, 0.17)]


def _polygon(pieces: list) -> np.ndarray:
    points: list = []
    for piece in pieces:
        if isinstance(piece[0], tuple):
            t = np.linspace(0, 1, CURVE_POINTS + 1)[1:, None]
            p0, p1, p2, p3 = np.array([points[-1], *piece], float)
            points += list((1 - t) ** 3 * p0 + 3 * t * (1 - t) ** 2 * p1 + 3 * t**2 * (1 - t) * p2 + t**3 * p3)
        else:
            points.append(np.array(piece, float))
    return np.round(np.array(points), 3)


#: (n, 2) corners of A, C, G and T.
LETTERS = [_polygon(pieces) for pieces in (_A, _C, _G, _T)]


def logo_polygons(heights: np.ndarray, left: float, width: float, bottom: float, height: float, bits: float = 2.0):
    """The letters of a logo as polygons: lists of x, of y, and of the base of each, tallest on top.

    Parameters
    ----------
    heights : (4, n) letter heights in bits.
    left, width, bottom, height : the box; `height` may be negative where the axis runs downwards.
    bits : what fills the height.
    """
    xs, ys, bases = [], [], []
    pitch = width / heights.shape[1]
    for i, stack in enumerate(np.nan_to_num(heights).T):
        level = bottom
        for base in np.argsort(stack, kind="stable"):
            tall = stack[base] / bits * height
            if abs(tall) < 0.02 * abs(height):  # below that a letter is only dirt
                continue
            xs.append((left + (i + LETTERS[base][:, 0] * 0.94) * pitch).tolist())
            ys.append((level + (1 - LETTERS[base][:, 1]) * tall).tolist())
            bases.append(int(base))
            level += tall
    return xs, ys, bases
