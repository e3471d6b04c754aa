"""`/embed` of Cohere's API (v2), as providers speak it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.embeddings.saying import batches, cohere_settings, parts
from trunkline.dialects.passing import read_usage
from trunkline.dialects.shallow import encode
from trunkline.dialects.whole import Told, collected, decoded

PATH = "/embed"
MOST = 96
"""Inputs of one request (docs.cohere.com/reference/embed)."""
_WHAT = "an embeddings answer"
_ABSENT = msgspec.Raw(b"")


class _Meta(msgspec.Struct, frozen=True, gc=False):
    billed_units: msgspec.Raw = _ABSENT


class _Floats(msgspec.Struct, gc=False):
    floats: list[list[float]] = msgspec.field(name="float")


class _Answer(Told, gc=False):
    embeddings: _Floats
    meta: _Meta = _Meta()


_answer = msgspec.json.Decoder(_Answer).decode


def write(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """Requests of at most 96 inputs."""
    told = {"model": model} | cohere_settings(question, facts, loss)
    return tuple(Outgoing(PATH, encode(told | _inputs(run, start, loss))) for start, run in batches(question, MOST))


def _inputs(run: tuple[Item, ...], start: int, loss: Loss) -> dict[str, Any]:
    """Texts where there is nothing else, as older models take it."""
    found = [parts(item, f"input[{start + at}]", loss) for at, item in enumerate(run)]
    if all(isinstance(part, str) for one in found for part in one):
        return {"texts": ["\n".join(str(part) for part in one) for one in found]}
    return {
        "inputs": [{"content": [_content(part, f"input[{start + at}]", loss) for part in one]} for at, one in enumerate(found)]
    }


def _content(part: str | Media, place: str, loss: Loss) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not part.data:
        raise loss.refuse(place, "the provider does not fetch pictures; send the picture itself")
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type or 'image/png'};base64,{part.data}"}}


def read_answer(bodies: Sequence[bytes]) -> Embeddings:
    """The answers as one."""
    vectors, usage, raw_usage = collected(bodies, _read)
    return Embeddings(vectors, usage=usage, raw_usage=raw_usage)


def _read(body: bytes) -> tuple[list[list[float]], tuple[Usage, str]]:
    told = decoded(body, _answer, _WHAT)
    return told.embeddings.floats, read_usage(told.meta.billed_units)
