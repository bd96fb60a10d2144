"""One page with explorers on it, whatever front end it is: what is pressed, what it shows, what went wrong in it."""

from __future__ import annotations

import re
from typing import Any

#: A front end's own noise, which says nothing about the page under test.
NOT_OURS = (
    r"/api/settings",
    r"/lab/api/translations",
    r"favicon",
    r"translation bundles?",
    # Notebook 7.6, whatever is opened in it:
    r"^uncaught: Cannot read properties of undefined \(reading 'schema'\)",
    r"^uncaught: Command 'filebrowser:open-path' not registered",
)

#: In the page, from its first line on: when each explorer's data attributes changed, and to what.
RECORD_CHANGES = """
window.changes = [];
new MutationObserver(list => {
  const at = Date.now() / 1000;
  for (const {target, attributeName} of list)
    if (target.matches?.('.dr-explorer'))
      window.changes.push({at, name: attributeName, value: target.getAttribute(attributeName),
        view: [...document.querySelectorAll('.dr-explorer')].indexOf(target)});
}).observe(document, {subtree: true, attributes: true,
  attributeFilter: ['data-state', 'data-run', 'data-frames']});
"""


class ViewPage:
    """A page of a front end, watched from before its first line."""

    def __init__(self, page: Any):
        self.page = page
        self.errors: list[str] = []  # what the console complained about, the front end's own noise left out
        page.add_init_script(RECORD_CHANGES)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._complained(f"uncaught: {error}"))
        page.on("crash", lambda _: self.errors.append("the page crashed"))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self._complained(f"{message.text} {(message.location or {}).get('url', '')}")

    def _complained(self, text: str) -> None:
        if not any(re.search(noise, text) for noise in NOT_OURS):
            self.errors.append(text)

    def press(self, button: str, view: int = 0) -> float:
        """Press a button of the page's n-th explorer, by its accessible name; when (Unix time, s)."""
        found = self.page.locator(".dr-explorer").nth(view).get_by_role("button", name=button, exact=True)
        return found.evaluate("button => { const at = Date.now() / 1000; button.click(); return at; }")

    def wait_for_state(self, state: str, view: int = 0) -> None:
        """Until the page's n-th explorer shows a run in this state."""
        self.page.locator(f".dr-explorer >> nth={view}").and_(self.page.locator(f"[data-state={state}]")).wait_for(
            timeout=60_000
        )

    def wait_for_change(self, name: str, after: float, view: int = 0) -> float:
        """Until a data attribute of the page's n-th explorer changes after a moment; when that was (Unix time, s)."""
        found = self.page.wait_for_function(
            """([name, after, view]) =>
                 window.changes.find(c => c.name === `data-${name}` && c.view === view && c.at >= after)""",
            arg=[name, after, view],
            timeout=60_000,
        )
        return found.evaluate("change => change.at")

    def changes(self, name: str, view: int = 0) -> list[tuple[float, str]]:
        """When (Unix time, s) a data attribute of the page's n-th explorer changed, and to what."""
        everything = self.page.evaluate("() => window.changes")
        return [(c["at"], c["value"]) for c in everything if c["name"] == f"data-{name}" and c["view"] == view]
