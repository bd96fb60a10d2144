"""Fisher's linear discriminant of two samples."""

from __future__ import annotations

import numpy as np

# This part of a column's own variance is added to it. Channels that see one motif rise together almost exactly; their
# small differences are not to be trusted.
RIDGE = 0.05


def discriminant(present: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (C,) and offset of Fisher's discriminant (1936) of two samples (N, C) and (M, C).

    ``x @ weights + offset`` is above 0 for the first, the border halfway between the means.
    """
    centre, other = present.mean(0), absent.mean(0)
    spread = (present - centre).T @ (present - centre) + (absent - other).T @ (absent - other)
    variance = np.diag(spread)
    # A column that never moves has no say; the term keeps its row solvable.
    spread = spread + np.diag(RIDGE * variance + 1e-9 * max(variance.sum(), 1e-30))
    weight = np.linalg.solve(spread, centre - other)
    return weight, -float(weight @ (centre + other)) / 2
