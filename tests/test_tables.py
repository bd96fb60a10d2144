"""Tables: every number of a resolution as CSV, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from resolutions import HOSTILE, diverged, made

from dr_explorer import tables


@pytest.fixture(scope="module")
def resolution():
    return made(8, 5, 6)


def read(path):
    return pd.read_csv(path, dtype={"name": str}, keep_default_na=False, na_values=[""])


def test_what_is_written_reads_back_as_it_was(tmp_path, resolution):
    paths = resolution.to_csv(tmp_path / "new" / "folder")
    assert {path.stem for path in paths} == set(tables.tables(resolution))
    importance = read(tmp_path / "new" / "folder" / "importance.csv")
    assert len(importance) == 8 * 6
    for column, values in {"ofiv": resolution.ofiv(), "inconsistency": resolution.inconsistency()}.items():
        np.testing.assert_allclose(importance[column].to_numpy().reshape(8, 6), values.values, rtol=1e-8)
    fiv = read(tmp_path / "new" / "folder" / "fiv.csv")
    again = fiv[[str(k) for k in range(6)]].to_numpy(np.float32).reshape(8, 5, 6)
    np.testing.assert_array_equal(again, resolution.dataset.fiv.values)  # to the bit
    similarity = read(tmp_path / "new" / "folder" / "similarity.csv")
    np.testing.assert_allclose(similarity[[str(i) for i in range(8)]], resolution.similarity().values, rtol=1e-8)
    assert len(read(tmp_path / "new" / "folder" / "tree.csv")) == 7


def test_names_come_back_to_the_character(tmp_path):
    resolution = made(len(HOSTILE), names=HOSTILE)
    tables.write(resolution, tmp_path)
    back = pd.read_csv(tmp_path / "classes.csv", keep_default_na=False, lineterminator="\n")
    assert list(back["name"]) == [name.replace("\0", "\ufffd") for name in HOSTILE]


@pytest.mark.parametrize("odd", [made(1), made(4, 1, 3), diverged(made(4), 2), diverged(diverged(made(2), 0), 1)])
def test_odd_results_make_tables_with_gaps_not_errors(odd):
    made_of = tables.tables(odd)
    assert len(made_of["restarts"]) == odd.dataset.sizes["target"] * odd.dataset.sizes["restart"]
    lost = made_of["restarts"]["status"] == "diverged"
    assert made_of["restarts"].loc[lost, "score"].isna().all()


def test_an_unwritable_place_is_an_error_that_says_why(tmp_path, resolution):
    (tmp_path / "file").write_text("here")
    with pytest.raises(OSError, match="cannot make the folder"):
        tables.write(resolution, tmp_path / "file" / "folder")
