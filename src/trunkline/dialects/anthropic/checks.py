"""Reading the fields of decoded JSON objects, with the path of what is wrong in the error.

What a field means belongs to those who ask for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trunkline.canon.chat import NOTHING, Json
from trunkline.dialects.shallow import bad


def text(found: Json, name: str, place: str) -> str:
    """A string that must be there."""
    value = found.get(name)
    if not isinstance(value, str):
        raise bad(f"{place}.{name}", "must be a string")
    return value


def optional_text(found: Json, name: str, place: str) -> str:
    """A string, empty where it is absent or null."""
    return "" if found.get(name) is None else text(found, name, place)


def table(value: object, place: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise bad(place, "must be an object")
    return value


def array(value: object, place: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise bad(place, "must be an array")
    return value


def rest(found: Json, known: Collection[str]) -> Json:
    """The fields that canon has no word for. Null means absent in this dialect."""
    left = {name: value for name, value in found.items() if name not in known and value is not None}
    return left or NOTHING
