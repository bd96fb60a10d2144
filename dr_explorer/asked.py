"""What was asked for, checked by the argument's name: an error says what was expected and what came."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """The value as an int; TypeError where it is no whole number, ValueError where it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; expected a whole number, at least {least}")
    if value < least:
        raise ValueError(f"{name} is {value!r}; expected at least {least}")
    return int(value)


def share(name: str, value: Any) -> float:
    """The value as a float; ValueError where it does not lie between 0 and 1, such as a percentage."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name} is {value!r}; expected a number between 0 and 1, such as 0.95 for 95 %")
    return float(value)
