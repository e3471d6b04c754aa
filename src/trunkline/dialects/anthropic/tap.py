"""A streamed answer read in passing: usage, stop reason and errors, without changing a byte.

Most events of a stream are `content_block_delta`. They are told by their `event:` line and are not decoded; a server that
sends no such lines costs a decoding for each event.
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.anthropic.errors import reported, write_event
from trunkline.dialects.anthropic.reply import read_finish
from trunkline.dialects.anthropic.usage import merge, read_object, read_usage
from trunkline.dialects.anthropic.words import means_filter
from trunkline.dialects.dialect import Ask
from trunkline.dialects.sse import parse
from trunkline.dialects.watch import HOLD, EventWatch

_DELTA = b"event: content_block_delta\n"
#: Bytes of a delta's event that are no text: names, braces, the padding that Anthropic adds.
_AROUND = 130
_ABSENT = msgspec.Raw(b"")


class _Message(msgspec.Struct, gc=False):
    usage: msgspec.Raw = _ABSENT


class _Delta(msgspec.Struct, gc=False):
    stop_reason: Any = None


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    message: _Message | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = _ABSENT
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class MessagesTap(EventWatch):
    """The tap of one stream; its attributes are those of `dialects.dialect.Tap`.

    Whatever the slices the bytes arrive in, what goes out is what came in. `usage` is `estimated` while only the stream's
    beginning has told it: prompt tokens are known then, those of the answer are not.
    """

    __slots__ = ("_told",)

    def __init__(self, ask: Ask, *, hide_usage: bool) -> None:  # noqa: ARG002 - usage is told unasked, nothing is hidden
        super().__init__()
        self._told: dict[str, Any] = {}

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the events that are now whole."""
        raws = self._cut.feed(data)
        for raw in raws:
            self._see(raw)
        if self._loose or len(self._cut.held) > HOLD:
            raws.append(self._loosened())
        return raws[0] if len(raws) == 1 else b"".join(raws)

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back. Some servers leave out the last blank line."""
        raw = self._cut.release()
        self._see(raw)
        return raw

    def fail(self, error: GatewayError) -> bytes:
        """The event that ends the stream as broken, after a blank line where the beginning of an event went out."""
        return (b"\n\n" if self._loose else b"") + write_event(error)

    @override
    def _means_filter(self, finish: str) -> bool:
        return means_filter(finish)

    def _see(self, raw: bytes) -> None:
        """Read one event as far as it must be read."""
        if self._loose:  # the end of an event whose beginning went out before it was whole
            self._loose = False
        elif len(raw) > HOLD:  # that it came in one piece is chance, and must make no difference
            self._skip()
        elif raw.startswith(_DELTA):
            self._delta(raw)
        elif (event := parse(raw)) is not None and event.data:
            self._read(event.event, event.data, raw)

    def _delta(self, raw: bytes) -> None:
        self._pieces += 1  # also where nothing but what is around the text came
        self._size += max(0, len(raw) - _AROUND)
        self._open()

    def _read(self, name: str, data: bytes, raw: bytes) -> None:
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            event = _Event(type=name)
            self.unread += name != "error"
        match event.type or name:
            case "ping":
                return
            case "error":
                self._fail(event.error or data.decode("utf-8", "replace"), data)
            case "content_block_delta":
                self._delta(raw)
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "message_delta":
                self._count(event.usage, final=True)
                if event.delta is not None and (finish := read_finish(event.delta.stop_reason)):
                    self.finish, self.complete = finish, True
            case "message_stop":
                self.complete = self.ended = True
                self._count(_ABSENT, final=True)
            case _:
                pass
        self._open()

    def _count(self, raw: msgspec.Raw, *, final: bool = False) -> None:
        self._told = merge(self._told, read_object(raw))
        usage, text = read_usage(self._told, "reported" if final else "estimated")
        if usage is not NO_USAGE:
            self.usage, self.raw_usage = usage, text

    def _fail(self, told: object, data: bytes) -> None:
        if self.error is None:
            self.error = reported(told, data, "text/event-stream")
