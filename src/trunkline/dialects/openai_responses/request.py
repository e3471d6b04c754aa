"""A client's request: what the gateway itself must see in it, and the one field it changes.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.openai_responses.words import COUNT, COUNT_PATH, PATH
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of

#: A picture or a document counts as so many tokens: providers charge between some 85 and 1,600 for a picture.
_MEDIA_TOKENS = 1000
#: What stands right before encoded media: data URLs, and the `file_data` of an `input_file`.
_MEDIA_MARKS = (b";base64,", b'"file_data"')
#: What may stand in place of `input`.
_INSTEAD = frozenset({"previous_response_id", "conversation", "prompt"})
_NULL = msgspec.Raw(b"null")


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    Usage is told unasked in this dialect, so `include_usage` is always true.
    """
    found = fields(body)
    model = model_of(found)
    stream = named.form != COUNT and bool(flag_of(found, "stream", "stream"))
    told = found.get("input", _NULL)
    if told == _NULL:
        if not _INSTEAD & found.keys():
            raise bad("input", "is required", code="missing_required_parameter")
    elif memoryview(told)[0] not in b'["':
        raise bad("input", "must be a string or an array")
    return Ask(fields=found, model=model, stream=stream, include_usage=True, form=named.form)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - usage is told unasked
    """The request for the provider: `model` replaced, the rest byte for byte."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    return Outgoing(COUNT_PATH if ask.form == COUNT else PATH, encode(out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: from the size of what is told to the model, and a flat thousand for each encoded medium.

    What the provider itself keeps of the conversation is not in it.
    """
    texts = (bytes(ask.fields.get(name, b"")) for name in ("instructions", "input", "tools"))
    return guess.prompt(texts, _MEDIA_MARKS, _MEDIA_TOKENS)
