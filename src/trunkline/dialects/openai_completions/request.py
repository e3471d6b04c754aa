"""A client's completions request: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte. What the prompt holds belongs in `prompts`.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.openai_completions.words import PATH
from trunkline.dialects.openai_shape.options import asking_usage, asks_usage
from trunkline.dialects.shallow import encode, fields, flag_of, model_of


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    The path tells nothing in this dialect. A request without a prompt is one: OpenAI's models then begin a new text.
    """
    found = fields(body)
    model = model_of(found)
    stream = bool(flag_of(found, "stream", "stream"))
    return Ask(fields=found, model=model, stream=stream, include_usage=asks_usage(found))


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:
    """The request for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    return Outgoing(PATH, encode(asking_usage(out) if ask_usage and ask.stream else out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed from the size of the text before the gap and after it. One told as a number is about as long."""
    return guess.tokens(sum(len(bytes(ask.fields.get(name, b""))) for name in ("prompt", "suffix")))
