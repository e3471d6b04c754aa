"""A streamed answer, event by event as OpenAI streams it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from dialects.openai_responses.asking import EXEC, LOOK, USED, frame, reply, sdk
from trunkline.canon.chat import Citation, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Extra, Finished, Open, unfold
from trunkline.dialects.openai_responses.write_answer import write_answer
from trunkline.dialects.openai_responses.writer import ResponsesWriter

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BROKEN = GatewayError(Kind.UPSTREAM_BROKEN, "The provider hung up.")
ASKED = {"tools": [LOOK, EXEC]}
SAID: tuple[Part, ...] = (
    Thinking("hm", Seal("anthropic", "sig")),
    Text("Look:", citations=(Citation("https://x", "X"),)),
    Refusal("No."),
    ToolCall("c", "look", '{"a":1}', Seal("gemini", "c2ln")),
    ToolCall("d", "exec", '{"input":"text(1)"}'),
)


def told(body: bytes) -> list[dict[str, Any]]:
    """The events, each named as its type and numbered without a gap, which the official SDK takes strictly."""
    blocks = body.split(b"\n\n")
    assert blocks.pop() == b""
    found = []
    for number, block in enumerate(blocks):
        name, data = block.split(b"\n")
        one = json.loads(data.removeprefix(b"data: "))
        assert name == f"event: {one['type']}".encode()
        assert one["sequence_number"] == number
        EVENT.validate_json(data.removeprefix(b"data: "), strict=True)
        found.append(one)
    return found


def stream(*parts: Part, finish: Any = "stop") -> bytes:
    """A whole stream."""
    return ResponsesWriter(frame(**ASKED)).write(unfold(reply(*parts, finish=finish)))


def test_the_sequence_is_openais() -> None:
    """Clients are written against it."""
    found = told(stream(Thinking("hm"), Text("a"), ToolCall("c", "look", "{}")))
    assert [one["type"].removeprefix("response.") for one in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    first, last = found[0]["response"], found[-1]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("in_progress", [], None)
    assert (last["status"], last["id"], last["usage"]["output_tokens"]) == ("completed", first["id"], 5)


def test_it_ends_with_the_answer_as_it_would_be_whole() -> None:
    """Who waits for the end and who reads along get the same."""
    whole = json.loads(write_answer(reply(*SAID), frame(**ASKED)))
    found = told(stream(*SAID))
    assert found[-1]["response"] == whole
    done = [one["item"] for one in found if one["type"] == "response.output_item.done"]
    assert done == whole["output"]


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_that_was_cut_short_is_no_complete_one(finish: str) -> None:
    """By the name of its last event already."""
    *_, done, last = told(stream(Text("a"), finish=finish))
    assert last["type"] == "response.incomplete"
    assert (done["type"], done["item"]["status"]) == ("response.output_item.done", "incomplete")
    assert last["response"]["output"] == [done["item"]]


@pytest.mark.parametrize("finish", ["error", "pause"])
def test_an_answer_without_an_end_fails(finish: str) -> None:
    """With what there is of it, and the reason."""
    *_, error, failed = told(stream(Text("a"), finish=finish))
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert failed["response"]["error"]["code"] == "server_error"
    assert failed["response"]["output"][0]["content"][0]["text"] == "a"


def test_a_stream_that_breaks_says_so() -> None:
    """Codex asks again for what never completed; there is no mark that looks like an end."""
    writer = ResponsesWriter(frame())
    begun = writer.write([Begin("r", "m"), Open(0, Text("")), Delta(0, "a"), Count(USED)])
    found = told(begun + writer.fail(BROKEN))
    assert [one["type"] for one in found[-2:]] == ["error", "response.failed"]
    assert (found[-2]["code"], found[-2]["message"]) == ("upstream_broken", "The provider hung up.")
    last = found[-1]["response"]
    assert (last["status"], last["error"]["code"], last["usage"]["input_tokens"]) == ("failed", "server_error", 10)
    assert (last["id"], last["output"][0]["status"]) == ("resp_r", "in_progress")


def test_a_stream_may_break_before_it_begins() -> None:
    """There is always an answer to name."""
    found = told(ResponsesWriter(frame()).fail(BROKEN))
    assert found[-1]["response"]["id"] == "resp_ours"


def test_what_has_no_place_is_passed_over() -> None:
    """Another API's events, a second choice's end."""
    events: list[Event] = [
        Begin("r", "m"),
        Extra("gemini", {"a": 1}),
        Open(0, Text("")),
        Delta(0, "a"),
        Close(0),
        Finished("length", choice=1),
        Finished("stop"),
        End(),
    ]
    found = told(ResponsesWriter(frame()).write(events))
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"]["usage"] is None


@given(st.lists(st.integers(1, 4), max_size=30))
def test_it_does_not_matter_how_the_events_come(sizes: list[int]) -> None:
    """Each piece from a provider brings some of them."""
    events = unfold(reply(*SAID))
    writer, out, rest = ResponsesWriter(frame(**ASKED)), b"", list(events)
    for size in sizes:
        out += writer.write(rest[:size])
        rest = rest[size:]
    assert out + writer.write(rest) == stream(*SAID)


def test_the_sdk_reads_it() -> None:
    """Event by event, and by the helper that puts them together."""
    body = stream(*SAID)
    with sdk(body, content_type="text/event-stream") as client:
        with client.responses.stream(model="m", input="hi") as events:
            kinds = [event.type for event in events]
            final = events.get_final_response()
        assert kinds.count("response.completed") == 1
        assert final.output_text == "Look:"
        assert [item.type for item in final.output][-1] == "custom_tool_call"


def test_the_sdk_sees_a_break() -> None:
    """Its helper has no final answer then."""
    writer = ResponsesWriter(frame())
    body = writer.write([Begin("r", "m"), Open(0, Text("")), Delta(0, "a")]) + writer.fail(BROKEN)
    with (
        sdk(body, content_type="text/event-stream") as client,
        pytest.raises((openai.APIError, RuntimeError)),
        client.responses.stream(model="m", input="hi") as events,
    ):
        events.get_final_response()
