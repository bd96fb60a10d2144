"""Channels to motifs: probabilities from a filter's weights, their information content, and motif files.

Every matrix is (4, width) with rows A, C, G, T. PPM stands for probabilities.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

BASES = 4
MAX_BITS = 2.0  # log2(4): a position that is always the same base
# MEME files round to some digits: a row further than this from 1 is a mistake, not rounding.
ROW_SUM_TOLERANCE = 0.02


def ppm_from_weights(weights) -> np.ndarray:
    """First-layer weights (F, 4, width), or (4, width), as probabilities of the same shape.

    Negative weights become 0 and each position is divided by its sum; a position with no positive weight becomes 0.25
    everywhere (Liu & Gifford 2017, and their released code).

    Raises
    ------
    ValueError
        Another shape, or weights that are not finite.
    """
    weights = weights.detach().cpu().numpy() if hasattr(weights, "detach") else weights
    weights = np.asarray(weights, float)
    _check_bases(weights, "weights")
    if not np.isfinite(weights).all():
        raise ValueError("the weights hold NaN or infinite numbers")
    positive = np.clip(weights, 0, None)
    # Dividing by the largest first keeps tiny and huge weights from under- and overflow.
    top = positive.max(axis=-2, keepdims=True)
    positive = np.divide(positive, top, out=np.ones_like(positive), where=top > 0)
    return positive / positive.sum(axis=-2, keepdims=True)


def information_content(ppm) -> np.ndarray:
    """Bits at each position of a PPM (..., 4, width): `2 + sum(p * log2(p))`, 0 where all bases are alike.

    Schneider & Stephens, Nucleic Acids Res 18:6097 (1990), against uniform bases and without small-sample correction.
    """
    ppm = np.asarray(ppm, float)
    _check_bases(ppm, "a PPM")
    if not ((ppm >= 0).all() and np.allclose(ppm.sum(-2), 1, atol=ROW_SUM_TOLERANCE)):
        raise ValueError("expected probabilities: none negative, each position summing to 1")
    logs = np.log2(ppm, out=np.zeros_like(ppm), where=ppm > 0)
    return np.clip(MAX_BITS + (ppm * logs).sum(-2), 0, MAX_BITS)


def letter_heights(ppm) -> np.ndarray:
    """The letters' heights in a sequence logo, in bits: each position's probabilities times its information content."""
    return np.asarray(ppm, float) * information_content(ppm)[..., None, :]


def read_meme(path) -> dict[str, np.ndarray]:
    """The motifs of a file in MEME format, name -> PPM (4, width), in the file's order.

    The name is all of the MOTIF line, `MA0006.1 Ahr::Arnt`; a name that comes again gets ` (2)`. Rows are divided by
    their sum, which the file gives rounded.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not MEME format, no motifs, an alphabet other than DNA or RNA, or a matrix that is not as its header says; the
        message names the motif and the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no motif file {path}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.startswith("MEME version") for line in lines[:20]):
        raise ValueError(f"{path} is not in MEME format: it has no line 'MEME version'")
    motifs: dict[str, np.ndarray] = {}
    name, i = None, 0
    while i < len(lines):
        line = lines[i].strip()
        i += 1
        if line.startswith("ALPHABET=") and line.split("=", 1)[1].strip() not in ("ACGT", "ACGU"):
            raise ValueError(f"{path}, line {i}: expected the alphabet ACGT, got {line.split('=', 1)[1].strip()!r}")
        if line.startswith("MOTIF"):
            # MEME's own output writes the motif's statistics behind the name.
            name = " ".join(re.split(r"\s+width\s*=", line[len("MOTIF") :])[0].split())
        elif line.startswith("letter-probability matrix"):
            if name is None:
                raise ValueError(f"{path}, line {i}: a matrix without a MOTIF line before it")
            rows, i = _meme_rows(path, name, lines, i)
            motifs[_unused(name, motifs)] = rows.T
    if not motifs:
        raise ValueError(f"{path} holds no motifs with a letter-probability matrix")
    return motifs


def _meme_rows(path: Path, name: str, lines: list[str], i: int) -> tuple[np.ndarray, int]:
    """The rows below the matrix header at line `i` (counted from 1), and the line behind them."""
    header = dict(re.findall(r"(\w+)\s*=\s*(\S+)", lines[i - 1]))
    if header.get("alength", "4") != "4":
        raise ValueError(f"{path}, line {i}: motif {name!r} has {header['alength']} letters, expected 4")
    rows: list[list[float]] = []
    while i < len(lines) and (not rows or lines[i].strip()):
        try:
            row = [float(number) for number in lines[i].split()]
        except ValueError:
            break
        if row:
            if len(row) != BASES or min(row) < 0 or abs(sum(row) - 1) > ROW_SUM_TOLERANCE:
                raise ValueError(
                    f"{path}, line {i + 1}: motif {name!r}: expected 4 probabilities, got {lines[i].strip()!r}"
                )
            rows.append(row)
        i += 1
    if not rows or header.get("w", str(len(rows))) != str(len(rows)):
        raise ValueError(
            f"{path}, line {i}: motif {name!r} has {len(rows)} positions, its header says w= {header.get('w', '?')}"
        )
    matrix = np.array(rows)
    return matrix / matrix.sum(1, keepdims=True), i


def _unused(name: str, taken) -> str:
    n, unused = 1, name
    while unused in taken:
        n += 1
        unused = f"{name} ({n})"
    return unused


def _check_bases(array: np.ndarray, what: str) -> None:
    if array.ndim < 2 or array.shape[-2] != BASES:
        raise ValueError(f"expected {what} of shape (..., 4, width), rows A, C, G, T; got {array.shape}")
