"""What a contract found."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["works", "degraded", "broken"]


class Broken(Exception):  # noqa: N818 - a name that reads well where it is raised
    """The client could not work with this model. `str` says why."""


class Finding(msgspec.Struct, frozen=True):
    """One contract's result."""

    client: str
    """The client that relies on it, as `trunkline connect` calls it."""
    contract: str
    state: State
    why: str = ""


def need(holds: object, why: str) -> None:
    """Raises `Broken(why)` unless it holds."""
    if not holds:
        raise Broken(why)


def at(value: Any, *path: str | int) -> Any:
    """What stands at a place in decoded JSON; None where nothing does."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value
