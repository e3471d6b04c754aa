"""What a whole answer tells in passing. What it says belongs in `read_answer`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from trunkline.dialects.dialect import Whole
from trunkline.dialects.errors import protocol
from trunkline.dialects.gemini.errors import reported
from trunkline.dialects.gemini.words import means_filter
from trunkline.dialects.google_shape.usage import read_usage

_BYTES_PER_TOKEN = 4
_FINISH_LENGTH = 64


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    finish_reason: Any = None


class _Answer(msgspec.Struct, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    prompt_feedback: Any = None
    usage_metadata: Any = None
    error: Any = None


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing. Raises `GatewayError` when it is an error or not of this dialect."""
    told = decoded(body)
    try:
        answer = msgspec.convert(told, _Answer)
    except msgspec.ValidationError:
        raise protocol("The provider's answer is not Gemini's.", body) from None
    usage, raw = read_usage(answer.usage_metadata)
    finishes = [one.finish_reason for one in answer.candidates or () if isinstance(one.finish_reason, str)]
    feedback = answer.prompt_feedback
    blocked = feedback.get("blockReason") if isinstance(feedback, dict) else None
    finish = finishes[-1] if finishes else blocked if isinstance(blocked, str) else ""
    estimate = 0 if usage.basis == "reported" else len(body) // _BYTES_PER_TOKEN
    filtered = bool(finish) if not finishes else means_filter(finish)
    return Whole(usage, raw, finish[:_FINISH_LENGTH], estimate, filtered)


def decoded(body: bytes) -> dict[str, Any]:
    """A whole answer. Raises `GatewayError` where it is an error (which Google may put into a list of one), no JSON, or no
    answer of this dialect. Numbers and strings that only lenient readers take are mended.
    """
    told = decode(body)
    if told is None:
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
        raise protocol(problem, body)
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if not isinstance(told, dict) or not told:
        raise protocol("The provider's answer is not Gemini's.", body)
    if told.get("error"):
        raise reported(told["error"], body)
    if not told.keys() & {"candidates", "promptFeedback", "usageMetadata", "responseId"}:
        raise protocol("The provider's answer is not Gemini's.", body)
    return told


def decode(data: bytes) -> Any:
    """A JSON value; None where it is none."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(
            json.dumps(json.loads(data, parse_constant=lambda _: None), ensure_ascii=False).encode("utf-8", "replace")
        )
    except (ValueError, RecursionError):
        return None
