"""A provider's streamed answer read into canon.

The finish reason is held to the end: some providers tell it twice, some go on speaking after it, and whether an answer
calls tools is only known then. What a delta means belongs in `assembly`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Citation
from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.stream import Begin, Count, End, Event, Fail
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.openai_chat.assembly import Assembly, Said
from trunkline.dialects.openai_chat.calls import Numbers
from trunkline.dialects.openai_chat.details import plain_text
from trunkline.dialects.openai_shape.reply import mended, read_finish
from trunkline.dialects.openai_shape.usage import groq_usage, read_usage
from trunkline.dialects.sse import EventCutter, lone_data, parse

MOST_CHOICES = 128
"""OpenAI's own bound of `n`."""
_LIMIT = 1024 * 1024
_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Choice(msgspec.Struct, gc=False):
    index: Any = 0
    delta: Said | None = None
    finish_reason: Any = None
    stop_reason: Any = None
    """vLLM's: which stop sequence it was."""
    logprobs: Any = None


class _Chunk(msgspec.Struct, gc=False):
    id: Any = None
    model: Any = None
    created: Any = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    error: Any = None
    x_groq: msgspec.Raw = _ABSENT
    service_tier: Any = None
    citations: Any = None
    search_results: Any = None


class _Loose(msgspec.Struct, gc=False):
    """A chunk whose choices have a shape unknown here."""

    choices: Any = None
    usage: msgspec.Raw = _ABSENT
    error: Any = None
    x_groq: msgspec.Raw = _ABSENT
    service_tier: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode


class ChatReader:
    """The reader of one OpenAI-shaped stream; see `dialects.dialect.Reader`."""

    __slots__ = ("_begun", "_choices", "_cut", "_done", "_numbers", "_sources")

    def __init__(self, seed: str) -> None:
        self._cut = EventCutter()
        self._numbers = Numbers(seed)
        self._choices: dict[int, Assembly] = {}
        self._sources: list[Citation] = []
        """Of the whole answer, as Perplexity tells them with every chunk."""
        self._begun = False
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they say."""
        out: list[Event] = []
        if self._done:
            return out
        for raw in self._cut.feed(data):
            self._take(raw, out)
        if len(self._cut.held) > _LIMIT and not self._done:
            self._too_long(out)
        return out

    def close(self) -> list[Event]:
        """The provider ended cleanly: some leave out the last blank line, some the end mark."""
        out: list[Event] = []
        raw = self._cut.release()
        if raw and not self._done:
            event = parse(raw)
            if event is not None and (event.data.startswith(b"[DONE]") or _loosely(event.data) is not None):
                self._event(event.event, event.data, out)
        if not self._done and self._choices and all(choice.finish for choice in self._choices.values()):
            self._end(out)
        return out

    def count(self) -> None:
        """Every usage is told in an event of its own at once."""

    def _take(self, raw: bytes, out: list[Event]) -> None:
        if self._done:
            return
        if len(raw) > _LIMIT:
            self._too_long(out)
            return
        data = lone_data(raw)
        if data is not None:
            self._event("", data, out)
        elif (event := parse(raw)) is not None and event.data:
            self._event(event.event, event.data, out)

    def _event(self, name: str, data: bytes, out: list[Event]) -> None:
        if data.startswith(b"[DONE]"):
            self._begin(_Chunk(), out)
            self._end(out)
            return
        chunk: _Chunk | None
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            chunk = _loosely(data)
        if name == "error" or (chunk is not None and chunk.error):
            told = chunk.error if chunk is not None and chunk.error else data.decode("utf-8", "replace")
            self._fail(reported(told, Upstream(status=200, body=data, content_type="text/event-stream")), out)
        elif chunk is not None:
            self._chunk(chunk, out)
        else:
            self._fail(protocol("The provider sent an event that cannot be read.", data), out)

    def _chunk(self, chunk: _Chunk, out: list[Event]) -> None:
        if chunk.choices:
            self._begin(chunk, out)
        if chunk.citations or chunk.search_results:
            self._sources = sources(chunk.search_results, chunk.citations) or self._sources
        for one in chunk.choices or ():
            number = one.index if type(one.index) is int else 0
            if 0 <= number < MOST_CHOICES:
                self._choice(number, one, out)
        told = chunk.usage
        if told is _ABSENT or told == _NULL:
            if chunk.x_groq is _ABSENT:
                return
            told = groq_usage(chunk.x_groq)
        usage, raw = read_usage(told, chunk.service_tier)
        if usage is not NO_USAGE:
            self._begin(chunk, out)
            out.append(Count(usage, raw))

    def _choice(self, number: int, one: _Choice, out: list[Event]) -> None:
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = Assembly(number, self._numbers)
        if one.delta is not None:
            choice.take(one.delta, one.logprobs, out)
        if one.finish_reason is not None:
            choice.finish = read_finish(one.finish_reason) or choice.finish
            choice.stop_sequence = read_finish(one.stop_reason) or choice.stop_sequence

    def _begin(self, chunk: _Chunk, out: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            created = chunk.created if type(chunk.created) is int and chunk.created > 0 else 0
            out.append(Begin(plain_text(chunk.id), plain_text(chunk.model), created))

    def _end(self, out: list[Event]) -> None:
        self._done = True
        if not self._choices:
            self._choices[0] = Assembly(0, self._numbers)
        if all(choice.failed for choice in self._choices.values()):
            self._fail(unfinished(b""), out)
            return
        for choice in self._choices.values():
            choice.cite(self._sources, out)
            choice.end(out)
        out.append(End())

    def _too_long(self, out: list[Event]) -> None:
        self._fail(protocol(f"The provider sent an event of more than {_LIMIT} bytes.", b""), out)

    def _fail(self, error: GatewayError, out: list[Event]) -> None:
        self._done = True
        out.append(Fail(error))


def unfinished(body: bytes) -> GatewayError:
    """The error for an answer that says nothing but that it could not be made."""
    return reported("The provider could not finish its answer.", Upstream(status=200, body=body))


def sources(results: object, urls: object) -> list[Citation]:
    """What an answer as a whole has its knowledge from: Perplexity's `search_results`, else its `citations`."""
    found = [
        Citation(url=plain_text(one.get("url")), title=plain_text(one.get("title")), quote=plain_text(one.get("snippet")))
        for one in (results if isinstance(results, list) else ())
        if isinstance(one, dict)
    ]
    return found or [Citation(url=one) for one in (urls if isinstance(urls, list) else ()) if isinstance(one, str)]


def _loosely(data: bytes) -> _Chunk | None:
    """A chunk that is not as it should be: what can be read of it; None where it is no JSON at all."""
    try:
        return _lenient(data)
    except (ValueError, RecursionError):
        pass
    try:
        return _lenient(mended(data))
    except (ValueError, RecursionError):
        return None


def _lenient(data: bytes) -> _Chunk:
    """Raises `ValueError` where it is no JSON."""
    if not data.lstrip().startswith(b"{"):
        msgspec.json.decode(data)
        return _Chunk()
    told = _decode_loose(data)
    choices = [_choice(one) for one in told.choices if isinstance(one, dict)] if isinstance(told.choices, list) else []
    return _Chunk(choices=choices, usage=told.usage, error=told.error, x_groq=told.x_groq, service_tier=told.service_tier)


def _choice(one: dict[str, Any]) -> _Choice:
    told = one.get("delta")
    delta = Said(**{name: told[name] for name in Said.__struct_fields__ if name in told}) if isinstance(told, dict) else None
    return _Choice(one.get("index", 0), delta, one.get("finish_reason"), one.get("stop_reason"), one.get("logprobs"))
