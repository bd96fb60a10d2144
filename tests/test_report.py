"""The report: one page that works alone, shows the numbers Python has, and takes every name for a name."""

from __future__ import annotations

import json
import re
from base64 import b64decode

import numpy as np
import pytest
from bokeh.plotting import figure
from resolutions import HOSTILE, diverged, made, pair_table

from dr_explorer import layout, report
from dr_explorer.report import page
from dr_explorer.report.letters import LETTERS, logo_polygons
from dr_explorer.report.rows import convergence_lines, importance_rows

READY = "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle"
STATE = "Bokeh.documents[0].get_model_by_name('state')"


@pytest.fixture(scope="module")
def resolution():
    return made(30, 6, 40)


# ---- numbers --------------------------------------------------------------------------------------------------------


def test_rows_are_the_largest_channels_with_the_rest_folded_between(resolution):
    reading = page.read_class(resolution, 0)
    channels = [str(k) for k in range(40)]
    bars, marks, fold, words = importance_rows(reading, channels, resolution.sharing().values, rows=10)
    assert set(bars["k"]) == set(np.argsort(-np.abs(reading.ofiv))[:10])
    assert (np.diff(bars["value"]) <= 0).all()
    above = int((bars["value"] >= 0).sum())
    assert bars["y"].tolist() == [*range(above), *range(above + 1, 11)]
    assert set(fold["y"]) == {above}
    assert words["more"] == ["30 more"]
    assert len(fold["x"]) == 30
    disagree = {int(k) for k in bars["k"] if reading.disagree[k]}
    assert {0, 1} <= disagree
    assert len(marks["x"]) == 2 * len(disagree)  # two basins
    assert (bars["low"] <= bars["value"]).all()
    assert (bars["value"] <= bars["high"]).all()


def unpacked(packed, c):
    """The record of a class as the page decodes it."""
    k, t = len(packed["channels"]), packed["basin"].shape[1]
    raw = b64decode(packed["records"][c])
    rows = 4 + packed["basins"][c]
    words = np.frombuffer(raw[: 2 * rows * k], "<i2").reshape(rows, k).astype(float)
    words[words == page.NOTHING] = np.nan
    return words * packed["scale"][c], np.frombuffer(raw[2 * rows * k :], np.uint8).reshape(t, -1)


@pytest.mark.parametrize("make", [lambda: made(6), lambda: made(3, 1, 4), lambda: diverged(made(3), 1)])
def test_packing_loses_no_more_than_it_says(make):
    resolution = make()
    tree = page.read_tree(resolution, "pearson_positive")
    classes = [page.read_class(resolution, c) for c in range(resolution.dataset.sizes["target"])]
    packed = page.pack(resolution, classes, tree)
    for c, one in enumerate(classes):
        numbers, gap = unpacked(packed, c)
        close = {"rtol": 0, "atol": 0.51 * packed["scale"][c]}
        for row, values in enumerate((one.ofiv, one.low, one.high)):
            np.testing.assert_allclose(numbers[row], values, **close)
        np.testing.assert_allclose(np.abs(numbers[3]), one.spread, rtol=0, atol=1.01 * packed["scale"][c])
        assert ((numbers[3] < 0) == one.disagree).all()
        np.testing.assert_allclose(numbers[4:], one.basin_means, **close)
        _, exact = page.convergence(resolution, c)
        with np.errstate(divide="ignore"):
            level = np.where(gap > 0, packed["gap_low"][c] + (gap.astype(float) - 1) / page.GAP_STEPS, np.nan)
        expected = np.maximum(np.log10(exact), packed["gap_low"][c])
        np.testing.assert_allclose(level, expected, rtol=0, atol=0.51 / page.GAP_STEPS)


def test_long_convergence_is_thinned_but_keeps_its_ends():
    resolution = made(2)
    steps = np.arange(1, 401)
    trace = 5 - np.exp(-np.broadcast_to(steps, (2, 6, 400)) / 50)
    dataset = resolution.dataset.drop_vars(["trace_step", "trace_objective"])
    dataset["trace_step"] = ("point", steps)
    dataset["trace_objective"] = (("target", "restart", "point"), trace)
    kept, gap, _ = page.convergence_bytes(dataset)
    assert kept[0] == 1
    assert kept[-1] == 400
    assert gap.shape == (2, 6, page.POINTS)
    assert (np.diff(gap.astype(int), axis=2) <= 0).all()


