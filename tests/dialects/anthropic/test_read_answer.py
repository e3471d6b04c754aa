"""Whole answers in canon."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Choice, Other, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.anthropic.read_answer import read_answer


def answer(**fields: Any) -> bytes:
    """A message."""
    told = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": "end_turn"}
    return json.dumps({**told, "usage": {"input_tokens": 3, "output_tokens": 2}, **fields}).encode()


def test_a_whole_answer() -> None:
    """Everything that a client of any dialect may want of it."""
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    content = [
        {"type": "thinking", "thinking": "Hm", "signature": "b3du"},
        {"type": "text", "text": "I look."},
        server,
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}, "caller": None},
    ]
    late = {"container": {"id": "c"}, "stop_details": None}
    assert read_answer(answer(content=content, stop_reason="tool_use", diagnostics={"a": 1}, **late), "seed") == Reply(
        "anthropic",
        "msg_1",
        "claude",
        (
            Choice(
                (
                    Thinking("Hm", Seal("anthropic", "b3du")),
                    Text("I look."),
                    Other("anthropic", server),
                    ToolCall("toolu_1", "look", '{"a":1}'),
                ),
                "tool_calls",
                "tool_use",
                vendor={"container": {"id": "c"}},
            ),
        ),
        Usage(input=3, output=2, basis="reported"),
        '{"input_tokens":3,"output_tokens":2}',
        vendor={"diagnostics": {"a": 1}},
    )


@pytest.mark.parametrize(
    ("fields", "parts", "finish"),
    [
        ({"content": "Hi"}, (Text("Hi"),), "stop"),
        ({"content": ""}, (), "stop"),
        ({"content": [], "stop_reason": None}, (), ""),
        ({"content": [{"type": "tool_use", "name": "f"}]}, (ToolCall("tlc_seed_0", "f", "{}"),), "tool_calls"),
        ({"content": [{"type": "tool_use", "name": "f", "id": ""}]}, (ToolCall("tlc_seed_0", "f", "{}"),), "tool_calls"),
        ({"stop_reason": "refusal", "stop_details": {"explanation": "No."}}, (Refusal("No."),), "content_filter"),
        ({"stop_reason": "refusal", "stop_details": {"explanation": None}}, (), "content_filter"),
        ({"stop_reason": "refusal", "stop_details": "No."}, (), "content_filter"),
        ({"stop_reason": "model_context_window_exceeded"}, (), "length"),
    ],
)
def test_answers_of_other_shapes_are_read(fields: dict[str, Any], parts: tuple[Any, ...], finish: str) -> None:
    """Compatible servers give a string, no ids, no stop reason."""
    choice = read_answer(answer(**fields), "seed").choices[0]
    assert (choice.parts, choice.finish) == (parts, finish)


def test_a_stop_sequence_is_told() -> None:
    """Ids that are no strings are none."""
    reply = read_answer(answer(stop_reason="stop_sequence", stop_sequence="#", id=7, model=None), "s")
    assert (reply.id, reply.model, reply.choices[0].stop_sequence) == ("", "", "#")


@pytest.mark.parametrize("content", [["Hi"], [{"text": "Hi"}], [{"type": "tool_use", "id": "a"}], {"type": "text"}, 7])
def test_what_is_no_message_is_a_protocol_error(content: object) -> None:
    """It is the provider's fault, not the client's."""
    with pytest.raises(GatewayError, match="not a message") as caught:
        read_answer(answer(content=content), "s")
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL


def test_an_error_inside_a_200_is_an_error() -> None:
    """As on the shallow path."""
    with pytest.raises(GatewayError, match="Busy"):
        read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}', "s")


@given(
    st.binary()
    | st.lists(st.dictionaries(st.sampled_from(["type", "text", "id", "input"]), st.text())).map(
        lambda told: answer(content=told)
    )
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """A provider's nonsense must not become a fault of ours."""
    with contextlib.suppress(GatewayError):
        read_answer(body, "s")
