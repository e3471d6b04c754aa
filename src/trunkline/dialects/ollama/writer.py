"""A stream for a client: lines of JSON, one for each piece of text or thought and for each call, and a last one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Json, Media, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Finished, Open
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.ollama.errors import write_line
from trunkline.dialects.ollama.line import DURATIONS
from trunkline.dialects.ollama.request import GENERATE
from trunkline.dialects.ollama.write_answer import UNMEASURED, call, done_reason, head, tail
from trunkline.dialects.plain import shown

_encode = msgspec.json.encode
#: What an Ollama provider's last line tells beside its counts. Events do not say whose `vendor` they hold, so it is told by
#: these names, which no other dialect has.
_OWN = (*DURATIONS, "context", "remote_model", "remote_host")
_MARK = "\0"
#: What a Python text ends a line at beside CR and LF: the official client breaks lines there. They stand inside texts only.
_LINE_ENDS = tuple((chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029))


class OllamaWriter:
    """Writes one stream, of the form that was asked for; see `dialects.dialect.Writer`.

    A call is held back until it is whole. Of several choices only the first is told.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._generate = frame.ask.form == GENERATE
        self._head = head("", 0, frame)
        self._kinds: dict[int, str] = {}
        self._calls: dict[int, tuple[int, ToolCall, list[str]]] = {}
        self._made = 0
        self._finished = Finished("")
        self.error: GatewayError | None = None
        self._usage: Usage = NO_USAGE
        self._frames = self._framed()

    def write(self, events: Iterable[Event]) -> bytes:
        """The lines for these events."""
        out = b"".join([self._write(event) for event in events])
        for end, escaped in _LINE_ENDS:
            if end in out:
                out = out.replace(end, escaped)
        return out

    def fail(self, error: GatewayError) -> bytes:
        """The line that ends the stream as broken."""
        return write_line(error)

    def _write(self, event: Event) -> bytes:
        match event:
            case Delta():
                return self._delta(event)
            case Open():
                return self._open(event)
            case Close():
                return self._close(event.index)
            case Begin():
                self._head = head(event.model, event.created, self._frame)
                self._frames = self._framed()
            case Finished() if event.choice == 0:
                self._finished = event
            case Count():
                self._usage = event.usage
            case End():
                return self._end()
            case _:
                pass
        return b""

    def _open(self, event: Open) -> bytes:
        if event.choice:
            return b""
        part = event.part
        if isinstance(part, ToolCall):
            self._calls[event.index] = self._made, part, [part.arguments]
            self._made += 1
        elif isinstance(part, Media):
            return self._line({"content": shown(part)})
        else:
            self._kinds[event.index] = "thinking" if isinstance(part, Thinking) else "content"
        return b""

    def _delta(self, event: Delta) -> bytes:
        kind = self._kinds.get(event.index)
        if kind is None:
            if event.index in self._calls:
                self._calls[event.index][2].append(event.text)
            return b""
        if event.logprobs:
            return self._line({kind: event.text}, event.logprobs)
        before, after = self._frames[kind]
        return b"%b%b%b" % (before, _encode(event.text), after)

    def _close(self, index: int) -> bytes:
        if index not in self._calls:
            return b""
        number, part, pieces = self._calls.pop(index)
        whole = msgspec.structs.replace(part, arguments="".join(pieces))
        return self._line({"tool_calls": [call(whole, number)]})

    def _end(self) -> bytes:
        finished, told = self._finished, self._finished.vendor
        self.error = unfinished(finished.reason, finished.native)
        if self.error is not None:
            return write_line(self.error)
        vendor = {**UNMEASURED, **{name: told[name] for name in _OWN if name in told}}
        reason = done_reason(finished.reason, finished.native)
        return _encode(self._head | self._saying(NOTHING) | tail(reason, self._usage, vendor)) + b"\n"

    def _line(self, said: Json, logprobs: tuple[Json, ...] = ()) -> bytes:
        beside = {"logprobs": logprobs} if logprobs else {}
        return _encode(self._head | self._saying(said) | {"done": False} | beside) + b"\n"

    def _saying(self, said: Json) -> dict[str, Any]:
        if self._generate:
            beside = {name: value for name, value in said.items() if name != "content"}
            return {"response": said.get("content", ""), **beside}
        return {"message": {"role": "assistant", "content": "", **said}}

    def _framed(self) -> dict[str, tuple[bytes, bytes]]:
        """What stands before and after the text of a line that holds nothing else: nearly every line."""
        framed = {}
        for kind in ("content", "thinking"):
            line = _encode(self._head | self._saying({kind: _MARK}) | {"done": False})
            before, _, after = line.rpartition(_encode(_MARK))
            framed[kind] = before, after + b"\n"
        return framed
