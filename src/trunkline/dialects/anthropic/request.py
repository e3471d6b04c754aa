"""A client's request: what the gateway itself must see in it, and the few things it may change.

Everything else is the provider's to judge and goes out byte for byte.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.anthropic.words import COUNT, COUNT_PATH, PATH
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named, Outgoing
from trunkline.dialects.shallow import encode, fields
from trunkline.dialects.state import SEALED

_MODEL_LENGTH = 256
_BYTES_PER_TOKEN = 4
#: A picture or a document counts as so many tokens.
_MEDIA_TOKENS = 1500
#: Shorter strings under `data` are taken for text.
_MEDIA_BYTES = 256
_DATA = b'"data"'
#: What a wrapped seal looks like in JSON: its alphabet needs no escapes.
_SEALED = b'"' + SEALED.encode()
_THINKING = frozenset({"thinking", "redacted_thinking"})

_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool | None).decode
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Block(msgspec.Struct):
    type: str = ""
    signature: str = ""
    data: str = ""


_message = msgspec.json.Decoder(_Message).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_block = msgspec.json.Decoder(_Block).decode


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names the field that is wrong.

    Usage is told unasked in this dialect, so `include_usage` is always true.
    """
    found = fields(body)
    model = _model(found)
    messages = found.get("messages")
    if messages is None:
        raise _bad("messages", "is required", code="missing_required_parameter")
    if memoryview(messages)[0] != ord("["):
        raise _bad("messages", "must be an array")
    try:
        stream = named.form != COUNT and "stream" in found and bool(_flag(found["stream"]))
    except msgspec.ValidationError:
        raise _bad("stream", "must be a boolean") from None
    return Ask(fields=found, model=model, stream=stream, include_usage=True, form=named.form)


def write_request(ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - usage is told unasked
    """The request for the provider: `model` replaced, thinking of other families left out, the rest byte for byte.

    No head: in the same-dialect case the client's own `anthropic-version` and `anthropic-beta` are passed on.
    """
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    messages = bytes(out["messages"])
    if _SEALED in messages:
        out["messages"] = _without_foreign(messages)
    return Outgoing(COUNT_PATH if ask.form == COUNT else PATH, encode(out))


def estimate_input(ask: Ask) -> int:
    """Prompt tokens guessed: a token for every four bytes of text and tools, a flat number for each encoded medium."""
    text = media = 0
    for name in ("system", "messages", "tools"):
        value = bytes(ask.fields.get(name, b""))
        count, size = _media(value)
        text += len(value) - size
        media += count
    return text // _BYTES_PER_TOKEN + media * _MEDIA_TOKENS


def _without_foreign(messages: bytes) -> msgspec.Raw:
    """The messages without thinking that another family's model made: this one would answer that its signature is invalid.

    An assistant's message that held nothing else goes too; consecutive turns of the user are one turn to the provider. What
    cannot be read is left for the provider to judge.
    """
    try:
        kept = [found for raw in _raws(messages) if (found := _cleaned(raw)) is not None]
    except (ValueError, RecursionError):
        return msgspec.Raw(messages)
    return msgspec.Raw(encode(kept))


def _cleaned(raw: msgspec.Raw) -> msgspec.Raw | None:
    if _SEALED not in bytes(raw):
        return raw
    message = _message(raw)
    if message.role != "assistant" or bytes(message.content)[:1] != b"[":
        return raw
    blocks = _raws(message.content)
    kept = [block for block in blocks if not _is_foreign(block)]
    if len(kept) == len(blocks):
        return raw
    return msgspec.Raw(encode(_fields(raw) | {"content": msgspec.Raw(encode(kept))})) if kept else None


def _is_foreign(raw: msgspec.Raw) -> bool:
    if _SEALED not in bytes(raw):
        return False
    try:
        block = _block(raw)
    except msgspec.ValidationError:
        return False
    return block.type in _THINKING and (block.signature or block.data).startswith(SEALED)


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


def _media(value: bytes) -> tuple[int, int]:
    """How many encoded media there are in `value`, and their bytes. A linear search: no JSON is decoded for a guess."""
    count = size = 0
    at = value.find(_DATA)
    while at >= 0:
        start = value.find(b'"', at + len(_DATA)) + 1
        end = value.find(b'"', start) if start else -1
        if end < 0:
            break
        if end - start > _MEDIA_BYTES:
            count += 1
            size += end - start
        at = value.find(_DATA, end)
    return count, size


def _bad(param: str, problem: str, code: str = "invalid_value") -> GatewayError:
    return GatewayError(Kind.BAD_REQUEST, f"The field '{param}' {problem}.", code=code, param=param)
