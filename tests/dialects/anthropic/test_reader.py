"""A provider's stream in canon's events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic.samples import WHOLE_STREAM, begin, block, end, event, events, folded, slices, text, thought, tool
from trunkline.canon.chat import Other, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Extra, Fail, Finished, Open
from trunkline.canon.usage import Usage
from trunkline.dialects.anthropic.reader import MessagesReader

SIGNED = Seal("anthropic", "c2lnbmVk")


def parts(data: bytes) -> list[Any]:
    """The parts of the answer that a stream tells."""
    return list(folded(data).choices[0].parts)


def failure(data: bytes) -> Any:
    """The error that a stream ends in."""
    last = events(data)[-1]
    assert isinstance(last, Fail)
    return last.error


def test_a_stream_becomes_events_in_canons_order() -> None:
    """What every other dialect's writer builds on."""
    assert events(begin() + event("ping") + thought(0, "Hm.") + text(1, "A", "b") + tool(2, "{", "}") + end("tool_use")) == [
        Begin("msg_1", "claude"),
        Count(Usage(input=10, output=1, basis="estimated"), '{"input_tokens":10,"output_tokens":1}'),
        Open(0, Thinking("")),
        Delta(0, "Hm."),
        Close(0, SIGNED),
        Open(1, Text("")),
        Delta(1, "A"),
        Delta(1, "b"),
        Close(1),
        Open(2, ToolCall("toolu_2", "look", "")),
        Delta(2, "{"),
        Delta(2, "}"),
        Close(2),
        Count(Usage(input=10, output=9, basis="reported"), '{"input_tokens":10,"output_tokens":9}'),
        Finished("tool_calls", "tool_use"),
        Count(Usage(input=10, output=9, basis="reported"), '{"input_tokens":10,"output_tokens":9}'),
        End(),
    ]


def test_slicing_changes_nothing() -> None:
    """The same bytes in other packets must not lose a letter or a signature."""
    whole = events(WHOLE_STREAM)
    for pieces in slices(WHOLE_STREAM):
        reader = MessagesReader("seed")
        found: list[Event] = []
        for piece in pieces:
            found += reader.feed(piece)
        assert found + reader.close() == whole


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (tool(0), ToolCall("toolu_0", "look", "{}")),
        (tool(0, input={"a": 1}), ToolCall("toolu_0", "look", '{"a":1}')),
        (tool(0, '{"b":2}', input={"a": 1}), ToolCall("toolu_0", "look", '{"b":2}')),
        (tool(0, id=""), ToolCall("tlc_seed_0", "look", "{}")),
        (tool(0, caller={"type": "direct"}), ToolCall("toolu_0", "look", "{}", vendor={"caller": {"type": "direct"}})),
        (thought(0, "", signature="c2lnbmVk"), Thinking("", SIGNED)),
        (thought(0, "Hm.", signature=""), Thinking("Hm.")),
        (block(0, {"type": "thinking", "thinking": "H", "signature": "c2lnbmVk"}), Thinking("H", SIGNED)),
        (
            block(0, {"type": "redacted_thinking", "data": "ZGF0YQ=="}),
            Thinking("", Seal("anthropic", "ZGF0YQ=="), redacted=True),
        ),
        (block(0, {"type": "redacted_thinking"}), Other("anthropic", {"type": "redacted_thinking"})),
        (block(0, {"type": "text", "text": "Hi"}), Text("Hi")),
        (block(0, {"type": "text", "text": "", "new": 1}), Text("", vendor={"new": 1})),
        (text(0), Text("")),
        (event("content_block_delta", index=4, delta={"type": "text_delta", "text": "Hi"}), Text("Hi")),
        (event("content_block_delta", index=4, delta={"type": "thinking_delta", "thinking": "Hm"}), Thinking("Hm")),
    ],
)
def test_each_block_becomes_its_part(data: bytes, part: object) -> None:
    """Arguments that are `{}`, calls without an id, blocks without a start: compatible servers send them all."""
    assert parts(begin() + data + end()) == [part]


