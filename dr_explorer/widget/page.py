"""The stand-alone page: the view in one HTML file, explorable without a kernel and without a network."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from dr_explorer import __version__, files
from dr_explorer.widget import frames
from dr_explorer.widget.columns import squeeze
from dr_explorer.widget.frozen import Frozen
from dr_explorer.widget.picture import Picture
from dr_explorer.widget.protocol import Message
from dr_explorer.widget.selection import NO_SELECTION

#: The page may run its own script and nothing else, and may ask nobody for anything.
POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="dr_explorer {version}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}
:root {{ color-scheme: light dark; }}
body {{ margin: 12px; background: #ffffff; color: #1b1e23; font: 12px/1.4 system-ui, sans-serif; }}
footer {{ margin: 8px 4px; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #14171b; color: #e9ebee; }} }}
</style>
<main id="view"><p>{waiting}</p></main>
<footer>{about}</footer>
<script type="application/octet-stream" id="saved">{data}</script>
<script>{script}</script>
</html>
"""
WAITING = "The view is drawn by this page's own script. If nothing follows, scripts are off or the browser is too old."


@dataclass
class Standing:
    """How a session's run stands at one moment."""

    run: Frozen
    meta: Message
    tree: Message | None
    pairs: list[Message]  # "pairs" and "pair" messages, as they were told
    heading: dict[str, Any]  # state, message, elapsed, rate
    selection: dict[str, Any]


def messages(standing: Standing) -> list[Message]:
    """All there is to see of a run: every class in detail, as if each had been selected; the shown one first."""
    picture = Picture(standing.run)
    picture.look_over()
    tree = picture.tree
    if tree is not None:
        linkage, known = tree.arrays["linkage"], standing.tree
        if (
            known is None
            or not np.array_equal(known.arrays["linkage"], linkage)
            or np.isnan(known.arrays["support"]).any()
        ):
            tree.arrays["support"] = frames.support(standing.run, linkage)
        else:
            tree = known  # with its support, which takes long to count
    heading = {**standing.heading, "eta": None, **unfinished(standing)}
    first = picture.target(standing.selection)
    order = [first, *(target for target in range(standing.run.trials.n_targets) if target != first)]
    shown = [picture.frame({**NO_SELECTION, "target": target}, heading, moving=False) for target in order]
    pairs = [
        Message(m.header, {**m.arrays, "others": picture.across_classes(m.header["pair"])})
        if m.header["type"] == "pair"
        else m
        for m in standing.pairs
    ]
    told = [standing.meta, *([tree] if tree is not None else []), *shown, *pairs]
    return [Message({"run": 1, "seq": seq, **m.header}, m.arrays) for seq, m in enumerate(told)]


def unfinished(standing: Standing) -> dict[str, Any]:
    """What the heading says of a run that was saved before its end: here nothing moves any more."""
    if standing.run.finished or standing.heading["state"] == "failed":
        return {}
    ended, size = standing.run.trials.ended.sum(), standing.run.trials.status.size
    state = "paused" if standing.heading["state"] == "running" else standing.heading["state"]
    return {"state": state, "message": f"Saved before the run had ended: {ended} of {size} trials"}


def write(standing: Standing, path: str | os.PathLike, script: str, style: str) -> None:
    """Write the page, whole or not at all; ``script`` and ``style`` are the bundle's."""
    header = standing.meta.header
    selection = {**standing.selection, "restart": None}  # of other restarts than the best no map is kept
    block, kept = squeeze(messages(standing), selection)
    shape = header["channels"], *([header["positions"]] if header["positions"] else [])
    about = [
        f"{counted(len(header['targets']), 'class', 'classes')}, "
        f"{counted(standing.run.trials.n_restarts, 'restart', 'restarts')}, "
        f"layer {header['layer']} ({' × '.join(map(str, shape))}), rule {header['rule']}",
        f"saved {date.today().isoformat()} with dr_explorer {__version__}",
    ]
    if kept is not None:
        about.insert(1, f"feature maps: positions of each class's {kept} strongest channels, the mean of the others")
    script = inline(script, "script")
    page = PAGE.format(
        policy=POLICY.format(script=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        version=__version__,
        title=html.escape(f"{header['model']}, {header['layer']}: what each class is built from"),
        style=inline(style, "style"),
        waiting=WAITING,
        about=html.escape("; ".join(about)) + ".",
        data=base64.b64encode(block).decode(),
        script=script,
    )
    with files.whole(path) as part:
        part.write_bytes(page.encode("utf-8", errors="replace"))  # a name may hold half a character


def counted(n: int, one: str, more: str) -> str:
    return f"{n} {one if n == 1 else more}"


def inline(code: str, element: str) -> str:
    """Code that may stand within an element of a page: nothing in it ends the element or begins a comment."""
    for sign in (f"</{element}", "<!--"):
        if sign in code.lower():
            raise RuntimeError(f"the view's {element} holds {sign!r}, which would end it: build it again from js/")
    return code
