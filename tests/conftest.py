"""What every test may ask for: the shared data, a browser, a place for pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import chromium

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported

ROOT = Path(__file__).resolve().parents[1]


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium (`playwright.sync_api.Browser`), shared by all browser tests.

    Without one the test is skipped, or fails where DR_REQUIRE_BROWSER=1.
    """
    path = chromium.find()
    if path is None:
        if os.environ.get("DR_REQUIRE_BROWSER") == "1":
            pytest.fail(chromium.MISSING, pytrace=False)
        pytest.skip(chromium.MISSING)
    with chromium.launched(path) as running:
        yield running


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder for pictures and other things to look at after a run; not in git, kept by CI."""
    folder = ROOT / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder
