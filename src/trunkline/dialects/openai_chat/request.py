"""A client's chat request: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.openai_chat import guess
from trunkline.dialects.openai_chat.foreign_state import without_foreign
from trunkline.dialects.shallow import encode, fields

PATH = "/chat/completions"
_MODEL_LENGTH = 256
#: A picture or a recording counts as so many tokens: providers charge between some 85 and 1,600 for a picture.
_MEDIA_TOKENS = 1000
#: What stands right before encoded media: data URLs, and the `data` of `input_audio`.
_MEDIA_MARKS = (b";base64,", b'"data"')
#: Shorter strings behind a mark are taken for text.
_MEDIA_BYTES = 256
_TRUE = msgspec.Raw(b"true")

_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool | None).decode
_nested = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    The path tells nothing in this dialect.
    """
    found = fields(body)
    model = _model(found)
    stream = _optional_flag(found, "stream", "stream")
    options = _options(found)
    messages = found.get("messages")
    if messages is None:
        raise bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise bad("messages", "must be an array")
    include_usage = _optional_flag(options, "include_usage", "stream_options.include_usage")
    return Ask(fields=found, model=model, stream=stream, include_usage=include_usage)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:
    """The request for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte, but for
    thinking state that another family's model made.
    """
    out = ask.fields | {"model": msgspec.Raw(encode(model)), "messages": without_foreign(ask.fields["messages"])}
    if ask_usage and ask.stream:
        out["stream_options"] = msgspec.Raw(encode(_options(ask.fields) | {"include_usage": _TRUE}))
    return Outgoing(PATH, encode(out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: from the size of messages and tools, and a flat thousand for each encoded medium."""
    text = media = 0
    for name in ("messages", "tools"):
        value = bytes(ask.fields.get(name, b""))
        count, size = _media(value)
        text += len(value) - size
        media += count
    return guess.tokens(text) + media * _MEDIA_TOKENS


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


def _optional_flag(found: dict[str, msgspec.Raw], name: str, path: str) -> bool:
    if name not in found:
        return False
    try:
        return bool(_flag(found[name]))
    except msgspec.ValidationError:
        raise bad(path, "must be a boolean") from None


def _options(found: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    if "stream_options" not in found:
        return {}
    try:
        return _nested(found["stream_options"]) or {}
    except msgspec.ValidationError:
        raise bad("stream_options", "must be an object") from None


def _media(value: bytes) -> tuple[int, int]:
    """How many encoded media there are in `value`, and their bytes. A linear search: no JSON is decoded for a guess."""
    count = size = 0
    for mark in _MEDIA_MARKS:
        at = value.find(mark)
        while at >= 0:
            start = at + len(mark)
            if mark.endswith(b'"'):  # the mark is a key: its value begins after the next quote, if there is one
                start = value.find(b'"', start) + 1
            end = value.find(b'"', start) if start else -1
            if end < 0:
                break
            if end - start > _MEDIA_BYTES:
                count += 1
                size += end - start
            at = value.find(mark, end)
    return count, size


def bad(param: str, problem: str, code: str = "invalid_value") -> GatewayError:
    """The error for a wrong field, by its path; `problem` completes "The field 'x' ..."."""
    return GatewayError(Kind.BAD_REQUEST, f"The field '{param}' {problem}.", code=code, param=param)