def test_citations_are_kept_with_their_text() -> None:
    """They come before the text they are of."""
    found = {"type": "char_location", "cited_text": "Ruby", "document_title": "facts", "document_index": 0}
    deltas = [{"type": "citations_delta", "citation": found}, {"type": "text_delta", "text": "Ruby."}]
    [part] = parts(begin() + block(0, {"type": "text", "text": "", "citations": []}, *deltas) + end())
    assert part.text == "Ruby."
    assert [(one.quote, one.title, one.vendor) for one in part.citations] == [("Ruby", "facts", found)]


def test_blocks_of_server_tools_are_told_whole() -> None:
    """They are no calls of the client's, and no other dialect has a word for them."""
    use = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"q":', '"x"}')]
    result = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [{"url": "http://x"}]}
    broken = block(2, dict(use), {"type": "input_json_delta", "partial_json": "{"})
    summary = {"type": "compaction_delta", "content": "shorter"}
    compacted = block(3, {"type": "compaction", "content": None}, summary, {"type": "compaction_delta", "content": "."})
    assert parts(begin() + block(0, use, *pieces) + block(1, result) + broken + compacted + end()) == [
        Other("anthropic", {**use, "input": {"q": "x"}}),
        Other("anthropic", result),
        Other("anthropic", {**use, "input": "{"}),
        Other("anthropic", {"type": "compaction", "content": "shorter."}),
    ]


def test_a_refusal_tells_why() -> None:
    """The explanation stands beside the answer; clients of other dialects look for it inside."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    choice = folded(begin() + end("refusal", stop_details=details)).choices[0]
    assert (choice.parts, choice.finish, choice.vendor) == (
        (Refusal("Not this."),),
        "content_filter",
        {"stop_details": details},
    )


def test_late_fields_are_kept() -> None:
    """A container's id is needed for the next turn."""
    delta = event("message_delta", delta={"stop_reason": "end_turn", "container": {"id": "c"}}, context_management={"a": 1})
    choice = folded(begin() + delta).choices[0]
    assert choice.vendor == {"container": {"id": "c"}, "context_management": {"a": 1}}


def test_a_stop_sequence_is_told() -> None:
    """Which one it was is the client's question."""
    choice = folded(begin() + end("stop_sequence", stop_sequence="```")).choices[0]
    assert (choice.finish, choice.stop_sequence) == ("stop_sequence", "```")


def test_an_answer_is_whole_when_its_stop_reason_came() -> None:
    """With or without the end mark, with or without the ends of its blocks; without a stop reason it was cut."""
    unclosed = begin() + text(0, "a").rsplit(b"event:", 1)[0]
    stopped = end().split(b"event: message_stop")[0]
    assert events(unclosed + stopped)[-1] == End()
    assert parts(unclosed + stopped) == [Text("a")]
    assert End() not in events(unclosed)
    assert events(unclosed + event("message_stop"))[-3:] == [
        Close(0),
        Count(Usage(input=10, output=1, basis="reported"), '{"input_tokens":10,"output_tokens":1}'),
        End(),
    ]


def test_only_one_finish_is_told() -> None:
    """Writers close the answer at it."""
    twice = end().split(b"event: message_stop")[0] * 2
    assert sum(isinstance(one, Finished) for one in events(begin() + twice)) == 1


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (event("error", error={"type": "overloaded_error", "message": "Busy"}), Kind.UPSTREAM_FAILED, 529),
        (b"event: error\ndata: Busy\n\n", Kind.UPSTREAM_FAILED, 502),
        (b"data: {oops\n\n", Kind.UPSTREAM_PROTOCOL, 502),
        (b'data: {"type":"content_block_delta","delta":7}\n\n', Kind.UPSTREAM_PROTOCOL, 502),
        (b"data: " + b"x" * 2_000_000, Kind.UPSTREAM_PROTOCOL, 502),
    ],
)
@pytest.mark.parametrize("before", [b"", begin() + text(0, "a")])
def test_what_breaks_a_stream_ends_in_a_failure(before: bytes, data: bytes, kind: Kind, status: int) -> None:
    """A lost event is a lost piece of the answer: it must not pass for a good one. Nothing follows it."""
    error = failure(before + data + end())
    assert (error.kind, error.status) == (kind, status)
    reader = MessagesReader("s")
    reader.feed(before + data)
    assert (reader.feed(end()), reader.close()) == ([], [])


