"""A streamed answer, chunk by chunk as OpenAI streams it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from conformance.recordings import Recording, parameters
from conformance.said import said
from dialects.openai_chat.answers import REPLIES
from dialects.openai_chat.telling import CLAUDE, GEMINI, OTHER, folded, frame, read
from dialects.openai_chat.test_reader import STREAMS
from trunkline.canon.chat import Citation, FinishReason, Media, Other, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Finished, Open, unfold
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.dialects.openai_chat.writer import ChatWriter
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.state import unwrap, wrap

WITH_USAGE = {"stream_options": {"include_usage": True}}
USED = Count(Usage(input=3, output=2, basis="reported"))


def chunks(events: list[Event], **asked: Any) -> list[dict[str, Any]]:
    """The chunks, each one that the official SDK takes strictly; the end mark is checked and left out."""
    body = ChatWriter(frame(**asked)).write(events)
    lines = body.split(b"\n\n")
    assert all(line.startswith(b"data: ") for line in lines[:-1])
    assert lines[-1] == b""
    if isinstance(events[-1], End):
        assert lines[-2] == b"data: [DONE]"
    found = [json.loads(line[6:]) for line in lines[:-1] if line != b"data: [DONE]"]
    for one in found:
        ChatCompletionChunk.model_validate(one, strict=True)
    return found


def deltas(*events: Event, **asked: Any) -> list[dict[str, Any]]:
    """The deltas of an answer with these events, without the role and the finish."""
    told = chunks([Begin("c", "m", 7), *events, Finished("stop"), End()], **asked)
    return [one["choices"][0]["delta"] for one in told][1:-1]


def test_the_sequence_is_openais() -> None:
    """Clients are written against it: role once, id and name with empty arguments, an empty delta at the finish, `[DONE]`."""
    told = chunks(
        [
            Begin("c", "m", 7),
            Open(0, Text("")),
            Delta(0, "a"),
            Close(0),
            Open(1, ToolCall("x", "f", "")),
            Delta(1, '{"a"'),
            Delta(1, ":1}"),
            Open(2, ToolCall("y", "g", "")),
            Close(1),
            Close(2),
            USED,
            Finished("tool_calls"),
            End(),
        ]
    )
    assert [(one["id"], one["object"], one["created"], one["model"]) for one in told] == [
        ("c", "chat.completion.chunk", 7, "m")
    ] * 8
    choices = [one["choices"][0] for one in told]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "a"},
        {"tool_calls": [{"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "y", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 7 + ["tool_calls"]
    assert all(choice["logprobs"] is None and choice["index"] == 0 for choice in choices)
    assert not any("usage" in one for one in told)


def test_usage_comes_alone_where_it_was_asked_for() -> None:
    """A client that did not ask takes the extra chunk for an error in its `choices[0]`."""
    events: list[Event] = [Begin("c", "m"), Open(0, Text("")), Delta(0, "a"), Close(0), USED, Finished("stop"), End()]
    told = chunks(events, **WITH_USAGE)
    assert [one["usage"] for one in told[:-1]] == [None] * 3
    assert (told[-1]["choices"], told[-1]["usage"]["total_tokens"]) == ([], 5)
    assert told[-1]["id"] == "c"
    assert all(one["choices"] for one in chunks([Count(NO_USAGE) if one is USED else one for one in events], **WITH_USAGE))


def test_what_the_provider_does_not_name_is_ours() -> None:
    """Gemini names no id in a chunk, Ollama no time we can use."""
    (first,) = chunks([Begin("", "")])
    assert (first["id"], first["created"], first["model"]) == ("ours", 1700000000, "asked")


def test_thinking_is_told_twice() -> None:
    """For everybody as a text; for those who hand it back as entries, each with its signature at its end."""
    told = deltas(
        Open(0, Thinking("")),
        Delta(0, "a"),
        Close(0, CLAUDE),
        Open(1, Thinking("", redacted=True)),
        Close(1, OTHER),
        Open(2, Thinking("")),
        Close(2),
    )
    assert told == [
        {"reasoning_content": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "signature": wrap(CLAUDE), "format": "anthropic-claude-v1", "index": 0}
            ]
        },
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "data": wrap(OTHER), "format": "openai-responses-v1", "index": 1}
            ]
        },
    ]


def test_state_of_a_call_and_of_a_text() -> None:
    """In Google's place, at the beginning or at the end, and once."""
    extra = {"extra_content": {"google": {"thought_signature": wrap(GEMINI)}}}
    start = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}
    empty = {"index": 0, "function": {"arguments": "{}"}}
    told = deltas(Open(0, ToolCall("x", "f", "", GEMINI)), Close(0, GEMINI))
    assert told == [{"tool_calls": [{**start, **extra}]}, {"tool_calls": [empty]}]
    told = deltas(Open(0, ToolCall("x", "f", "")), Close(0, GEMINI))
    assert told == [
        {"tool_calls": [start]},
        {"tool_calls": [empty]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ""}, **extra}]},
    ]
    assert deltas(Open(0, Text("")), Delta(0, "a"), Close(0, GEMINI)) == [{"content": "a"}, extra]
    assert deltas(Open(0, Text("", GEMINI)), Close(0)) == [extra]


