"""A provider's stream in canon's events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bedrock.samples import begin, call, delta, end, event, events, folded, frame, start, stop, text, thought, told
from dialects.bedrock.samples import text_header as header
from trunkline.canon.chat import Citation, Media, Other, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Extra, Fail, Finished, Open
from trunkline.canon.usage import Usage
from trunkline.dialects.bedrock.reader import ConverseReader

COUNT = Count(Usage(10, output=9, basis="reported"), '{"inputTokens":10,"outputTokens":9,"totalTokens":19}')
SIGNED = Seal("bedrock", "c2lnbmVk")


def parts(data: bytes) -> list[Any]:
    """The parts of the answer that a stream tells."""
    return list(folded(data).choices[0].parts)


def failure(data: bytes) -> Any:
    """The error that a stream ends in; nothing follows it."""
    reader = ConverseReader("seed")
    found = reader.feed(data) + reader.close()
    assert isinstance(found[-1], Fail)
    assert reader.feed(begin()) + reader.close() == []
    return found[-1].error


def test_a_stream_becomes_events_in_canons_order() -> None:
    """Texts and thoughts are not announced, usage comes last: what every client's writer builds on."""
    data = begin() + thought(0, "Hm.") + text(1, "A", "b") + call(2, "", "{", "}") + call(3) + end("tool_use")
    assert events(data) == [
        Begin("", ""),
        Open(0, Thinking("")),
        Delta(0, "Hm."),
        Close(0, SIGNED),
        Open(1, Text("")),
        Delta(1, "A"),
        Delta(1, "b"),
        Close(1),
        Open(2, ToolCall("tooluse_2", "look", "")),
        Delta(2, "{"),
        Delta(2, "}"),
        Close(2),
        Open(3, ToolCall("tooluse_3", "look", "")),
        Delta(3, "{}"),
        Close(3),
        Finished("tool_calls", "tool_use"),
        COUNT,
        End(),
    ]


def test_usage_may_come_before_the_stop_reason() -> None:
    """Whichever comes last is the end; usage that never comes does not make an answer broken."""
    ends = event("metadata", usage={"inputTokens": 10, "outputTokens": 9, "totalTokens": 19}, metrics={})
    stops = event("messageStop", stopReason="end_turn")
    assert events(begin() + text(0, "A") + ends + stops)[-3:] == [COUNT, Finished("stop", "end_turn"), End()]
    assert events(begin() + text(0, "A") + stops)[-2:] == [Finished("stop", "end_turn"), End()]
    assert events(begin() + text(0, "A") + ends)[-1] == COUNT


def test_a_stream_that_is_cut_does_not_end() -> None:
    """Before its stop reason, and in the middle of a frame after it."""
    data = begin() + text(0, "A")
    assert not any(isinstance(one, End | Fail) for one in events(data))
    whole = data + end()
    assert isinstance(events(whole[:-1])[-1], Fail)


def test_a_thought_without_words_keeps_its_signature() -> None:
    """Claude hides its thoughts by default; without the signature the next turn is refused."""
    assert parts(begin() + thought(0) + text(1, "A") + end()) == [Thinking("", SIGNED), Text("A")]
    assert parts(begin() + thought(0, "a", signature="") + end()) == [Thinking("a")]


def test_a_redacted_thought_is_told_whole() -> None:
    """It may come in pieces, each base64 of its own."""
    one, two = (base64.b64encode(piece).decode() for piece in (b"secret", b" thought"))
    pieces = delta(0, reasoningContent={"redactedContent": one}) + delta(0, reasoningContent={"redactedContent": two})
    joined = base64.b64encode(b"secret thought").decode()
    assert parts(begin() + pieces + stop(0) + end()) == [Thinking("", Seal("bedrock", joined), redacted=True)]
    odd = delta(0, reasoningContent={"redactedContent": "é"}) * 2 + delta(0, reasoningContent={"text": "x"})
    assert parts(begin() + odd + stop(0) + end()) == [Thinking("", Seal("bedrock", "éé"), redacted=True)]
    single = delta(0, reasoningContent={"redactedContent": "Y-Z"}) + stop(0)
    assert parts(begin() + single + end()) == [Thinking("", Seal("bedrock", "Y-Z"), redacted=True)]
    assert events(begin() + pieces + end())[1:3] == [
        Open(0, Thinking("", Seal("bedrock", joined), redacted=True)),
        Close(0, Seal("bedrock", joined)),
    ]


