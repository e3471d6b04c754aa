"""An answer for a client of Gemini's: whole, and the pieces a streamed one is made of too.

State of another family stands wrapped in `thoughtSignature`: the SDKs demand base64 there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.canon.chat import Choice, FinishReason, Json, Media, Other, Part, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.dialects import state
from trunkline.dialects.arguments import object_of
from trunkline.dialects.dialect import Frame
from trunkline.dialects.gemini.citing import Cited
from trunkline.dialects.gemini.logprobs import write_logprobs
from trunkline.dialects.gemini.words import NAME, write_finish
from trunkline.dialects.google_shape.usage import write_usage

#: Fields of an answer and of a candidate that are Gemini's own; what else rides in `vendor` is another dialect's.
_OF_ANSWER = ("promptFeedback", "createTime", "modelStatus")
_OF_CANDIDATE = (
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "groundingMetadata",
    "urlContextMetadata",
    "avgLogprobs",
    "tokenCount",
    "continuationToken",
)
_OF_PART = frozenset(
    {
        "thoughtSignature",
        "videoMetadata",
        "mediaResolution",
        "mediaProcessing",
        "partMetadata",
        "speechMetadata",
        "audioTranscription",
        "inlineData",
        "fileData",
        "functionCall",
    }
)


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The whole answer. A blocked prompt has no candidates, where Gemini said so."""
    told = envelope(reply.id or frame.id, reply.model or frame.ask.model, reply.vendor)
    if not is_blocked(reply.vendor, any(choice.parts for choice in reply.choices)):
        told["candidates"] = [_candidate(number, choice) for number, choice in enumerate(reply.choices)]
    usage = write_usage(reply.usage, reply.raw_usage)
    return msgspec.json.encode(told if usage is None else {**told, "usageMetadata": usage})


def envelope(ident: str, model: str, vendor: Json) -> dict[str, Any]:
    """What every piece of an answer says of it."""
    return {"modelVersion": model, "responseId": ident, **{name: vendor[name] for name in _OF_ANSWER if name in vendor}}


def is_blocked(vendor: Json, content: bool) -> bool:
    """Gemini refused the prompt itself."""
    feedback = vendor.get("promptFeedback")
    return not content and isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def _candidate(number: int, choice: Choice) -> dict[str, Any]:
    cited = Cited()
    parts: list[dict[str, Any]] = []
    broken: list[str] = []
    for part in choice.parts:
        if isinstance(part, Text):
            for citation in part.citations:
                cited.add(citation, part.text, len(parts))
        written = write_part(part)
        if written is None and isinstance(part, ToolCall):
            broken.append(malformed(part.name, part.arguments))
        parts += [] if written is None else [written]
    found: dict[str, Any] = {"content": content(parts), "index": number}
    if choice.logprobs:
        found["logprobsResult"] = write_logprobs(choice.logprobs)
    return found | ending(choice.finish, choice.native_finish, choice.vendor, broken, cited)


def content(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The model's content. Google's SDK takes a turn whose answer has no parts for an invalid one."""
    return {"parts": parts or [{"text": ""}], "role": "model"}


def ending(finish: FinishReason, native: str, vendor: Json, broken: Iterable[str], cited: Cited) -> dict[str, Any]:
    """What is told of a candidate at its end. `broken`: what is said of calls that could not be written."""
    messages = list(broken)
    found: dict[str, Any] = {"finishReason": write_finish(finish, native, malformed=bool(messages))}
    if messages:
        found["finishMessage"] = " ".join(messages)
    return found | cited.metadata() | {name: vendor[name] for name in _OF_CANDIDATE if name in vendor}


def write_part(part: Part) -> dict[str, Any] | None:
    """A part; None where Gemini has no word for it: another dialect's own parts, a call whose arguments are no JSON object."""
    found: dict[str, Any] | None
    match part:
        case Text():
            found = merged({"text": part.text, **signed(part.seal)}, _own(part.vendor))
        case Refusal():
            found = {"text": part.text}
        case Thinking():
            told = {} if part.redacted and not part.text else {"text": part.text}
            found = {**told, "thought": True, **signed(part.seal)}
        case ToolCall():
            found = _call(part)
        case Media():
            found = write_media(part, _own(part.vendor))
        case Other(dialect="gemini"):
            found = dict(part.value)
        case _:
            found = None
    return found


def _call(part: ToolCall) -> dict[str, Any] | None:
    """A function call with its id, by which a client that keeps it names its result; None where the arguments are broken."""
    args = object_of(part.arguments)
    if args is None:
        return None
    return merged({"functionCall": {"name": part.name, "args": args, "id": part.id}, **signed(part.seal)}, _own(part.vendor))


def _own(vendor: Json) -> Json:
    """What of it is Gemini's."""
    return {name: value for name, value in vendor.items() if name in _OF_PART}


def malformed(name: str, arguments: str) -> str:
    """What Gemini says of a call that it could not read itself."""
    return f"Malformed function call: {name}({arguments})"


def write_media(part: Media, vendor: Json) -> dict[str, Any]:
    """A medium as Gemini writes one, with what of its `vendor` is Gemini's."""
    named = {"displayName": part.name} if part.name else {}
    if part.data:
        found: dict[str, Any] = {"inlineData": {"mimeType": part.media_type, "data": part.data, **named}}
    else:
        typed = {"mimeType": part.media_type} if part.media_type else {}
        found = {"fileData": {"fileUri": part.url or part.file_id, **typed, **named}}
    return merged(found, vendor)


def merged(found: dict[str, Any], vendor: Json) -> dict[str, Any]:
    """A part with what nobody took of it: fields beside its object, and fields within."""
    for name, value in vendor.items():
        inner = found.get(name)
        found[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return found


def signed(seal: Seal | None) -> dict[str, str]:
    """The field that holds a seal; nothing for none."""
    return {"thoughtSignature": state.slot(seal, NAME)} if seal is not None else {}
