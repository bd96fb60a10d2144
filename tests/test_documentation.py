"""Whoever asks for help gets it: every public name says what it does, and every argument what it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import dr_explorer as dr


def documented() -> Iterator[tuple[str, Any, str]]:
    """Every public function, class and method: its name, itself, and what its class says of all its methods."""
    for name in dr.__all__:
        thing = getattr(dr, name)
        if isinstance(thing, ModuleType):
            for inner in thing.__all__:
                if callable(getattr(thing, inner)):
                    yield f"{name}.{inner}", getattr(thing, inner), ""
            continue
        yield name, thing, ""
        if inspect.isclass(thing):
            for inner, method in vars(thing).items():
                function = inspect.unwrap(getattr(method, "fget", None) or getattr(method, "__func__", method))
                if inspect.isfunction(function) and not inner.startswith("_"):
                    yield f"{name}.{inner}", function, thing.__doc__ or ""


#: Classes that Python writes the signature of: their attributes are described one by one, not as arguments.
RECORDS = {"synthetic.Dataset", "synthetic.Progress", "synthetic.Settings", "synthetic.Trained"}


@pytest.mark.parametrize(("name", "thing", "shared"), [pytest.param(*one, id=one[0]) for one in documented()])
def test_a_public_name_explains_itself_and_its_arguments(name, thing, shared):
    text = inspect.getdoc(thing) or ""
    first = text.partition("\n\n")[0]
    assert len(first) > 10, f"{name} has no docstring"
    assert re.search(r"[.;:?)]$", first.strip()), f"{name}: the first line is a sentence: {first!r}"
    if name in RECORDS or (inspect.isclass(thing) and issubclass(thing, Exception)):
        return
    taken = inspect.signature(thing).parameters.values()
    arguments = [
        p.name for p in taken if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in ("self", "cls")
    ]
    missing = [argument for argument in arguments if not re.search(rf"\b{argument}\b", text + shared)]
    assert not missing, f"{name} does not say what {', '.join(missing)} is"


def test_the_front_page_names_everything_that_is_public():
    for name in dr.__all__:
        assert f"`{name}`" in dr.__doc__
