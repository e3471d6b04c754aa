"""A streamed answer for a client of this dialect: the prompt first where it is to be echoed, text, the finish reason, usage
alone at the end where the client asked for it, `[DONE]`. Thinking and calls of tools have no place in it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.canon.chat import Json, Refusal, Text
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Count, Delta, End, Event, Finished, Open
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_completions.logprobs import write_logprobs
from trunkline.dialects.openai_completions.prompts import before
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.openai_shape.finish import write_reason
from trunkline.dialects.openai_shape.usage import write_usage

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"


class CompletionsWriter:
    """The writer of one stream; see `dialects.dialect.Writer`."""

    __slots__ = ("_chars", "_frame", "_head", "_parts", "_start", "_tail", "_usage", "error")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._head = before(frame.ask)
        self._start = _start(frame, Begin("", ""))
        # a client that asks for usage is told with every chunk that there is none yet, as OpenAI does
        self._tail = b',"usage":null}\n\n' if frame.ask.include_usage else b"}\n\n"
        self._parts: dict[int, int] = {}
        """The choice of each part that is shown."""
        self._chars: dict[int, int] = {}
        """Characters of each choice that has begun."""
        self._usage: Usage = NO_USAGE
        self.error: GatewayError | None = None
        """Of a choice that its model could not finish."""

    def write(self, events: Iterable[Event]) -> bytes:
        """The chunks for these events."""
        out: list[bytes] = []
        for event in events:
            match event:
                case Delta() if event.index in self._parts:
                    self._say(self._parts[event.index], event.text, event.logprobs, out)
                case Open(part=Text(text=text) | Refusal(text=text)):
                    self._parts[event.index] = event.choice
                    self._say(event.choice, text, (), out)
                case Finished():
                    self._finish(event, out)
                case Count():
                    self._usage = event.usage
                case Begin():
                    self._start = _start(self._frame, event)
                case End():
                    self._end(out)
                case _:
                    pass
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """An error event and no end mark."""
        return write_stream_error(error)

    def _say(self, choice: int, text: str, logprobs: tuple[Json, ...], out: list[bytes]) -> None:
        told = write_logprobs(logprobs, self._begun(choice, out))
        if text or told:
            self._chars[choice] += len(text)
            self._chunk({"text": text, "index": choice, "logprobs": told, "finish_reason": None}, out)

    def _begun(self, choice: int, out: list[bytes]) -> int:
        """The characters so far of a choice, which begins with what stands before its text."""
        if choice not in self._chars:
            self._chars[choice] = len(self._head)
            if self._head:
                self._chunk({"text": self._head, "index": choice, "logprobs": None, "finish_reason": None}, out)
        return self._chars[choice]

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        self._begun(event.choice, out)
        error = unfinished(event.reason, event.native)
        if error is not None:
            self.error = error
            return
        reason = write_reason(event.reason, called=False, legacy=False)
        self._chunk({"text": "", "index": event.choice, "logprobs": None, "finish_reason": reason}, out)

    def _chunk(self, choice: Json, out: list[bytes]) -> None:
        out += [self._start, b"[", _encode(choice), b"]", self._tail]

    def _end(self, out: list[bytes]) -> None:
        if self._frame.ask.include_usage and self._usage.basis != "none":
            out += [self._start, b'[],"usage":', _encode(write_usage(self._usage)), b"}\n\n"]
        out.append(_DONE if self.error is None else write_stream_error(self.error))


def _start(frame: Frame, begin: Begin) -> bytes:
    """What every chunk begins with."""
    told = {
        "id": begin.id or frame.id,
        "object": "text_completion",
        "created": begin.created or frame.created,
        "model": begin.model or frame.ask.model,
    }
    return b"data: " + _encode(told)[:-1] + b',"choices":'
