"""A provider's whole answer into canon."""

from __future__ import annotations

from datetime import datetime

import msgspec

from trunkline.canon.chat import Choice, Media, Part, Reply, Text, Thinking, ToolCall
from trunkline.dialects.errors import protocol
from trunkline.dialects.names import made_id
from trunkline.dialects.ollama import line
from trunkline.dialects.ollama.image import picture
from trunkline.dialects.ollama.line import Call, Line, Said
from trunkline.dialects.ollama.reply import read

NAME = "ollama"


class _Top(msgspec.Struct, gc=False):
    token: str
    logprob: float = 0.0
    bytes: list[int] | None = None


class _Token(_Top, gc=False):
    top_logprobs: list[_Top] | None = None


def read_answer(body: bytes, seed: str) -> Reply:
    """A 2xx whole answer of either form. Raises `GatewayError` as `read_reply` does."""
    told = read(body)
    try:
        parts = _parts(told.said(), seed)
        vendor = line.rest(body)
    except (ValueError, RecursionError):
        raise protocol("The provider's answer is not an Ollama answer.", body) from None
    usage = line.usage(told)
    choice = Choice(
        parts=parts,
        finish=line.finish(told, called=any(isinstance(part, ToolCall) for part in parts)),
        native_finish=line.native_finish(told),
        logprobs=logprobs(told),
        vendor=vendor,
    )
    return Reply(
        dialect=NAME,
        id="",
        model=line.text(told.model),
        choices=(choice,),
        usage=usage,
        raw_usage=line.raw_usage(body) if usage.basis == "reported" else "",
        created=created(told),
    )


def call(told: Call, seed: str, number: int) -> ToolCall:
    """The tool call `number` of an answer. Where its arguments are text, as some servers send them, they are that text."""
    raw = bytes(told.function.arguments)
    arguments = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
    return ToolCall(
        id=line.text(told.id) or made_id(seed, number),
        name=told.function.name,
        arguments="{}" if arguments in {"", "null"} else arguments,
    )


def pictures(said: Said) -> list[Media]:
    """The pictures it holds. Raises `ValueError` where one is none."""
    return [picture(one) for one in said.images if isinstance(one, str)] if isinstance(said.images, list) else []


def logprobs(told: Line) -> tuple[dict[str, object], ...]:
    """Those of its tokens, which Ollama tells in OpenAI's form; one in another is left out."""
    return tuple(one for one in told.logprobs if _is_token(one)) if isinstance(told.logprobs, list) else ()


def created(told: Line) -> int:
    """When it was made, in seconds since the epoch; 0 where that is not told."""
    try:
        return max(0, int(datetime.fromisoformat(line.text(told.created_at)).timestamp()))
    except (ValueError, OverflowError):
        return 0


def _is_token(one: object) -> bool:
    try:
        msgspec.convert(one, _Token)
    except msgspec.ValidationError:
        return False
    return True


def _parts(said: Said, seed: str) -> tuple[Part, ...]:
    """In the order in which a stream tells them."""
    thinking, content = line.text(said.thinking), line.text(said.content)
    return (
        *((Thinking(thinking),) if thinking else ()),
        *((Text(content),) if content else ()),
        *pictures(said),
        *(call(one, seed, number) for number, one in enumerate(line.calls(said))),
    )
