"""Anyone can use the view: axe-core finds nothing, in every state and theme; it adapts to what the system asks for."""

from __future__ import annotations

import pytest
from e2e.dev_page import JS, opened

pytestmark = pytest.mark.browser

AXE = JS / "node_modules" / "axe-core" / "axe.min.js"

PAIR = 'select={"target":13,"channel":57,"pair":[57,8]}'
STATES = {
    "idle": "idle=1",
    "starting": "t=0.08",
    "running": "t=0.6",
    "paused": "t=0.6&state=paused",
    "done": "t=1",
    "one class": "classes=1&channels=16&t=1",
    "two classes compared": 'select={"target":13,"other":30}&t=1',
    "a clade": 'select={"target":13,"clade":[13,14,20]}&t=1',
    "a pair": f"{PAIR}&t=1",
    "a pair in two basins": 'select={"target":12,"channel":57,"pair":[57,8]}&t=1',
    "no positions": "positions=0&logos=0&motifs=0&t=1",
    "919 classes": "classes=919&channels=480&t=1",
    "names of all kinds": "hostile=1&t=1",
}

#: What axe-core says, a line a finding: the rule, how bad, what it is about.
FINDINGS = """async () => {
  const rules = {'target-size': {enabled: true}};
  const {violations} = await axe.run('.dr-explorer', {resultTypes: ['violations'], rules});
  return violations.flatMap(v => v.nodes.map(n => `${v.id} (${v.impact}): ${n.target} ${n.failureSummary}`));
}"""


def findings(page) -> list[str]:
    page.add_script_tag(path=AXE)
    return page.evaluate(FINDINGS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(browser, state, theme):
    with opened(browser, f"{STATES[state]}&theme={theme}") as page:
        assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_when_a_run_has_failed(browser, theme):
    with opened(browser, f"t=0.4&state=failed&theme={theme}") as page:
        page.evaluate("() => kernel.frame({message: 'out of memory at batch size 1'})")
        page.get_by_text("out of memory").wait_for()
        assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_sheet_of_keys_nor_in_the_menu(browser, theme):
    with opened(browser, f"t=1&theme={theme}") as page:
        page.get_by_label("Save pictures and tables").click()
        assert findings(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        assert findings(page) == []


@pytest.mark.parametrize("width", [480, 720, 920])
def test_axe_finds_nothing_at_other_widths(browser, width):
    with opened(browser, f"{PAIR}&t=1", width=width) as page:
        assert findings(page) == []


@pytest.mark.parametrize("width", [480, 600, 719, 720, 859, 860, 1099, 1100, 1280, 1600, 2200])
@pytest.mark.parametrize("state", ["two classes compared", "a pair in two basins", "names of all kinds"])
def test_no_panel_is_wider_than_its_place(browser, state, width):
    with opened(browser, STATES[state], width=width) as page:
        over = page.evaluate(
            """() => [...document.querySelectorAll('.dre-panels > *')]
                 .filter(p => p.scrollWidth > p.clientWidth + 8)
                 .map(p => [p.className, p.scrollWidth, p.clientWidth])"""
        )
        assert over == []
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_fingers_get_targets_of_24_pixels(browser):
    with opened(
        browser, 'select={"target":13,"other":30,"channel":57}&t=1', width=480, has_touch=True, is_mobile=True
    ) as page:
        small = page.evaluate(
            """() => {
              const wanted = 'button, summary, [role=treeitem], [role=option]:is(rect, div)';
              return [...document.querySelectorAll(`.dr-explorer :is(${wanted})`)].filter(n => n.checkVisibility())
                .map(n => [n.getAttribute('class'), n.getBoundingClientRect().width, n.getBoundingClientRect().height])
                .filter(([, width, height]) => width < 23 || height < 23);
            }"""
        )
        assert small == []


def test_a_finger_reads_what_a_mouse_reads_by_hovering(browser):
    with opened(browser, "t=1", width=480, has_touch=True, is_mobile=True) as page:
        page.locator(".dre-map").tap(position={"x": 200, "y": 30})
        assert "position" in (read := page.locator(".dre-featuremap .dre-read").inner_text()) or "seq" in read


def test_a_page_under_a_finger_scrolls_and_zooms(browser):
    with opened(browser, "t=1", width=480, has_touch=True, is_mobile=True) as page:
        held = """() => [...document.querySelectorAll('.dr-explorer *')]
                 .filter(n => getComputedStyle(n).touchAction !== 'auto').length"""
        assert page.evaluate(held) == 0


def test_on_paper_the_view_is_black_on_white_whole_and_without_controls(browser):
    with opened(browser, "classes=919&channels=480&t=1&theme=dark") as page:
        page.get_by_role("button", name="466 more").click()  # a list that scrolls on screen
        page.emulate_media(media="print")
        page.wait_for_selector(".dr-explorer[data-theme=light]")
        assert page.locator(".dr-explorer").evaluate(
            "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
        ) == [
            "rgb(255, 255, 255)",
            "rgb(0, 0, 0)",
        ]
        scrolled = """() => [...document.querySelectorAll('.dr-explorer *')]
                     .filter(n => /auto|scroll/.test(getComputedStyle(n).overflowY))
                     .filter(n => n.scrollHeight > n.clientHeight + 1).map(n => n.className)"""
        assert page.evaluate(scrolled) == []
        assert (
            page.locator(
                ".dr-explorer :is(button, input, select, summary):visible:not(.dre-fold, .dre-link, .dre-strongest *)"
            ).count()
            == 0
        )
        assert page.locator(".dre-row").count() == 480
        assert page.locator(".dre-panel:visible").count() == 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_high_contrast_the_system_chooses_the_colours_and_nothing_is_lost(browser, scheme):
    with opened(browser, f"{PAIR}&t=1", forced_colors="active", color_scheme=scheme) as page:
        assert page.locator(".dr-explorer").get_attribute("data-theme") == scheme
        assert findings(page) == []
        assert page.locator(".dre-row[data-main]").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_with_reduced_motion_nothing_moves_by_itself(browser):
    with opened(browser, "t=0.5", reduced_motion="reduce") as page:
        page.evaluate("() => { kernel.t = 0.9; kernel.frame(); }")
        assert page.evaluate("() => document.getAnimations().length") == 0
