"""A streamed chat answer read in passing: usage, finish and errors, without changing a byte.

Every event is parsed: a typed decode of the few fields below costs less than searching the bytes for their names twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.dialect import Ask
from trunkline.dialects.errors import reported
from trunkline.dialects.openai_chat.errors import write_stream_error
from trunkline.dialects.openai_chat.reply import read_finish
from trunkline.dialects.openai_chat.usage import groq_usage, read_usage
from trunkline.dialects.sse import lone_data, parse
from trunkline.dialects.watch import HOLD, EventWatch

_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Function(msgspec.Struct, gc=False):
    arguments: msgspec.Raw = _ABSENT


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    """DeepSeek's and xAI's word."""
    reasoning: msgspec.Raw = _ABSENT
    """Groq's, OpenRouter's and Ollama's word."""
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: Any = 0
    delta: _Delta | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    error: Any = None
    x_groq: msgspec.Raw = _ABSENT


class _Told(msgspec.Struct, gc=False):
    """What must not be lost of a chunk whose choices have a shape unknown here."""

    usage: msgspec.Raw = _ABSENT
    error: Any = None
    x_groq: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_told = msgspec.json.Decoder(_Told).decode


def _decode_loosely(data: bytes) -> _Chunk | None:
    """A chunk without its choices; None where the data is no JSON object at all."""
    try:
        told = _decode_told(data)
    except (ValueError, RecursionError):
        return None
    return _Chunk(usage=told.usage, error=told.error, x_groq=told.x_groq)


class ChatTap(EventWatch):
    """The tap of one OpenAI-shaped stream; its attributes are those of `dialects.dialect.Tap`.

    Whatever the slices the bytes arrive in, what goes out is what came in, but for a hidden usage chunk.
    """

    __slots__ = ("_finished", "_hide", "_seen")

    def __init__(self, *, hide_usage: bool) -> None:
        super().__init__()
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
            chunk = _decode(data)
        except (ValueError, RecursionError):
            loose = _decode_loosely(data)
            if loose is None:
                self._read_other(event, data)
                return True
            self.unread += 1
            chunk = loose
        if chunk.error or event == "error":
            self._fail(chunk.error, data)
        self._open()
        return self._read(chunk)

    def _read(self, chunk: _Chunk) -> bool:
        for choice in chunk.choices or ():
            if choice.delta is not None:
                self._delta(choice.delta)
            index = choice.index if type(choice.index) is int else 0
            self._seen.add(index)
            if choice.finish_reason is not None and (finish := read_finish(choice.finish_reason)):
                self.finish = finish
                self._finished.add(index)
                self.complete = self._seen == self._finished
        told = chunk.usage
        if told is _ABSENT or told == _NULL:
            if chunk.x_groq is _ABSENT:
                return True
            told = groq_usage(chunk.x_groq)
        usage, raw_usage = read_usage(told)
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

    def _delta(self, delta: _Delta) -> None:
        size = 0
        for part in (delta.content, delta.reasoning_content, delta.reasoning):
            if part is not _ABSENT and part != _NULL:
                size += len(bytes(part)) - 2  # its quotes
        for call in delta.tool_calls or ():
            if call.function is not None:
                size += max(0, len(bytes(call.function.arguments)) - 2)
        self._weigh(size)


def tap(ask: Ask, *, hide_usage: bool) -> ChatTap:  # noqa: ARG001
    """A fresh tap; streams of this dialect do not depend on what was asked."""
    return ChatTap(hide_usage=hide_usage)
