"""A provider's whole answer read into canon."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import NOTHING, Choice, Reply, Text
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_completions.logprobs import read_logprobs
from trunkline.dialects.openai_completions.words import NAME
from trunkline.dialects.openai_shape.finish import read_reason
from trunkline.dialects.openai_shape.reply import NO_COMPLETION, decode, read_finish, whole
from trunkline.dialects.openai_shape.usage import read_usage

_ANSWER = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})
_CHOICE = frozenset({"index", "text", "finish_reason", "logprobs"})


def read_answer(body: bytes, seed: str) -> Reply:  # noqa: ARG001 - there are no calls to name
    """A 2xx whole answer. Raises `GatewayError`: the provider's own error inside a 200, an answer that is no completion."""
    answer = decode(body)
    usage, raw = read_usage(answer.usage, answer.service_tier)
    told = whole(body)
    choices = told.get("choices")
    found = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    if usage is NO_USAGE and (not isinstance(choices, list) or len(found) < len(choices)):
        raise protocol(NO_COMPLETION, body)
    created = told.get("created")
    return Reply(
        dialect=NAME,
        id=_text(told.get("id")),
        model=_text(told.get("model")),
        choices=tuple(map(_choice, found)) or (Choice((), ""),),
        usage=usage,
        raw_usage=raw,
        created=created if type(created) is int and created > 0 else 0,
        vendor={name: value for name, value in told.items() if name not in _ANSWER and value is not None} or NOTHING,
    )


def _choice(one: dict[str, Any]) -> Choice:
    text, word = _text(one.get("text")), read_finish(one.get("finish_reason"))
    return Choice(
        parts=(Text(text),) if text else (),
        finish=read_reason(word, called=False),
        native_finish=word,
        logprobs=read_logprobs(one.get("logprobs")),
        vendor={name: value for name, value in one.items() if name not in _CHOICE and value is not None} or NOTHING,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
