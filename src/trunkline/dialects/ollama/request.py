"""A client's request, as far as the gateway itself must see it. Everything else is the provider's to judge and goes out
byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.shallow import encode, fields

GENERATE = "generate"
"""The form of `/api/generate`; that of `/api/chat` is empty."""
_PATHS = {"": "/api/chat", GENERATE: "/api/generate"}
_MODEL_LENGTH = 256
_BYTES_PER_TOKEN = 4
#: A picture counts as so many tokens: Ollama itself reckons 768 with its projectors (server/prompt.go).
_IMAGE_TOKENS = 768
#: Strings that are so long, ASCII and hold no space are taken for a picture's base64.
_IMAGE_BYTES = 1024
_NULL = msgspec.Raw(b"null")

_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool | None).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    A stream is what is asked for unless `stream` is false. No messages and an empty prompt are right: they ask Ollama to
    load the model.
    """
    found = fields(body)
    model = _model(found)
    kind, name, opening = ("string", "prompt", b'"') if named.form == GENERATE else ("array", "messages", b"[")
    value = bytes(found.get(name, _NULL))
    if value[:1] not in {opening, b"n"}:
        raise bad(name, f"must be {'an' if kind == 'array' else 'a'} {kind}")
    return Ask(fields=found, model=model, stream=_stream(found), include_usage=True, form=named.form)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - Ollama tells usage unasked
    """The request for the provider: `model` replaced, the rest byte for byte."""
    return Outgoing(_PATHS[ask.form], encode(ask.fields | {"model": msgspec.Raw(encode(model))}))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of what is asked, a flat 768 for each picture."""
    text = images = 0
    for name in ("messages", "prompt", "system", "images", "tools"):
        for piece in bytes(ask.fields.get(name, b"")).split(b'"'):
            if len(piece) >= _IMAGE_BYTES and piece.isascii() and b" " not in piece:
                images += 1
            else:
                text += len(piece)
    return text // _BYTES_PER_TOKEN + images * _IMAGE_TOKENS


def bad(param: str, problem: str, code: str = "invalid_value") -> GatewayError:
    """The error for a field that is wrong. `problem` completes "The field 'x' ..."."""
    return GatewayError(Kind.BAD_REQUEST, f"The field '{param}' {problem}.", code=code, param=param)


def _model(found: dict[str, msgspec.Raw]) -> str:
    if "model" not in found:
        raise bad("model", "is required", code="missing_required_parameter")
    try:
        model = _text(found["model"])
    except msgspec.ValidationError:
        raise bad("model", "must be a string") from None
    if not 0 < len(model) <= _MODEL_LENGTH:
        raise bad("model", f"must have 1 to {_MODEL_LENGTH} characters")
    if not model.isprintable():  # it will stand in logs, metrics and perhaps a URL
        raise bad("model", "must not contain control characters")
    return model


def _stream(found: dict[str, msgspec.Raw]) -> bool:
    try:
        return _flag(found.get("stream", _NULL)) is not False
    except msgspec.ValidationError:
        raise bad("stream", "must be a boolean") from None