def test_citations_count_from_the_beginning_of_the_message() -> None:
    """One text of ours may be several of the provider's; the client has only the one."""
    told = deltas(
        Open(0, Text("")),
        Delta(0, "ab"),
        Close(0),
        Open(1, Text("")),
        Delta(1, "c"),
        Cite(1, Citation("u", "t", "", 0, 1)),
        Close(1),
    )
    assert told[-1]["annotations"][0]["url_citation"] == {"url": "u", "title": "t", "start_index": 2, "end_index": 3}


def test_every_entry_of_a_list_has_its_place() -> None:
    """OpenAI's own SDK joins lists by their entries' `index`, and a program dies where there is none."""
    cite = Cite(0, Citation("u", "t"))
    told = deltas(Open(0, Text("")), cite, cite, Close(0), Open(1, Media("image", "image/png", "QUJD")), Close(1))
    told += deltas(
        Open(0, Media("image", "image/png", "QUJD")), Close(0), Open(1, Media("image", "image/png", "QUJD")), Close(1)
    )
    places = [(name, one["index"]) for delta in told for name, entries in delta.items() for one in entries]
    assert places == [("annotations", 0), ("annotations", 1), ("images", 0), ("images", 0), ("images", 1)]


def test_the_rest() -> None:
    """Refusals, logprobs, pictures, sound; what only another dialect knows has no place here."""
    token = {"token": "n", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    events: list[Event] = [
        Begin("c", "m"),
        Open(0, Refusal("")),
        Delta(0, "no", (token,)),
        Close(0),
        Open(1, Media("image", "image/png", data="QUJD")),
        Close(1),
        Open(2, Media("audio", data="QUJD")),
        Delta(2, "?"),
        Close(2),
        Open(3, Other("anthropic", {"type": "x"})),
        Close(3),
        Extra("openai_chat", {"choice": 0, "audio": {"id": "a"}}),
        Extra("openai_chat", {"x": 0}),
        Extra("gemini", {"choice": 0, "audio": {}}),
        Finished("stop"),
        End(),
    ]
    told = [one["choices"][0] for one in chunks(events)]
    assert [one["delta"] for one in told[1:-1]] == [
        {"refusal": "no"},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}, "index": 0}]},
        {"audio": {"id": "a"}},
    ]
    assert told[1]["logprobs"] == {"content": None, "refusal": [token]}


