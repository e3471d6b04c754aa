"""Whole answers of servers that go on with a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.odd import answer_all, each
from dialects.openai_completions.samples import WHOLE
from trunkline.canon.chat import Choice, Reply, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.openai_completions.read_answer import read_answer
from trunkline.dialects.table import DIALECTS


def test_an_answer() -> None:
    """All of it has its place."""
    token = {"token": "Hey", "logprob": -1.0, "top_logprobs": [{"token": "Hey", "logprob": -1.0}]}
    assert read_answer(json.dumps(WHOLE).encode(), "seed") == Reply(
        dialect="openai_completions",
        id="cmpl-1",
        model="tiny",
        choices=(
            Choice((Text("Hey"),), "stop", "stop", logprobs=(token,), vendor={"matched_stop": 2}),
            Choice((), "length", "length"),
        ),
        usage=Usage(input=4, output=3, basis="reported"),
        raw_usage=json.dumps(WHOLE["usage"]),
        created=5,
        vendor={"system_fingerprint": "fp"},
    )


@pytest.mark.parametrize(
    "told", [{"choices": []}, {"choices": [], "created": -1, "id": 5}, {"usage": {"prompt_tokens": 1}}, {"choices": [{}]}]
)
def test_an_answer_without_content_has_a_choice(told: dict[str, Any]) -> None:
    """Writers count on one."""
    reply = read_answer(json.dumps(told).encode(), "seed")
    assert [choice.parts for choice in reply.choices] == [()]
    assert (reply.created, reply.id) == (0, "")


def test_what_only_python_writes_is_read() -> None:
    """Servers in Python write NaN, and half a character where a token ends in one."""
    reply = read_answer(b'{"choices":[{"text":"a\\ud83d","logprobs":{"token_logprobs":[NaN]},"finish_reason":"stop"}]}', "s")
    assert reply.choices[0].parts == (Text("a?"),)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices":null}', b'{"choices":[5]}', b'{"choices":[{"a":"\xff"}']
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    """A 200 is not success."""
    with pytest.raises(GatewayError) as caught:
        read_answer(body, "seed")
    assert (caught.value.kind, caught.value.status) == (Kind.UPSTREAM_PROTOCOL, 502)


def test_an_error_inside_is_one() -> None:
    """Some servers answer 200 with an error."""
    with pytest.raises(GatewayError, match="too long"):
        read_answer(b'{"error":{"message":"too long","code":400}}', "seed")


def test_anything_from_a_provider_is_read_or_its_fault() -> None:
    """A provider's bytes never end in a 500."""
    for body in each(WHOLE):
        answer_all(DIALECTS["openai_completions"], body)


def test_an_answer_that_cannot_be_mended_is_the_providers_fault() -> None:
    """A number of five thousand digits is found only where all is read: a 502, never a crash of ours."""
    with pytest.raises(GatewayError, match="not a completion"):
        read_answer(b'{"choices":[{"text":"a","finish_reason":"stop"}],"created":%b}' % (b"1" * 5000), "s")
