"""What an Explorer was given: arguments of `resolve`, checked by name and parted into the cut's and the ascent's."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from dr_explorer import rules
from dr_explorer.resolving import resolve
from dr_explorer.settings import Settings

#: Arguments of `resolve` that belong to the cut rather than to the ascent, or that make no sense in a view.
NOT_OF_THE_ASCENT = {
    "model", "layer", "example_input", "targets", "target_names", "output", "device", "client", "verbose",
}  # fmt: skip


def sorted_arguments(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of `resolve` parted into those of the cut and those of the ascent."""
    known = inspect.signature(resolve).parameters
    check_names(arguments, tuple(set(known) - {"model", "layer", "example_input", "client", "verbose"}), "Explorer")
    cut = {k: v for k, v in arguments.items() if k in NOT_OF_THE_ASCENT}
    told = {k: known[k].default for k in ("n_restarts", "rule")}  # what the view tells before anything has run
    return cut, {**told, **{k: v for k, v in arguments.items() if k not in NOT_OF_THE_ASCENT}}


def check_settings(settings: dict[str, Any]) -> None:
    """The checks of an ascent, before there is one. Raises ValueError as it would."""
    asked = Settings(**settings)
    rules.make(asked.rule, l2=1.0, step_size=1.0)  # refuses a name that it does not know


def check_names(given: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(sorted(known))}"
            raise TypeError(f"{where} has no argument {name!r}{hint}")