def test_similarities_are_bytes_with_their_middle_at_zero():
    values = page.similarity_bytes(np.array([[1, 0, -1, np.nan, 0.5]]))
    assert values.tolist() == [[255, 128, 1, 0, 192]]


def test_convergence_lines_end_where_the_restart_ended():
    gap = np.array([[3, 1, 0.1], [2, 1, np.nan], [np.nan, np.nan, np.nan]])
    lines, ends = convergence_lines(np.array([1, 2, 4]), gap, np.array([0, 1, -1]))
    assert lines["xs"] == [[1, 2, 4], [1, 2]]
    assert ends["x"] == [4, 2]
    assert ends["word"] == ["basin 1: 1 restart", "basin 2: 1 restart"]


def test_a_logos_letters_stack_to_the_information_of_their_position():
    heights = np.array([[1.5, 0], [0.25, 0], [0, 0], [0.25, 2]])
    xs, ys, bases = logo_polygons(heights, left=10, width=40, bottom=0, height=20)
    assert bases == [1, 3, 0, 3]
    assert max(ys[2]) == pytest.approx(20)
    assert max(xs[3]) <= 50
    for letter in LETTERS:
        assert letter.min() >= 0
        assert letter.max() <= 1


def test_the_tree_draws_every_class_once_and_every_branch_to_its_parent(resolution):
    tree = page.read_tree(resolution, "pearson_positive")
    heights, places = layout.tree_lines(tree.branches, tree.order)
    ends = np.concatenate([places[heights[:, 0] == 0, 0], places[heights[:, 3] == 0, 3]])
    assert sorted(ends) == list(range(30))
    above = layout.parents(tree.branches)
    assert (above == -1).sum() == 1
    assert above[-1] == -1


# ---- plots in a notebook --------------------------------------------------------------------------------------------


def test_the_plots_are_bokeh_figures_of_the_class_asked_for(resolution):
    p = report.plot_importance(resolution, "class 3", other=1, rows=8)
    assert isinstance(p, figure)
    assert p.title.text == "class 3"
    assert isinstance(report.plot_convergence(resolution, 3), figure)
    assert isinstance(report.plot_similarity(resolution, n_boot=5), figure)
    with pytest.raises(ValueError, match="did you mean"):
        report.plot_importance(resolution, "clas 3")


def test_a_name_is_never_a_formula_in_a_title():
    p = report.plot_importance(made(len(HOSTILE), names=HOSTILE), 5)
    assert "$$" not in p.title.text
    assert p.title.text.replace("\u200b", "") == HOSTILE[5]


@pytest.mark.parametrize(
    "resolution",
    [
        made(1, 1, 1),
        made(1),
        made(4, 1, 3),
        diverged(made(5), 2),
        diverged(diverged(made(2), 0), 1),
        made(3, logos=False),
    ],
    ids=["one of everything", "one class", "one restart", "a class diverged", "all diverged", "no logos"],
)
def test_odd_results_are_reported_not_refused(tmp_path, resolution):
    report.write(resolution, tmp_path / "x.html", n_boot=5)
    text = (tmp_path / "x.html").read_text()
    restarts = resolution.dataset.sizes["restart"]
    lost = int((resolution.dataset.status == 4).sum())
    assert ("One restart: there are no intervals" in text) == (restarts == 1)
    assert (f"{lost} restarts diverged" in text) == (lost > 0)
    for target in range(resolution.dataset.sizes["target"]):
        report.plot_importance(resolution, target)
        report.plot_convergence(resolution, target)


# ---- the file -------------------------------------------------------------------------------------------------------


def test_the_file_asks_for_nothing_from_outside(tmp_path, resolution):
    report.write(resolution, tmp_path / "x.html", n_boot=5)
    text = (tmp_path / "x.html").read_text()
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert not re.search(r"\s(src|href)=|url\(|@import", markup)
    assert (
        "dr.resolve(model, 'flatten', example_input=x, n_restarts=6, l2=0.5, rule='fast', random_state=0)"
        in text.replace("&#x27;", "'")
    )


def test_a_report_is_written_whole_or_not_at_all(tmp_path, resolution, monkeypatch):
    with pytest.raises(OSError, match=r"cannot write .*nowhere"):
        report.write(resolution, tmp_path / "nowhere" / "x.html", n_boot=0)
    (tmp_path / "x.html").write_text("before")

    def full(self, *args, **kwargs):
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match=r"cannot write .*No space left on device; nothing was left there"):
        report.write(resolution, tmp_path / "x.html", n_boot=0)
    assert (tmp_path / "x.html").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]


