"""A provider's whole answer, read into canon; and what a streamed one is read with too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Choice, Json, Other, Part, Reply, Text, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.citing import Sources
from trunkline.dialects.gemini.logprobs import read_logprobs
from trunkline.dialects.gemini.read_parts import NewId, is_nothing, read_part
from trunkline.dialects.gemini.reply import decoded
from trunkline.dialects.gemini.words import NAME, read_finish
from trunkline.dialects.google_shape.usage import read_usage
from trunkline.dialects.names import made_id

_TOLD = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_TOLD_OF_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})


class Ids:
    """Makes the ids of an answer's calls, which Gemini mostly does not name."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._made = 0

    def __call__(self) -> str:
        """The id of the next call that has none."""
        self._made += 1
        return made_id(self._seed, self._made - 1)


def read_answer(body: bytes, seed: str) -> Reply:
    """A 2xx whole answer. Raises `GatewayError` where it is an error or not of this dialect; one that ended in an error and
    says nothing is an answer without parts, which has its price. A candidate's parts stay as many as they are, each with its
    own seal.
    """
    told = decoded(body)
    new_id = Ids(seed)
    choices = [_choice(candidate, new_id) for candidate in rows(told.get("candidates"))]
    if not choices:
        choices = [Choice((), "content_filter" if block_reason(told) else "error", block_reason(told))]
    usage, raw = read_usage(told.get("usageMetadata"))
    return Reply(
        dialect=NAME,
        id=text_of(told, "responseId"),
        model=text_of(told, "modelVersion"),
        choices=tuple(choices),
        usage=usage,
        raw_usage=raw,
        created=created(told),
        vendor=rest(told),
    )


def _choice(candidate: Json, new_id: NewId) -> Choice:
    parts: list[Part] = []
    sources = Sources(candidate)
    for at, one in enumerate(parts_of(candidate)):
        part = answer_part(one, new_id)
        if isinstance(part, Text):
            part = msgspec.structs.replace(part, citations=tuple(sources.of(part.text, at)))
        if not is_nothing(part):
            parts.append(part)
    word = text_of(candidate, "finishReason")
    calls = any(isinstance(part, ToolCall) for part in parts)
    return Choice(
        parts=tuple(parts),
        finish=read_finish(word, calls=calls, content=bool(parts)),
        native_finish=word,
        logprobs=read_logprobs(candidate.get("logprobsResult")),
        vendor=candidate_rest(candidate),
    )


def answer_part(value: object, new_id: NewId) -> Part:
    """A part of an answer; one that cannot be read is an `Other`."""
    try:
        return read_part(value, "", new_id)
    except GatewayError:
        return Other(NAME, value if isinstance(value, dict) else {})


def block_reason(told: Json) -> str:
    """Why the prompt was blocked; empty where it was not."""
    feedback = told.get("promptFeedback")
    return text_of(feedback, "blockReason") if isinstance(feedback, dict) else ""


def created(told: Json) -> int:
    """`createTime` (Vertex) in seconds; 0 where it is not told."""
    try:
        return max(0, int(msgspec.convert(told.get("createTime"), datetime).timestamp()))
    except (msgspec.ValidationError, OverflowError, ValueError):
        return 0


def rest(told: Json) -> Json:
    """What canon has no word for."""
    return {name: value for name, value in told.items() if name not in _TOLD and value is not None} or NOTHING


def candidate_rest(candidate: Json) -> Json:
    """The same of a candidate."""
    left = {name: value for name, value in candidate.items() if name not in _TOLD_OF_CANDIDATE and value is not None}
    return left or NOTHING


def parts_of(candidate: Json) -> list[Any]:
    """A candidate's parts; there may be none, nor a content."""
    content = candidate.get("content")
    found = content.get("parts") if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def rows(value: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(told: Json, name: str) -> str:
    """A text, empty where it is none."""
    value = told.get(name)
    return value if isinstance(value, str) else ""
