"""The tree under a pointer: it stays where it is while one points at it, and what is folded says what it is."""

from __future__ import annotations

import pytest
from e2e.dev_page import opened, selection

pytestmark = pytest.mark.browser

#: Another tree of the same run: the classes in the opposite order of their importance's size.
ANOTHER_TREE = """() => {
  world.ofiv = world.ofiv.map((v, i) => v * Math.sin(i));
  model.deliver(world.tree());
}"""


def in_order(page) -> list[str]:
    """Names of the rows from the top of the tree, on a page where nothing glides: a row on its way is nowhere yet."""
    rows = page.locator(".dre-class:not([data-branch])").all()
    return [row.locator("bdi").inner_text() for row in sorted(rows, key=lambda row: row.bounding_box()["y"])]


@pytest.mark.parametrize("over", [".dre-class:not([data-branch])", ".dre-heat"])
def test_while_it_runs_the_tree_does_not_move_under_the_pointer_and_does_when_that_leaves(browser, over):
    with opened(browser, "classes=10&t=.75", reduced_motion="reduce") as page:
        before = in_order(page)
        page.locator(over).first.hover()
        page.evaluate(ANOTHER_TREE)
        page.evaluate("() => kernel.frame()")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert in_order(page) == before
        page.locator(".dre-controls").hover()
        after = in_order(page)
        assert sorted(after) == sorted(before)
        assert after != before


def test_at_rest_another_tree_is_drawn_at_once(browser):
    with opened(browser, "classes=10&t=1", reduced_motion="reduce") as page:
        before = in_order(page)
        page.locator(".dre-heat").hover()
        page.evaluate(ANOTHER_TREE)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert in_order(page) != before


def test_a_cell_of_folded_clades_reads_their_mean_and_opens_them(browser):
    with opened(browser, "classes=919&channels=32&t=1") as page:
        folded = page.locator(".dre-class[data-folded]")
        many = folded.count()
        heat, window = (page.locator(name).bounding_box() for name in (".dre-heat", ".dre-class-scroller"))
        boxes = [row.bounding_box() for row in folded.all()]
        box = next(box for box in boxes if window["y"] <= box["y"] <= window["y"] + window["height"] - box["height"])
        page.mouse.move(heat["x"] + 2, box["y"] + box["height"] / 2)
        said = page.locator(".dre-foot .dre-cut").text_content()
        assert said.startswith("r ")
        assert "classes)" in said
        page.mouse.click(heat["x"] + 2, box["y"] + box["height"] / 2)
        page.wait_for_function("many => document.querySelectorAll('.dre-class[data-folded]').length !== many", arg=many)
        assert selection(page) == {}
