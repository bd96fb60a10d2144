"""What is changed while a run lasts, in a real kernel: maps go on from where they are, restarts join, layers change."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

#: What the run of a notebook is at, read on the thread that owns it.
LOOK = """
import numpy as np

def look():
    return explorer._session.post("call", function=lambda run: dict(
        l2=run.l2, n_restarts=run.trials.n_restarts, layer=run.tail.layer, map=run.map_of(0, 0).copy(),
        steps=run.trials.steps.copy(),
    )).result()

def alike(a, b):
    return float(np.corrcoef(a["map"].ravel(), b["map"].ravel())[0, 1])
"""
#: Only a map that has climbed for a while can be told from a fresh start.
CLIMBED = """
while look()["steps"].min() < 100:
    pass
before = look()
"""


def test_dragging_l2_in_mid_run_lets_the_maps_go_on_from_where_they_are(running):
    notebook = running(LOOK + CLIMBED, "now = look(); print(now['l2'] / before['l2'], alike(now, before))")
    notebook.run(1)
    slider = notebook.page.get_by_role("slider", name="l2")
    box = slider.bounding_box()
    middle, further = ({"x": share * box["width"], "y": box["height"] / 2} for share in (0.5, 0.6))
    slider.drag_to(slider, source_position=middle, target_position=further)
    notebook.page.locator(".dre-setting:not([data-asked]) input[type=range]").wait_for()  # a frame has confirmed it
    assert notebook.page.locator(".dr-explorer").get_attribute("data-state") == "running"
    changed, likeness = map(float, notebook.run(2).split())
    assert 1.5 < changed < 5  # a tenth of four decades is a factor of 2.5
    assert likeness > 0.9  # two random starts are not alike at all


def test_restarts_added_in_mid_run_join_those_that_are_climbing(running):
    notebook = running(
        LOOK + CLIMBED,
        "now = look(); print(now['n_restarts'], alike(now, before), (now['steps'][:, :20] >= before['steps']).all())",
    )
    notebook.run(1)
    for _ in range(2):
        notebook.press("More restarts")
    notebook.page.locator(".dre-setting:not([data-asked]) output").filter(has_text="22").wait_for()
    notebook.page.locator("[data-panel=convergence] [role=option]").nth(21).wait_for(state="attached")
    restarts, likeness, went_on = notebook.run(2).split()
    assert (restarts, went_on) == ("22", "True")
    assert float(likeness) > 0.9


def test_another_layer_in_mid_run_is_climbed_at_once_and_the_notebook_knows(running):
    notebook = running(LOOK, "print(look()['layer'], look()['map'].shape, explorer.state)")
    run = int(notebook.page.locator(".dr-explorer").get_attribute("data-run"))
    notebook.page.get_by_role("combobox", name="Layer").select_option("relu")
    notebook.page.locator(f".dr-explorer[data-run='{run + 1}']").wait_for()
    notebook.wait_for_state("running")
    notebook.page.locator(".dre-layer").filter(has_text="193").wait_for()
    assert notebook.run(1) == ""
    assert notebook.run(2).strip() == "relu (32, 193) running"
