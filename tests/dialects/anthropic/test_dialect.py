"""The dialect as one object, on every recorded exchange with Anthropic.

What a recording says is read here a second time, with the standard library and no code of ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
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
