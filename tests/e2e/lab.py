"""A real JupyterLab for the browser tests: a server of its own, kernels of this Python, notebooks made on the spot.

Nothing here waits for time: a notebook is ready when its document, session and kernel say so, a cell when its
execution ends, a picture when its selector is there.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
from e2e.server import Server
from e2e.view_page import ViewPage
from nbformat.sign import NotebookNotary

KERNEL = "this-python"

#: Where the one server opens a notebook in JupyterLab, and where in Notebook 7.
LAB, NOTEBOOK_7 = "doc/tree", "notebooks"

#: Settings of the private user: no news, no update checks, no saving or hiding of cells behind the test's back.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}

#: In the page: the open notebook's panel (undefined until JupyterLab has made it).
PANEL = "[...window.jupyterapp?.shell.widgets('main') ?? []].find(w => w.content?.widgets && w.sessionContext)"

#: In the page: run one cell; the promise is kept when its execution has ended.
RUN_CELL = f"""cell => {{
  const {{content}} = {PANEL};
  content.activeCellIndex = cell;
  content.deselectAll();
  return window.jupyterapp.commands.execute('notebook:run-cell').then(() => undefined);
}}"""


class Lab(Server):
    """One JupyterLab server, with its configuration, kernels and notebooks in a folder of its own."""

    name = "JupyterLab"

    def __init__(self, browser: Any, folder: Path):
        super().__init__(browser, folder)
        self.notebooks = folder / "notebooks"
        self.token = secrets.token_hex(16)
        self._write_private_files()

    @property
    def work(self) -> Path:
        return self.notebooks

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",
        ]

    def ask(self) -> None:
        self.request("GET", "status")

    def open(self, *cells: str, **page_options: Any) -> Notebook:
        """A page with a new notebook of these code cells, ready to run. Close it when done."""
        return self.open_copy(notebook_of(*cells), **page_options)

    def open_copy(self, content: dict[str, Any], at: str = LAB, **page_options: Any) -> Notebook:
        """A page with a trusted copy of a notebook (nbformat 4), run by this Python; in JupyterLab or in Notebook 7."""
        name = f"{secrets.token_hex(4)}.ipynb"
        kernel = {"name": KERNEL, "display_name": "This Python", "language": "python"}
        write_json(self.notebooks / name, {**content, "metadata": {**content["metadata"], "kernelspec": kernel}})
        NotebookNotary(data_dir=str(self.folder / "data")).sign(nbformat.read(self.notebooks / name, as_version=4))
        page = self.browser.new_context(viewport={"width": 1400, "height": 1100}, **page_options).new_page()
        notebook = Notebook(self, page)
        page.goto(f"{self.url}/{at}/{name}?reset&token={self.token}", wait_until="domcontentloaded")
        notebook.wait_ready()
        return notebook

    def request(self, method: str, path: str) -> Any:
        """The server's REST interface, for what a page cannot do: list and end kernels."""
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        private = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "XDG_CACHE_HOME": "cache",
        }
        return {**inherited, **{name: str(self.folder / below) for name, below in private.items()}}

    def _write_private_files(self) -> None:
        self.notebooks.mkdir(parents=True)
        kernel = self.folder / "data" / "kernels" / KERNEL / "kernel.json"
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        write_json(kernel, {"argv": argv, "display_name": "This Python", "language": "python"})
        for plugin, settings in SETTINGS.items():
            write_json(self.folder / "settings" / f"{plugin}.jupyterlab-settings", settings)


class Notebook(ViewPage):
    """One notebook in one page."""

    def __init__(self, lab: Lab, page: Any):
        super().__init__(page)
        self.lab = lab

    def wait_ready(self) -> None:
        """Until the document is loaded, its session is there and its kernel has answered."""
        self.page.wait_for_function(f"() => {PANEL}", timeout=60_000)
        self.page.evaluate(
            f"""async () => {{
              const panel = {PANEL};
              await panel.context.ready;
              await panel.sessionContext.ready;
              await panel.sessionContext.session.kernel.info;
            }}"""
        )

    def start(self, cell: int) -> None:
        """Run a cell and do not wait for its end."""
        self.page.evaluate(f"cell => {{ ({RUN_CELL})(cell); }}", cell)

    def start_all(self) -> None:
        """Run every cell, as Run ▸ Run All Cells does, and do not wait for their end."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def wait_until_printed(self, cell: int) -> str:
        """Until a cell that may still be running has printed something; what it has."""
        self.page.wait_for_function(f"cell => {PANEL}.content.widgets[cell].model.outputs.length > 0", arg=cell)
        return self.printed(cell)

    def run(self, cell: int) -> str:
        """Run a cell to its end; what it printed. An exception in it is raised here, with its traceback."""
        self.page.evaluate(RUN_CELL, cell)
        return self.printed(cell)

    def printed(self, cell: int) -> str:
        """What a cell has printed so far."""
        outputs = self.page.evaluate(f"cell => {PANEL}.content.widgets[cell].model.outputs.toJSON()", cell)
        for output in outputs:
            if output["output_type"] == "error":
                raise RuntimeError(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"])))
        return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")

    def wait_for_explorer(self, timeout: float = 60.0) -> Any:
        """Until an explorer is on the page (its locator), or until a cell fails, which is raised here."""
        error = "[data-mime-type='application/vnd.jupyter.error']"
        shown = self.page.wait_for_selector(f".dr-explorer, {error}", timeout=timeout * 1000)
        if "dr-explorer" not in (shown.get_attribute("class") or ""):
            raise RuntimeError(shown.inner_text())
        return self.page.locator(".dr-explorer").first

    def save(self) -> None:
        """Save the notebook, as Ctrl+S does."""
        self.page.evaluate(f"() => {PANEL}.context.save()")

    def reload(self) -> None:
        """Save and reload the page; its kernel goes on."""
        self.save()
        self.page.reload(wait_until="domcontentloaded")
        self.wait_ready()

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme: ``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        wanted = "false" if name.endswith("Dark") else "true"
        self.page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def close(self) -> None:
        """Close the page and end its kernel."""
        self.page.context.close()
        for session in self.lab.request("GET", "sessions"):
            self.lab.request("DELETE", f"sessions/{session['id']}")


def notebook_of(*cells: str) -> dict[str, Any]:
    """A notebook (nbformat 4) of these code cells, without outputs."""
    blank = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [{**blank, "id": f"cell-{index}", "source": source} for index, source in enumerate(cells)],
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
