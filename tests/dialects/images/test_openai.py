"""OpenAI's pictures: as bytes, and of a client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.pictures import Draw, Picture, Pictures
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.images import openai


def ask(**fields: Any) -> Ask:
    """A client's request."""
    return openai.read_request(json.dumps({"model": "m", "prompt": "a cat", **fields}).encode())


def test_bytes_pass_but_for_the_model() -> None:
    """Nothing else of a request between two sides of one dialect may change."""
    asked = b'{"model":"m","prompt":"a cat","x":{"y": 1.50}}'
    out = openai.write_request(openai.read_request(asked), "big", NO_FACTS, Loss(strict=True))
    assert (out.path, out.body) == ("/images/generations", asked.replace(b'"m"', b'"big"'))


@pytest.mark.parametrize(
    ("fields", "names", "left"),
    [
        ({"size": "1024x1024", "quality": "high"}, ["size"], {"quality": "high"}),
        ({"response_format": "url"}, ["response_format"], {}),
        ({"response_format": "b64_json"}, [], {}),
    ],
)
def test_what_a_model_refuses_stays_here(fields: dict[str, Any], names: list[str], left: dict[str, Any]) -> None:
    """It would be an error; a client that asked for base64 gets what it asked for."""
    loss = Loss(strict=False)
    out = openai.write_request(ask(**fields), "big", Facts(refuses=frozenset({"size", "response_format"})), loss)
    assert list(loss.names) == names
    assert json.loads(out.body) == {"model": "big", "prompt": "a cat", **left}


@pytest.mark.parametrize("told", [b"{}", b'{"model":"m"}', b'{"prompt":"a"}', b'{"model":"m","prompt":"a","stream":5}', b"[]"])
def test_what_is_no_request(told: bytes) -> None:
    """A 400 before anybody is asked."""
    with pytest.raises(GatewayError) as raised:
        openai.read_request(told)
    assert raised.value.status == 400


def test_the_prompts_tokens_are_guessed() -> None:
    """For answers that broke."""
    assert openai.estimate_input(ask(prompt="abcdef")) == 2


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"created":1,"data":[{"url":"https://x"},{"url":"https://y"}]}', Usage(images=2)),
        (
            b'{"data":[{"b64_json":"aaaa"}],"usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105}}',
            Usage(input=5, output=100, images=1, basis="reported"),
        ),
        (b'{"data":null}', NO_USAGE),
    ],
)
def test_an_answer_passes(body: bytes, usage: Usage) -> None:
    """Byte for byte; its pictures are counted."""
    whole, given = openai.read_reply(ask(), body)
    assert given is body
    assert whole.usage == usage


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Draw("m", "a cat")),
        ({"n": 3, "size": "1536x1024", "response_format": "url"}, Draw("m", "a cat", 3, (1536, 1024), True)),
        ({"size": "auto", "quality": "auto", "background": "opaque", "output_format": "png", "moderation": "auto"},
         Draw("m", "a cat")),
        ({"quality": "high", "style": "vivid", "x": {}, "user": "u", "moderation": "low", "stream": False},
         Draw("m", "a cat", shaping=("quality", "style", "x"), hints=("user", "moderation"))),
    ],
)  # fmt: skip
def test_a_question_is_read(fields: dict[str, Any], expected: Draw) -> None:
    """What is usual is no loss."""
    assert openai.read(ask(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": True}, "stream"), ({"prompt": ""}, "prompt"), ({"prompt": ["a"]}, "prompt"), ({"n": 0}, "n"),
        ({"n": 11}, "n"), ({"size": "big"}, "size"), ({"size": "0x5"}, "size"), ({"response_format": "png"}, "response_format"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_where(fields: dict[str, Any], param: str) -> None:
    """With the field's name; a stream can only be had of a provider of this dialect."""
    with pytest.raises(GatewayError) as raised:
        openai.read(ask(**fields))
    assert (raised.value.status, raised.value.param) == (400, param)


def test_an_answer_is_written() -> None:
    """As OpenAI's SDKs read it."""
    frame, asked = Frame(ask(), "id", 7), Draw("m", "a cat")
    pictures = (Picture("aaaa", "image/png", "a grey cat"), Picture("bbbb", "image/png"))
    answer = Pictures(pictures, usage=Usage(input=5, output=100, images=2, basis="reported"))
    assert json.loads(openai.write_answer(answer, asked, frame)) == {
        "created": 7,
        "data": [{"b64_json": "aaaa", "revised_prompt": "a grey cat"}, {"b64_json": "bbbb"}],
        "output_format": "png",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 100,
            "total_tokens": 105,
            "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
        },
    }
    answer = Pictures((Picture("aaaa"),), usage=Usage(images=1))
    assert json.loads(openai.write_answer(answer, asked, frame)) == {"created": 7, "data": [{"b64_json": "aaaa"}]}


def test_pictures_that_are_held_back_are_an_error() -> None:
    """As OpenAI answers in such a case: 400, with the reason."""
    with pytest.raises(GatewayError) as raised:
        openai.write_answer(Pictures((), "IMAGE_SAFETY"), Draw("m", "a cat"), Frame(ask(), "id", 7))
    error = raised.value
    assert (error.kind, error.status, error.code) == (Kind.UPSTREAM_REFUSED, 400, "content_policy_violation")
    assert error.message == "The provider made no picture. IMAGE_SAFETY"
