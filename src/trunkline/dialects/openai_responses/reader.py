"""A provider's streamed answer read into canon.

An answer begins with its first item, not with the events that announce it: until then an error is still an ordinary one. What
an item says belongs in `assembly`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Count, End, Event, Fail
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_responses.assembly import MOST_ITEMS, Assembly
from trunkline.dialects.openai_responses.failure import event_error, failed
from trunkline.dialects.openai_responses.items import plain_text
from trunkline.dialects.openai_responses.read_answer import begin
from trunkline.dialects.openai_responses.reply import Answer, finish_of
from trunkline.dialects.openai_responses.tap import ANNOUNCING, ENDING, FAILING
from trunkline.dialects.openai_responses.usage import read_usage
from trunkline.dialects.openai_responses.words import CUSTOM_CALL
from trunkline.dialects.openai_shape.reply import mended
from trunkline.dialects.sse import SseEvent, SseReader

_ABSENT = msgspec.Raw(b"")


class Told(msgspec.Struct, gc=False):
    """An event. Nothing is typed: one strange field must not cost the others."""

    type: Any = None
    output_index: Any = None
    item_id: Any = None
    content_index: Any = None
    summary_index: Any = None
    item: Any = None
    part: Any = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    input: Any = None
    logprobs: Any = None
    annotation: Any = None
    response: msgspec.Raw = _ABSENT
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None

    @property
    def place(self) -> object:
        """Where its item stands."""
        return self.output_index if type(self.output_index) is int else plain_text(self.item_id) or None


_decode = msgspec.json.Decoder(Told).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


class ResponsesReader:
    """The reader of one stream; see `dialects.dialect.Reader`."""

    __slots__ = ("_answer", "_assembly", "_begun", "_done", "_sse")

    def __init__(self, seed: str) -> None:
        self._sse = SseReader()
        self._assembly = Assembly(seed)
        self._answer = Answer()
        """What the answer is called, as it was announced."""
        self._begun = False
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they say."""
        out: list[Event] = []
        if self._done:
            return out
        for event in self._sse.feed(data):
            self._take(event, out)
        if self._sse.overlong is not None and not self._done:
            self._fail(self._sse.overlong, out)
        return out

    def close(self) -> list[Event]:
        """The provider ended cleanly: some leave out the last blank line. An event that was cut off is none."""
        out: list[Event] = []
        for event in self._sse.close():
            if event.data.startswith(b"[DONE]") or _read(event.data) is not None:
                self._take(event, out)
        return out

    def count(self) -> None:
        """Usage is told once, at the end."""

    def _take(self, event: SseEvent, out: list[Event]) -> None:
        if self._done or not event.data:
            return
        if event.data.startswith(b"[DONE]"):  # without the event that ends an answer it is as good as that
            self._end("", Answer(), out)
            return
        told = _read(event.data)
        if told is None and event.event != "error":
            self._fail(protocol("The provider sent an event that cannot be read.", event.data), out)
            return
        if told is None:
            told = Told(error=event.data.decode("utf-8", "replace"))
        kind = plain_text(told.type) or event.event
        if kind in ENDING:
            self._end(kind, _answer(told.response), out)
        elif kind in FAILING or told.error:
            self._broken(kind, told, event.data, out)
        elif kind in ANNOUNCING:
            self._answer = _answer(told.response)
        elif (read := _READERS.get(kind)) is not None:
            before = len(out)
            read(self._assembly, told, out)
            self._begin(before, out)
            if self._assembly.overfull:
                self._fail(protocol(f"The provider's answer has more than {MOST_ITEMS} items.", event.data), out)

    def _begin(self, before: int, out: list[Event]) -> None:
        """The answer begins, before those of the events that its first item gave."""
        if not self._begun and self._assembly.begun:
            self._begun = True
            out.insert(before, begin(self._answer))

    def _end(self, kind: str, answer: Answer, out: list[Event]) -> None:
        self._done = True
        if not self._begun:
            self._begun = True
            out.append(begin(answer if answer.id else self._answer))
        self._assembly.rest(answer.output, out)
        incomplete = kind == "response.incomplete" or answer.status == "incomplete"
        self._assembly.finish(finish_of(answer) or "completed", incomplete=incomplete, out=out)
        usage, raw = read_usage(answer.usage, answer.service_tier)
        if usage is not NO_USAGE:
            out.append(Count(usage, raw))
        out.append(End())

    def _broken(self, kind: str, told: Told, data: bytes, out: list[Event]) -> None:
        answer = _answer(told.response)
        usage, raw = read_usage(answer.usage, answer.service_tier)
        if usage is not NO_USAGE and self._begun:
            out.append(Count(usage, raw))
        error = event_error(msgspec.structs.asdict(told)) if kind == "error" or told.error else answer.error
        self._fail(failed(error, data, streamed=True), out)

    def _fail(self, error: GatewayError, out: list[Event]) -> None:
        self._done = True
        out.append(Fail(error))


