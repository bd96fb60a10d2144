"""DNA as text and as one-hot arrays: reading, encoding, and the backgrounds that a motif is compared with."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ALPHABET = "ACGT"
# Letters that stand for no single base: the ambiguity codes of IUPAC, X, and the gaps that alignments leave.
AMBIGUOUS = "NRYSWKMBDHVX-.*"
UNKNOWN = len(ALPHABET)  # the code of every ambiguous letter
_INVALID = 255
_COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVacgturyswkmbdhv", "TGCAAYRSWMKVHDBtgcaayrswmkvhdb")
_LETTERS = np.frombuffer((ALPHABET + "N").encode(), np.uint8)

_CODES = np.full(256, _INVALID, np.uint8)
for _code, _letter in enumerate(ALPHABET):
    _CODES[[ord(_letter), ord(_letter.lower())]] = _code
_CODES[[ord("U"), ord("u")]] = ALPHABET.index("T")
for _letter in AMBIGUOUS:
    _CODES[[ord(_letter), ord(_letter.lower())]] = UNKNOWN


# ---- text and one-hot -----------------------------------------------------------------------------------------------


def one_hot(sequences: Sequence[str] | str, length: int | None = None) -> np.ndarray:
    """Sequences as (N, 4, L) float32 in the order ACGT; a letter that stands for no single base is a column of zeros.

    Parameters
    ----------
    sequences
        Text, upper or lower case, DNA or RNA (U reads as T), with IUPAC's ambiguity codes. All of one length, unless
        `length` is given.
    length
        Take this many positions around each sequence's middle; shorter ones are padded with zeros on both sides, the
        odd one behind.

    Raises
    ------
    TypeError, ValueError
        Something that is no text, a letter that is no nucleotide code, or lengths that differ.
    """
    texts = [sequences] if isinstance(sequences, str) else list(sequences)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"expected sequences as text, such as 'ACGT'; got {type(text).__name__}: {text!r:.40}")
    codes = _encode(texts, length)
    return _one_hot_of_codes(codes)


def decode(x) -> list[str]:
    """The sequences of a one-hot array or tensor (N, 4, L), or (4, L); zeros read as N.

    Raises
    ------
    ValueError
        Columns that are neither one-hot nor zero.
    """
    return _text_of_codes(_codes_of_one_hot(x))


def reverse_complement(x):
    """The other strand: of one sequence, of a list of them, or of a one-hot array or tensor (..., 4, L)."""
    if isinstance(x, str):
        return x.translate(_COMPLEMENT)[::-1]
    if hasattr(x, "shape"):
        if x.ndim < 2 or x.shape[-2] != len(ALPHABET):
            raise ValueError(f"expected a one-hot array (..., 4, L), got shape {tuple(x.shape)}")
        return x.flip(-1, -2) if hasattr(x, "flip") else x[..., ::-1, ::-1].copy()
    return [reverse_complement(sequence) for sequence in x]


def _encode(sequences: list[str], length: int | None) -> np.ndarray:
    """Text to codes (N, L) uint8: 0-3 for ACGT, 4 for what is no single base."""
    if length is None:
        lengths = {len(sequence) for sequence in sequences}
        if len(lengths) > 1:
            raise ValueError(
                f"the sequences have different lengths, {min(lengths)} to {max(lengths)}: cut them, or pass length="
            )
        length = lengths.pop() if lengths else 0
    out = np.full((len(sequences), length), UNKNOWN, np.uint8)
    for row, sequence in zip(out, sequences, strict=True):
        codes = _codes_of_text(sequence)
        extra = len(codes) - length
        if extra >= 0:
            row[:] = codes[extra // 2 : extra // 2 + length]
        else:
            row[-extra // 2 : -extra // 2 + len(codes)] = codes
    return out


def _codes_of_text(sequence: str) -> np.ndarray:
    codes = _CODES[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    if (codes == _INVALID).any():
        at = int(np.argmax(codes == _INVALID))
        raise ValueError(
            f"{sequence[at]!r} at position {at} of a sequence that starts {sequence[:20]!r} is no nucleotide code; "
            f"expected {ALPHABET}, U or one of {AMBIGUOUS}"
        )
    return codes


def _one_hot_of_codes(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes == base for base in range(len(ALPHABET))], axis=1).astype(np.float32)


def _codes_of_one_hot(x) -> np.ndarray:
    x = x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[1] != len(ALPHABET):
        raise ValueError(f"expected one-hot sequences (N, 4, L), got shape {x.shape}")
    total = x.sum(1)
    if not (((x == 0) | (x == 1)).all() and (total <= 1).all()):
        raise ValueError("expected one-hot sequences: a single 1 or zeros in each column")
    return np.where(total == 1, x.argmax(1), UNKNOWN).astype(np.uint8)


def _text_of_codes(codes: np.ndarray) -> list[str]:
    return [row.tobytes().decode("ascii") for row in _LETTERS[codes]]


# ---- files ----------------------------------------------------------------------------------------------------------


def read_fasta(path) -> tuple[list[str], list[str]]:
    """Names (the whole header line) and sequences (upper case) of a FASTA file, gzipped or not.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not FASTA, a truncated archive, an entry without a sequence, or a letter that is no nucleotide code.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip archive: {error}") from error
    text = data.decode("utf-8-sig", "replace")
    if not text.lstrip().startswith((">", ";")):
        raise ValueError(f"{path} is not FASTA: it starts with {text[:20]!r}, expected '>'")
    names, sequences = [], []
    for entry in ("\n" + text.lstrip()).replace("\r", "\n").split("\n>")[1:]:
        name, _, body = entry.partition("\n")
        lines = (line.strip() for line in body.split("\n"))
        sequence = "".join(line for line in lines if not line.startswith(";")).replace(" ", "").upper()
        if not sequence:
            raise ValueError(f"{path}: the entry {name.strip()!r} has no sequence")
        try:
            _codes_of_text(sequence)
        except ValueError as error:
            raise ValueError(f"{path}, entry {name.strip()!r}: {error}") from None
        names.append(name.strip())
        sequences.append(sequence)
    return names, sequences


