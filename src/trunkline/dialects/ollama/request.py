"""A client's request, as far as the gateway itself must see it. Everything else is the provider's to judge and goes out
byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of

GENERATE = "generate"
"""The form of `/api/generate`; that of `/api/chat` is empty."""
_PATHS = {"": "/api/chat", GENERATE: "/api/generate"}
#: A picture counts as so many tokens: Ollama itself reckons 768 with its projectors (server/prompt.go).
_IMAGE_TOKENS = 768
#: Strings that are so long, ASCII and hold no space are taken for a picture's base64.
_IMAGE_BYTES = 1024
_NULL = msgspec.Raw(b"null")


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    A stream is what is asked for unless `stream` is false. No messages and an empty prompt are right: they ask Ollama to
    load the model.
    """
    found = fields(body)
    model = model_of(found)
    kind, name, opening = ("string", "prompt", b'"') if named.form == GENERATE else ("array", "messages", b"[")
    value = bytes(found.get(name, _NULL))
    if value[:1] not in {opening, b"n"}:
        raise bad(name, f"must be {'an' if kind == 'array' else 'a'} {kind}")
    stream = flag_of(found, "stream", "stream") is not False
    return Ask(fields=found, model=model, stream=stream, include_usage=True, form=named.form)


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
    return guess.tokens(text) + images * _IMAGE_TOKENS
