"""Whole answers in canon."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.chat import Choice, Other, Reply, Text, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.bedrock.read_answer import read_answer


def answer(content: Any, reason: Any = "end_turn", **more: Any) -> bytes:
    """An answer of Bedrock's."""
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    message = {"role": "assistant", "content": content}
    told = {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 5}}
    return json.dumps(told | more).encode()


def test_an_answer() -> None:
    """Everything a client is told, and what only Bedrock knows beside it."""
    told = answer([{"text": "Hi"}], trace={"promptRouter": {"invokedModelId": "m"}}, serviceTier=None)
    usage = Usage(3, output=2, basis="reported")
    raw = '{"inputTokens":3,"outputTokens":2,"totalTokens":5}'
    vendor = {"trace": {"promptRouter": {"invokedModelId": "m"}}}
    choice = Choice((Text("Hi"),), "stop", "end_turn")
    assert read_answer(told, "seed") == Reply("bedrock", "", "", (choice,), usage, raw, vendor=vendor)


def test_a_tool_of_bedrocks_own_is_no_call() -> None:
    """The finish must not tell a client to run something."""
    server = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    (choice,) = read_answer(answer([server, {"text": "Done"}], "tool_use"), "seed").choices
    assert choice.finish == "stop"
    assert choice.parts == (Other("bedrock", server), Text("Done"))


def test_calls_without_ids_get_one() -> None:
    """The same for the same answer, so that its result is found again."""
    (choice,) = read_answer(answer([{"text": "a"}, {"toolUse": {"name": "x", "input": {}}}]), "seed").choices
    assert choice.parts[1] == ToolCall("tlc_seed_1", "x", "{}")
    assert choice.finish == "tool_calls"


@pytest.mark.parametrize("fields", [{"stop_sequence": "END"}, {"delta": {"stop_sequence": "END"}}])
def test_which_stop_sequence_it_was(fields: dict[str, Any]) -> None:
    """Claude tells it in fields of its own, where an operator asks for them."""
    told = answer([{"text": "a"}], "stop_sequence", additionalModelResponseFields=fields)
    (choice,) = read_answer(told, "seed").choices
    assert (choice.finish, choice.stop_sequence) == ("stop_sequence", "END")


def test_an_answer_without_content_is_an_answer() -> None:
    """A guardrail may leave nothing; the tokens are paid all the same."""
    reply = read_answer(answer([], "guardrail_intervened", usage=None), "seed")
    assert reply.choices == (Choice((), "content_filter", "guardrail_intervened"),)
    assert reply.usage.basis == "none"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"message":"no"}', b'{"output":{"message":{"content":"x"}}}', b'{"output":5}', b"[" * 10_000, b"\xff"],
)
def test_what_is_no_answer(body: bytes) -> None:
    """A 502 that says so, not a fault of ours."""
    with pytest.raises(GatewayError) as caught:
        read_answer(body, "seed")
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL
