"""Motifs: probabilities from weights, the heights of a logo, and motif files with their oddities."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dr_explorer.motifs import information_content, letter_heights, ppm_from_weights, read_meme

GOLDEN = json.loads((Path(__file__).parent / "golden" / "information_content.json").read_text())["cases"]
EXACT = 1e-12  # float64 against exact fractions
# logomaker adds 1e-6 inside its logarithms, which moves a height by less than this.
LOGOMAKER = 2e-5

finite = st.floats(-1e6, 1e6, width=32)
weights = st.integers(1, 12).flatmap(lambda w: hnp.arrays(np.float32, (3, 4, w), elements=finite))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_the_golden_information_content_holds(case):
    np.testing.assert_allclose(information_content(case["ppm"]), case["bits"], atol=EXACT)
    np.testing.assert_allclose(letter_heights(case["ppm"]), case["heights"], atol=EXACT)
    if "weights" in case:
        np.testing.assert_allclose(ppm_from_weights(case["weights"]), case["ppm"], atol=EXACT)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_logomaker_draws_the_golden_heights(case):
    import logomaker
    import pandas as pd

    probabilities = pd.DataFrame(np.transpose(case["ppm"]), columns=list("ACGT"))
    drawn = logomaker.transform_matrix(probabilities, from_type="probability", to_type="information")
    np.testing.assert_allclose(drawn.to_numpy().T, case["heights"], atol=LOGOMAKER)


@given(weights)
def test_weights_become_probabilities_that_keep_the_order_of_the_positive_ones(w):
    ppm = ppm_from_weights(w)
    np.testing.assert_allclose(ppm.sum(1), 1)
    positive = np.clip(w, 0, None)
    empty = positive.sum(1, keepdims=True) == 0
    assert (ppm[np.broadcast_to(empty, ppm.shape)] == 0.25).all()
    assert (ppm[np.broadcast_to(~empty, ppm.shape) & (w <= 0)] == 0).all()
    bits = information_content(ppm)
    assert bits.shape == (3, w.shape[2])
    assert ((bits >= 0) & (bits <= 2)).all()
    np.testing.assert_allclose(letter_heights(ppm).sum(1), bits, atol=EXACT)


def test_the_scale_of_the_weights_does_not_matter_and_tensors_are_taken():
    w = np.random.default_rng(0).normal(size=(4, 4, 9))
    for scale in (1e-300, 1e300):  # sums of such weights would vanish or overflow
        np.testing.assert_allclose(ppm_from_weights(w * scale), ppm_from_weights(w), atol=EXACT)
    parameter = torch.nn.Parameter(torch.from_numpy(w))
    np.testing.assert_array_equal(ppm_from_weights(parameter), ppm_from_weights(w))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ppm_from_weights(np.ones((2, 5, 3))), r"\(\.\.\., 4, width\).*\(2, 5, 3\)"),
        (lambda: ppm_from_weights(np.full((4, 3), np.nan)), "NaN"),
        (lambda: information_content(np.ones((4, 3))), "probabilities"),
        (lambda: information_content(np.full((3, 4), 0.25)), r"\(3, 4\)"),
    ],
)
def test_what_is_no_motif_is_an_error_that_says_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()


MEME = """MEME version 4

ALPHABET= ACGT

MOTIF M1 (odd) name::two
letter-probability matrix: alength= 4 w= 2 nsites= 1 E= 0
\t1.0\t0 0  0\t
 0.333 0.333 0.333 0.0
URL http://example.org/1e5
MOTIF M1 (odd) name::two

letter-probability matrix: alength=4 w=1

0.25 0.25 0.25 0.25
MOTIF ACGT MEME-1\twidth =   1  sites =  10  llr = 3  E-value = 1e-3
letter-probability matrix:
 0 0 0 1e0"""


def test_meme_files_are_read_with_all_their_liberties(tmp_path):
    (tmp_path / "x.meme").write_text(MEME)
    motifs = read_meme(tmp_path / "x.meme")
    assert list(motifs) == ["M1 (odd) name::two", "M1 (odd) name::two (2)", "ACGT MEME-1"]
    np.testing.assert_allclose(motifs["M1 (odd) name::two"], np.array([[1, 0, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0]]).T)
    assert motifs["ACGT MEME-1"].tolist() == [[0], [0], [0], [1]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("MEME version 4", "nothing"), "not in MEME format"),
        (("= ACGT", "= ACDEFGHIKLMNPQRSTVWY"), "line 3: expected the alphabet ACGT"),
        (("w= 2", "w= 3"), "'M1 .odd. name::two' has 2 positions, its header says w= 3"),
        (("0.333 0.0", "0.333"), "line 8: .*expected 4 probabilities, got '0.333 0.333 0.333'"),
        (("0.333 0.0", "0.333 0.5"), "expected 4 probabilities"),
        (("alength= 4", "alength= 20"), "has 20 letters"),
        (("letter-probability", "log-odds"), "holds no motifs"),
    ],
)
def test_a_meme_file_that_is_not_as_it_says_is_an_error_with_its_line(tmp_path, change, words):
    text = MEME.replace(*change)
    if change[0] == "letter-probability":
        text = text.replace("letter-probability", "log-odds")
    (tmp_path / "x.meme").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_meme(tmp_path / "x.meme")
    with pytest.raises(FileNotFoundError):
        read_meme(tmp_path / "missing.meme")


@pytest.mark.real
def test_all_746_jaspar_motifs_are_read_by_their_own_names(shared_data):
    motifs = read_meme(shared_data / "motifs" / "JASPAR2020_CORE_vertebrates.meme")
    assert len(motifs) == 746
    assert "MA0006.1 Ahr::Arnt" in motifs
    assert "MA1631.1 ASCL1(var.2)" in motifs
    assert motifs["MA0139.1 CTCF"].shape == (4, 19)
    assert "".join("ACGT"[i] for i in motifs["MA0139.1 CTCF"].argmax(0)) == "TGGCCACCAGGGGGCGCTA"
    for ppm in motifs.values():
        np.testing.assert_allclose(ppm.sum(0), 1)
        assert (ppm >= 0).all()
