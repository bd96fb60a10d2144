"""Publication figures: exact sizes, text as text, whole files, and every odd result drawn rather than refused."""

from __future__ import annotations

import re
import struct
import warnings
from base64 import b64decode
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from resolutions import HOSTILE, diverged, made, pair_table

from dr_explorer import figures, layout, palette
from dr_explorer.files import whole

PPM = np.array([[0.7, 0.25, 0], [0.1, 0.25, 1], [0.1, 0.25, 0], [0.1, 0.25, 0]])


@pytest.fixture(scope="module")
def resolution():
    return made()


def every_figure(resolution):
    pairs = pair_table()
    return {
        "logo": figures.logo(PPM),
        "importance": figures.importance(resolution, 0, other=1, rows=6),
        "tree": figures.tree(resolution, n_boot=10),
        "truth_table": figures.truth_table(pairs, "0", "3"),
    }


def svg_texts(path):
    return ["".join(node.itertext()) for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_text_stays_text_in_svg_and_pdf_however_it_is_saved(tmp_path, resolution):
    for name, figure in every_figure(resolution).items():
        figure.savefig(tmp_path / f"{name}.svg")
        figure.savefig(tmp_path / f"{name}.pdf")
        assert svg_texts(tmp_path / f"{name}.svg"), name
        fonts = (tmp_path / f"{name}.pdf").read_bytes()
        assert b"/Type3" not in fonts  # Type 3 fonts are drawings of letters, which journals refuse
    texts = svg_texts(tmp_path / "importance.svg")
    assert "class 0" in texts
    assert {"channel", "s.d."} <= set(texts)
    assert {f"class {i}" for i in range(12)} <= set(svg_texts(tmp_path / "tree.svg"))
    assert any("confidence" in text for text in svg_texts(tmp_path / "truth_table.svg"))


def test_sizes_are_the_millimetres_asked_for(tmp_path, resolution):
    figure = figures.importance(resolution, 0, rows=5, width_mm=85, row_mm=4)
    figure.savefig(tmp_path / "x.svg")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', (tmp_path / "x.svg").read_text())
    assert [float(v) / 72 * 25.4 for v in size.groups()] == pytest.approx([85, 9 + 5 * 4 + 8])
    assert figures.tree(resolution, width_mm=120, n_boot=0).get_size_inches()[0] * 25.4 == pytest.approx(120)


def test_the_same_figure_is_the_same_file_and_global_settings_stay_as_they_were(tmp_path, resolution):
    before = dict(mpl.rcParams)
    for name in ("a.svg", "b.svg"):
        figures.importance(resolution, 3, rows=4).savefig(tmp_path / name, metadata={"Date": None})
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert dict(mpl.rcParams) == before


def test_a_notebook_shows_a_figure_at_a_readable_size(resolution):
    figure = figures.importance(resolution, width_mm=120)
    shown, about = figure._repr_mimebundle_()
    png = b64decode(shown["image/png"])
    width, height = struct.unpack(">II", png[16:24])  # of the picture itself, from its header
    told = about["image/png"]
    assert told["width"] == pytest.approx(120 / 25.4 * 130, abs=1)
    assert told["width"] < 0.7 * width  # more pixels than are shown: sharp on a dense screen
    assert told["height"] / told["width"] == pytest.approx(height / width, rel=0.01)


def test_bars_intervals_and_marks_stand_at_the_numbers(resolution):
    ax = figures.importance(resolution, 0, rows=20).axes[0]
    value = resolution.ofiv().values[0]
    order, _ = layout.rank(value, 20)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], value[order], rtol=1e-6)
    low, high = resolution.ofiv_interval().values[:, 0]
    whiskers = ax.collections[0].get_segments()
    np.testing.assert_allclose([[a[0], b[0]] for a, b in whiskers], np.stack([low, high], 1)[order], rtol=1e-5)
    disagree = resolution.inconsistent().values[0][order]
    assert {0, 1} <= set(order[disagree])
    marks = [line for line in ax.lines if line.get_marker() in ("o", "D")]
    assert len(marks) == 2  # two basins
    assert all(len(line.get_xdata()) == disagree.sum() for line in marks)


