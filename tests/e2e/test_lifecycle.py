"""Outputs are cleared, widgets closed, kernels interrupted, restarted and killed: the view shows what is true."""

from __future__ import annotations

import pytest
from e2e.lab import PANEL
from e2e.measures import ASLEEP

pytestmark = pytest.mark.browser

THREADS = """
import threading
explorer._session.worker.thread.join(20)
print([thread.name for thread in threading.enumerate() if thread.name.startswith("dr_explorer")])"""


def wait_for_another_frame(notebook) -> None:
    drawn = notebook.page.locator(".dr-explorer").get_attribute("data-frames")
    notebook.page.locator(f".dr-explorer:not([data-frames='{drawn}'])").wait_for()


def test_a_cleared_output_takes_the_view_and_leaves_the_run_then_closing_ends_it_for_good(running):
    notebook = running("explorer", "explorer.close()", THREADS)
    notebook.page.evaluate(f"() => {{ {PANEL}.content.activeCellIndex = 0; }}")
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:clear-cell-output'); }")
    notebook.page.locator(".dr-explorer").wait_for(state="detached")
    notebook.run(1)
    notebook.wait_for_state("running")
    wait_for_another_frame(notebook)
    notebook.run(2)
    notebook.page.locator(".dr-explorer").wait_for(state="detached")
    assert notebook.run(3).strip() == "[]"


def test_an_interrupted_cell_leaves_the_run_going(running):
    notebook = running(ASLEEP, "print(explorer.state)")
    notebook.start(1)
    notebook.wait_until_printed(1)
    (session,) = notebook.lab.request("GET", "sessions")
    notebook.lab.request("POST", f"kernels/{session['kernel']['id']}/interrupt")
    notebook.page.wait_for_function(
        f"() => {PANEL}.content.widgets[1].model.outputs.toJSON().some(output => output.ename === 'KeyboardInterrupt')"
    )
    assert notebook.run(2).strip() == "running"
    wait_for_another_frame(notebook)


@pytest.mark.parametrize("end", ["restarted", "killed"])
def test_a_kernel_that_is_gone_leaves_its_last_picture_and_says_so(running, end):
    notebook = running("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    bars = notebook.page.locator(".dr-explorer .dre-row").count()
    if end == "restarted":
        notebook.page.evaluate(f"() => {PANEL}.sessionContext.session.kernel.restart()")
    else:
        notebook.start(1)
    gone = notebook.page.locator(".dr-explorer .dre-saved")
    gone.filter(has_text="Saved view, no kernel").or_(gone.filter(has_text="No answer from the kernel")).wait_for()
    assert notebook.page.locator(".dr-explorer .dre-row").count() == bars > 0