# ---- backgrounds ----------------------------------------------------------------------------------------------------


def random(
    n: int, length: int, *, gc: float | None = None, frequencies: Sequence[float] | None = None, random_state: int = 0
) -> np.ndarray:
    """Random sequences (n, 4, length) float32: independent bases, uniform, of a GC share, or of frequencies ACGT."""
    if gc is not None and frequencies is not None:
        raise ValueError("give gc or frequencies, not both")
    if gc is not None:
        if not 0 <= gc <= 1:
            raise ValueError(f"gc is a share between 0 and 1, got {gc}")
        frequencies = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    p = np.full(4, 0.25) if frequencies is None else np.asarray(frequencies, float)
    if p.shape != (4,) or not (p >= 0).all() or not p.sum() > 0:
        raise ValueError(f"frequencies are four numbers for A, C, G, T, none negative, got {frequencies}")
    draws = np.random.default_rng(random_state).random((n, length))
    codes = np.searchsorted(np.cumsum(p / p.sum())[:3], draws, side="right")
    return _one_hot_of_codes(codes)


def dinucleotide_shuffle(x, random_state: int = 0):
    """Each sequence shuffled so that every dinucleotide keeps its exact count, all such sequences equally likely.

    The first and last letter stay. An ambiguous letter counts as a fifth one and is never lost.

    Parameters
    ----------
    x
        A sequence, a list of them (of any lengths), or a one-hot array or tensor (N, 4, L).
    random_state
        The same seed and the same input give the same shuffles.

    Returns
    -------
    What was given: text (upper case, ambiguous letters as N), or a one-hot array or tensor of the same type.

    Notes
    -----
    A shuffle is a random Euler path through the multigraph of dinucleotides: Altschul and Erickson, Mol Biol Evol 2:526
    (1985). The last edges out of each letter form a tree, drawn uniformly by popping cycles (Wilson, STOC 1996).
    """
    rng = np.random.default_rng(random_state)
    if isinstance(x, str):
        return dinucleotide_shuffle([x], random_state)[0]
    if hasattr(x, "shape"):
        shuffled = _one_hot_of_codes(_shuffle(_codes_of_one_hot(x), rng))
        if hasattr(x, "new_tensor"):
            return x.new_tensor(shuffled).reshape(x.shape)
        return shuffled.astype(x.dtype).reshape(x.shape)
    sequences = list(x)
    out = [""] * len(sequences)
    lengths = np.array([len(sequence) for sequence in sequences], int)
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        codes = _encode([sequences[i] for i in places], None)
        for i, text in zip(places, _text_of_codes(_shuffle(codes, rng)), strict=True):
            out[i] = text
    return out


def _shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uniform Euler paths for all rows (N, L) at once."""
    n, length = codes.shape
    letters = len(ALPHABET) + 1
    if n == 0 or length < 3:
        return codes.copy()
    source, target = codes[:, :-1].astype(int), codes[:, 1:].astype(int)
    last = _last_edges(codes, rng)

    # Each letter's edges in random order, the chosen one last: a sort by letter, then by chance.
    key = 2 * source + rng.random(source.shape)
    for letter in range(letters):
        chosen = (source == letter) & (target == last[:, letter, None])
        rows = np.flatnonzero(chosen.any(1))
        key[rows, chosen[rows].argmax(1)] = 2 * letter + 1.5
    target = np.take_along_axis(target, np.argsort(key, axis=1), axis=1)
    degree = np.stack([(source == letter).sum(1) for letter in range(letters)], axis=1)
    pointer = np.cumsum(degree, axis=1) - degree

    out, row = codes.copy(), np.arange(n)
    letter = codes[:, 0].astype(int)
    for i in range(1, length):
        place = pointer[row, letter]
        pointer[row, letter] += 1
        letter = target[row, place]
        out[:, i] = letter
    return out


def _last_edges(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 5): the letter that each letter's last edge goes to; together a uniformly random tree into the final letter.

    -1 where a letter has no last edge to fix (absent, or the final letter itself).
    """
    n, letters = len(codes), len(ALPHABET) + 1
    counts = np.zeros((n, letters, letters))
    np.add.at(counts, (np.arange(n)[:, None], codes[:, :-1], codes[:, 1:]), 1)
    counts[:, np.arange(letters), np.arange(letters)] = 0  # an edge back to itself is never in a tree
    counts[np.arange(n), codes[:, -1]] = 0
    cumulative = counts.cumsum(2)
    free = cumulative[..., -1] > 0

    last = np.full((n, letters), -1)
    popped = free
    while popped.any():
        row, letter = np.nonzero(popped)
        draw = rng.random(row.size) * cumulative[row, letter, -1]
        last[row, letter] = (cumulative[row, letter] <= draw[:, None]).sum(1)
        # A letter lies on a cycle if following the last edges leads back to it. A fixed point stands for "no edge".
        follow = np.where(last < 0, np.arange(letters), last)
        popped, at = np.zeros_like(free), follow
        for _ in range(letters - 1):
            at = np.take_along_axis(follow, at, axis=1)
            popped |= free & (at == np.arange(letters))
    return last
