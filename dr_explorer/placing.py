"""Where planted motifs stand: within their positions and spacing, never overlapping, each exactly once."""

from __future__ import annotations

import numpy as np

from dr_explorer.motif_words import ROUNDS, clean, letters_allowed, occurrences


def ranges_of(words: dict, length: int, positions) -> np.ndarray:
    """Lowest and highest start of each motif, (M, 2)."""
    positions = dict(positions or {})
    ranges = []
    for name, word in words.items():
        last = length - len(word)
        if last < 0:
            raise ValueError(f"motif '{name}' ({word}, {len(word)} bp) does not fit in a sequence of {length} bp")
        low, high = positions.pop(name, (0, last))
        if not 0 <= low <= high <= last:
            raise ValueError(
                f"positions of '{name}' must lie within 0 and {last} for its first base, not {low} to {high}"
            )
        ranges.append((low, high))
    if positions:
        raise ValueError(
            f"positions names the motif '{next(iter(positions))}', but motifs has only: {', '.join(words)}"
        )
    return np.array(ranges)


def gaps_of(words: dict, spacing) -> list[tuple[int, int, int, int]]:
    names, gaps = list(words), []
    for (left, right), (least, most) in (spacing or {}).items():
        for name in (left, right):
            if name not in words:
                raise ValueError(f"spacing names the motif '{name}', but motifs has only: {', '.join(names)}")
        if left == right:
            raise ValueError(f"spacing ties the motif '{left}' to itself, which is planted once; name two motifs")
        if not 0 <= least <= most:
            raise ValueError(f"spacing of {left} and {right} must be 0 <= least <= most, not {least} to {most}")
        gaps.append((names.index(left), names.index(right), least, most))
    if len({right for _, right, _, _ in gaps}) < len(gaps):
        raise ValueError("spacing can tie a motif to one motif on its left only")
    return gaps


def written(present, words, ranges, gaps, length, chance, rng) -> tuple[np.ndarray, np.ndarray]:
    """Backgrounds with the present motifs written in: letters (N, L) and starts (N, M), -1 where absent."""
    widths = np.array([len(word) for word in words.values()])
    position = _starts(present, ranges, widths, gaps, rng)
    letters = rng.integers(4, size=(len(present), length)).astype(np.uint8)
    todo = np.arange(len(present))
    for _ in range(ROUNDS):
        part, starts = letters[todo], position[todo]
        if chance == "clean":
            clean(part, list(words.values()), rng)
        for column, word in enumerate(words.values()):
            rows = np.nonzero(starts[:, column] >= 0)[0]
            for k, allowed in enumerate(letters_allowed(word)):
                part[rows, starts[rows, column] + k] = rng.choice(np.nonzero(allowed)[0], size=len(rows))
        letters[todo] = part
        if chance == "count":
            return letters, position
        # Writing a motif can complete another one with the letters beside it; such rows are made anew.
        seen = np.stack([occurrences(part, word).sum(axis=1) for word in words.values()], axis=1)
        todo = todo[(seen != present[todo]).any(axis=1)]
        if not len(todo):
            return letters, position
        letters[todo] = rng.integers(4, size=(len(todo), length))
        position[todo] = _starts(present[todo], ranges, widths, gaps, rng)
    raise ValueError(
        f"{len(todo)} sequences could not be made so that exactly the wanted motifs occur once each: the motifs "
        f"({', '.join(words.values())}) are too short, too loose or too alike for {length} bp; use chance='count'"
    )


def _starts(present, ranges, widths, gaps, rng) -> np.ndarray:
    """Where each present motif starts, so that none overlap, within its range and spacing: (N, M), -1 where absent."""
    starts = np.full(present.shape, -1)
    todo = np.arange(len(present))
    for _ in range(ROUNDS):
        here = present[todo]
        drawn = rng.integers(ranges[:, 0], ranges[:, 1] + 1, size=here.shape)
        fits = np.ones(len(todo), bool)
        for left, right, least, most in gaps:
            both = here[:, left] & here[:, right]
            tied = drawn[:, left] + widths[left] + rng.integers(least, most + 1, size=len(todo))
            drawn[:, right] = np.where(both, tied, drawn[:, right])
            fits &= ~both | ((tied >= ranges[right, 0]) & (tied <= ranges[right, 1]))
        for i in range(len(widths)):
            for j in range(i):
                apart = (drawn[:, i] + widths[i] <= drawn[:, j]) | (drawn[:, j] + widths[j] <= drawn[:, i])
                fits &= apart | ~(here[:, i] & here[:, j])
        starts[todo[fits]] = np.where(here, drawn, -1)[fits]
        todo = todo[~fits]
        if not len(todo):
            return starts
    raise ValueError(
        f"the motifs cannot be placed without overlap in {len(todo)} sequences; make the sequences longer, or widen "
        "positions= or spacing="
    )
