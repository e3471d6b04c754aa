"""A client's request as it passes: what the gateway itself must see in it, and the few fields it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.gemini.words import ARRAY, COUNT, SSE
from trunkline.dialects.google_shape.fields import camel
from trunkline.dialects.google_shape.resource import path as place
from trunkline.dialects.google_shape.resource import resource
from trunkline.dialects.shallow import bad, checked_model, encode, fields

#: A picture or a recording counts as so many tokens: Gemini charges 258 to some 1,500 for a picture.
_MEDIA_TOKENS = 1000
_MEDIA_MARKS = (b'"data"',)
_COUNTED = ("contents", "systemInstruction", "system_instruction", "tools", "generateContentRequest")
_ACTIONS = {"": "generateContent", SSE: "streamGenerateContent?alt=sse", ARRAY: "streamGenerateContent?alt=sse"}
_ACTIONS[COUNT] = "countTokens"
_nested = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep; the path has told model and form. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    model = checked_model(named.model.removeprefix("models/"))
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
        out[name] = msgspec.Raw(encode({**request, **told}))
    return Outgoing(path(model, ask.form), encode(out))


def path(model: str, form: str) -> str:
    """The path below a base path that ends in `/v1beta`."""
    return place(model, _ACTIONS[form])


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of what is counted, a flat thousand for each encoded medium."""
    texts = (bytes(ask.fields.get(name, b"")) for name in _COUNTED)
    return guess.prompt(texts, _MEDIA_MARKS, _MEDIA_TOKENS)


def _nested_request(found: dict[str, msgspec.Raw]) -> tuple[str, dict[str, msgspec.Raw]] | None:
    """The name and the fields of a `generateContentRequest`."""
    for name, raw in found.items():
        if camel(name) == "generateContentRequest":
            try:
                return name, _nested(raw)
            except msgspec.ValidationError:
                raise bad("generateContentRequest", "must be an object") from None
    return None
