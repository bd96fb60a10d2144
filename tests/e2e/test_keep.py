"""What the view lets one keep: every panel as SVG and PNG, every table as CSV, each whole and standing alone."""

from __future__ import annotations

import csv
import io
import re
import struct
import xml.etree.ElementTree as ET

import pytest
from e2e.dev_page import opened

pytestmark = pytest.mark.browser

PANELS = ("Classes", "Convergence", "Feature map", "Importance", "Pairs", "57 × 8", "Evidence")
TABLES = ("importance", "restarts", "similarity", "pairs")
FULL = 'select={"target":13,"other":30,"channel":57,"pair":[57,8]}&t=1'


@pytest.fixture(scope="module", params=["light", "dark"])
def kept(browser, request):
    """Everything that the menu offers, by the name of its button, and the page's ink and surface."""
    with opened(browser, f"{FULL}&theme={request.param}", accept_downloads=True) as page:
        page.get_by_label("Save pictures and tables").click()
        offered = page.locator(".dre-menu button")
        offered.first.wait_for()  # a browser tells that a menu has opened a moment after it has
        files = {}
        for button in offered.all():
            with page.expect_download() as download:
                button.click()
            files[button.get_attribute("aria-label")] = download.value.path().read_bytes()
        root = page.locator(".dr-explorer")
        yield files, root.evaluate("e => getComputedStyle(e).backgroundColor")


def test_every_panel_and_every_table_is_offered(kept):
    wanted = [f"{panel} as {kind}" for panel in PANELS for kind in ("SVG", "PNG")]
    assert list(kept[0]) == wanted + [f"{table} as CSV" for table in TABLES]


@pytest.mark.parametrize("panel", PANELS)
def test_an_svg_stands_alone_with_its_colours_resolved(kept, panel):
    files, surface = kept
    text = files[f"{panel} as SVG"].decode()
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width")) > 100
    assert float(root.get("height")) > 30
    assert panel in "".join(root.itertext())
    assert root[0].get("fill") == surface
    assert not re.search(r"var\(|currentcolor|class=|<style|https?://(?!www\.w3\.org)", text, re.IGNORECASE)
    fills = set(re.findall(r'fill="([^"]+)"', text))
    assert all(re.match(r"none$|rgba?\(|color\(srgb|#", fill) for fill in fills), fills
    assert "[hidden]" not in text


@pytest.mark.parametrize("panel", PANELS)
def test_a_png_is_a_picture_three_times_as_fine_as_the_screen(kept, panel):
    files, _ = kept
    png = files[f"{panel} as PNG"]
    svg = ET.fromstring(files[f"{panel} as SVG"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert width == pytest.approx(3 * float(svg.get("width")), abs=3)
    assert height == pytest.approx(3 * float(svg.get("height")), abs=3)
    assert len(png) > 1000


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_rectangular_with_named_columns_and_numbers(kept, table):
    rows = list(csv.reader(io.StringIO(kept[0][f"{table} as CSV"].decode())))
    assert len(rows) > 2
    assert {len(row) for row in rows} == {len(rows[0])}
    assert all(name.strip() for name in rows[0])
    numbers = [float(cell) for row in rows[1:] for cell in row[2:] if cell]
    assert numbers
    assert all(abs(number) < float("inf") for number in numbers)
