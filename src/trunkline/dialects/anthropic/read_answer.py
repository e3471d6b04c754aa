"""A provider's whole answer, read into canon."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Choice, Json, Part, Refusal, Reply, Text
from trunkline.canon.errors import GatewayError
from trunkline.dialects import names
from trunkline.dialects.anthropic.checks import rest
from trunkline.dialects.anthropic.read_blocks import read_answer_blocks
from trunkline.dialects.anthropic.reply import open_answer, read_finish
from trunkline.dialects.anthropic.usage import read_object, read_usage
from trunkline.dialects.anthropic.words import NAME, is_call, read_stop
from trunkline.dialects.errors import protocol

_KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
LATE = frozenset({"stop_details", "container", "context_management"})
"""Fields that a stream tells at its end, with the stop reason: they are the choice's, the others the answer's."""

_fields = msgspec.json.Decoder(dict[str, Any]).decode


def read_answer(body: bytes, seed: str) -> Reply:
    """The answer. Raises `GatewayError` as `reply.read_reply` does."""
    usage, raw = read_usage(read_object(open_answer(body).usage))
    try:
        told = _fields(body)
        parts = _parts(told["content"], seed)
    except (ValueError, RecursionError, GatewayError):
        raise protocol("The provider's answer is not a message.", body) from None
    late = rest({name: told.get(name) for name in LATE}, ())
    native = read_finish(told.get("stop_reason"))
    finish = read_stop(native or None, calls=any(map(is_call, parts)))
    choice = Choice((*parts, *refusal(late)), finish, native, word(told, "stop_sequence"), vendor=late)
    return Reply(
        NAME, word(told, "id"), word(told, "model"), (choice,), usage, raw, vendor=rest(told, _KNOWN | LATE) or NOTHING
    )


def refusal(late: Json) -> tuple[Refusal, ...]:
    """Why the model will not answer, where it says so: Anthropic tells it beside the answer, canon in it."""
    details = late.get("stop_details")
    why = details.get("explanation") if isinstance(details, dict) else None
    return (Refusal(why),) if isinstance(why, str) and why else ()


def word(told: Json, name: str) -> str:
    """A string of the provider's, empty where it is none."""
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _parts(content: object, seed: str) -> list[Part]:
    if not isinstance(content, list):
        return [Text(content)] if isinstance(content, str) and content else []
    for at, block in enumerate(content):
        if isinstance(block, dict) and block.get("type") == "tool_use" and not block.get("id"):
            block["id"] = names.made_id(seed, at)
    return read_answer_blocks(content, "content")
