"""What every test may ask for: the shared data, a browser, a place for pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Names under which Linux distributions and macOS package managers install a Chromium.
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Headless pages must not be throttled as if hidden, and nothing may call home during a test.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests run last: they are the slowest, and Playwright's event loop stays alive once started."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the trained networks and sequences that tests marked ``real`` read."""
    folder = Path(os.environ.get("DR_SHARED") or ROOT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the trained networks: no folder {folder} (set DR_SHARED to the folder that holds data/)")
    return folder


def find_chromium() -> str | None:
    """The machine's own Chromium: DR_CHROMIUM if set, else the first of the usual names on the PATH."""
    named = os.environ.get("DR_CHROMIUM")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the test is skipped, or fails where DR_REQUIRE_BROWSER=1."""
    path = find_chromium()
    if path is None:
        missing = (
            f"needs a browser: none of {', '.join(CHROMIUM_NAMES)} is on the PATH; install Chromium or set DR_CHROMIUM"
        )
        if os.environ.get("DR_REQUIRE_BROWSER") == "1":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[object]:
    """A headless Chromium driven by Playwright (`playwright.sync_api.Browser`), shared by all browser tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder for pictures and other things to look at after a run; not in git, kept by CI."""
    folder = ROOT / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder
