"""A JSON object that is read field by field, in either of Google's spellings: what is taken is checked, the rest is kept.

Google reads every field in camelCase and in snake_case, a single object where a list is due, and null as absent (protobuf's
JSON mapping). What a field means belongs to those who ask for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from typing_extensions import override

from trunkline.dialects.taken import Taken

_SNAKE = re.compile(r"_([a-z0-9])")
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """A field's name in camelCase."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


class Fields(Taken):
    """One object. Every method takes a field out; one of another kind raises `GatewayError(BAD_REQUEST)` with its path."""

    def __init__(self, value: object, place: str) -> None:
        """`place`: the object's own path, such as `contents[2].parts[0]`; empty for the request."""
        super().__init__(value, place)
        self._left = {camel(name): one for name, one in self._left.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def peek(self, name: str) -> Any:
        """A field of whatever kind, which stays."""
        return self._left.get(name)

    def fields(self, name: str) -> Fields | None:
        """An object of fields."""
        value = self._left.pop(name, None)
        return None if value is None else Fields(value, self.place(name))

    @override
    def items(self, name: str) -> list[Any]:
        """A list, empty where there is none; what is no list stands for a list of one."""
        value = self._left.pop(name, None)
        return value if isinstance(value, list) else [] if value is None else [value]

    @override
    def whole(self, name: str) -> int | None:
        """An integer, which may be told as `5.0` and, being 64 bits long, as a text."""
        value = self._left.get(name)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            self._left[name] = int(value)
        return super().whole(name)
