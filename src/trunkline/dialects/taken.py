"""A JSON object of a client's that is read field by field: what is taken is checked, what is left rides in `vendor`."""

from __future__ import annotations

from typing import Any, TypeVar

from trunkline.canon.chat import NOTHING, Json
from trunkline.dialects.shallow import bad

_Kind = TypeVar("_Kind")
_NAMES = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}


class Taken:
    """Every method takes one field out. A field that is null is absent; one of another kind raises `GatewayError(BAD_REQUEST)`
    with its path.
    """

    def __init__(self, value: object, path: str) -> None:
        """`path` of the object itself, such as `messages[2]`; empty for the request."""
        if not isinstance(value, dict):
            raise bad(path, "must be an object")
        self._left: dict[str, Any] = {name: one for name, one in value.items() if one is not None}
        self._path = path

    def place(self, name: str) -> str:
        """The path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def any(self, name: str) -> Any:
        """A field of whatever kind."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        """A text, empty where there is none."""
        return self._take(name, str) or ""

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        return self._take(name, bool)

    def items(self, name: str) -> list[Any]:
        """A list, empty where there is none."""
        return self._take(name, list) or []

    def object(self, name: str) -> dict[str, Any] | None:
        """An object."""
        return self._take(name, dict)

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
        """An integer, which may be told as `5.0`."""
        value = self.number(name)
        if value is not None and value != int(value):
            raise bad(self.place(name), "must be an integer")
        return None if value is None else int(value)

    def left(self) -> Json:
        """What nobody took."""
        return self._left or NOTHING

    def _take(self, name: str, kind: type[_Kind]) -> _Kind | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, kind):
            raise bad(self.place(name), f"must be {_NAMES[kind]}")
        return value