def test_tall_letters_are_as_tall_as_their_information(resolution):
    ax = figures.logo(PPM).axes[0]
    tops = [patch.get_path().get_extents().y1 for patch in ax.patches]
    assert max(tops) == pytest.approx(2, abs=0.02)  # the certain C; logomaker leaves a hair of room
    assert ax.get_ylim() == (0, 2)


def test_odd_results_are_drawn_not_refused(tmp_path):
    for name, resolution in {
        "one of everything": made(1, 1, 1),
        "one class": made(1),
        "one restart": made(4, 1, 3),
        "a class that diverged": diverged(made(5), 2),
        "some restarts diverged": diverged(made(5), 0, slice(0, 3)),
        "all diverged": diverged(diverged(made(2), 0), 1),
        "no logos": made(3, logos=False),
    }.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for target in range(min(3, resolution.dataset.sizes["target"])):
                figures.importance(resolution, target, rows=4).savefig(tmp_path / "x.png")
            figures.tree(resolution, n_boot=5).savefig(tmp_path / "x.png")
        assert (tmp_path / "x.png").stat().st_size > 1000, name
    figures.logo(np.full((4, 3), 0.25)).savefig(tmp_path / "uniform.svg")


@pytest.mark.filterwarnings("ignore:Glyph .* missing from")  # the font's limits are the machine's
def test_hostile_names_are_drawn_as_they_are_in_valid_files(tmp_path):
    resolution = made(len(HOSTILE), names=HOSTILE)
    figures.tree(resolution, n_boot=0).savefig(tmp_path / "x.svg")
    texts = svg_texts(tmp_path / "x.svg")
    assert HOSTILE[0] in texts
    assert HOSTILE[5] in texts  # no formula was made of it
    assert "line break tab null" in texts
    assert "(no name)" in texts
    figures.importance(resolution, 5).savefig(tmp_path / "x.pdf")


def test_unknown_pairs_and_classes_are_named(resolution):
    with pytest.raises(ValueError, match=r"no pair .*features: 0, 3, 6"):
        figures.truth_table(pair_table(), "1", "3")
    alone = pair_table()
    alone["s00"].values[0, 0] = np.nan
    with pytest.raises(ValueError, match="no pair with itself"):
        figures.truth_table(alone, "0", "0")
    with pytest.raises(ValueError, match="did you mean"):
        figures.importance(resolution, "clas 0")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, resolution):
    figure = figures.logo(PPM)
    with pytest.raises(OSError, match=r"cannot write .*nowhere"):
        figure.savefig(tmp_path / "nowhere" / "x.svg")
    (tmp_path / "x.txt").write_text("before")

    def write_half():
        with whole(tmp_path / "x.txt") as part:
            part.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device; nothing was left there"):
        write_half()
    assert (tmp_path / "x.txt").read_text() == "before"
    with whole(tmp_path / "x.txt") as part:
        part.write_text("after")
    assert (tmp_path / "x.txt").read_text() == "after"
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_ramps_start_at_the_background_and_grow_away_from_it():
    for negative, positive, curve in [
        (palette.NEGATIVE, palette.POSITIVE, palette.IMPORTANCE),
        (palette.UNLIKE, palette.LIKE, palette.SIMILARITY),
    ]:
        colours = palette.diverging(negative, positive, np.linspace(-1, 1, 41), 1.0, curve)
        light = np.array([palette.luminance(c) for c in colours])
        assert light[20] == pytest.approx(1)
        assert (np.diff(light[:21]) > 0).all()
        assert (np.diff(light[20:]) < 0).all()
    assert palette.ramp(palette.NEGATIVE, palette.POSITIVE)[127] == palette.BACKGROUND
    assert palette.to_hex(palette.mix("#102030", "#aabbcc", 1.0)) == "#aabbcc"