def test_citations_come_before_their_text() -> None:
    """As Bedrock sends them; one that stands in another block is nobody's."""
    source = {"title": "T", "sourceContent": [{"text": "q"}]}
    data = begin() + delta(0, citation=source) + text(0, "20 days") + thought(1, "Hm.", signature="")
    found = events(data + delta(2, reasoningContent={"text": "a"}) + delta(2, citation=source) + stop(2) + end())
    assert found[1:4] == [Open(0, Text("")), Cite(0, Citation("", "T", "q", vendor=source)), Delta(0, "20 days")]
    assert sum(isinstance(one, Cite) for one in found) == 1


def test_a_tool_of_bedrocks_own_is_told_whole() -> None:
    """Its call and its result are no client's business; the finish does not ask for one."""
    asked = call(0, '{"a"', ":1}", type="server_tool_use", name="nova_code_interpreter")
    result = start(1, toolResult={"toolUseId": "tooluse_0", "status": "success"}) + delta(1, toolResult=[{"text": "a"}])
    broken = call(2, "{", type="server_tool_use")
    found = folded(begin() + asked + result + delta(1, toolResult=[{"json": {}}]) + stop(1) + broken + end("tool_use"))
    first = {"toolUseId": "tooluse_0", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {"a": 1}}
    second = {"toolUseId": "tooluse_0", "status": "success", "content": [{"text": "a"}, {"json": {}}]}
    third = {"toolUseId": "tooluse_2", "name": "look", "type": "server_tool_use", "input": "{"}
    (choice,) = found.choices
    assert [part.value for part in choice.parts if isinstance(part, Other)] == [
        {"toolUse": first},
        {"toolResult": second},
        {"toolUse": third},
    ]
    assert choice.finish == "stop"


def test_pieces_of_another_kind_than_their_block() -> None:
    """A provider's mistake must not become a fault of ours."""
    asked = start(0, toolUse={"toolUseId": "t", "name": "f", "type": "server_tool_use"}) + delta(0, image={"source": {}})
    hidden = delta(1, reasoningContent={"redactedContent": "YQ=="}) + delta(1, redacted=5) + delta(1, image={})
    found = parts(begin() + asked + delta(0, toolUse="x") + stop(0) + hidden + stop(1) + end())
    call = {"toolUseId": "t", "name": "f", "type": "server_tool_use", "input": {}}
    assert found == [Other("bedrock", {"toolUse": call}), Thinking("", Seal("bedrock", "YQ=="), redacted=True)]


def test_a_picture_is_put_together() -> None:
    """Its bytes come in pieces; one that fails stays what Bedrock said of it."""
    begun = start(0, image={"format": "png"})
    pieces = delta(0, image={"source": {"bytes": "aGVs"}}) + delta(0, image={"source": {"bytes": "bG8="}})
    assert parts(begin() + begun + pieces + stop(0) + end()) == [Media("image", "image/png", "aGVsbG8=")]
    failed = delta(0, image={"error": {"message": "no"}})
    assert parts(begin() + begun + failed + stop(0) + end()) == [Other("bedrock", {"image": {"format": "png", "source": []}})]


def test_what_is_gathered_is_bounded() -> None:
    """A picture without end must not fill our memory."""
    big = delta(0, image={"source": {"bytes": "A" * 1_000_000}})
    signed = delta(0, reasoningContent={"signature": "A" * 1_000_000})
    for data in (start(0, image={"format": "png"}) + big * 17, signed * 17):
        error = failure(begin() + data + stop(0) + end())
        assert (error.kind, error.status) == (Kind.UPSTREAM_PROTOCOL, 502)