def test_each_choice_has_its_role_and_its_calls() -> None:
    """n=2: indices count within a choice."""
    events: list[Event] = [
        Begin("c", "m"),
        Open(0, ToolCall("x", "f", "")),
        Open(1, ToolCall("y", "g", ""), 1),
        Close(0),
        Close(1),
        Finished("tool_calls"),
        Finished("tool_calls", choice=1),
        Finished("stop", choice=2),
        End(),
    ]
    told = [one["choices"][0] for one in chunks(events)]
    assert [one["index"] for one in told if "role" in one["delta"]] == [0, 1, 2]
    assert [one["delta"]["tool_calls"][0]["index"] for one in told if "tool_calls" in one["delta"]] == [0, 0, 0, 0]
    assert [one["finish_reason"] for one in told if one["finish_reason"]] == ["tool_calls", "tool_calls", "stop"]


def test_a_client_of_functions_gets_a_function_call() -> None:
    """The only one: it knows no more, and no state."""
    events: list[Event] = [
        Begin("c", "m"),
        Open(0, ToolCall("x", "f", "", GEMINI)),
        Delta(0, "{}"),
        Open(1, ToolCall("y", "g", "")),
        Delta(1, "{}"),
        Close(0, CLAUDE),
        Close(1),
        Finished("tool_calls"),
        End(),
    ]
    told = [one["choices"][0] for one in chunks(events, functions=[{"name": "f"}])]
    assert [one["delta"] for one in told[1:]] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]
    assert told[-1]["finish_reason"] == "function_call"


def test_a_broken_stream_has_no_clean_end() -> None:
    """The SDK raises on the error event; `[DONE]` would make the answer look whole."""
    writer = ChatWriter(frame())
    error = GatewayError(Kind.UPSTREAM_BROKEN, "gone")
    assert b"[DONE]" not in writer.write([Begin("c", "m"), Open(0, Text("")), Delta(0, "a")])
    assert writer.fail(error) == write_stream_error(error)


@pytest.mark.parametrize("reason", ["error", "pause"])
def test_an_answer_without_an_end_has_no_clean_end(reason: FinishReason) -> None:
    """It ends with an error, which the SDK raises; usage comes before it, for it is paid for."""
    events: list[Event] = [Begin("c", "m"), Open(0, Text("")), Delta(0, "a"), Close(0), Finished(reason, "W"), USED, End()]
    body = ChatWriter(frame(**WITH_USAGE)).write(events)
    *told, last, rest = body.split(b"\n\n")
    assert (b"[DONE]" in body, rest) == (False, b"")
    error = unfinished(reason, "W")
    assert error is not None
    assert last + b"\n\n" == write_stream_error(error)
    assert json.loads(told[-1][6:])["usage"]["total_tokens"] == 5
    assert b'"finish_reason":"' not in body
    tap = ChatTap(hide_usage=False)
    tap.feed(body)
    assert tap.error is not None
    assert not tap.complete


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_written_again_says_the_same(recording: Recording) -> None:
    """Text, thinking, calls, finish, usage and state, as the yardstick reads them."""
    events = read(recording.body)
    again = ChatWriter(frame(stream=True, **WITH_USAGE)).write(events)
    told, meant = said("openai.chat", 200, again), said("openai.chat", 200, recording.body)
    made = {call.id for call in told.calls if call.id.startswith("tlc_")}
    calls = tuple(call._replace(id="") if call.id in made else call for call in told.calls)
    seals = tuple(found[0].data if (found := unwrap(seal)) else seal for seal in told.seals)
    assert told._replace(calls=calls, seals=seals) == meant._replace(error="")
    tap = ChatTap(hide_usage=False)
    tap.feed(again)
    assert tap.ended == (not meant.error)


@given(REPLIES, st.booleans())
def test_what_is_written_is_read_the_same(reply: Reply, asks: bool) -> None:
    """A whole answer told as a stream, read back: every part, in order, with its state and citations."""
    body = ChatWriter(frame(**(WITH_USAGE if asks else {}))).write(unfold(reply))
    back = folded(read(body))
    assert (back.id, back.model, back.created) == (reply.id, reply.model, reply.created)
    assert back.usage == (reply.usage if asks else NO_USAGE)
    for told, meant in zip(back.choices, reply.choices, strict=True):
        assert (told.parts, told.finish) == (meant.parts, meant.finish)
