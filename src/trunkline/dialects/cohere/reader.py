"""A provider's streamed answer read into canon.

Events are told by their `type`; content, calls and citations are each counted by an `index` of their own. A text stays open
until something else begins, as citations may follow its end.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Json, Part, Text, Thinking
from trunkline.canon.errors import GatewayError, Upstream
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Fail, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.cohere.citing import citations, cites_text, content_index
from trunkline.dialects.cohere.logprobs import read_logprobs
from trunkline.dialects.cohere.read_answer import call
from trunkline.dialects.cohere.usage import read_usage
from trunkline.dialects.cohere.words import read_finish, table, text
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.names import made_id
from trunkline.dialects.sse import SseEvent, SseReader

_PLAN = "plan"

_Key = tuple[str, int]
"""`content`, `call` or `plan`, and its own index."""


class CohereReader:
    """The reader of one stream; see `dialects.dialect.Reader`."""

    __slots__ = ("_begun", "_called", "_done", "_open", "_out", "_parts", "_seed", "_sse")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._sse = SseReader()
        self._open: dict[_Key, tuple[int, type[Part]]] = {}
        """The open parts: their index and what they are."""
        self._parts = 0
        self._called = 0
        self._begun = False
        self._done = False
        self._out: list[Event] = []

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they say. What follows the end is passed over."""
        for event in self._sse.feed(data):
            self._event(event, _decoded(event.data))
        if self._sse.overlong is not None:
            self._fail(self._sse.overlong)
        return self._told()

    def close(self) -> list[Event]:
        """The provider ended cleanly; the last event may lack its blank line."""
        for event in self._sse.close():
            told = _decoded(event.data)
            if told is not None:  # else it is half an event
                self._event(event, told)
        return self._told()

    def count(self) -> None:
        """Usage is told once, at the end."""

    def _told(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _event(self, event: SseEvent, told: dict[str, Any] | None) -> None:
        if self._done or not event.data or event.data.startswith(b"[DONE]"):
            return
        if told is None:
            self._fail(protocol("The provider sent an event that cannot be read.", event.data))
            return
        kind = text(told.get("type")) or event.event
        if kind == "error" or (not kind and isinstance(told.get("message"), str)):
            self._fail(reported(told.get("error") or told, _upstream(event.data)))
            return
        self._begin(told)
        message = table(table(told.get("delta")).get("message"))
        index = told.get("index")
        self._take(kind, told, message, index if type(index) is int else 0, event.data)

    def _take(self, kind: str, told: dict[str, Any], message: dict[str, Any], index: int, data: bytes) -> None:
        match kind:
            case "content-start" | "content-delta":
                self._content(index, table(message.get("content")), read_logprobs(told.get("logprobs")))
            case "content-end":
                self._content_end(index)
            case "tool-plan-delta":
                self._say((_PLAN, 0), Thinking(""), text(message.get("tool_plan")))
            case "tool-call-start":
                self._call(index, table(message.get("tool_calls")))
            case "tool-call-delta":
                self._arguments(index, table(table(message.get("tool_calls")).get("function")))
            case "tool-call-end":
                self._close(("call", index))
            case "citation-start":
                self._cite(table(message.get("citations")))
            case "message-end":
                self._end(table(told.get("delta")), data)
            case _:
                pass

    def _begin(self, told: dict[str, Any]) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(Begin(text(told.get("id")), ""))

    def _content(self, index: int, told: dict[str, Any], logprobs: tuple[Json, ...]) -> None:
        thought = text(told.get("thinking"))
        if thought:
            self._say(("content", index), Thinking(""), thought)
        else:
            self._say(("content", index), Text(""), text(told.get("text")), logprobs)

    def _say(self, key: _Key, empty: Text | Thinking, said: str, logprobs: tuple[Json, ...] = ()) -> None:
        """More of a part, which begins with its first words."""
        if not said and not logprobs:
            return
        at, kind = self._open.get(key, (-1, type(empty)))
        if at < 0 or kind is not type(empty):
            self._quiet()
            at = self._start(key, empty)
        self._out.append(Delta(at, said, logprobs))

    def _start(self, key: _Key, part: Part) -> int:
        at, self._parts = self._parts, self._parts + 1
        self._open[key] = at, type(part)
        self._out.append(Open(at, part))
        return at

    def _quiet(self) -> None:
        """Something else begins: the texts and thoughts before it are whole."""
        for key in [key for key in self._open if key[0] != "call"]:
            self._close(key)

    def _close(self, key: _Key) -> None:
        if key in self._open:
            self._out.append(Close(self._open.pop(key)[0]))

    def _content_end(self, index: int) -> None:
        key = ("content", index)
        if key in self._open and self._open[key][1] is Thinking:
            self._close(key)

    def _call(self, index: int, told: dict[str, Any]) -> None:
        self._quiet()
        self._close(("call", index))
        begun = call(told, made_id(self._seed, self._called))
        self._called += 1
        at = self._start(("call", index), msgspec.structs.replace(begun, arguments=""))
        if text(table(told.get("function")).get("arguments")):
            self._out.append(Delta(at, begun.arguments))

    def _arguments(self, index: int, function: dict[str, Any]) -> None:
        opened, more = self._open.get(("call", index)), text(function.get("arguments"))
        if opened is not None and more:
            self._out.append(Delta(opened[0], more))

    def _cite(self, told: dict[str, Any]) -> None:
        at, kind = self._open.get(("content", content_index(told)), (0, Thinking))
        if kind is Text and cites_text(told):
            self._out += [Cite(at, citation) for citation in citations(told)]

    def _end(self, delta: dict[str, Any], data: bytes) -> None:
        for key in list(self._open):
            self._close(key)
        usage, raw = read_usage(delta.get("usage"))
        if usage is not NO_USAGE:
            self._out.append(Count(usage, raw))
        if error := text(delta.get("error")):
            self._fail(reported(error, _upstream(data)))
            return
        word = text(delta.get("finish_reason"))
        self._out += [Finished(read_finish(word, called=self._called > 0), word), End()]
        self._done = True

    def _fail(self, error: GatewayError) -> None:
        if not self._done:
            self._done = True
            self._out.append(Fail(error))


def _upstream(data: bytes) -> Upstream:
    return Upstream(status=200, body=data, content_type="text/event-stream")


def _decoded(data: bytes) -> dict[str, Any] | None:
    """A JSON object; None where it is none."""
    try:
        told = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
