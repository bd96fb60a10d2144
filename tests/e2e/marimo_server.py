"""A real marimo for the browser tests: a server of its own that opens one notebook made on the spot."""

from __future__ import annotations

import os
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import Any

from e2e.server import Server
from e2e.view_page import ViewPage

NOTEBOOK = """import marimo

app = marimo.App()


@app.cell
def _():
{cell}
    return


if __name__ == "__main__":
    app.run()
"""


class Marimo(Server):
    """One marimo editor on one notebook with one cell, its files in a folder of its own."""

    name = "marimo"

    def __init__(self, browser: Any, folder: Path, cell: str):
        super().__init__(browser, folder)
        settings = folder / "CONFIG" / "marimo" / "marimo.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[runtime]\nauto_instantiate = true\n")  # the notebook runs as it opens
        (folder / "notebook.py").write_text(NOTEBOOK.format(cell=textwrap.indent(cell.strip(), "    ")))

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "marimo", "edit", "--headless", "--no-token", "--skip-update-check"),
            *("--host", "127.0.0.1", "--port", str(self.port), "notebook.py"),
        ]

    def environment(self) -> dict[str, str]:
        private = {f"XDG_{name}_HOME": str(self.folder / name) for name in ("CONFIG", "CACHE", "STATE", "DATA")}
        return {**os.environ, **private}

    def ask(self) -> None:
        urllib.request.urlopen(f"{self.url}/health", timeout=10).close()

    def open(self) -> ViewPage:
        """A page with the notebook, which runs as it opens."""
        view = ViewPage(self.browser.new_context(viewport={"width": 1400, "height": 1100}).new_page())
        view.page.goto(f"{self.url}/", wait_until="domcontentloaded")
        return view
