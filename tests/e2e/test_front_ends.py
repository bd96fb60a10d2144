"""One explorer, every front end: it appears, runs, shows frames, and a click reaches Python, in JupyterLab or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.lab import NOTEBOOK_7, Lab, notebook_of
from e2e.marimo_server import Marimo
from e2e.measures import ENDLESS
from e2e.view_page import ViewPage

pytestmark = pytest.mark.browser

STATIC = Path(__file__).resolve().parents[2] / "dr_explorer" / "widget" / "static"

#: The cell with the explorer, which writes what is selected to a file: what Python knows, whatever the front end.
CELL = (
    ENDLESS.removesuffix("explorer").strip()
    + """
def told(change):
    with open({path!r}, "w") as file:
        file.write(str(change["new"]["target"]))
explorer.observe(told, "selection")
explorer"""
)


@contextmanager
def jupyter(lab: Lab, folder: Path, cell: str, **where: str) -> Iterator[ViewPage]:
    notebook = lab.open_copy(notebook_of(cell), **where)
    notebook.start(0)
    try:
        yield notebook
    finally:
        notebook.close()


@contextmanager
def marimo(lab: Lab, folder: Path, cell: str) -> Iterator[ViewPage]:
    with Marimo(lab.browser, folder, cell) as server:
        view = server.open()
        try:
            yield view
        finally:
            view.page.context.close()


FRONT_ENDS = {
    "JupyterLab": jupyter,
    "Notebook 7": lambda *given: jupyter(*given, at=NOTEBOOK_7),
    "marimo": marimo,
}


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_the_view_appears_runs_shows_frames_and_reaches_python(lab: Lab, tmp_path: Path, artefacts: Path, front_end):
    selected = tmp_path / "selected"
    with FRONT_ENDS[front_end](lab, tmp_path, CELL.format(path=str(selected))) as view:
        page = view.page
        outside = []
        page.on("request", lambda request: outside.append(request.url) if is_outside(request.url) else None)
        explorer = page.locator(".dr-explorer")
        view.wait_for_state("idle")
        explorer.get_by_text("80 trials to run").wait_for()
        assert explorer.locator(".dre-class").count() == 4
        view.press("Run")
        view.wait_for_state("running")
        for _ in range(3):
            drawn = explorer.get_attribute("data-frames")
            page.locator(f".dr-explorer:not([data-frames='{drawn}'])").wait_for()
        explorer.locator(".dre-class").nth(2).click()
        explorer.locator(".dre-python").get_by_text('target="2"').wait_for(state="attached")
        explorer.locator("[data-panel=importance]:not([data-stale])").wait_for()
        page.screenshot(path=artefacts / f"front-end-{front_end.lower().replace(' ', '-')}.png")
        view.press("Pause")
        view.wait_for_state("paused")  # whatever was sent before has been heard
        assert selected.read_text() == "2"
        assert view.errors == []
        assert outside == []


def is_outside(url: str) -> bool:
    """Whether a request leaves this machine."""
    return not re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:", url)


# -- the rules of front ends that no test can run here, VS Code and Colab ----------------------------------------------


def test_the_bundle_fetches_and_imports_nothing():
    code, style = ((STATIC / name).read_text() for name in ("index.js", "index.css"))
    named = [url for url in re.findall(r"https?://[^\s\"'`)]+", code) if not url.startswith("http://www.w3.org/")]
    assert named == [], "names of XML are no addresses; nothing else may be named"
    asking = r"\bfetch\(|\bimport\(|\bimport\s*[\"'{*]|XMLHttpRequest|new WebSocket|importScripts|sendBeacon|new Worker"
    assert re.findall(asking, code) == []
    assert re.findall(r"@import|url\((?![\"']?data:)", style) == []


def test_no_synced_trait_carries_more_than_a_page_can_take_at_once(tmp_path):
    """Front ends that send state as JSON write bytes as base64; 1 MB is where a comm message begins to be felt."""
    from resolutions import made

    import dr_explorer as dr

    explorer = dr.Explorer.from_resolution(made(200, 10, 480))
    state = explorer.get_state()
    explorer.close()
    sizes = {name: len(v) if isinstance(v, (str, bytes)) else len(json.dumps(v)) for name, v in state.items()}
    assert {name: size for name, size in sizes.items() if size > 1_000_000} == {}
