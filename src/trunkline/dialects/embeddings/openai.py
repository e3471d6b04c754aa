"""`/embeddings` of OpenAI's form, as clients and all providers of that form speak it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item, Purpose
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import guess
from trunkline.dialects.dialect import NOT_NAMED, Ask, Frame, Named, Outgoing, Whole
from trunkline.dialects.embeddings.saying import lose, parts
from trunkline.dialects.embeddings.vectors import matched, pack, unpack
from trunkline.dialects.errors import protocol
from trunkline.dialects.passing import read_usage
from trunkline.dialects.shallow import bad, encode, fields, model_of, values_of
from trunkline.dialects.taken import Taken
from trunkline.dialects.whole import Told, decoded

PATH = "/embeddings"
MOST = 2048
"""Inputs of one request: OpenAI's own bound."""
_WHAT = "an embeddings answer"
_FORMAT = "encoding_format"
_PICTURE = 1000
_ABSENT = msgspec.Raw(b"")
#: `input_type` of servers that take one: NVIDIA's and Voyage's words, and Cohere's, which OpenRouter takes.
_PURPOSES: dict[str, Purpose] = {
    "query": "query", "search_query": "query", "document": "document", "passage": "document", "search_document": "document",
    "classification": "classification", "clustering": "clustering",
}  # fmt: skip


