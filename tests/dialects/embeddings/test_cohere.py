"""Cohere's embeddings, as a provider speaks them."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Item
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.embeddings import cohere


def test_a_provider_is_asked_in_runs() -> None:
    """Cohere takes at most 96 in one."""
    outs = cohere.write(Embed("m", tuple(Item((str(at),)) for at in range(97)), 8), "big", NO_FACTS, Loss(strict=True))
    bodies = [json.loads(out.body) for out in outs]
    assert [len(body["texts"]) for body in bodies] == [96, 1]
    assert {out.path for out in outs} == {"/embed"}
    assert bodies[1] == {
        "model": "big", "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 8, "texts": ["96"]
    }  # fmt: skip


def test_a_provider_is_asked_for_pictures() -> None:
    """Newer models take them beside text, in another field."""
    items = (Item(("a",)), Item(("b", Media("image", "", "aaaa"))))
    (out,) = cohere.write(Embed("m", items), "big", NO_FACTS, Loss(strict=True))
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}
    assert json.loads(out.body)["inputs"] == [
        {"content": [{"type": "text", "text": "a"}]},
        {"content": [{"type": "text", "text": "b"}, picture]},
    ]
    with pytest.raises(GatewayError) as raised:
        cohere.write(Embed("m", (Item((Media("image", url="https://x"),)),)), "big", NO_FACTS, Loss(strict=True))
    assert raised.value.param == "input[0]"


def test_answers_are_read() -> None:
    """Several as one, with what Cohere bills."""
    body = b'{"id":"x","embeddings":{"float":[[1]]},"meta":{"billed_units":{"input_tokens":3}}}'
    answer = cohere.read_answer([body, body])
    assert (answer.vectors, answer.usage) == (([1.0], [1.0]), Usage(input=6, basis="reported"))
    assert cohere.read_answer([b'{"embeddings":{"float":[[1]]}}']).usage == NO_USAGE
