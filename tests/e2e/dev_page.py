"""The view on a made-up kernel: the page of js/dev, with the bundle that is shipped, opened without a server."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

JS = Path(__file__).resolve().parents[2] / "js"

#: Nothing answers there: every request of the page is served from the folder that the build made.
ADDRESS = "http://view.test"


@functools.cache
def folder() -> Path:
    """Where the page's files lie; made once a test run, around the bundle of the last build."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    node = shutil.which("node", path=path)
    if node is None or not (JS / "node_modules").is_dir():
        pytest.skip("needs Node and js/node_modules, which building the package brings: pip install -e .")
    subprocess.run([node, "build.mjs", "--page"], cwd=JS, check=True, stdout=subprocess.DEVNULL)
    return JS / "dev" / "dist"


def visit(page: Any, files: Path, query: str = "") -> None:
    """Open the page whose files lie in a folder, without a server."""
    page.route(
        f"{ADDRESS}/**",
        lambda route: route.fulfill(path=files / route.request.url.rpartition("/")[2].partition("?")[0]),
    )
    page.goto(f"{ADDRESS}/index.html?{query}")


@contextmanager
def opened(browser: Any, query: str = "", *, width: int = 1280, **page_options: Any) -> Iterator[Any]:
    """A page (`playwright.sync_api.Page`) with one view; `js/dev/page.ts` says what the query may ask for.

    In the page, ``kernel``, ``model`` and ``world`` are the other side. A console error fails the block.
    """
    files = folder()
    context = browser.new_context(viewport={"width": width, "height": 1000}, **page_options)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    visit(page, files, query)
    page.wait_for_selector(".dr-explorer[data-seq]")
    yield page
    context.close()
    assert errors == []


def focused(page: Any) -> str:
    """What has the keyboard: the accessible name of the focused node, and of its active part after a slash."""
    return page.evaluate(
        """() => {
          const named = (node) => node?.getAttribute('aria-label') ?? node?.textContent.trim() ?? '';
          const node = document.activeElement;
          if (node === document.body) return '';
          const part = document.getElementById(node.getAttribute('aria-activedescendant') ?? '');
          const about = part?.querySelector('bdi')?.textContent ?? named(part);
          return named(node) + (about && ` / ${about}`);
        }"""
    )


def selection(page: Any) -> dict[str, Any]:
    """What the page has told the kernel is selected; what is not selected left out."""
    return {key: value for key, value in page.evaluate("() => model.get('selection')").items() if value is not None}
