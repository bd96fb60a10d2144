"""The words of the report: what was resolved, with which settings, and how to do it again. All of it plain text."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from dr_explorer import layout
from dr_explorer.reasons import count
from dr_explorer.trials import STATES

if TYPE_CHECKING:
    from dr_explorer.resolution import Resolution

PACKAGES = ("numpy", "scipy", "xarray", "bokeh")
#: Arguments of resolve() that are kept with a resolution, in the order in which one writes them.
ARGUMENTS = ("l2", "step_size", "patience", "max_steps", "rule", "init", "random_state")
#: What the settings' table explains beside the value.
MEANING = {
    "layer": "the feature map's layer",
    "l2": "weight of the penalty on the squared map",
    "rule": "how the maps are climbed",
    "init": "distribution of the starts",
    "random_state": "seed of the starts",
    "squash": "left out behind the logits",
    "metric": "similarity of classes",
    "combine": "how restarts are put together",
    "n_boot": "resamplings for the tree's support",
}


def about(resolution: Resolution) -> str:
    """One line: layer, sizes, how the trials ended."""
    sizes = resolution.dataset.sizes
    counts = np.bincount(resolution.dataset.status.values.ravel().astype(int), minlength=len(STATES))
    ended = ", ".join(f"{n:,} {STATES[i]}" for i, n in enumerate(counts) if n)
    layer = layout.plain(resolution.dataset.attrs.get("layer", "?"))
    return (
        f"layer {layer} · {count(sizes['target'], 'class', 'classes')} · {count(sizes['channel'], 'channel')} · "
        f"{count(sizes['restart'], 'restart')} each · {ended}"
    )


def settings(resolution: Resolution, own: str, chosen: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of name, value, meaning: what it takes to make the same report again."""
    attributes = resolution.dataset.attrs
    rows = [(name, attributes[name]) for name in ("layer", "squash", "cut", *ARGUMENTS, "device") if name in attributes]
    rows += list(chosen.items())
    made = {"dr_explorer": attributes.get("dr_explorer", own), "torch": attributes.get("torch", "?")}
    made |= {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
    rows.append(("versions", ", ".join(f"{name} {number}" for name, number in made.items())))
    return [(name, layout.plain(_value(value)), MEANING.get(name, "")) for name, value in rows if str(value) != ""]


def call(resolution: Resolution) -> str:
    """The Python that resolves the network again."""
    data = resolution.dataset
    arguments = [f"{name}={_argument(data.attrs[name])}" for name in ARGUMENTS if name in data.attrs]
    arguments.insert(0, f"n_restarts={data.sizes['restart']}")
    layer = layout.plain(data.attrs.get("layer", "?"))
    return f"dr.resolve(model, {layer!r}, example_input=x, {', '.join(arguments)})"


def _argument(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float | np.floating) else str(value)
    return text if isinstance(value, int | float | np.number) or text.lstrip("-").isdigit() else repr(text)


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
