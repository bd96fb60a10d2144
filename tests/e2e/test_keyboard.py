"""The whole tour by keyboard alone: run, choose, compare, open a pair, go back, clear; the focus is always seen."""

from __future__ import annotations

import pytest
from e2e.dev_page import focused, opened, selection

pytestmark = pytest.mark.browser

#: Whether the focused node shows it: an outline on itself or on what stands for it, and inside the window.
SEEN = """() => {
  const node = document.activeElement;
  const rings = [node, node.parentElement, node.closest('.dre-class-scroller'), document.querySelector('.dre-cursor')];
  const box = node.getBoundingClientRect();
  const marked = (n) => getComputedStyle(n).outlineStyle !== 'none' || n.matches('.dre-cursor');
  const ring = rings.some(n => n?.checkVisibility() && marked(n));
  return node.checkVisibility() && ring && box.bottom > 0 && box.top < innerHeight;
}"""


def tab_to(page, name: str) -> None:
    """Press Tab until something of this name has the keyboard."""
    page.evaluate("() => document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"Tab never reaches {name!r}")


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_tour(browser):
    with opened(browser, "t=1&live=1") as page:
        press(page, "Tab", "/")
        assert focused(page) == "Find a class"
        page.keyboard.type("mucosa – skin")
        press(page, "Enter")
        assert focused(page) == "Classes / Mucosa – Skin"
        mucosa = selection(page)["target"]

        press(page, "ArrowDown")
        below = selection(page)["target"]
        assert below != mucosa
        press(page, "ArrowUp")
        assert selection(page) == {"target": mucosa}

        press(page, "/")
        page.keyboard.type("cortex – brain")
        press(page, "Shift+Enter")  # what is found is compared
        assert selection(page)["target"] == mucosa
        assert page.locator(".dre-chip-other").inner_text().startswith("Cortex – Brain")

        press(page, "p")
        assert focused(page) == "Channels, by importance"
        press(page, "ArrowDown")
        first = selection(page)["channel"]
        press(page, "Enter", "ArrowDown", "ArrowDown")
        assert "choose the second channel" in page.locator(".dre-pair").inner_text()
        press(page, "Enter")
        assert selection(page)["pair"][0] == first
        page.locator(".dre-truth").first.wait_for()

        press(page, "Alt+ArrowLeft")
        assert "pair" not in selection(page)
        press(page, "Alt+ArrowRight")
        assert selection(page)["pair"][0] == first
        for gone in ("pair", "channel", "other", "target"):
            press(page, "Escape")
            assert gone not in selection(page)
        assert focused(page).startswith("Channels")


def test_two_classes_are_compared_in_the_tree_and_a_branch_is_a_clade(browser):
    with opened(browser, "t=1") as page:
        tab_to(page, "Classes")
        press(page, "Home", "ArrowDown", "ArrowDown")
        chosen = selection(page)["target"]
        press(page, "ArrowLeft", "Enter")
        clade = selection(page)["clade"]
        assert chosen in clade
        press(page, "ArrowRight", "ArrowDown")
        assert selection(page)["clade"] == clade
        press(page, "Home", "c")
        assert "other" not in selection(page), "a class is not compared with itself"


def test_a_branch_folds_and_opens(browser):
    with opened(browser, "t=1") as page:
        tab_to(page, "Classes")
        rows = page.locator(".dre-class:not([data-branch])")
        before = rows.count()
        press(page, "Home", "ArrowLeft", "ArrowLeft")  # to the branch; on a branch: fold
        assert rows.count() < before
        assert page.evaluate(SEEN)
        press(page, "ArrowRight")
        assert rows.count() == before


def test_a_pair_is_opened_in_the_matrix_and_a_restart_in_convergence(browser):
    with opened(browser, "t=1") as page:
        tab_to(page, "Pairs of channels")
        press(page, "ArrowDown", "ArrowDown", "ArrowRight")
        assert page.evaluate(SEEN)
        press(page, "Enter")
        assert len(selection(page)["pair"]) == 2
        tab_to(page, "Restarts, by convergence")
        press(page, "ArrowDown", "ArrowDown", "Enter")
        assert selection(page)["restart"] == 1


def test_run_pause_and_go_on(browser):
    with opened(browser, "t=0&state=idle") as page:
        tab_to(page, "Run")
        for state in ("running", "paused", "running"):
            press(page, "Enter")
            page.wait_for_selector(f".dr-explorer[data-state={state}]")
            assert page.evaluate(SEEN), f"the button that was pressed has gone, and no other is focused: {state}"
        tab_to(page, "Classes")
        press(page, "Space")
        assert page.locator(".dr-explorer").get_attribute("data-state") == "running", "Space chooses in the tree"
        tab_to(page, "Feature map")
        press(page, "Space")
        page.wait_for_selector(".dr-explorer[data-state=paused]")


def test_settings_are_changed(browser):
    with opened(browser, "t=0.5") as page:
        tab_to(page, "More restarts")
        press(page, "Enter")
        page.wait_for_function("() => world.o.restarts === 11")
        tab_to(page, "l2")
        before = page.evaluate("() => world.l2")
        press(page, "ArrowRight")
        page.wait_for_function("before => world.l2 > before", arg=before)
        assert page.evaluate("() => world.l2") == pytest.approx(before * 10**0.1, rel=1e-3)  # a tenth of a decade


def test_everything_that_takes_the_focus_has_a_name_and_shows_it(browser):
    with opened(browser, 'select={"target":13,"other":30,"pair":[57,8],"channel":57}&t=1') as page:
        page.evaluate("() => document.activeElement.blur()")
        seen = []
        for _ in range(60):
            press(page, "Tab")
            if not (name := focused(page)) or page.evaluate("() => document.activeElement === document.body"):
                break
            assert page.evaluate(SEEN), name
            seen.append(name.split(" / ")[0])
        wanted = ["Layer", "Run", "Find a class", "Classes", "Restarts, by convergence", "Pairs of channels"]
        assert [name for name in wanted if name not in seen] == []
        assert len(seen) < 40, "one stop a panel, arrows inside"


def test_the_focus_stays_when_the_tree_orders_itself_anew(browser):
    with opened(browser, "t=0.6") as page:
        tab_to(page, "Classes")
        press(page, "ArrowDown", "ArrowDown", "ArrowDown")
        name = focused(page)
        page.evaluate(
            """async () => {
              world.ofiv.reverse();  // another network, nearly
              model.deliver(world.tree());
              await new Promise(requestAnimationFrame);
              await new Promise(requestAnimationFrame);
            }"""
        )
        assert focused(page) == name
        assert page.evaluate(SEEN)
        press(page, "ArrowDown")
        assert focused(page) != name


def test_the_selected_class_stays_where_it_is_on_the_screen_when_the_tree_orders_itself_anew(browser):
    with opened(browser, 'classes=919&channels=48&t=1&select={"target":300}') as page:
        place = "() => document.querySelector('.dre-class[data-mark=target]').getBoundingClientRect().top"
        page.evaluate("() => document.querySelector('.dre-class-scroller').scrollTop = 120")
        before = page.evaluate(place)
        after = page.evaluate(
            f"""async () => {{
              world.ofiv.reverse();
              model.deliver(world.tree());
              await new Promise(requestAnimationFrame);
              await new Promise(requestAnimationFrame);
              return ({place})();
            }}"""
        )
        at, most = page.evaluate(
            """() => {
              const scroller = document.querySelector('.dre-class-scroller');
              return [scroller.scrollTop, scroller.scrollHeight - scroller.clientHeight];
            }"""
        )
        assert abs(after - before) < 1.5 or at in (0, most), "it moves only where the list ends"


def test_clearing_a_choice_hands_the_focus_on(browser):
    with opened(browser, 'select={"target":13,"channel":57}&t=1') as page:
        tab_to(page, "Clear ch 57")
        press(page, "Enter")
        assert focused(page) == "Back", "which undoes it"
        press(page, "Enter")
        assert focused(page) == "Forward", "nothing is left to go back to"
        assert selection(page) == {"target": 13, "channel": 57}


def test_the_keys_are_listed_and_the_list_closes_without_a_trace(browser):
    with opened(browser, 'select={"target":13}&t=1') as page:
        tab_to(page, "Classes")
        press(page, "?")
        sheet = page.get_by_role("dialog", name="Keys and words")
        assert "compare with the chosen one" in sheet.inner_text()
        press(page, "p", "Escape")
        assert not sheet.is_visible()
        assert focused(page).startswith("Classes")
        assert selection(page) == {"target": 13}
        assert page.get_by_text("choose the second channel").count() == 0


def test_a_letter_in_the_search_is_a_letter(browser):
    with opened(browser, "t=1") as page:
        press(page, "Tab", "/")
        page.keyboard.type("p?/ f")
        assert page.get_by_label("Find a class").input_value() == "p?/ f"
        assert not page.get_by_role("dialog").is_visible()
        press(page, "Escape")
        assert page.get_by_label("Find a class").input_value() == ""
