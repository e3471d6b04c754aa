"""The dialect as one object, on every recorded exchange with Anthropic.

What a recording says is read here a second time, with the standard library and no code of ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from dialects import odd
from dialects.anthropic.samples import FRAME, plain, request_plain, without_raw
from trunkline.canon.chat import Other, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Event, Fail, Fold, unfold
from trunkline.dialects.anthropic.dialect import Anthropic
from trunkline.dialects.dialect import Dialect, Named

CLAUDE: Dialect = Anthropic()
MESSAGES = recordings("anthropic.messages")
COUNTS = recordings("anthropic.count_tokens")
STREAMS = [one for one in MESSAGES if one.streamed]
WHOLE = [one for one in MESSAGES if one.status == 200 and not one.streamed]
ERRORS = [one for one in MESSAGES + COUNTS if one.status != 200]
ASKED = [one for one in MESSAGES if one.request]
#: Bodies up to this size are cut at every byte; longer ones at random places.
_EVERY_CUT = 3000


def told(body: bytes) -> dict[str, Any]:
    """The message that a stream tells, put together as Anthropic's SDK does."""
    message: dict[str, Any] = {}
    for line in body.decode().splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") else {"type": ""}
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                grow(message["content"][event["index"]], event["delta"])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    for block in message["content"]:
        if written := block.pop("partial_json", ""):
            block["input"] = json.loads(written)
    return message


def grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta to its block."""
    for name, value in delta.items():
        if name == "citation":
            block.setdefault("citations", []).append(value)
        elif name == "signature":
            block[name] = value
        elif name != "type":
            block[name] = block.get(name, "") + value


def check(reply: Reply, message: dict[str, Any]) -> None:
    """What was read is what was said."""
    choice = reply.choices[0]
    parts = [part for part in choice.parts if not isinstance(part, Refusal)]
    assert len(parts) == len(message["content"])
    for part, block in zip(parts, message["content"], strict=True):
        match part:
            case Text():
                assert (part.text, [dict(one.vendor) for one in part.citations]) == (
                    block["text"],
                    block.get("citations") or [],
                )
            case Thinking():
                assert part.seal is not None
                assert (part.text, part.seal.data) == (block["thinking"], block["signature"])
            case ToolCall():
                assert (part.id, part.name, json.loads(part.arguments)) == (block["id"], block["name"], block["input"])
            case Other():
                assert part.value == block
    usage, counts = reply.usage, message["usage"]
    cached = counts.get("cache_read_input_tokens", 0), counts.get("cache_creation_input_tokens", 0)
    assert (usage.input, usage.output) == (counts["input_tokens"] + sum(cached), counts["output_tokens"])
    assert (usage.cache_read, usage.cache_write_5m + usage.cache_write_1h) == cached
    assert usage.reasoning == counts.get("output_tokens_details", {}).get("thinking_tokens", 0)
    assert (reply.id, reply.model, choice.native_finish) == (message["id"], message["model"], message["stop_reason"])


def read(pieces: list[bytes]) -> list[Event]:
    """The events of a stream that arrives in these pieces."""
    reader = CLAUDE.reader("seed")
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.close()


def folded(events: list[Event]) -> Reply:
    """The answer they tell."""
    fold = Fold("anthropic")
    fold.add(events)
    return fold.reply()


def slicings(body: bytes) -> Iterator[list[bytes]]:
    """Byte by byte, at every single place where the body is small, and at random places."""
    dice = random.Random(body)
    yield [body[at : at + 1] for at in range(len(body))]
    for cut in range(len(body) if len(body) <= _EVERY_CUT else 0):
        yield [body[:cut], body[cut:]]
    for _ in range(20):
        cuts = sorted(dice.sample(range(len(body)), dice.randint(1, 12)))
        yield [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@pytest.mark.parametrize("recording", parameters(ASKED))
def test_a_recorded_request_comes_out_as_it_came_in(recording: Recording) -> None:
    """Byte for byte on the shallow path, and the same in meaning through canon."""
    request = {**recording.request, "model": "m"}
    ask = CLAUDE.read_request(json.dumps(request).encode())
    assert json.loads(CLAUDE.write_request(ask, "m", ask_usage=True).body) == request
    loss = Loss(strict=True)
    out = CLAUDE.write_chat(CLAUDE.read_chat(ask), "m", Facts(system_midway=True), loss, ask_usage=True)
    assert (request_plain(json.loads(out.body)), loss.names) == (request_plain(request), {})
    assert CLAUDE.estimate_input(ask) > 0


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_is_read_as_what_it_says(recording: Recording) -> None:
    """Text, thinking, signatures, calls, citations, usage and stop reason."""
    events = read([recording.body])
    check(folded(events), told(recording.body))
    assert not any(isinstance(event, Fail) for event in events)
    for pieces in slicings(recording.body):
        assert read(pieces) == events


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_passes_its_tap_unchanged(recording: Recording) -> None:
    """To the byte, and what the tap saw is what the reader read."""
    reply = folded(read([recording.body]))
    ask = FRAME.ask
    for pieces in [[recording.body], *slicings(recording.body)]:
        tap = CLAUDE.tap(ask, hide_usage=True)
        assert b"".join(map(tap.feed, pieces)) + tap.close() == recording.body
        assert (tap.usage, tap.raw_usage, tap.finish) == (reply.usage, reply.raw_usage, reply.choices[0].native_finish)
        assert (tap.opened, tap.complete, tap.ended, tap.error, tap.unread) == (True, True, True, None, 0)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_survives_writing(recording: Recording) -> None:
    """Through canon and back nothing is lost, in pieces of any size."""
    events = read([recording.body])
    for size in (1, 3, len(events)):
        writer = CLAUDE.writer(FRAME)
        out = b"".join(writer.write(events[at : at + size]) for at in range(0, len(events), size))
        assert without_raw(folded(read([out]))) == without_raw(folded(events))
    check(folded(events), told(out))


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_a_recorded_answer_is_read_and_comes_back(recording: Recording) -> None:
    """Whole, and as a stream for a client that asked for one."""
    message = json.loads(recording.body)
    reply = CLAUDE.read_answer(recording.body, "seed")
    check(reply, message)
    assert plain(json.loads(CLAUDE.write_answer(reply, FRAME))) == plain(message)
    assert CLAUDE.read_reply(recording.body).usage == reply.usage
    check(folded(read([CLAUDE.writer(FRAME).write(unfold(reply))])), message)


@pytest.mark.parametrize("recording", parameters(ERRORS))
def test_a_recorded_error_keeps_its_status_and_its_words(recording: Recording) -> None:
    """And may go out as it is to a client of this dialect."""
    error = CLAUDE.read_error(recording.status, recording.content_type, recording.body)
    assert error.upstream is not None
    assert (error.status, error.upstream.verbatim) == (recording.status, True)
    assert error.message == json.loads(recording.body)["error"]["message"]
    assert error.retryable == (recording.status in {429, 529})
    assert json.loads(CLAUDE.write_error(error))["error"] == json.loads(recording.body)["error"]


@pytest.mark.parametrize("recording", parameters([one for one in COUNTS if one.status == 200]))
def test_a_recorded_count_is_read(recording: Recording) -> None:
    """The question comes out as it came in, and the answer is a number."""
    ask = CLAUDE.read_request(json.dumps({**recording.request, "model": "m"}).encode(), Named(form="count"))
    out = CLAUDE.write_count(CLAUDE.read_chat(ask), "m", Facts())
    assert out is not None
    assert request_plain(json.loads(out.body)) == request_plain({**recording.request, "model": "m"})
    assert CLAUDE.read_count(recording.body) == json.loads(recording.body)["input_tokens"]


def test_streams_are_events() -> None:
    """Claude Code says `accept: application/json` and streams all the same; what counts is what the provider sends."""
    assert CLAUDE.stream_type(FRAME.ask) == b"text/event-stream"
    assert CLAUDE.streams(b"Text/Event-Stream; charset=utf-8")
    assert not CLAUDE.streams(b"application/json")
    assert CLAUDE.name == "anthropic"


ODD_REQUEST: dict[str, Any] = {
    "model": "m",
    "max_tokens": 4000,
    "stream": True,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["z"],
    "temperature": 1.0,
    "top_p": 0.9,
    "top_k": 5,
    "context_management": {"edits": []},
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object", "required": ["a"]}, "strict": True},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "messages": [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                {"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": "c", "url": "u"}]},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1]}},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}], "is_error": True},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "t"},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "k"}]},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "mid"}]},
    ],
}
ODD_ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "t", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "x", "citations": [{"type": "web", "cited_text": "c", "url": "u", "title": "t"}]},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1]}, "caller": {"type": "direct"}},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
    ],
    "stop_reason": "refusal",
    "stop_sequence": None,
    "stop_details": {"type": "refusal", "explanation": "no"},
    "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 1}},
}
ODD_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "t"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"url": "u"}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "server_tool_use", "id": "s", "input": {}}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": {"explanation": "no"}},
        "usage": {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 1}},
    },
    {"type": "message_stop"},
]
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(odd.ODD)), min_size=2, max_size=4)


def sent(events: list[bytes]) -> bytes:
    """A stream of these."""
    return b"".join(b"data: %b\n\n" % one for one in events)


def test_something_odd_anywhere_is_no_crash() -> None:
    """A client sees a 400 with the field's name, or a provider's failure: a 500 would be ours."""
    for body in odd.each(ODD_REQUEST):
        odd.ask_all(CLAUDE, body)
    for body in odd.each(ODD_ANSWER):
        odd.answer_all(CLAUDE, body)
    whole = [json.dumps(one).encode() for one in ODD_EVENTS]
    for at, event in enumerate(ODD_EVENTS):
        for body in odd.each(event):
            odd.stream_all(CLAUDE, sent([*whole[:at], body, *whole[at + 1 :]]))


@given(CHANGES, st.integers(0, len(ODD_EVENTS) - 1))
@settings(deadline=None)
def test_several_odd_things_are_no_crash(changes: list[tuple[int, str]], at: int) -> None:
    """As above; one may hide behind another."""
    odd.ask_all(CLAUDE, odd.changed(ODD_REQUEST, changes))
    odd.answer_all(CLAUDE, odd.changed(ODD_ANSWER, changes))
    whole = [json.dumps(one).encode() for one in ODD_EVENTS]
    odd.stream_all(CLAUDE, sent([*whole[:at], odd.changed(ODD_EVENTS[at], changes), *whole[at + 1 :]]))
