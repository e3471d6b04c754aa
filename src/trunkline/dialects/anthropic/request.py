"""A client's request: what the gateway itself must see in it, and the few things it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.anthropic.words import COUNT, COUNT_PATH, PATH
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of

#: A picture or a document counts as so many tokens.
_MEDIA_TOKENS = 1500
_MEDIA_MARKS = (b'"data"',)


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    Usage is told unasked in this dialect, so `include_usage` is always true.
    """
    found = fields(body)
    model = model_of(found)
    messages = found.get("messages")
    if messages is None:
        raise bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise bad("messages", "must be an array")
    stream = named.form != COUNT and bool(flag_of(found, "stream", "stream"))
    return Ask(fields=found, model=model, stream=stream, include_usage=True, form=named.form)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - usage is told unasked
    """The request for the provider: `model` replaced, the rest byte for byte.

    No head: in the same-dialect case the client's own `anthropic-version` and `anthropic-beta` are passed on.
    """
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    return Outgoing(COUNT_PATH if ask.form == COUNT else PATH, encode(out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of text and tools, a flat number for each encoded medium."""
    texts = (bytes(ask.fields.get(name, b"")) for name in ("system", "messages", "tools"))
    return guess.prompt(texts, _MEDIA_MARKS, _MEDIA_TOKENS)
