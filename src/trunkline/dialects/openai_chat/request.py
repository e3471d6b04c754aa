"""A client's chat request: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of

PATH = "/chat/completions"
#: A picture or a recording counts as so many tokens: providers charge between some 85 and 1,600 for a picture.
_MEDIA_TOKENS = 1000
#: What stands right before encoded media: data URLs, and the `data` of `input_audio`.
_MEDIA_MARKS = (b";base64,", b'"data"')
_TRUE = msgspec.Raw(b"true")

_nested = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    The path tells nothing in this dialect.
    """
    found = fields(body)
    model = model_of(found)
    stream = bool(flag_of(found, "stream", "stream"))
    options = _options(found)
    messages = found.get("messages")
    if messages is None:
        raise bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise bad("messages", "must be an array")
    include_usage = bool(flag_of(options, "include_usage", "stream_options.include_usage"))
    return Ask(fields=found, model=model, stream=stream, include_usage=include_usage)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:
    """The request for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    if ask_usage and ask.stream:
        out["stream_options"] = msgspec.Raw(encode(_options(ask.fields) | {"include_usage": _TRUE}))
    return Outgoing(PATH, encode(out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: from the size of messages and tools, and a flat thousand for each encoded medium."""
    text = media = 0
    for name in ("messages", "tools"):
        value = bytes(ask.fields.get(name, b""))
        count, size = guess.media(value, _MEDIA_MARKS)
        text += len(value) - size
        media += count
    return guess.tokens(text) + media * _MEDIA_TOKENS


def _options(found: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    if "stream_options" not in found:
        return {}
    try:
        return _nested(found["stream_options"]) or {}
    except msgspec.ValidationError:
        raise bad("stream_options", "must be an object") from None
