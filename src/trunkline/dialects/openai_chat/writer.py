"""A streamed answer for a client of this dialect, in OpenAI's own order of chunks.

The role once; a call's id and name with empty arguments; an empty delta with the finish reason; usage alone at the end, where
the client asked for it; `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from trunkline.canon.chat import Citation, Json, Media, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Finished, Open
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_chat.details import sealed, write_extra
from trunkline.dialects.openai_chat.write_answer import legacy, write_citation, write_image, write_logprobs
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.openai_shape.finish import write_reason
from trunkline.dialects.openai_shape.usage import write_usage
from trunkline.dialects.state import wrap

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"


class _Part:
    """A part that is open."""

    __slots__ = ("call", "choice", "entry", "field", "part", "shift", "size")

    def __init__(self, part: Part, choice: int, field: str, call: int, entry: int) -> None:
        self.part = part
        self.choice = choice
        self.field = field
        """The delta's name for its text; empty for one that has none."""
        self.call = call
        """A tool call's place among its choice's calls."""
        self.entry = entry
        """Thinking's place among its choice's entries."""
        self.shift = 0
        """Characters of text before it, and in it."""
        self.size = 0


class _Counts:
    """How much of each there was in a choice."""

    __slots__ = ("calls", "chars", "citations", "entries", "images")

    def __init__(self) -> None:
        self.calls = 0
        self.entries = 0
        self.citations = 0
        self.images = 0
        self.chars = 0


class _Head(NamedTuple):
    """What every chunk begins and ends with."""

    start: bytes
    end: bytes


