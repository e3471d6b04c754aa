"""One line of an answer, or a whole one, which has the same shape: what it holds and what it counts.

Nothing that may be strange is typed, so that one strange field does not cost the others.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import FinishReason, Json
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count

_FINISH_LENGTH = 64
_ABSENT = msgspec.Raw(b"")
#: What the last line counts, in tokens and nanoseconds.
COUNTS = ("prompt_eval_count", "eval_count")
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
#: What a reader has a word for; anything else rides in `vendor`.
_KNOWN = frozenset(
    {"model", "created_at", "message", "response", "thinking", "tool_calls", "images", "logprobs", "done", "done_reason"}
)


class Function(msgspec.Struct, gc=False):
    """The inner part of a call."""

    name: str
    arguments: msgspec.Raw = _ABSENT


class Call(msgspec.Struct, gc=False):
    """A tool call of an answer."""

    function: Function
    id: Any = None


class Said(msgspec.Struct, gc=False):
    """`message` of the chat form."""

    content: Any = None
    thinking: Any = None
    tool_calls: msgspec.Raw = _ABSENT
    images: Any = None


class Line(msgspec.Struct, gc=False):
    """A line. The generate form has the fields of `Said` beside the others, and `response` for `content`."""

    model: Any = None
    created_at: Any = None
    message: Said | None = None
    response: Any = None
    thinking: Any = None
    tool_calls: msgspec.Raw = _ABSENT
    images: Any = None
    logprobs: Any = None
    done: Any = None
    done_reason: Any = None
    error: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None

    def said(self) -> Said:
        """What it says, whatever its form."""
        return self.message or Said(self.response, self.thinking, self.tool_calls, self.images)

    def answers(self) -> bool:
        """It is part of an answer, and no other JSON object."""
        return self.message is not None or isinstance(self.response, str) or self.done is True


decode = msgspec.json.Decoder(Line).decode
"""Raises `msgspec.DecodeError` (a `ValueError`), `UnicodeDecodeError` or `RecursionError` for what is no line."""
_calls = msgspec.json.Decoder(list[Call] | None).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def text(value: object) -> str:
    """A text, empty where there is none."""
    return value if isinstance(value, str) else ""


def calls(said: Said) -> list[Call]:
    """The calls it holds. Raises `msgspec.DecodeError` where they are none of this dialect."""
    return _calls(said.tool_calls) or [] if said.tool_calls is not _ABSENT else []


def native_finish(line: Line) -> str:
    """The provider's own word for why it ended."""
    return text(line.done_reason)[:_FINISH_LENGTH]


def finish(line: Line, *, called: bool) -> FinishReason:
    """Why an answer ended: Ollama says `stop` where tools were called, and servers of 2023 said nothing at all."""
    if line.done_reason == "length":
        return "length"
    return "tool_calls" if called else "stop"


def usage(line: Line) -> Usage:
    """The tokens it counts. `NO_USAGE` where it counts none; a prompt that was cached whole is not counted by Ollama."""
    prompt, answer = count(line.prompt_eval_count), count(line.eval_count)
    if prompt is None and answer is None:
        return NO_USAGE
    return Usage(input=prompt or 0, output=answer or 0, basis="reported")


def raw_usage(body: bytes) -> str:
    """The counts of a line that was decoded before, as its own JSON."""
    found = _fields(body)
    told = {name: found[name] for name in (*COUNTS, *DURATIONS) if name in found}
    return msgspec.json.encode(told).decode()


def rest(body: bytes) -> Json:
    """The fields of a line for which canon has no word: durations, the context of the generate form, a remote host."""
    found = _fields(body)
    return {name: msgspec.json.decode(value) for name, value in found.items() if name not in _KNOWN and name not in COUNTS}
