"""An event that is too long to be held, looked at while it passes: a generated picture makes even the last one so.

What is found is how the event is called, from its beginning, and its usage object, near its end.
"""

from __future__ import annotations

import re
from json import JSONDecoder

import msgspec

_NAME = re.compile(rb'(?:event: ?|"type": ?")(response\.[a-z_.]+|error)')
#: Inside of a text its quotes would be escaped, so this is a key, and a tool's parameter of that name begins otherwise.
_USAGE = re.compile(rb'"usage": ?(?=\{ ?"(?:input|output|total)_tokens")')
_START = 256
"""Bytes of the beginning in which an event is named."""
_LONGEST = 4096
"""Bytes of a usage object, its key included."""
_OVERLAP = 32
"""How far back the key and the object's beginning may reach into what was searched before."""
_value = JSONDecoder().raw_decode


class Skim:
    """One long event."""

    __slots__ = ("_start", "_tail", "_told")

    def __init__(self) -> None:
        self._start = b""
        self._tail = b""
        self._told = b""
        """The usage object, from its key on."""

    def take(self, piece: bytes) -> None:
        """The next bytes of it."""
        if len(self._start) < _START:
            self._start += piece[:_START]
        window = self._tail + piece
        places = [match.start() for match in _USAGE.finditer(window)]
        if places:
            self._told = window[places[-1] :][:_LONGEST]
        elif self._told:
            self._told += piece[: _LONGEST - len(self._told)]
        self._tail = window[-_OVERLAP:]

    @property
    def name(self) -> str:
        """The event's type, empty where its beginning does not tell it."""
        found = _NAME.search(self._start)
        return found[1].decode("ascii") if found else ""

    @property
    def usage(self) -> msgspec.Raw:
        """Its usage object, empty where none was found."""
        text = self._told.decode("utf-8", "replace").partition(":")[2].lstrip()
        try:
            return msgspec.Raw(text[: _value(text)[1]].encode())
        except (ValueError, RecursionError):
            return msgspec.Raw(b"")