@pytest.mark.parametrize(
    ("word", "status"), [("throttlingException", 429), ("validationException", 400), ("internalServerException", 500)]
)
def test_an_exception_ends_the_stream(word: str, status: int) -> None:
    """First or in the middle: nothing after it counts."""
    broke = told("exception", word, b'{"message":"No."}')
    for data in (broke, begin() + text(0, "A") + broke + end()):
        error = failure(data)
        assert (error.status, error.message) == (status, "No.")


def test_an_error_frame_ends_the_stream() -> None:
    """The service's own failures come without a payload."""
    names = header(":message-type", "error") + header(":error-code", "InternalError") + header(":error-message", "Broke.")
    error = failure(begin() + frame(names))
    assert (error.status, error.message) == (502, "Broke.")


@pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff", b"[" * 10_000])
def test_an_event_that_cannot_be_read(payload: bytes) -> None:
    """Its checksum is right, its JSON is not."""
    assert failure(begin() + told("event", "contentBlockDelta", payload)).kind is Kind.UPSTREAM_PROTOCOL


def test_a_broken_checksum_fails_after_what_was_good() -> None:
    """What came before it was heard; what came with it was not."""
    data = bytearray(begin() + text(0, "A") + end())
    data[-1] ^= 1
    found = events(bytes(data))
    assert Delta(0, "A") in found
    assert isinstance(found[-1], Fail)
    assert "checksum" in found[-1].error.message


def test_what_is_not_known_is_carried_or_ignored() -> None:
    """New events and fields must not break old gateways."""
    data = (
        event("tomorrow", a=1)
        + begin()
        + begin()
        + event("tomorrow", a=1)
        + frame(header(":message-type", "tomorrow"))
        + told("event", "messageStart", b"")
        + start(0)
        + start(0, odd=5)
        + delta(0, odd=5)
        + delta(0, text=5)
        + delta(0, text="")
        + stop(0)
        + delta(0, toolUse={"input": "x"})
        + delta(1, reasoningContent={"text": "a"})
        + delta(1, text="no")
        + stop(1)
        + call(2, "{}", caller="x")
        + event("messageStop")
        + event("messageStop", stopReason="end_turn", additionalModelResponseFields={"stop_sequence": "E"})
        + event("messageStop", stopReason="end_turn")
        + text(3, "too late")
        + event("metadata", usage=None, trace={"a": 1})
    )
    finished = Finished("tool_calls", "end_turn", "E", vendor={"additionalModelResponseFields": {"stop_sequence": "E"}})
    assert events(data) == [
        Begin("", ""),
        Extra("bedrock", {"tomorrow": {"a": 1, "p": "abc"}}),
        Open(0, Thinking("")),
        Delta(0, "a"),
        Close(0),
        Open(1, ToolCall("tooluse_2", "look", "", vendor={"caller": "x"})),
        Delta(1, "{}"),
        Close(1),
        finished,
        Extra("bedrock", {"metadata": {"trace": {"a": 1}}}),
        End(),
    ]


def test_blocks_that_are_never_closed_are_closed() -> None:
    """By the end, or by another of the same number."""
    again = start(0, toolUse={"toolUseId": "a", "name": "x"}) + start(0, toolUse={"name": "y"})
    assert parts(again + end("tool_use")) == [ToolCall("a", "x", "{}"), ToolCall("tlc_seed_0", "y", "{}")]
    odd = told("event", "contentBlockDelta", json.dumps({"delta": {"text": "a"}, "contentBlockIndex": "x"}).encode())
    assert parts(odd + end()) == [Text("a")]
    reader = ConverseReader("seed")
    assert reader.count() is None


@given(st.lists(st.sampled_from([begin(), text(0, "A"), thought(1, "b"), call(2, "{}"), stop(1), end(), b"\0"]), max_size=8))
def test_any_order_is_read(pieces: list[bytes]) -> None:
    """Whatever a provider sends in whatever order, parts open and close once, and nothing follows the end."""
    found = events(b"".join(pieces))
    opened = [one.index for one in found if isinstance(one, Open)]
    closed = [one.index for one in found if isinstance(one, Close)]
    assert opened == list(range(len(opened)))
    assert len(set(closed)) == len(closed)
    if any(isinstance(one, End) for one in found):
        assert sorted(closed) == opened
        assert isinstance(found[-1], End)
