"""A client's chat request: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.openai_shape.options import asking_usage, asks_usage
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of

PATH = "/chat/completions"
#: A picture or a recording counts as so many tokens: providers charge between some 85 and 1,600 for a picture.
_MEDIA_TOKENS = 1000
#: What stands right before encoded media: data URLs, and the `data` of `input_audio`.
_MEDIA_MARKS = (b";base64,", b'"data"')


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    The path tells nothing in this dialect.
    """
    found = fields(body)
    model = model_of(found)
    stream = bool(flag_of(found, "stream", "stream"))
    include_usage = asks_usage(found)
    messages = found.get("messages")
    if messages is None:
        raise bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise bad("messages", "must be an array")
    return Ask(fields=found, model=model, stream=stream, include_usage=include_usage)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:
    """The request for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    return Outgoing(PATH, encode(asking_usage(out) if ask_usage and ask.stream else out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: from the size of messages and tools, and a flat thousand for each encoded medium."""
    texts = (bytes(ask.fields.get(name, b"")) for name in ("messages", "tools"))
    return guess.prompt(texts, _MEDIA_MARKS, _MEDIA_TOKENS)
