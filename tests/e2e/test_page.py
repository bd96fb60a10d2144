"""The stand-alone page in a real browser, opened as a file with the network off: everything answers, all is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import Reader
from resolutions import HOSTILE, made

import dr_explorer as dr

pytestmark = pytest.mark.browser

NAMES = [
    "GATA1",
    "CTCF",
    "REST",
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked=1'>",
]
PAIR = (1, 4)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of a small network, with one pair read."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv1d(4, 24, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(24 * 30, 12), torch.nn.ReLU(),
        torch.nn.Linear(12, len(NAMES)),
    )  # fmt: skip
    explorer = dr.Explorer(network, "1", example_input=torch.zeros(1, 4, 32), target_names=NAMES, name="net")
    explorer.select(target=1, pair=PAIR)
    explorer.run().wait(60)
    Reader(explorer).wait_for_pairs(1)
    path = tmp_path_factory.mktemp("page") / "page.html"
    explorer.to_html(path)
    explorer.close()
    return path


class Opened:
    """A page from a file, what it asked for and what went wrong in it."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, **options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(path.as_uri())
        self.view = self.page.locator(".dr-explorer[data-frames]")
        self.view.wait_for()

    def panel(self, name: str) -> Any:
        return self.view.locator(f"[data-panel={name}]")


@pytest.fixture
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Call it with a file and options of the browser's context."""
    pages: list[Opened] = []

    def open_(path: Path, **options: Any) -> Opened:
        pages.append(Opened(browser, path, **options))
        return pages[-1]

    yield open_
    for one in pages:
        asked, errors, hacked = one.requests, one.errors, one.page.evaluate("() => window.hacked")
        one.context.close()
        assert [url for url in asked if not url.startswith("file:")] == []
        assert errors == []
        assert hacked is None


def test_the_page_opens_on_what_was_selected(opened, page_file: Path) -> None:
    shown = opened(page_file)
    assert shown.view.get_attribute("data-state") == "done"
    assert shown.view.get_by_text("Saved view, no kernel").is_visible()
    assert shown.panel("importance").get_by_text("CTCF").first.is_visible()
    assert shown.panel("pair").locator("h2").inner_text() == "1 × 4"
    assert shown.panel("pair").locator(".dre-tables > *").count() > 0
    assert shown.requests == [page_file.as_uri()]


def test_a_class_a_branch_a_channel_and_a_pair_answer_a_click(opened, page_file: Path) -> None:
    shown = opened(page_file)
    python = shown.panel("selection").locator(".dre-python")

    shown.panel("classes").get_by_text("REST").first.click()
    shown.panel("importance").get_by_text("REST").first.wait_for()
    assert not shown.panel("importance").evaluate("node => node.hasAttribute('data-stale')")
    assert "REST" in python.inner_text()

    shown.panel("importance").locator(".dre-row").first.click()
    assert "channel=" in python.inner_text()

    shown.panel("classes").locator(".dre-class[data-branch]").last.evaluate("row => row.click()")
    assert "clade=[" in python.inner_text()
    shown.panel("importance").get_by_text("top 5 of").wait_for()

    shown.panel("classes").get_by_text("CTCF").first.click()
    shown.panel("pairs").locator("[data-cell]").first.click()
    assert "pair=(" in python.inner_text()
    shown.panel("pair").locator("h2").get_by_text("×").wait_for()


@pytest.mark.parametrize(("scheme", "theme"), [("light", "light"), ("dark", "dark")])
def test_it_is_light_or_dark_as_the_reader_likes_it(opened, page_file: Path, artefacts: Path, scheme, theme) -> None:
    shown = opened(page_file, color_scheme=scheme)
    assert shown.view.get_attribute("data-theme") == theme
    shown.page.screenshot(path=artefacts / f"page-{scheme}.png", full_page=True)
    other = "light" if scheme == "dark" else "dark"
    shown.page.emulate_media(color_scheme=other)
    shown.page.wait_for_selector(f".dr-explorer[data-theme={other}]")


def test_a_saved_result_with_names_of_any_kind_is_a_page_too(opened, tmp_path: Path) -> None:
    explorer = dr.Explorer.from_resolution(made(len(HOSTILE), names=HOSTILE))
    explorer.to_html(tmp_path / "page.html")
    explorer.close()
    shown = opened(tmp_path / "page.html")
    rows = shown.panel("classes").locator(".dre-class:not([data-branch])")
    assert rows.count() == len(HOSTILE)
    for i in range(len(HOSTILE)):
        rows.nth(i).click()
        assert not shown.panel("importance").evaluate("node => node.hasAttribute('data-stale')")


def test_one_class_without_positions_is_enough(opened, tmp_path: Path) -> None:
    explorer = dr.Explorer.from_resolution(made(1, 5, 12, logos=False))
    explorer.to_html(tmp_path / "page.html")
    explorer.close()
    shown = opened(tmp_path / "page.html")
    assert shown.panel("importance").locator(".dre-row").count() == 12
    assert "NaN" not in shown.view.inner_text()