def test_pairs_find_their_class_by_the_name_they_carry(resolution):
    other = pair_table(seed=1).assign_attrs(target="class 4")
    assert set(report.pair_tables(resolution, [pair_table(), other])) == {0, 4}
    assert set(report.pair_tables(resolution, other)) == {4}
    assert set(report.pair_tables(resolution, {2: other})) == {2}
    assert report.pair_tables(resolution, None) == {}


def test_pairs_of_another_kind_or_class_are_an_error_before_anything_is_written(tmp_path, resolution):
    with pytest.raises(ValueError, match="no class named 'nobody'"):
        report.write(resolution, tmp_path / "x.html", pairs={"nobody": pair_table()})
    with pytest.raises(ValueError, match=r"lack s11.*pairwise"):
        report.write(resolution, tmp_path / "x.html", pairs=pair_table().drop_vars("s11"))
    assert not list(tmp_path.iterdir())


# ---- the page in a browser ------------------------------------------------------------------------------------------


@pytest.fixture
def open_page(browser, tmp_path):
    """Open the report of a resolution with the network off; complaints of the page fail the test at its end."""
    context = browser.new_context(viewport={"width": 1320, "height": 1000}, offline=True)
    complaints = []

    def opened(resolution, **options):
        report.write(resolution, tmp_path / "report.html", **{"n_boot": 20, **options})
        tab = context.new_page()
        tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith("http") and complaints.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        tab.wait_for_function(READY)
        tab.wait_for_function("document.getElementById('dr-class').textContent !== ''")
        return tab

    yield opened
    context.close()
    assert complaints == []


def select(tab, **choice):
    """Set the page's selection, and wait until everything is redrawn."""
    set_and_draw = f"const s = {STATE}; s.data = {{...s.data, ...choice}}; await s.tags[0].execute(s)"
    tab.evaluate(f"async (choice) => {{ {set_and_draw} }}", {name: [value] for name, value in choice.items()})


def columns(tab, source):
    """A source's columns as Python reads JSON; NaN as None."""
    data, plain = f"{STATE}.tags[0].args.sources[name].data", "(_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v"
    return json.loads(tab.evaluate(f"(name) => JSON.stringify({data}, {plain})", source))


@pytest.mark.browser
def test_the_page_shows_the_numbers_that_python_has(open_page, resolution):
    tab = open_page(resolution)
    channels = [str(k) for k in range(40)]
    sharing = resolution.sharing().values
    for target, other in ((0, 4), (7, -1), (29, 0)):
        select(tab, target=target, other=other)
        theirs = None if other < 0 else page.read_class(resolution, other).ofiv
        reading = page.read_class(resolution, target)
        bars, marks, fold, words = importance_rows(reading, channels, sharing, report.ROWS, theirs)
        rounding = 2 * float(np.abs([reading.low, reading.high, reading.ofiv]).max()) / page.INT16
        for source, expected in {"rows": bars, "marks": marks, "fold": fold, "words": words}.items():
            shown = columns(tab, source)
            for name, values in expected.items():
                if source == "rows" and name == "spread":
                    assert np.allclose([float(v) for v in shown[name]], [float(v) for v in values], atol=2e-3)
                elif len(values) and not isinstance(values[0], str):
                    found = np.array([np.nan if v is None else v for v in shown[name]], float)
                    np.testing.assert_allclose(found, np.asarray(values, float), rtol=0, atol=rounding, err_msg=name)
                else:
                    assert shown[name] == list(values), name
        steps, gap = page.convergence(resolution, target)
        lines, ends = convergence_lines(steps, gap, reading.basin)
        shown = columns(tab, "lines")
        assert shown["xs"] == lines["xs"]
        assert shown["colour"] == lines["colour"]
        assert columns(tab, "ends")["word"] == ends["word"]
        for line, exact in zip(shown["ys"], lines["ys"], strict=True):
            np.testing.assert_allclose(np.log10(line), np.log10(exact), atol=1 / page.GAP_STEPS)
        across = columns(tab, "strip")["value"]
        leading = int(np.abs(reading.ofiv).argmax())
        np.testing.assert_allclose(across, resolution.ofiv().values[:, leading], atol=2e-4)