class ChatWriter:
    """The writer of one stream; see `dialects.dialect.Writer`."""

    __slots__ = ("_choices", "_frame", "_head", "_legacy", "_parts", "_usage", "error")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._legacy = legacy(frame.ask)
        self._head = _head(frame, Begin("", ""))
        self._choices: dict[int, _Counts] = {}
        self._parts: dict[int, _Part] = {}
        self._usage: Usage = NO_USAGE
        self.error: GatewayError | None = None
        """Of a choice that its model could not finish."""

    def write(self, events: Iterable[Event]) -> bytes:
        """The chunks for these events."""
        out: list[bytes] = []
        for event in events:
            match event:
                case Delta():
                    self._delta(event, out)
                case Open():
                    self._open(event, out)
                case Close():
                    self._close(event, out)
                case Count():
                    self._usage = event.usage
                case _:
                    self._rest(event, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """An error event and no end mark."""
        return write_stream_error(error)

    def _rest(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Begin():
                self._head = _head(self._frame, event)
                self._choice(0, out)
            case Cite():
                self._cite(event.index, event.citation, out)
            case Finished():
                self._finish(event, out)
            case Extra(dialect="openai_chat", value={"choice": int(choice), "audio": audio}):
                self._say(choice, {"audio": audio}, out)
            case End():
                self._end(out)
            case _:
                pass

    def _choice(self, number: int, out: list[bytes]) -> _Counts:
        """The counts of a choice, which begins with its role."""
        found = self._choices.get(number)
        if found is None:
            found = self._choices[number] = _Counts()
            self._say(number, {"role": "assistant", "content": "", "refusal": None}, out)
        return found

    def _open(self, event: Open, out: list[bytes]) -> None:
        part = event.part
        counts = self._choice(event.choice, out)
        opened = self._parts[event.index] = _Part(part, event.choice, _FIELDS.get(type(part), ""), counts.calls, counts.entries)
        match part:
            case ToolCall():
                counts.calls += 1
                self._call(opened, part, out)
            case Text():
                opened.shift = counts.chars
            case Thinking():
                counts.entries += 1
            case Media(kind="image"):
                self._say(event.choice, {"images": [{**write_image(part), "index": counts.images}]}, out)
                counts.images += 1
            case _:
                pass

    def _call(self, opened: _Part, call: ToolCall, out: list[bytes]) -> None:
        if self._legacy:
            if opened.call == 0:
                self._say(opened.choice, {"function_call": {"name": call.name, "arguments": ""}}, out)
            return
        told = {"index": opened.call, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        if call.seal is not None:
            told["extra_content"] = write_extra(wrap(call.seal))
        self._say(opened.choice, {"tool_calls": [told]}, out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        opened = self._parts[event.index]
        field, text = opened.field, event.text
        if field == "content":
            opened.size += len(text)
            self._say(opened.choice, {"content": text}, out, event.logprobs)
        elif field == "reasoning_content":  # twice, as OpenRouter does: for everybody, and for those who hand entries back
            entry = {"type": "reasoning.text", "text": text, "index": opened.entry}
            self._say(opened.choice, {field: text, "reasoning_details": [entry]}, out)
        elif field == "refusal":
            self._say(opened.choice, {field: text}, out, event.logprobs)
        elif field == "arguments":
            opened.size += len(text)
            self._arguments(opened, text, out)

    def _arguments(self, opened: _Part, text: str, out: list[bytes]) -> None:
        if not self._legacy:
            self._say(opened.choice, {"tool_calls": [{"index": opened.call, "function": {"arguments": text}}]}, out)
        elif opened.call == 0:
            self._say(opened.choice, {"function_call": {"arguments": text}}, out)

    def _close(self, event: Close, out: list[bytes]) -> None:
        opened = self._parts.pop(event.index)
        part = opened.part
        seal = event.seal or (part.seal if isinstance(part, Text | Thinking) else None)
        match part:
            case ToolCall():
                if not opened.size:
                    self._arguments(opened, "{}", out)
                if event.seal != part.seal:
                    self._seal_call(opened, event.seal, out)
            case Text():
                self._choices[opened.choice].chars += opened.size
                if seal is not None:
                    self._say(opened.choice, {"extra_content": write_extra(wrap(seal))}, out)
            case Thinking() if seal is not None:
                entry = {**sealed(seal, redacted=part.redacted, wrapped=True), "index": opened.entry}
                self._say(opened.choice, {"reasoning_details": [entry]}, out)
            case _:
                pass

    def _seal_call(self, opened: _Part, seal: Seal | None, out: list[bytes]) -> None:
        if seal is not None and not self._legacy:
            told = {"index": opened.call, "function": {"arguments": ""}, "extra_content": write_extra(wrap(seal))}
            self._say(opened.choice, {"tool_calls": [told]}, out)

    def _cite(self, index: int, citation: Citation, out: list[bytes]) -> None:
        opened = self._parts[index]
        counts = self._choices[opened.choice]
        told = write_citation(citation, opened.shift, opened.shift + opened.size)
        # OpenAI's own SDK joins lists by their entries' `index`, and fails where there is none (openai 3.52, _deltas.py).
        self._say(opened.choice, {"annotations": [{**told, "index": counts.citations}]}, out)
        counts.citations += 1

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        counts = self._choice(event.choice, out)
        error = unfinished(event.reason, event.native)
        if error is not None:
            self.error = error
            return
        reason = write_reason(event.reason, called=counts.calls > 0, legacy=self._legacy)
        told = {"index": event.choice, "delta": {}, "logprobs": None, "finish_reason": reason}
        out += [self._head.start, b"[", _encode(told), b"]", self._head.end]

    def _end(self, out: list[bytes]) -> None:
        if self._frame.ask.include_usage and self._usage.basis != "none":
            out += [self._head.start, b'[],"usage":', _encode(write_usage(self._usage)), b"}\n\n"]
        out.append(_DONE if self.error is None else write_stream_error(self.error))

    def _say(self, choice: int, delta: dict[str, Any], out: list[bytes], logprobs: tuple[Json, ...] = ()) -> None:
        told = write_logprobs(logprobs, refused="refusal" in delta)
        chunk = {"index": choice, "delta": delta, "logprobs": told, "finish_reason": None}
        out += [self._head.start, b"[", _encode(chunk), b"]", self._head.end]


_FIELDS: dict[type[Part], str] = {
    Text: "content",
    Thinking: "reasoning_content",
    Refusal: "refusal",
    ToolCall: "arguments",
}


def _head(frame: Frame, begin: Begin) -> _Head:
    """A client that asks for usage is told with every chunk that there is none yet, as OpenAI does."""
    told = {
        "id": begin.id or frame.id,
        "object": "chat.completion.chunk",
        "created": begin.created or frame.created,
        "model": begin.model or frame.ask.model,
    }
    start = b"data: " + _encode(told)[:-1] + b',"choices":'
    return _Head(start, b',"usage":null}\n\n' if frame.ask.include_usage else b"}\n\n")
