"""A provider's streamed answer read into canon. Finish reasons are held to the end, as some servers go on after them."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Text
from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.openai_completions.logprobs import read_logprobs
from trunkline.dialects.openai_shape.finish import read_reason
from trunkline.dialects.openai_shape.reply import mended, read_finish
from trunkline.dialects.openai_shape.usage import read_usage
from trunkline.dialects.sse import SseEvent, SseReader

_MOST_CHOICES = 128
"""OpenAI's own bound of `n`."""


class CompletionsReader:
    """The reader of one stream; see `dialects.dialect.Reader`."""

    __slots__ = ("_begun", "_done", "_finish", "_parts", "_sse")

    def __init__(self, seed: str) -> None:  # noqa: ARG002 - there are no calls to name
        self._sse = SseReader()
        self._parts: dict[int, int] = {}
        """The only part of each choice that has one."""
        self._finish: dict[int, str] = {}
        self._begun = False
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they say."""
        out: list[Event] = []
        for event in self._sse.feed(data):
            self._event(event, _decoded(event.data), out)
        if self._sse.overlong is not None:
            self._fail(self._sse.overlong, out)
        return out

    def close(self) -> list[Event]:
        """The provider ended cleanly: some leave out the last blank line, some the end mark."""
        out: list[Event] = []
        for event in self._sse.close():
            told = _decoded(event.data)
            if told is not None or event.data.startswith(b"[DONE]"):  # else it is half an event
                self._event(event, told, out)
        if self._finish and all(self._finish.values()):
            self._end(out)
        return out

    def count(self) -> None:
        """Every usage is told in an event of its own at once."""

    def _event(self, event: SseEvent, told: dict[str, Any] | None, out: list[Event]) -> None:
        if self._done or not event.data:
            return
        if event.data.startswith(b"[DONE]"):
            self._begin({}, out)
            self._end(out)
        elif event.event == "error" or (told is not None and told.get("error")):
            error = (told or {}).get("error") or event.data.decode("utf-8", "replace")
            self._fail(reported(error, Upstream(status=200, body=event.data, content_type="text/event-stream")), out)
        elif told is None:
            self._fail(protocol("The provider sent an event that cannot be read.", event.data), out)
        else:
            self._chunk(told, out)

    def _chunk(self, told: dict[str, Any], out: list[Event]) -> None:
        choices = told.get("choices")
        for one in choices if isinstance(choices, list) else ():
            if isinstance(one, dict):
                self._begin(told, out)
                self._choice(one, out)
        if told.get("usage") is not None:
            usage, raw = read_usage(msgspec.Raw(msgspec.json.encode(told["usage"])))
            if usage is not NO_USAGE:
                self._begin(told, out)
                out.append(Count(usage, raw))

    def _choice(self, one: dict[str, Any], out: list[Event]) -> None:
        index, text = one.get("index"), one.get("text")
        number = index if type(index) is int else 0
        if not 0 <= number < _MOST_CHOICES:
            return
        self._finish[number] = read_finish(one.get("finish_reason")) or self._finish.get(number, "")
        said, logprobs = text if isinstance(text, str) else "", read_logprobs(one.get("logprobs"))
        if not said and not logprobs:
            return
        if number not in self._parts:
            self._parts[number] = len(self._parts)
            out.append(Open(self._parts[number], Text(""), number))
        out.append(Delta(self._parts[number], said, logprobs))

    def _begin(self, told: dict[str, Any], out: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            ident, model, created = (told.get(name) for name in ("id", "model", "created"))
            out.append(
                Begin(
                    ident if isinstance(ident, str) else "",
                    model if isinstance(model, str) else "",
                    created if type(created) is int and created > 0 else 0,
                )
            )

    def _end(self, out: list[Event]) -> None:
        if self._done:
            return
        self._done = True
        for number, word in sorted(self._finish.items()) or [(0, "")]:
            if number in self._parts:
                out.append(Close(self._parts[number]))
            out.append(Finished(read_reason(word, called=False), word, choice=number))
        out.append(End())

    def _fail(self, error: GatewayError, out: list[Event]) -> None:
        if not self._done:
            self._done = True
            out.append(Fail(error))


def _decoded(data: bytes) -> dict[str, Any] | None:
    """A JSON object, strict or as servers in Python write it; None where it is none."""
    try:
        told = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        try:
            told = msgspec.json.decode(mended(data))
        except (ValueError, RecursionError):
            return None
    return told if isinstance(told, dict) else None
