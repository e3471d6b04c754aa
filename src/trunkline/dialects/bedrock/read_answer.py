"""A provider's whole answer, read into canon."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Choice, Json, Reply, ToolCall
from trunkline.dialects.bedrock.read_blocks import read_blocks, word
from trunkline.dialects.bedrock.usage import read_usage
from trunkline.dialects.bedrock.words import NAME, read_stop
from trunkline.dialects.errors import protocol

_KNOWN = frozenset({"output", "stopReason", "usage", "metrics"})
EXTRA = "additionalModelResponseFields"
"""What the model said in its own words, where it was asked for."""

_fields = msgspec.json.Decoder(dict[str, Any]).decode


def read_answer(body: bytes, seed: str) -> Reply:
    """The answer. Raises `GatewayError(UPSTREAM_PROTOCOL)` where it is none."""
    try:
        told = _fields(body)
    except (ValueError, RecursionError):
        told = {}
    message = table(table(told.get("output")).get("message"))
    if not isinstance(message.get("content"), list):
        raise protocol("The provider's answer is not a message of the Converse API.", body)
    parts = read_blocks(message["content"], seed)
    native = word(told, "stopReason")
    usage, raw = read_usage(told.get("usage"))
    finish = read_stop(native, calls=any(isinstance(part, ToolCall) for part in parts))
    choice = Choice(parts, finish, native, stop_sequence(told))
    left = {name: value for name, value in told.items() if name not in _KNOWN and value is not None}
    return Reply(NAME, "", "", (choice,), usage, raw, vendor=left or NOTHING)


def stop_sequence(told: Json) -> str:
    """Which sequence ended the answer, where the model's own fields tell it: Claude's do, whole and in streams."""
    extra = table(told.get(EXTRA))
    return word(extra, "stop_sequence") or word(table(extra.get("delta")), "stop_sequence")


def table(value: object) -> dict[str, Any]:
    """An object of the provider's, empty where it is none."""
    return value if isinstance(value, dict) else {}
