"""Server-sent events: cutting a byte stream at its blank lines, and reading one event.

Rules: the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream", on bytes. Lines end at CR LF, LF or a lone CR
and at nothing else; reading text would also break lines at U+2028 and U+0085. What an event's data means belongs in the
dialects.
"""

from __future__ import annotations

import re
from itertools import takewhile

import msgspec

from trunkline.canon.errors import GatewayError, Kind

_BOM = b"\xef\xbb\xbf"
#: Two line ends in a row. The groups are atomic, so that one CR LF is never taken for two line ends. A CR that stands last
#: may be half of a CR LF: it is no line end before the next byte is known.
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r(?!\Z)|\n)")
#: Bytes of the longest blank line less one: how far back a boundary can begin in what was searched before.
_OVERLAP = 3


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event with data. `event` is its type, empty where none is named; `id` and `retry` mean nothing to an LLM API."""

    event: str
    data: bytes


class EventCutter:
    """Cuts bytes into raw events, each with the blank line that ends it; joined again they are the bytes that came in."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = bytearray()
        """The bytes of an event that has not ended yet."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the events that are now whole. Comments and bare blank lines are cut the same way."""
        held = self.held
        start = max(0, len(held) - _OVERLAP)
        held += data
        events = []
        done = 0
        for end in _ends(held, start):
            events.append(bytes(held[done:end]))
            done = end
        del held[:done]
        return events

    def release(self, keep: int = 0) -> bytes:
        """Give up the held bytes but for the last `keep`."""
        cut = max(0, len(self.held) - keep)
        freed = bytes(self.held[:cut])
        del self.held[:cut]
        return freed

    def loosen(self) -> bytes:
        """Give up what cannot be part of the blank line that ends the held event, so that its end is still found."""
        return self.release(keep=_OVERLAP)


def _ends(buffer: bytearray, start: int) -> list[int]:
    """Where events end in `buffer`, no boundary beginning before `start`."""
    if buffer.find(b"\r", start) >= 0:
        return [match.end() for match in _BLANK_LINE.finditer(buffer, start)]
    ends = []
    at = buffer.find(b"\n\n", start)
    while at >= 0:
        ends.append(at + 2)
        at = buffer.find(b"\n\n", at + 2)
    return ends


def lone_data(raw: bytes) -> bytes | None:
    """The data of a whole event that is one `data: ` line and nothing else, as nearly every read from an LLM is; else None."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n") and b"\r" not in raw:
        return raw[6:-2]
    return None


def parse(raw: bytes) -> SseEvent | None:
    """Read one raw event. None where it has no data line: a comment, a ping, blank lines.

    A byte order mark is passed over at the start of any event, not only of the first.
    """
    data = lone_data(raw)
    if data is not None:
        return SseEvent("", data)
    name = b""
    lines = []
    for line in raw.removeprefix(_BOM).splitlines():  # of bytes: ends at CR LF, CR and LF only
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return SseEvent(name.decode("utf-8", "replace"), b"\n".join(lines)) if lines else None


class SseReader:
    """Reads a stream of bytes into events, for readers that translate."""

    __slots__ = ("_cut", "_limit", "overlong")

    def __init__(self, limit: int = 1024 * 1024) -> None:
        """`limit`: bytes of one event, its lines and line ends together."""
        self._cut = EventCutter()
        self._limit = limit
        self.overlong: GatewayError | None = None
        """An event was over the limit: those before it have been returned, and none will be after it."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """Take the next bytes; return the events that are now whole. `overlong` tells whether they are the last."""
        if self.overlong is not None:
            return []
        raws = self._cut.feed(data)
        fitting = list(takewhile(lambda raw: len(raw) <= self._limit, raws))
        if len(fitting) < len(raws) or len(self._cut.held) > self._limit:
            self._cut.release()
            self.overlong = GatewayError(
                Kind.UPSTREAM_PROTOCOL, f"The provider sent an event of more than {self._limit} bytes."
            )
        return [event for event in map(parse, fitting) if event is not None]

    def close(self) -> list[SseEvent]:
        """The stream ended: the last event, where its blank line is missing (some servers leave it out)."""
        event = parse(self._cut.release())
        return [] if event is None else [event]
