"""A notebook with the explorer in it, saved and opened again where nobody knows of its run: what it shows is true."""

from __future__ import annotations

import nbclient
import nbformat
import pytest
from e2e.lab import notebook_of
from e2e.measures import ENDLESS

pytestmark = pytest.mark.browser

CELL = (
    ENDLESS.removesuffix("explorer").replace("patience=10**6, max_steps=10**6", "max_steps=300")
    + "explorer.select(target=2, channel=5)\nexplorer.run()\nexplorer.wait(60)\nexplorer"
)


@pytest.fixture
def reopened(open_notebook):
    """The notebook as nbconvert leaves it, in JupyterLab with a kernel that has run none of its cells.

    With no kernel at all JupyterLab restores no widget: it waits for one.
    """
    executed = nbformat.from_dict(notebook_of(CELL))
    nbclient.NotebookClient(executed, timeout=120, kernel_name="python3").execute()
    notebook = open_notebook(executed)
    explorer = notebook.page.locator(".dr-explorer")
    explorer.locator(".dre-saved").filter(has_text="Saved view, no kernel").wait_for()
    return notebook


def test_a_notebook_opened_again_shows_the_run_as_it_was_left_and_nothing_else(reopened, artefacts):
    explorer = reopened.page.locator(".dr-explorer")
    assert explorer.get_attribute("data-state") == "done"
    assert explorer.locator(".dre-class[data-mark=target]").inner_text().startswith("class 2")
    assert explorer.locator(".dre-row[aria-selected=true]").get_attribute("data-channel") == "5"
    assert explorer.locator("[data-panel=importance]:not([data-stale]) .dre-row").count() > 10
    assert explorer.get_by_role("button", name="Run", exact=True).count() == 0
    reopened.page.screenshot(path=artefacts / "reopened.png")

    rows = explorer.locator("[data-panel=importance] .dre-rows")
    for target, saved in ((1, False), (2, True)):  # of the classes only the selected one was kept in detail
        explorer.locator(".dre-class:not([data-branch])").filter(has_text=str(target)).click()
        rows.wait_for(state="visible" if saved else "hidden")
        assert explorer.get_by_text("this class is not in it").count() == (0 if saved else 1)

    for session in reopened.lab.request("GET", "sessions"):
        reopened.lab.request("DELETE", f"sessions/{session['id']}")
    reopened.page.locator(".jp-Notebook-ExecutionIndicator[data-status=unknown], .jp-Toolbar-kernelName").filter(
        has_text="No Kernel"
    ).first.wait_for()
    assert rows.is_visible()
