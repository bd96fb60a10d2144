"""The machine's own Chromium, and how the tests start it. No browser is ever downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Names under which Linux distributions and package managers install a Chromium.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Headless pages must not be throttled as if hidden, and nothing may call home during a test.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)

MISSING = f"needs a browser: none of {', '.join(NAMES)} is on the PATH; install Chromium, or set DR_CHROMIUM to one"


def find() -> str | None:
    """Path of a Chromium: the one DR_CHROMIUM names if it is set, else the first of the usual names on the PATH."""
    named = os.environ.get("DR_CHROMIUM")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(path: str) -> Iterator[Any]:
    """A headless browser (`playwright.sync_api.Browser`) that ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
