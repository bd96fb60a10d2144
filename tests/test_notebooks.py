"""The notebooks run from top to bottom with no page open, as nbconvert and CI run them."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_runs_headless(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # a first run: nothing trained before is found
    shutil.copy(path, tmp_path)
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}  # what the notebook saves goes here
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources=folder).execute()
