"""A streamed answer of OpenAI's shape read in passing: usage, finish and errors, without changing a byte.

Every event is parsed: a typed decode of the few fields that count costs less than searching the bytes for their names twice.
What a choice says, and so how much of the answer it is, belongs in the dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import reported
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.openai_shape.finish import means_filter
from trunkline.dialects.openai_shape.reply import read_finish
from trunkline.dialects.openai_shape.usage import groq_usage, read_usage
from trunkline.dialects.sse import lone_data, parse
from trunkline.dialects.watch import HOLD, EventWatch

ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class Choice(Protocol):
    """What every choice of a chunk tells."""

    index: Any
    finish_reason: Any


class Chunk(Protocol):
    """What every chunk tells."""

    @property
    def choices(self) -> Sequence[Choice] | None:
        """None where they are absent."""
        ...

    usage: msgspec.Raw
    error: Any
    x_groq: msgspec.Raw
    service_tier: Any


class _Told(msgspec.Struct, gc=False):
    """What must not be lost of a chunk whose choices have a shape unknown here."""

    choices: ClassVar[None] = None
    usage: msgspec.Raw = ABSENT
    error: Any = None
    x_groq: msgspec.Raw = ABSENT
    service_tier: Any = None


_decode_told = msgspec.json.Decoder(_Told).decode


class ChunkTap(EventWatch):
    """The tap of one OpenAI-shaped stream; its attributes are those of `dialects.dialect.Tap`.

    Whatever the slices the bytes arrive in, what goes out is what came in, but for a hidden usage chunk.
    """

    __slots__ = ("_decode", "_finished", "_hide", "_measure", "_seen")

    def __init__(self, decode: Callable[[bytes], Chunk], measure: Callable[[Any], int], *, hide_usage: bool) -> None:
        """`decode` reads a chunk, `measure` tells how much of the answer one of its choices is, in bytes."""
        super().__init__()
        self._decode = decode
        self._measure = measure
        self._hide = hide_usage
        self._seen: set[Any] = set()
        self._finished: set[Any] = set()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the events that are now whole (`data` itself where it is just one of them)."""
        if not self._cut.held and len(data) <= HOLD and (line := lone_data(data)):
            return data if self._keeps_data("", line) else b""
        kept = [raw for raw in self._cut.feed(data) if self._keeps(raw)]
        if self._loose or len(self._cut.held) > HOLD:
            kept.append(self._loosened())
        return kept[0] if len(kept) == 1 else b"".join(kept)

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back. Some leave out the last blank line."""
        raw = self._cut.release()
        return raw if self._keeps(raw) else b""

    def fail(self, error: GatewayError) -> bytes:
        """An error event; before it a blank line, where the beginning of an event went out before its end was there."""
        return (b"\n\n" if self._loose else b"") + write_stream_error(error)

    @override
    def _means_filter(self, finish: str) -> bool:
        return means_filter(finish)

    def _keeps(self, raw: bytes) -> bool:
        """Read one event; False where it is to be kept from the client."""
        if self._loose:  # the end of an event whose beginning went out before it was whole
            self._loose = False
            return True
        if len(raw) > HOLD:  # that it came in one piece is chance, and must make no difference
            self._skip()
            return True
        event = parse(raw)
        return event is None or not event.data or self._keeps_data(event.event, event.data)

    def _keeps_data(self, event: str, data: bytes) -> bool:
        try:
            chunk = self._decode(data)
        except (ValueError, RecursionError):
            try:
                chunk = _decode_told(data)
            except (ValueError, RecursionError):  # no JSON object at all
                self._read_other(event, data)
                return True
            self.unread += 1
        if chunk.error or event == "error":
            self._fail(chunk.error, data)
        self._open()
        return self._read(chunk)

    def _read(self, chunk: Chunk) -> bool:
        for choice in chunk.choices or ():
            self._weigh(self._measure(choice))
            index = choice.index if type(choice.index) is int else 0
            self._seen.add(index)
            if choice.finish_reason is not None and (finish := read_finish(choice.finish_reason)):
                self.finish = finish
                self._finished.add(index)
                self.complete = self._seen == self._finished
        told = chunk.usage
        if told is ABSENT or told == _NULL:
            if chunk.x_groq is ABSENT:
                return True
            told = groq_usage(chunk.x_groq)
        usage, raw_usage = read_usage(told, chunk.service_tier)
        if usage is not NO_USAGE:
            self.usage = usage
            self.raw_usage = raw_usage
        return not (self._hide and chunk.choices == [] and told is chunk.usage and not chunk.error)

    def _read_other(self, event: str, data: bytes) -> None:
        if data.startswith(b"[DONE]"):  # as OpenAI's own SDKs look for it
            self.complete = self.ended = True
        elif event == "error":
            self._fail(data.decode("utf-8", "replace"), data)
        else:
            self.unread += 1
        self._open()

    def _fail(self, told: object, data: bytes) -> None:
        if self.error is None:
            self.error = reported(told, Upstream(status=200, body=data, content_type="text/event-stream"))


def text_size(text: msgspec.Raw) -> int:
    """The bytes of a text as JSON, without its quotes; none where it is absent or null."""
    return 0 if text is ABSENT or text == _NULL else len(bytes(text)) - 2
