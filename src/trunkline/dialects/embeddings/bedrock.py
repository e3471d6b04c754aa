"""`InvokeModel` of Bedrock for models that embed, as providers speak it: a body for each maker, which facts tell apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import Usage
from trunkline.dialects.counts import input_alone
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.embeddings.saying import batches, cohere_settings, lose, parts, texts
from trunkline.dialects.shallow import encode
from trunkline.dialects.whole import Told, collected, decoded

COHERES = 96
"""Texts of one request to Cohere's models; Amazon's take one."""
_WHAT = "an embeddings answer"


class _Floats(msgspec.Struct, gc=False):
    floats: list[list[float]] = msgspec.field(name="float")


class _Answer(Told, rename="camel", gc=False):
    """Amazon's has one vector and its tokens; Cohere's several, and its tokens in a header only."""

    embedding: list[float] | None = None
    input_text_token_count: Any = None
    embeddings: list[list[float]] | _Floats | None = None


_answer = msgspec.json.Decoder(_Answer).decode
Body = dict[str, Any]


def write(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """A request for each input, or for each 96. Raises `GatewayError` for a model whose body is not known."""
    if facts.form not in _WRITERS:
        raise loss.refuse("model", "how this model is asked for embeddings is not known here (its fact `form`)")
    path = f"/model/{quote(model, safe='')}/invoke"
    return tuple(Outgoing(path, encode(body)) for body in _WRITERS[facts.form](question, facts, loss))


def _titan(question: Embed, facts: Facts, loss: Loss) -> list[Body]:
    dimensions = lose(question, facts, loss, "purpose", "truncate", "title")
    told = {} if dimensions is None else {"dimensions": dimensions}
    return [{"inputText": texts(item, f"input[{at}]", loss), **told} for at, item in enumerate(question.items)]


def _titan_image(question: Embed, facts: Facts, loss: Loss) -> list[Body]:
    dimensions = lose(question, facts, loss, "purpose", "truncate", "title")
    told = {} if dimensions is None else {"embeddingConfig": {"outputEmbeddingLength": dimensions}}
    return [_mixed(item, f"input[{at}]", loss) | told for at, item in enumerate(question.items)]


def _mixed(item: Item, place: str, loss: Loss) -> Body:
    found = parts(item, place, loss)
    pictures = [part for part in found if isinstance(part, Media)]
    if len(pictures) > 1 or any(not picture.data for picture in pictures):
        raise loss.refuse(place, "this model takes one picture beside text, and the picture itself")
    text = "\n".join(part for part in found if isinstance(part, str))
    said: Body = {"inputText": text} if text else {}
    return said | {"inputImage": pictures[0].data} if pictures else said


def _cohere(question: Embed, facts: Facts, loss: Loss) -> list[Body]:
    told = cohere_settings(question, facts, loss)
    return [
        told | {"texts": [texts(item, f"input[{start + at}]", loss) for at, item in enumerate(run)]}
        for start, run in batches(question, COHERES)
    ]


_WRITERS: Mapping[str, Callable[[Embed, Facts, Loss], list[Body]]] = MappingProxyType(
    {"titan": _titan, "titan_image": _titan_image, "cohere": _cohere}
)


def read_answer(bodies: Sequence[bytes]) -> Embeddings:
    """The answers as one."""
    vectors, usage, raw_usage = collected(bodies, _read)
    return Embeddings(vectors, usage=usage, raw_usage=raw_usage)


def _read(body: bytes) -> tuple[list[list[float]], tuple[Usage, str]]:
    told = decoded(body, _answer, _WHAT)
    several = told.embeddings.floats if isinstance(told.embeddings, _Floats) else told.embeddings or []
    vectors = several if told.embedding is None else [told.embedding]
    return vectors, input_alone("inputTextTokenCount", told.input_text_token_count)
