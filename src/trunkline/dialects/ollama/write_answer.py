"""An answer for a client: the whole one, and what it shares with the lines of a stream."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from trunkline.canon.chat import Choice, FinishReason, Json, Media, Part, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.ollama.call import arguments
from trunkline.dialects.ollama.line import DURATIONS
from trunkline.dialects.ollama.read_answer import NAME
from trunkline.dialects.ollama.request import GENERATE
from trunkline.dialects.plain import shown

#: The official client takes durations for integers, so they are there where nobody measured them.
UNMEASURED: Json = dict.fromkeys(DURATIONS, 0)
#: Words of ours that say why an answer ended; Ollama has none for a filter, and its clients take any text.
_REASONS: dict[FinishReason, str] = {"length": "length", "content_filter": "content_filter"}
#: Ollama's own, which stand for `stop` in canon.
_NATIVE = frozenset({"load", "unload"})


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The whole answer, of the form that was asked for. Ollama gives one choice: the first.

    Raises `GatewayError(UPSTREAM_FAILED)` where it is not finished: see `errors.unfinished`.
    """
    choice = reply.choices[0]
    error = unfinished(choice.finish, choice.native_finish)
    if error is not None:
        raise error
    told = head(reply.model, reply.created, frame) | _said(choice, frame.ask.form)
    if choice.logprobs:
        told["logprobs"] = choice.logprobs
    vendor = choice.vendor if reply.dialect == NAME else UNMEASURED
    return msgspec.json.encode(told | tail(done_reason(choice.finish, choice.native_finish), reply.usage, vendor))


def head(model: str, created: int, frame: Frame) -> dict[str, Any]:
    """How every line begins: the model (the provider's word, else the client's) and when."""
    return {"model": model or frame.ask.model, "created_at": _time(created) or _time(frame.created)}


def tail(reason: str, usage: Usage, vendor: Json) -> dict[str, Any]:
    """How the last line ends. Counts of nothing are left out, as Ollama leaves them out."""
    counts = {"prompt_eval_count": usage.input, "eval_count": usage.output}
    return {"done": True, "done_reason": reason, **vendor, **{name: count for name, count in counts.items() if count}}


def done_reason(finish: FinishReason, native: str) -> str:
    """Why it ended, in Ollama's word: calls of tools end in `stop`."""
    return native if native in _NATIVE else _REASONS.get(finish, "stop")


def call(part: ToolCall, number: int) -> dict[str, Any]:
    """A tool call of an answer, the `number`th."""
    return {"id": part.id, "function": {"index": number, "name": part.name, "arguments": arguments(part.arguments)}}


def _said(choice: Choice, form: str) -> dict[str, Any]:
    parts = choice.parts
    # The SDK cannot read `images` of an answer (ollama-python 0.6, `Image`), so they are text.
    content = "".join(shown(part) if isinstance(part, Media) else part.text for part in parts if isinstance(part, Text | Media))
    content += _joined(parts, Refusal)
    beside: dict[str, Any] = {"thinking": _joined(parts, Thinking), "tool_calls": _calls(parts)}
    beside = {name: value for name, value in beside.items() if value}
    if form == GENERATE:
        return {"response": content, **beside}
    return {"message": {"role": "assistant", "content": content, **beside}}


def _joined(parts: Iterable[Part], kind: type[Refusal | Thinking]) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def _calls(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [call(part, number) for number, part in enumerate(part for part in parts if isinstance(part, ToolCall))]


def _time(seconds: int) -> str:
    """RFC 3339; empty for a time that is not known or that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z") if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""
