"""Thinking and its state in OpenAI's form: `reasoning_details` as OpenRouter spells them, and a bare text beside.

Read from providers' answers and from clients' requests, written to both: to a provider its state as it is, to a client
wrapped, so that it is known again whichever provider its next turn goes to. OpenRouter's own clients hand theirs back raw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from trunkline.canon.chat import NOTHING, Json, Other, Part, Seal, Thinking, ToolCall
from trunkline.dialects.state import seal_of, slot

NAME = "openai_chat"
#: OpenRouter's name for the format of a piece of state, by the family that made it. Any other is its own name.
_FORMATS = {"anthropic": "anthropic-claude-v1", "gemini": "google-gemini-v1"}
_FAMILIES = {name: family for family, name in _FORMATS.items()}

_Kind = Literal["text", "summary", "encrypted", "other"]
_KINDS: Mapping[str, _Kind] = {
    "reasoning.text": "text",
    "reasoning.summary": "summary",
    "reasoning.encrypted": "encrypted",
}


class Detail(NamedTuple):
    """One entry, whole or a piece of a stream."""

    kind: _Kind
    text: str
    seal: Seal | None
    id: str
    place: object
    """Its `index`: pieces of one entry have the same."""
    value: Json


def read_details(value: object) -> list[Detail]:
    """The entries that are objects."""
    return [_detail(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def told_thinking(value: object, *plain: object) -> list[Detail]:
    """The entries of a message or a delta. `plain`: the same text told outside of them (`reasoning_content`, `reasoning`).

    It is taken from the entries where it stands there too; told only outside, it belongs to the first entry with a signature.
    """
    found = [one for one in read_details(value) if one.text or one.seal is not None or one.kind == "other"]
    text = plain_text(*plain)
    if not text or any(one.text for one in found):
        return found
    signed = next((at for at, one in enumerate(found) if one.kind == "text"), None)
    if signed is None:
        return [Detail("text", text, None, "", None, NOTHING), *found]
    found[signed] = found[signed]._replace(text=text)
    return found


def read_thinking(message: Mapping[str, Any]) -> list[Part]:
    """The thinking of a whole message: pieces of one entry put together, in order."""
    runs: list[list[Detail]] = []
    for one in told_thinking(message.get("reasoning_details"), message.get("reasoning_content"), message.get("reasoning")):
        last = runs[-1][-1] if runs else None
        if last is not None and continues(one, last, last.seal):
            runs[-1].append(one)
        else:
            runs.append([one])
    return [part_of(run[0]._replace(text="".join(one.text for one in run), seal=run[-1].seal)) for run in runs]


def continues(one: Detail, last: Detail, seal: Seal | None) -> bool:
    """`one` is more of the thinking that `last` was a piece of and that has `seal` so far."""
    return one.kind in {"text", "summary"} and (one.kind, one.place) == (last.kind, last.place) and seal is None


def part_of(one: Detail) -> Part:
    """The part that an entry is, or begins."""
    if one.kind == "other":
        return Other(NAME, one.value)
    vendor = {"type": "reasoning.summary"} if one.kind == "summary" else {}
    if one.id:
        vendor["id"] = one.id
    return Thinking(one.text, one.seal, redacted=one.kind == "encrypted", vendor=vendor)


def plain_text(*told: object) -> str:
    """The first that is a text; the same one is often told under two names."""
    return next((text for text in told if isinstance(text, str) and text), "")


def write_details(parts: Iterable[Part], *, own: bool, wrapped: bool = False) -> list[dict[str, Any]]:
    """The entries for the thinking among `parts`, one for each; and for state of Gemini's on a tool call, which OpenRouter
    keeps there by the call's id. `own`: the parts' `vendor` is this dialect's. `wrapped`: for a client.
    """
    found: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case Thinking():
                found.append(
                    {
                        **_spelled(part, part.vendor if own else NOTHING),
                        **sealed(part.seal, redacted=part.redacted, wrapped=wrapped),
                        "index": len(found),
                    }
                )
            case ToolCall(seal=Seal(family="gemini")):
                found.append({**sealed(part.seal, redacted=True, wrapped=wrapped), "id": part.id, "index": len(found)})
            case Other(dialect="openai_chat") if is_detail(part):
                found.append(dict(part.value))
            case _:
                pass
    return found


def is_detail(other: Other) -> bool:
    """It is an entry among details, and no part of a content list."""
    return str(other.value.get("type")).startswith("reasoning.")


def sealed(seal: Seal | None, *, redacted: bool, wrapped: bool) -> dict[str, Any]:
    """What an entry says of its state; nothing for none. State that is no family's but this dialect's is never wrapped."""
    if seal is None:
        return {}
    state = slot(seal, NAME) if wrapped else seal.data
    told = {"type": "reasoning.encrypted", "data": state} if redacted else {"type": "reasoning.text", "signature": state}
    return told if seal.family == NAME else {**told, "format": _FORMATS.get(seal.family, seal.family)}


def read_extra(value: object) -> Seal | None:
    """The signature in Google's `extra_content`, of a tool call or of a message."""
    google = value.get("google") if isinstance(value, dict) else None
    told = google.get("thought_signature") if isinstance(google, dict) else None
    return seal_of(told, "gemini") if isinstance(told, str) else None


def write_extra(signature: str) -> dict[str, Any]:
    """The same, written."""
    return {"google": {"thought_signature": signature}}


def _detail(value: dict[str, Any]) -> Detail:
    kind = _KINDS.get(plain_text(value.get("type")), "other")
    text = plain_text(value.get("summary" if kind == "summary" else "text"))
    state = plain_text(value.get("data" if kind == "encrypted" else "signature"))
    told = plain_text(value.get("format"))
    seal = seal_of(state, _FAMILIES.get(told, told or NAME))
    return Detail(kind, text, seal, plain_text(value.get("id")), value.get("index"), value)


def _spelled(part: Thinking, vendor: Json) -> dict[str, Any]:
    ident = {"id": vendor["id"]} if "id" in vendor else {}
    if part.redacted:
        return ident
    if vendor.get("type") == "reasoning.summary":
        return {"type": "reasoning.summary", "summary": part.text, **ident}
    return {"type": "reasoning.text", "text": part.text, **ident}
