"""Motifs as words in IUPAC letters: where they occur in sequences, and how to have sequences free of them."""

from __future__ import annotations

import numpy as np

ALPHABET = "ACGT"
IUPAC = dict(
    A="A", C="C", G="G", T="T", R="AG", Y="CT", S="CG", W="AT", K="GT", M="AC",
    B="CGT", D="AGT", H="ACT", V="ACG", N="ACGT",
)  # fmt: skip
# Rounds of drawing again the rows that broke a rule; every round repairs most of what is left.
ROUNDS = 500


def occurrences(letters: np.ndarray, word: str) -> np.ndarray:
    """Where a word in IUPAC letters starts: bool (N, L - w + 1), for letters (N, L) as numbers 0-3 in ACGT order."""
    allowed = letters_allowed(word)
    span = letters.shape[1] - len(word) + 1
    hit = np.ones((len(letters), span), bool)
    for k, row in enumerate(allowed):
        if not row.all():
            at = letters[:, k : k + span]
            hit &= (at == row.argmax()) if row.sum() == 1 else row[at]
    return hit


def clean(letters: np.ndarray, words: list[str], rng) -> None:
    """Mutate every instance of the words away, one random letter at a time, in place."""
    todo = np.arange(len(letters))
    for _ in range(ROUNDS):
        hit_rows = []
        part = letters[todo]
        for word in words:
            rows, at = np.nonzero(occurrences(part, word))
            if len(rows):
                letter = at + rng.integers(len(word), size=len(rows))
                part[rows, letter] = rng.integers(4, size=len(rows))
                hit_rows.append(rows)
        letters[todo] = part
        if not hit_rows:
            return
        todo = todo[np.unique(np.concatenate(hit_rows))]
    raise ValueError(
        f"sequences of {letters.shape[1]} bp free of {', '.join(words)} could not be made: the motifs are too short or "
        "too loose; use chance='count'"
    )


def letters_allowed(word: str) -> np.ndarray:
    """Letters a word allows, bool (w, 4)."""
    return np.array([[base in IUPAC[letter] for base in ALPHABET] for letter in word.upper()])


def one_hot(letters: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1))