@pytest.mark.browser
def test_every_selection_moves_all_panels(open_page, resolution):
    tab = open_page(resolution)
    order = page.read_tree(resolution, "pearson_positive").order
    first = f"class {order[0]}"
    assert tab.text_content("#dr-class") == first
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("name => document.getElementById('dr-class').textContent === name", arg=f"class {order[1]}")

    plot = tab.locator(".dr-sticky .bk-Figure").first.bounding_box()
    tab.mouse.click(plot["x"] + 150, plot["y"] + plot["height"] * 0.5)
    tab.wait_for_function("name => document.getElementById('dr-class').textContent !== name", arg=f"class {order[1]}")
    chosen = tab.evaluate(f"{STATE}.data.target[0]")
    tab.keyboard.down("Shift")
    tab.mouse.click(plot["x"] + 400, plot["y"] + plot["height"] * 0.25)
    tab.keyboard.up("Shift")
    tab.wait_for_function("document.getElementById('dr-other').textContent !== ''")
    assert tab.evaluate(f"{STATE}.data.target[0]") == chosen
    assert any(value is not None for value in columns(tab, "rows")["other"])
    assert tab.is_visible("#dr-compared")

    select(tab, channel=1)
    assert tab.text_content("#dr-strip") == "channel 1"
    np.testing.assert_allclose(columns(tab, "strip")["value"], resolution.ofiv().values[:, 1], atol=2e-4)

    tab.get_by_role("button", name="All 40 channels").click()
    tab.wait_for_function(f"{STATE}.tags[0].args.sources.rows.data.k.length === 40")
    assert columns(tab, "fold") == {"x": [], "y": []}

    tab.get_by_placeholder("Find a class").fill("CLASS 17")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.getElementById('dr-class').textContent === 'class 17'")
    path = columns(tab, "path")
    assert path["ys"][0][0] == int(np.flatnonzero(order == 17)[0])


@pytest.mark.browser
def test_pairs_show_where_they_were_computed_and_hide_elsewhere(open_page, resolution):
    tables = {"class 3": pair_table(5), 8: pair_table(3, seed=1)}
    tab = open_page(resolution, pairs=tables)
    select(tab, target=3)
    assert tab.is_visible("#dr-pairs")
    beyond = tables["class 3"].nonlinearity.values
    cells = columns(tab, "cells")
    assert len(cells["value"]) == 10
    for x, y, value in zip(cells["x"], cells["y"], cells["value"], strict=True):
        assert value == pytest.approx(beyond[y, x], rel=1e-5)
    select(tab, pair=2 * 5 + 1)
    corners = columns(tab, "corners")["text"]
    expected = [tables["class 3"][name].values[2, 1] for name in report.CORNERS]
    assert [float(text.split()[0].replace("\u2212", "-")) for text in corners] == pytest.approx(expected, abs=0.0051)
    half = tables["class 3"].half_width.values[2, 1].ravel()
    assert [float(text.split("\u00b1")[1]) for text in corners] == pytest.approx(half, abs=0.0051)
    assert tab.text_content("#dr-sentence") == "6 and 3 in a sentence"
    select(tab, target=4)
    assert not tab.is_visible("#dr-pairs")


@pytest.mark.browser
def test_hostile_names_are_shown_as_text_and_nothing_else(open_page):
    resolution = made(len(HOSTILE), names=HOSTILE)
    pairs = pair_table().assign_coords(feature=HOSTILE[:3], feature2=HOSTILE[:3])
    pairs["sentence"].values[:] = HOSTILE[1]
    tab = open_page(resolution, title=HOSTILE[0], pairs={0: pairs})
    for c, name in enumerate(HOSTILE):
        select(tab, target=c, other=(c + 1) % len(HOSTILE))
        assert tab.text_content("#dr-class") == layout.plain(name)
    assert tab.text_content("h1") == HOSTILE[0]
    box = tab.locator("main section").first.bounding_box()
    for y in range(100, 400, 20):  # tooltips of all classes
        tab.mouse.move(box["x"] + 400, box["y"] + y)
    options = tab.evaluate(f"{STATE}.tags[0].args.widgets.target.options.map(([, label]) => label)")
    assert sorted(options) == sorted(map(layout.plain, HOSTILE))
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("make", [lambda: made(1), lambda: diverged(made(4), 2), lambda: made(3, 1, 2, logos=False)])
def test_odd_results_open_without_a_complaint(open_page, make):
    resolution = make()
    tab = open_page(resolution)
    for c in range(resolution.dataset.sizes["target"]):
        select(tab, target=c)
    assert (tab.locator("select").count() == 0) == (resolution.dataset.sizes["target"] == 1)
