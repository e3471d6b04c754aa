"""A client's chat request: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.dialects.shallow import encode, fields

_MODEL_LENGTH = 256
_BYTES_PER_TOKEN = 4
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


def read_request(body: bytes) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong."""
    found = fields(body)
    model = _model(found)
    stream = _optional_flag(found, "stream", "stream")
    options = _options(found)
    messages = found.get("messages")
    if messages is None:
        raise _bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise _bad("messages", "must be an array")
    include_usage = _optional_flag(options, "include_usage", "stream_options.include_usage")
    return Ask(fields=found, model=model, stream=stream, include_usage=include_usage)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> bytes:
    """The body for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    if ask_usage and ask.stream:
        out["stream_options"] = msgspec.Raw(encode(_options(ask.fields) | {"include_usage": _TRUE}))
    return encode(out)


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of messages and tools, a flat thousand for each encoded medium."""
    text = media = 0
    for name in ("messages", "tools"):
        value = bytes(ask.fields.get(name, b""))
        count, size = _media(value)
        text += len(value) - size
        media += count
    return text // _BYTES_PER_TOKEN + media * _MEDIA_TOKENS


def _model(found: dict[str, msgspec.Raw]) -> str:
    if "model" not in found:
        raise _bad("model", "is required", code="missing_required_parameter")
    try:
        model = _text(found["model"])
    except msgspec.ValidationError:
        raise _bad("model", "must be a string") from None
    if not 0 < len(model) <= _MODEL_LENGTH:
        raise _bad("model", f"must have 1 to {_MODEL_LENGTH} characters")
    if not model.isprintable():  # it will stand in logs, metrics and perhaps a URL
        raise _bad("model", "must not contain control characters")
    return model


def _optional_flag(found: dict[str, msgspec.Raw], name: str, path: str) -> bool:
    if name not in found:
        return False
    try:
        return bool(_flag(found[name]))
    except msgspec.ValidationError:
        raise _bad(path, "must be a boolean") from None


def _options(found: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    if "stream_options" not in found:
        return {}
    try:
        return _nested(found["stream_options"]) or {}
    except msgspec.ValidationError:
        raise _bad("stream_options", "must be an object") from None


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


def _bad(param: str, problem: str, code: str = "invalid_value") -> GatewayError:
    return GatewayError(Kind.BAD_REQUEST, f"The field '{param}' {problem}.", code=code, param=param)