@pytest.mark.parametrize("size", [4096, 2**21])
def test_what_came_before_an_event_too_long_to_hold_was_said(size: int) -> None:
    """However the bytes come, the client sees the same words before the failure."""
    body = begin() + text(0, "Hi") + b"data: " + b"x" * 2**20 + b"\n\n" + text(1, "more") + end()
    reader = MessagesReader("s")
    found = [one for at in range(0, len(body), size) for one in reader.feed(body[at : at + size])] + reader.close()
    assert [type(one) for one in found] == [Begin, Count, Open, Delta, Close, Fail]
    over = begin() + end() + b"data: " + b"x" * 2**20
    assert MessagesReader("s").feed(over)[-1] == End()


def test_a_block_that_is_told_whole_is_bounded() -> None:
    """The gateway holds no more than a mebibyte of any stream."""
    start = event("content_block_start", index=0, content_block={"type": "server_tool_use"})
    piece = event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "x" * 500_000})
    assert failure(begin() + start + piece * 3).kind is Kind.UPSTREAM_PROTOCOL


@pytest.mark.parametrize(
    "noise",
    [
        b"data: [DONE]\n\n",
        b"data:\n\n",
        b"event: ping\ndata: pong\n\n",
        event("ping"),
        event("content_block_delta", index=9, delta={"type": "new_delta"}),
        event("content_block_delta", index=0, delta=None),
        event("content_block_stop", index=9),
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": None}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": None}),
        event("message_start", message=None),
    ],
)
def test_what_says_nothing_changes_nothing(noise: bytes) -> None:
    """New deltas and pings may come at any time."""
    opened = begin() + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    rest = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}) + event(
        "content_block_stop", index=0
    )
    assert folded(opened + noise + rest + end()) == folded(opened + rest + end())


def test_unknown_events_ride_along() -> None:
    """Not before the answer has begun: the first event says that a stream is good."""
    news = event("news", about="x")
    assert events(news) == []
    assert events(begin() + news)[2:] == [Extra("anthropic", {"type": "news", "about": "x"})]


def test_a_stream_without_its_first_event_begins_with_its_first_block() -> None:
    """Some servers leave it out."""
    assert events(text(0, "a"))[:2] == [Begin("", ""), Open(0, Text(""))]
    assert events(end())[0] != End()
    assert Begin("", "") in events(end())


def test_vendor_fields_of_the_beginning_are_kept() -> None:
    """What canon has no word for rides along."""
    message = {"id": "i", "model": "m", "content": [], "diagnostics": {"cache_miss_reason": None}, "usage": None}
    assert events(event("message_start", message=message)) == [
        Begin("i", "m", vendor={"diagnostics": {"cache_miss_reason": None}})
    ]


def test_blocks_may_be_open_at_the_same_time() -> None:
    """Anthropic never does it; a server that does must not mix its texts."""
    start = [event("content_block_start", index=at, content_block={"type": "text", "text": ""}) for at in (0, 1)]
    delta = [event("content_block_delta", index=at, delta={"type": "text_delta", "text": str(at)}) for at in (0, 1)]
    assert parts(begin() + b"".join(start) + delta[1] + delta[0] + delta[1] + end()) == [Text("0"), Text("11")]


@given(st.lists(st.binary(max_size=200)), st.booleans())
def test_any_bytes_are_read(pieces: list[bytes], begun: bool) -> None:
    """No stream may crash its reader."""
    reader = MessagesReader("s")
    if begun:
        reader.feed(begin())
    for piece in pieces:
        reader.feed(b"data: " + piece + b"\n\n")
    reader.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "id", "index", "input", "partial_json", "signature"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
    "x",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(
                st.sampled_from(["index", "delta", "content_block", "message", "usage", "error"]), json_values, max_size=4
            ),
        ),
        max_size=8,
    )
)
def test_any_events_are_read(told: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever stands in an event, the reader goes on or ends in a failure, and a fold of it holds."""
    folded(b"".join(event(kind, **fields) for kind, fields in told))