def _read(data: bytes) -> Told | None:
    """An event; one that says nothing where it is no object; None where it cannot be read."""
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return _decode(mended(data))
    except msgspec.ValidationError:
        return Told()
    except (ValueError, RecursionError):
        return None


def _answer(raw: msgspec.Raw) -> Answer:
    try:
        return _decode_answer(raw)
    except (ValueError, RecursionError):
        return Answer()


def _number(told: object) -> int:
    return told if type(told) is int else 0


def _object(told: object) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _added(assembly: Assembly, told: Told, out: list[Event]) -> None:
    item = assembly.add(told.place, _object(told.item))
    item.announce(out)


def _ended(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.end(told.place, _object(told.item), out)


def _text(assembly: Assembly, told: Told, out: list[Event]) -> None:
    item = assembly.find(told.place, "message")
    item.text(_number(told.content_index), plain_text(told.delta), told.logprobs, out)


def _whole_text(assembly: Assembly, told: Told, out: list[Event]) -> None:
    part = {"text": told.text, "logprobs": told.logprobs}
    assembly.find(told.place, "message").rest(_number(told.content_index), "text", part, out)


def _refusal(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "message").refuse(_number(told.content_index), plain_text(told.delta), out)


def _whole_refusal(assembly: Assembly, told: Told, out: list[Event]) -> None:
    part = {"refusal": told.refusal}
    assembly.find(told.place, "message").rest(_number(told.content_index), "refusal", part, out)


def _part(assembly: Assembly, told: Told, out: list[Event]) -> None:
    """A part of a message is whole; one of reasoning is told whole by the events of its own."""
    part = _object(told.part)
    kind = _PARTS.get(plain_text(part.get("type")))
    if kind is not None:
        assembly.find(told.place, "message").rest(_number(told.content_index), kind, part, out)


def _cited(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "message").cite(_number(told.content_index), told.annotation, out)


def _summary(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "reasoning").think("summary", _number(told.summary_index), plain_text(told.delta), out)


def _content(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "reasoning").think("content", _number(told.content_index), plain_text(told.delta), out)


def _arguments(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "function_call").argue(plain_text(told.delta), out)


def _custom_input(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, CUSTOM_CALL).argue(plain_text(told.delta), out)


def _whole_summary(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "reasoning").thought("summary", _number(told.summary_index), plain_text(told.text), out)


def _whole_content(assembly: Assembly, told: Told, out: list[Event]) -> None:
    assembly.find(told.place, "reasoning").thought("content", _number(told.content_index), plain_text(told.text), out)


def _whole_arguments(assembly: Assembly, told: Told, out: list[Event]) -> None:  # noqa: ARG001 - told when the item ends
    assembly.find(told.place, "function_call").learn("arguments", plain_text(told.arguments))


def _whole_input(assembly: Assembly, told: Told, out: list[Event]) -> None:  # noqa: ARG001 - told when the item ends
    assembly.find(told.place, CUSTOM_CALL).learn("input", plain_text(told.input))


#: What tells of an answer.
_READERS: Mapping[str, Callable[[Assembly, Told, list[Event]], None]] = {
    "response.output_item.added": _added,
    "response.output_item.done": _ended,
    "response.content_part.done": _part,
    "response.output_text.delta": _text,
    "response.output_text.done": _whole_text,
    "response.output_text.annotation.added": _cited,
    "response.refusal.delta": _refusal,
    "response.refusal.done": _whole_refusal,
    "response.reasoning_summary_text.delta": _summary,
    "response.reasoning_summary_text.done": _whole_summary,
    "response.reasoning_text.delta": _content,
    "response.reasoning_text.done": _whole_content,
    "response.function_call_arguments.delta": _arguments,
    "response.function_call_arguments.done": _whole_arguments,
    "response.custom_tool_call_input.delta": _custom_input,
    "response.custom_tool_call_input.done": _whole_input,
}
_PARTS = {"output_text": "text", "text": "text", "refusal": "refusal"}
