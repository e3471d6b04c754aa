"""How Gemini's streams are framed: server-sent events with `alt=sse`, else a JSON array whose elements come one by one.

Cutting either into its pieces, and writing either. What a piece says belongs to those who read it.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.errors import write_error
from trunkline.dialects.gemini.words import SSE
from trunkline.dialects.sse import EventCutter, parse

LIMIT = 8 * 1024 * 1024
"""Bytes of one piece that are held until it is whole: a generated picture comes in one."""
Framing = Literal["", "sse", "array", "object"]
"""`object`: the provider answered whole. Empty: nothing has come that tells."""

_BOM = b"\xef\xbb\xbf"
_LEAD = 4096
"""Bytes in which a stream must show its framing; one that sends only white space so long is taken for events."""
_END = b"\r\n\r\n"
_OUTSIDE = re.compile(rb'["{}]')
#: A backslash that stands last hides a byte that is not there yet.
_INSIDE = re.compile(rb'"|\\(?:.|\Z)', re.DOTALL)
_FRAMINGS: dict[bytes, Framing] = {b"[": "array", b"{": "object"}


class Piece(NamedTuple):
    """Bytes of a stream, and the JSON text that they frame; no text for a comment, a ping, an end."""

    raw: bytes
    data: bytes


class Cutter:
    """Cuts a stream of either framing into pieces; their bytes joined are the bytes that came in."""

    __slots__ = ("_cut", "_lead", "framing")

    def __init__(self) -> None:
        self.framing: Framing = ""
        self._lead = b""
        self._cut: _Events | _Elements = _Events()

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes; return the pieces that are now whole."""
        if not self.framing:
            data = self._lead + data
            start = data[:_LEAD].removeprefix(_BOM).lstrip()
            if len(data) < _LEAD and (not start or _BOM.startswith(start)):
                self._lead = data
                return []
            self.framing = _FRAMINGS.get(start[:1], "sse")
            if self.framing != "sse":
                self._cut = _Elements()
        return self._cut.feed(data)

    def close(self) -> list[Piece]:
        """The stream ended: the rest. Some servers leave out the last blank line."""
        return self._cut.close() if self.framing else [Piece(self._lead, b"")]

    def lone(self, data: bytes) -> bytes:
        """The JSON of a read that is one whole event of one line, as nearly every one is. Of any other nothing: feed it."""
        return b"" if self.framing != "sse" or self._cut.held else _lone_data(data)

    @property
    def held(self) -> int:
        """Bytes of the piece that has not ended yet."""
        return len(self._cut.held)

    def loosen(self) -> bytes:
        """Of events only: give up what cannot be part of the blank line that ends the held one."""
        return self._cut.loosen()


class _Events:
    """Server-sent events."""

    __slots__ = ("_cut", "held")

    def __init__(self) -> None:
        self._cut = EventCutter()
        self.held = self._cut.held

    def feed(self, data: bytes) -> list[Piece]:
        return [Piece(raw, _data(raw)) for raw in self._cut.feed(data)]

    def close(self) -> list[Piece]:
        raw = self._cut.release()
        return [Piece(raw, _data(raw))]

    def loosen(self) -> bytes:
        return self._cut.loosen()


def _lone_data(raw: bytes) -> bytes:
    """The data of a whole event that is one line, as Google writes them all."""
    last = len(raw) - 4
    if raw.startswith(b"data: ") and raw.endswith(_END) and raw.find(b"\n") == last + 1 and raw.find(b"\r") == last:
        return raw[6:-4]
    return b""


def _data(raw: bytes) -> bytes:
    """The data of a raw event. An error that breaks a stream off may stand in it as bare JSON (google-genai reads it so)."""
    line = _lone_data(raw)
    if line:
        return line
    event = parse(raw)
    if event is not None:
        return event.data
    bare = raw.strip()
    return bare if bare.startswith((b"{", b"[")) else b""


class _Elements:
    """The objects of a JSON array, or one object alone: each with what stands before it."""

    __slots__ = ("_at", "_depth", "_start", "_string", "held")

    def __init__(self) -> None:
        self.held = bytearray()
        self._at = 0
        self._start = 0
        self._depth = 0
        self._string = False

    def feed(self, data: bytes) -> list[Piece]:
        self.held += data
        pieces: list[Piece] = []
        done = 0
        while match := (_INSIDE if self._string else _OUTSIDE).search(self.held, self._at):
            mark = match[0]
            if mark == b"\\":
                self._at = match.start()
                break
            self._at = match.end()
            if mark == b'"':
                self._string = not self._string
            elif self._counts(mark, match.start()):
                pieces.append(Piece(bytes(self.held[done : self._at]), bytes(self.held[self._start : self._at])))
                done = self._at
        else:
            self._at = len(self.held)
        del self.held[:done]
        self._at -= done
        self._start -= done
        return pieces

    def _counts(self, mark: bytes, at: int) -> bool:
        """True where an element ends."""
        if mark == b"{":
            self._start = self._start if self._depth else at
            self._depth += 1
        elif mark == b"}" and self._depth:
            self._depth -= 1
            return not self._depth
        return False

    def close(self) -> list[Piece]:
        raw = bytes(self.held)
        self.held.clear()
        return [Piece(raw, b"")]

    def loosen(self) -> bytes:
        return b""


class Framer:
    """Writes a stream in the framing that a client asked for."""

    __slots__ = ("_begun", "_events")

    def __init__(self, form: str) -> None:
        self._events = form == SSE
        self._begun = False

    def chunk(self, data: bytes) -> bytes:
        """One answer object. In an event it stands on one line."""
        if self._events:
            return b"data: " + data + _END
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data

    def end(self) -> bytes:
        """The end of the stream."""
        if self._events:
            return b""
        return b"\r\n]" if self._begun else b"[]"

    def broken(self, error: GatewayError) -> bytes:
        """The bytes that end a stream with an error. Changes nothing: they may not be sent after all."""
        told = write_error(error)
        if self._events:
            return b"data: " + told + _END
        return (b",\r\n" if self._begun else b"[") + told + b"\r\n]"

    def passed(self) -> None:
        """A provider's own bytes of the same framing went out."""
        self._begun = True


def one_line(data: bytes) -> bytes:
    """JSON text without its white space; empty where it is not JSON."""
    try:
        return msgspec.json.format(data, indent=-1)
    except (ValueError, RecursionError):
        return b""
