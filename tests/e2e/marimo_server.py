"""A real marimo for the browser tests: a server of its own that opens one notebook made on the spot."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from e2e.view_page import ViewPage

#: As for JupyterLab: a loaded two-core machine needs about 10 s.
START_SECONDS = 120

NOTEBOOK = """import marimo

app = marimo.App()


@app.cell
def _():
{cell}
    return


if __name__ == "__main__":
    app.run()
"""


class Marimo:
    """One marimo editor on one notebook with one cell, its files in a folder of its own."""

    def __init__(self, browser: Any, folder: Path, cell: str):
        self.browser, self.folder = browser, folder
        self.log = folder / "server.log"
        settings = folder / "CONFIG" / "marimo" / "marimo.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[runtime]\nauto_instantiate = true\n")  # the notebook runs as it opens
        (folder / "notebook.py").write_text(NOTEBOOK.format(cell=textwrap.indent(cell.strip(), "    ")))

    def __enter__(self) -> Marimo:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [
            *(sys.executable, "-m", "marimo", "edit", "--headless", "--no-token", "--skip-update-check"),
            *("--host", "127.0.0.1", "--port", str(self.port), "notebook.py"),
        ]
        private = {f"XDG_{name}_HOME": str(self.folder / name) for name in ("CONFIG", "CACHE", "STATE", "DATA")}
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **private},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and its kernel."""
        family = [*self.process.children(recursive=True), self.process] if self.process.is_running() else []
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()

    def open(self) -> ViewPage:
        """A page with the notebook, which runs as it opens."""
        view = ViewPage(self.browser.new_context(viewport={"width": 1400, "height": 1100}).new_page())
        view.page.goto(f"http://127.0.0.1:{self.port}/", wait_until="domcontentloaded")
        return view

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10).close()
                return
            with contextlib.suppress(psutil.TimeoutExpired):
                self.process.wait(timeout=0.1)
                break  # it ended by itself
        raise RuntimeError(f"marimo did not start; its log ends:\n{self.log.read_text(errors='replace')[-3000:]}")
