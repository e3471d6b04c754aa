"""A client's request as it passes: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.gemini.fields import bad, camel
from trunkline.dialects.gemini.words import ARRAY, COUNT, SSE
from trunkline.dialects.shallow import encode, fields
from trunkline.dialects.state import SEALED

_MODEL_LENGTH = 256
_BYTES_PER_TOKEN = 4
#: A picture or a recording counts as so many tokens: Gemini charges 258 to some 1,500 for a picture.
_MEDIA_TOKENS = 1000
_MEDIA_MARK = b'"data"'
#: Shorter strings behind a mark are taken for text.
_MEDIA_BYTES = 256
_COUNTED = ("contents", "systemInstruction", "system_instruction", "tools", "generateContentRequest")
_ACTIONS = {"": "generateContent", SSE: "streamGenerateContent?alt=sse", ARRAY: "streamGenerateContent?alt=sse"}
_ACTIONS[COUNT] = "countTokens"
_PREFIXES = ("models/", "tunedModels/")
_SEALED = SEALED.encode()
_nested = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep; the path has told model and form. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    model = named.model.removeprefix("models/")
    if not 0 < len(model) <= _MODEL_LENGTH:
        raise bad("model", f"must have 1 to {_MODEL_LENGTH} characters")
    if not model.isprintable():  # it will stand in logs, metrics and a URL
        raise bad("model", "must not contain control characters")
    if "contents" not in found and not (named.form == COUNT and _nested_request(found) is not None):
        raise bad("contents", "is required", code="missing_required_parameter")
    return Ask(found, model, stream=named.form in {SSE, ARRAY}, include_usage=True, form=named.form)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - usage is told unasked
    """The request for the provider, always for events: `model` stands in the path, the rest goes byte for byte."""
    out = {name: raw for name, raw in ask.fields.items() if name != "model"}
    inner = _nested_request(out)
    if inner is not None:
        name, request = inner
        told = {"model": msgspec.Raw(encode(resource(model)))}
        out[name] = msgspec.Raw(encode(_unsealed({**request, **told})))
    return Outgoing(path(model, ask.form), encode(_unsealed(out)))


def resource(model: str) -> str:
    """A model's resource name. A tuned model brings its own collection."""
    return model if model.startswith(_PREFIXES) else f"models/{model}"


def path(model: str, form: str) -> str:
    """The path below a base path that ends in `/v1beta`. All of a model's own name is one segment."""
    collection, _, name = resource(model).partition("/")
    return f"/{collection}/{quote(name, safe='')}:{_ACTIONS[form]}"


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of what is counted, a flat thousand for each encoded medium."""
    text = media = 0
    for name in _COUNTED:
        value = bytes(ask.fields.get(name, b""))
        count, size = _media(value)
        text += len(value) - size
        media += count
    return text // _BYTES_PER_TOKEN + media * _MEDIA_TOKENS


def _nested_request(found: dict[str, msgspec.Raw]) -> tuple[str, dict[str, msgspec.Raw]] | None:
    """The name and the fields of a `generateContentRequest`."""
    for name, raw in found.items():
        if camel(name) == "generateContentRequest":
            try:
                return name, _nested(raw)
            except msgspec.ValidationError:
                raise bad("generateContentRequest", "must be an object") from None
    return None


def _media(value: bytes) -> tuple[int, int]:
    """How many encoded media there are in `value`, and their bytes. A linear search: no JSON is decoded for a guess."""
    count = size = 0
    at = value.find(_MEDIA_MARK)
    while at >= 0:
        start = value.find(b'"', at + len(_MEDIA_MARK)) + 1
        end = value.find(b'"', start) if start else -1
        if end < 0:
            break
        if end - start > _MEDIA_BYTES:
            count += 1
            size += end - start
        at = value.find(_MEDIA_MARK, end)
    return count, size


def _unsealed(found: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The fields without state that another family's model made; untouched where there is none, as nearly always."""
    raw = found.get("contents")
    if raw is None or _SEALED not in bytes(raw):
        return found
    contents = msgspec.json.decode(raw)
    if not isinstance(contents, list):
        contents = [contents]
    kept = [content for content in map(_content, contents) if content is not None]
    return found if kept == contents else {**found, "contents": msgspec.Raw(encode(kept))}


def _content(content: Any) -> Any:
    """A content without foreign state; None where nothing else was in it."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return content
    kept = [part for part in map(_part, parts) if part is not None]
    return {**content, "parts": kept} if kept or not parts else None


def _part(part: Any) -> Any:
    """A part without a foreign signature; None where nothing is left but an empty thought or text."""
    if not isinstance(part, dict):
        return part
    kept = {name: value for name, value in part.items() if not (camel(name) == "thoughtSignature" and _foreign(value))}
    empty = not any(value for name, value in kept.items() if name != "thought")
    return part if len(kept) == len(part) else None if empty else kept


def _foreign(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(SEALED)
