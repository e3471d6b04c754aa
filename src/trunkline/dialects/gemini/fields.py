"""A JSON object that is read field by field, in either of Google's spellings: what is taken is checked, the rest is kept.

Google reads every field in camelCase and in snake_case, a single object where a list is due, and null as absent (protobuf's
JSON mapping). What a field means belongs to those who ask for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeVar

from trunkline.canon.chat import NOTHING, Json
from trunkline.dialects.shallow import bad

_Kind = TypeVar("_Kind")
_NAMES = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
_SNAKE = re.compile(r"_([a-z0-9])")
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """A field's name in camelCase."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


class Fields:
    """One object. Every method takes a field out; one of another kind raises `GatewayError(BAD_REQUEST)` with its path."""

    def __init__(self, value: object, place: str) -> None:
        """`place`: the object's own path, such as `contents[2].parts[0]`; empty for the request."""
        if not isinstance(value, dict):
            raise bad(place, "must be an object")
        self._left: dict[str, Any] = {camel(name): one for name, one in value.items() if one is not None}
        self._place = place

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def place(self, name: str) -> str:
        """The path of a field."""
        return f"{self._place}.{name}" if self._place else name

    def peek(self, name: str) -> Any:
        """A field of whatever kind, which stays."""
        return self._left.get(name)

    def any(self, name: str) -> Any:
        """A field of whatever kind; None where there is none."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        """A text, empty where there is none."""
        return self._take(name, str) or ""

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        return self._take(name, bool)

    def object(self, name: str) -> dict[str, Any] | None:
        """An object whose keys are nobody's field names."""
        return self._take(name, dict)

    def fields(self, name: str) -> Fields | None:
        """An object of fields."""
        value = self._left.pop(name, None)
        return None if value is None else Fields(value, self.place(name))

    def items(self, name: str) -> list[Any]:
        """A list, empty where there is none; what is no list stands for a list of one."""
        value = self._left.pop(name, None)
        return value if isinstance(value, list) else [] if value is None else [value]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        for number, one in enumerate(found := self.items(name)):
            if not isinstance(one, str):
                raise bad(f"{self.place(name)}[{number}]", "must be a string")
        return found

    def number(self, name: str) -> float | None:
        """A number."""
        value: float | None = self._left.pop(name, None)
        if value is not None and type(value) not in {int, float}:
            raise bad(self.place(name), "must be a number")
        return value

    def whole(self, name: str) -> int | None:
        """An integer, which may be told as `5.0` and, being 64 bits long, as a text."""
        value = self._left.get(name)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            self._left[name] = int(value)
        found = self.number(name)
        if found is not None and found != int(found):
            raise bad(self.place(name), "must be an integer")
        return None if found is None else int(found)

    def left(self) -> Json:
        """What nobody took."""
        return self._left or NOTHING

    def _take(self, name: str, kind: type[_Kind]) -> _Kind | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, kind):
            raise bad(self.place(name), f"must be {_NAMES[kind]}")
        return value