class _Vector(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Answer(Told, gc=False):
    data: list[_Vector]
    model: Any = None
    usage: msgspec.Raw = _ABSENT


class _Peeked(msgspec.Struct, gc=False):
    embedding: msgspec.Raw


class _Shallow(Told, gc=False):
    data: list[_Peeked]
    usage: msgspec.Raw = _ABSENT


_answer = msgspec.json.Decoder(_Answer).decode
_shallow = msgspec.json.Decoder(_Shallow).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_either = msgspec.json.Decoder(list[float] | str).decode


# Same dialect ----------------------------------------------------------------------------------------------------------


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:  # noqa: ARG001 - the path tells nothing
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    model = model_of(found)
    if "input" not in found:
        raise bad("input", "is required", code="missing_required_parameter")
    return Ask(found, model, stream=False, include_usage=True)


def estimate_input(ask: Ask) -> int:
    """Tokens of the input: as many as there are numbers, or one for every four bytes of text and a thousand for a picture."""
    raw = bytes(ask.fields["input"])
    if raw.lstrip(b"[ \t\r\n")[:1].isdigit():
        return raw.count(b",") + 1
    return guess.prompt((raw,), (b";base64,",), _PICTURE)


def write_request(ask: Ask, model: str, facts: Facts, loss: Loss) -> Outgoing:
    """`model` replaced. A model that refuses `encoding_format` loses nothing: `read_reply` gives the client what it wants."""
    out = ask.fields | {"model": msgspec.Raw(encode(model))}
    for name in (_FORMAT, "dimensions"):
        if name in out and name in facts.refuses:
            del out[name]
            if name != _FORMAT:
                loss.drop(name, "this model does not take it")
    return Outgoing(PATH, encode(out))


def read_reply(ask: Ask, body: bytes) -> tuple[Whole, bytes]:
    """What is told in passing. Servers that do not know `encoding_format` answer in numbers, which OpenAI's SDK for
    JavaScript, having asked for base64, reads as nonsense: such an answer is spelled as it was asked for.
    """
    told = decoded(body, _shallow, _WHAT)
    usage, raw_usage = read_usage(told.usage)
    mark = b'"' if _wants_base64(ask) else b"["
    if any(memoryview(one.embedding)[:1] != mark for one in told.data):
        body = _respelled(body, base64=mark == b'"')
    return Whole(usage, raw_usage, ""), body


def _wants_base64(ask: Ask) -> bool:
    return bytes(ask.fields.get(_FORMAT, b"")) == b'"base64"'


def _respelled(body: bytes, *, base64: bool) -> bytes:
    """The same answer, its vectors spelled in the other way."""
    top = _object(body)
    data = _list(top["data"])
    for one in data:
        try:
            vector = _either(one["embedding"])
        except ValueError:
            raise protocol(f"The provider's answer is not {_WHAT}.", body) from None
        one["embedding"] = msgspec.Raw(encode(_spelled(_numbers(vector), base64=base64)))
    return encode(top | {"data": msgspec.Raw(encode(data))})


def _numbers(vector: list[float] | str) -> list[float]:
    return unpack(vector) if isinstance(vector, str) else vector


def _spelled(vector: list[float], *, base64: bool) -> list[float] | str:
    return pack(vector) if base64 else vector


# Of a client -----------------------------------------------------------------------------------------------------------


def read(ask: Ask) -> Embed:
    """The whole question."""
    top = Taken(values_of(ask.fields), "")
    top.any("model")
    items = _items(top.any("input"))
    encoding, dimensions = top.text(_FORMAT) or "float", top.whole("dimensions")
    if encoding not in {"float", "base64"}:
        raise bad(_FORMAT, "must be 'float' or 'base64'")
    if dimensions is not None and dimensions < 1:
        raise bad("dimensions", "must be at least 1")
    word, user = top.text("input_type"), top.text("user")
    left = tuple(top.left())
    return Embed(
        model=ask.model,
        items=items,
        dimensions=dimensions,
        purpose=_PURPOSES.get(word, ""),
        base64=encoding == "base64",
        extras=(*left, "input_type") if word and word not in _PURPOSES else left,
        hints=("user",) if user else (),
    )


def _items(value: Any) -> tuple[Item, ...]:
    """A text, a list of texts, one array of tokens, or a list of those; or, as OpenRouter has it, objects with `content`."""
    if _is_tokens(value):
        return (Item(tokens=tuple(value)),)
    several = value if isinstance(value, list) else [value]
    if not several:
        raise bad("input", "must not be empty")
    if len(several) > MOST:
        raise bad("input", f"must have at most {MOST} elements")
    return tuple(_item(one, f"input[{at}]" if isinstance(value, list) else "input") for at, one in enumerate(several))


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


def _item(value: Any, place: str) -> Item:
    if value in ("", []):
        raise bad(place, "must not be empty")
    if isinstance(value, str):
        return Item((value,))
    if _is_tokens(value):
        return Item(tokens=tuple(value))
    if isinstance(value, dict):
        content = Taken(value, place).items("content")
        found = tuple(_part(one, f"{place}.content[{at}]") for at, one in enumerate(content))
        if found:
            return Item(found)
    raise bad(place, "must be a string or an array of token numbers")


def _part(value: Any, place: str) -> str | Media:
    part = Taken(value, place)
    kind = part.text("type")
    if kind == "text":
        return part.text("text")
    if kind == "image_url":
        return _picture(Taken(part.object("image_url") or {}, f"{place}.image_url").text("url"), f"{place}.image_url.url")
    raise bad(f"{place}.type", "must be 'text' or 'image_url'")


def _picture(url: str, place: str) -> Media:
    scheme, _, rest = url.partition(":")
    head, _, data = rest.partition(",")
    if scheme.lower() == "data" and data and head.endswith(";base64"):
        return Media("image", media_type=head.partition(";")[0].lower(), data=data)
    if scheme.lower() in {"http", "https"}:
        return Media("image", url=url)
    raise bad(place, "must be a data URL with base64, or a web address")


def write_answer(answer: Embeddings, question: Embed, frame: Frame) -> bytes:
    """The answer, in the spelling that was asked for."""
    data = [
        {"object": "embedding", "index": at, "embedding": _spelled(vector, base64=question.base64)}
        for at, vector in enumerate(matched(answer, question))
    ]
    usage = {"prompt_tokens": answer.usage.input, "total_tokens": answer.usage.input}
    model = answer.model or frame.ask.model
    return encode({"object": "list", "data": data, "model": model, "usage": usage})


# Of a provider ---------------------------------------------------------------------------------------------------------


def write(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """One request: providers of this form take as many inputs as its clients may send."""
    dimensions = lose(question, facts, loss, "purpose", "truncate", "title")
    told: dict[str, Any] = {
        "model": model,
        "input": [_input(item, f"input[{at}]", loss) for at, item in enumerate(question.items)],
    }
    if dimensions is not None:
        told["dimensions"] = dimensions
    return (Outgoing(PATH, encode(told)),)


def _input(item: Item, place: str, loss: Loss) -> str | dict[str, Any]:
    found = parts(item, place, loss)
    if not any(isinstance(part, Media) for part in found):
        return "\n".join(str(part) for part in found)
    return {"content": [_content(part) for part in found]}


def _content(part: str | Media) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def read_answer(bodies: Sequence[bytes]) -> Embeddings:
    """The answer; vectors stand in the order of their `index`."""
    told = decoded(bodies[0], _answer, _WHAT)
    usage, raw_usage = read_usage(told.usage)
    data = sorted(told.data, key=lambda one: one.index or 0)
    vectors = tuple(_numbers(one.embedding) for one in data)
    return Embeddings(vectors, told.model if isinstance(told.model, str) else "", usage, raw_usage)
