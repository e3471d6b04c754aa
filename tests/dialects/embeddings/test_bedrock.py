"""Bedrock's models that embed, each by its maker's body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Item
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.embeddings import bedrock

TITAN, TITAN_IMAGE, COHERE = Facts(form="titan"), Facts(form="titan_image"), Facts(form="cohere")
PICTURE = Media("image", "image/png", "aaaa")
TWO = (Item(("a",)), Item(("b",)))


@pytest.mark.parametrize(
    ("facts", "asked", "expected"),
    [
        (TITAN, Embed("m", TWO), [{"inputText": "a"}, {"inputText": "b"}]),
        (TITAN, Embed("m", TWO[:1], 256), [{"inputText": "a", "dimensions": 256}]),
        (
            TITAN_IMAGE,
            Embed("m", (Item(("a", PICTURE)), Item((PICTURE,)), Item(("b",))), 256),
            [
                {"inputText": "a", "inputImage": "aaaa", "embeddingConfig": {"outputEmbeddingLength": 256}},
                {"inputImage": "aaaa", "embeddingConfig": {"outputEmbeddingLength": 256}},
                {"inputText": "b", "embeddingConfig": {"outputEmbeddingLength": 256}},
            ],
        ),
        (TITAN_IMAGE, Embed("m", TWO[:1]), [{"inputText": "a"}]),
        (
            COHERE,
            Embed("m", TWO, None, "query"),
            [{"input_type": "search_query", "embedding_types": ["float"], "texts": ["a", "b"]}],
        ),
    ],
)
def test_a_provider_is_asked(facts: Facts, asked: Embed, expected: list[Any]) -> None:
    """Amazon's models take one input a request, Cohere's many."""
    outs = bedrock.write(asked, "amazon.t:0", facts, Loss(strict=True))
    assert [json.loads(out.body) for out in outs] == expected
    assert {out.path for out in outs} == {"/model/amazon.t%3A0/invoke"}


def test_many_texts_for_cohere() -> None:
    """At most 96 in one request."""
    outs = bedrock.write(Embed("m", TWO[:1] * 97), "m", COHERE, Loss(strict=True))
    assert [len(json.loads(out.body)["texts"]) for out in outs] == [96, 1]


@pytest.mark.parametrize(
    ("facts", "item", "param"),
    [
        (NO_FACTS, Item(("a",)), "model"),
        (TITAN, Item((PICTURE,)), "input[0]"),
        (COHERE, Item((PICTURE,)), "input[0]"),
        (TITAN_IMAGE, Item((PICTURE, PICTURE)), "input[0]"),
        (TITAN_IMAGE, Item((Media("image", url="https://x"),)), "input[0]"),
    ],
)
def test_what_cannot_be_asked_is_refused(facts: Facts, item: Item, param: str) -> None:
    """With a 400 that says what and why."""
    with pytest.raises(GatewayError) as raised:
        bedrock.write(Embed("m", (item,)), "m", facts, Loss(strict=False))
    assert (raised.value.status, raised.value.param) == (400, param)


@pytest.mark.parametrize(
    ("body", "vectors", "usage"),
    [
        (b'{"embedding":[1],"inputTextTokenCount":3}', ([1.0],), Usage(input=3, basis="reported")),
        (b'{"embedding":[1],"inputTextTokenCount":-3}', ([1.0],), NO_USAGE),
        (b'{"embeddings":[[1],[2]]}', ([1.0], [2.0]), NO_USAGE),
        (b'{"embeddings":{"float":[[1],[2]]}}', ([1.0], [2.0]), NO_USAGE),
        (b"{}", (), NO_USAGE),
    ],
)
def test_an_answer_is_read(body: bytes, vectors: tuple[list[float], ...], usage: Usage) -> None:
    """Cohere's tokens stand in a header only, so they are estimated."""
    answer = bedrock.read_answer([body])
    assert (answer.vectors, answer.usage) == (vectors, usage)


def test_the_answers_of_several_requests_are_one() -> None:
    """A client asked one question."""
    answer = bedrock.read_answer([b'{"embedding":[1],"inputTextTokenCount":3}', b'{"embedding":[2],"inputTextTokenCount":4}'])
    assert (answer.vectors, answer.usage.input) == (([1.0], [2.0]), 7)
