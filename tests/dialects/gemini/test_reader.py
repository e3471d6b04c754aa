"""A provider's stream read into events: what was said, in order, however it is framed and sliced."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import said
from dialects.gemini.samples import BLOCKED, CALLS, COUNTS, ERROR, FOREIGN, SCRAP, TEXTS, array, chunk, events, slices, sse
from trunkline.canon.chat import Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Fold, Open
from trunkline.canon.usage import Usage
from trunkline.dialects.gemini import reader as reader_module
from trunkline.dialects.gemini.reader import GeminiReader


def fold(found: list[Event]) -> Reply:
    """The answer that the events tell."""
    grown = Fold("gemini")
    grown.add(found)
    return grown.reply()


def test_a_stream_is_read() -> None:
    """The order of events is what writers of all dialects stand on."""
    assert events([sse(*TEXTS)]) == [
        Begin("r1", "gemini-x"),
        Open(0, Thinking("")),
        Delta(0, "I think"),
        Close(0),
        Open(1, Text("")),
        Delta(1, "Hel"),
        Delta(1, "lo"),
        Close(1, Seal("gemini", "c2ln")),
        Finished("stop", "STOP"),
        Count(Usage(9, output=8, reasoning=5, basis="reported"), msgspec.json.encode(COUNTS).decode()),
        End(),
    ]


PLAIN = st.builds(
    lambda part, more: {**part, **more},
    st.builds(lambda text: {"text": text}, st.sampled_from(["", "a", "b\u2028"])),
    st.sampled_from([{}, {"thought": True}, {"thought": False}, {"thoughtSignature": "c2ln"}, {"thoughtSignature": FOREIGN}]),
)


@given(st.lists(st.tuples(st.lists(PLAIN, max_size=3), st.booleans(), st.sampled_from(["", "", "STOP"])), max_size=6))
def test_text_is_read_the_same_with_and_without_the_short_way(told: list[tuple[list[Any], bool, str]]) -> None:
    """Pieces with nothing but text go a way of their own, for they are many; what it means must not depend on that."""
    short = [chunk(*parts, finish=finish, usage=COUNTS if counts else None) for parts, counts, finish in told]
    for one in short:
        one["candidates"][0].setdefault("content", {"parts": []})
    long = [{**one, "candidates": [{"finishReason": None} | one["candidates"][0]]} for one in short]
    ways = [events([sse(*chunks)]) for chunks in (short, long)]
    one, other = ([event for event in way if not isinstance(event, Count)] for way in ways)
    assert one == other
    if one and isinstance(one[-1], End):
        assert fold(ways[0]) == fold(ways[1])


def test_counts_that_come_with_text_are_told_at_the_end() -> None:
    """A piece in which nothing else is new makes one event, and yet nothing of what was spent is lost."""
    counts = [{"promptTokenCount": 8, "candidatesTokenCount": at} for at in range(3)]
    pieces = [sse(chunk({"text": "a"}, usage=one)) for one in counts]
    reader, found = GeminiReader("s"), []
    for at, piece in enumerate(pieces):
        found += reader.feed(piece)
        told = reader.count()
        assert (told.usage.output if told is not None else 0) == at
    assert [event.usage.output for event in found if isinstance(event, Count)] == [0]
    found += reader.feed(sse(chunk({"text": ""}, finish="STOP", usage={"trafficType": "ON_DEMAND"}))) + reader.close()
    assert [type(event) for event in found[-2:]] == [Count, End]
    assert fold(found).usage == Usage(8, output=2, basis="reported")


def test_calls_are_read() -> None:
    """They come whole, mostly without ids; STOP is not the end of the turn."""
    assert events([sse(*CALLS)])[1:-2] == [
        Open(0, ToolCall("tlc_seed_0", "look", "", Seal("gemini", "c2ln"))),
        Delta(0, '{"at":"a"}'),
        Close(0, Seal("gemini", "c2ln")),
        Open(1, ToolCall("x1", "look", "")),
        Delta(1, '{"at":"b"}'),
        Close(1),
        Finished("tool_calls", "STOP"),
    ]


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    """No candidate ever comes; the client must not wait for one."""
    told = events([sse(*BLOCKED, *BLOCKED)])
    assert [type(one) for one in told] == [Begin, Finished, Count, Count, End]
    assert fold(told).choices[0].finish == "content_filter"
    assert fold(told).vendor["promptFeedback"] == {"blockReason": "SAFETY"}


@pytest.mark.parametrize("told", [TEXTS, CALLS, BLOCKED, TEXTS[:2], (*TEXTS[:2], ERROR)])
def test_framing_and_slicing_change_nothing(told: tuple[Any, ...]) -> None:
    """Events, array, or a network that cuts where it likes: the same answer."""
    whole = events([sse(*told)])
    for body in (sse(*told), sse(*told, end="\n\n"), array(*told)):
        for at in range(len(body)):
            assert _errors(events([body[:at], body[at:]])) == _errors(whole)
        assert _errors(events([body[at : at + 1] for at in range(len(body))])) == _errors(whole)


def _errors(found: list[Event]) -> list[Any]:
    """Errors are equal where they say the same."""
    return [(one.error.status, one.error.message) if isinstance(one, Fail) else one for one in found]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (sse(ERROR), Kind.UPSTREAM_FAILED),
        (array(ERROR), Kind.UPSTREAM_FAILED),
        (json.dumps(ERROR).encode(), Kind.UPSTREAM_FAILED),
        (sse(TEXTS[0]) + b"data: {oops\r\n\r\n", Kind.UPSTREAM_PROTOCOL),
        (sse(TEXTS[0]) + b"data: [1]\r\n\r\n", Kind.UPSTREAM_PROTOCOL),
    ],
)
def test_a_failure_ends_the_events(body: bytes, kind: Kind) -> None:
    """Nothing may follow a failure, least of all a clean end."""
    told = events([body, sse(*TEXTS)])
    assert isinstance(told[-1], Fail)
    assert told[-1].error.kind == kind
    assert sum(isinstance(one, Fail) for one in told) == 1


def test_a_failure_at_the_very_end_is_one_too() -> None:
    """The last event may lack its blank line."""
    told = events([(sse(*TEXTS) + sse(ERROR))[:-4]])
    assert isinstance(told[-1], Fail)


@pytest.mark.parametrize(
    "body",
    [b"", b": ping\r\n\r\n", sse(*TEXTS[:3]), sse(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1)), b"[]"],
)
def test_what_is_cut_short_has_no_end(body: bytes) -> None:
    """A half answer must not pass for a whole one."""
    assert not any(isinstance(one, End) for one in events([body]))


def test_a_done_mark_says_nothing() -> None:
    """Gemini has none, servers that imitate it may."""
    assert events([sse(*TEXTS) + b"data: [DONE]\n\n"]) == events([sse(*TEXTS)])


def test_candidates_are_told_apart() -> None:
    """They come in pieces, by turns; a number that is none is the first."""
    told = [
        chunk({"text": "a"}),
        chunk({"text": "x"}, index=1),
        chunk({"text": "b"}, finish="STOP"),
        chunk({"text": "y"}, index=1, finish="MAX_TOKENS"),
        chunk({"text": "late"}, index=0),
    ]
    reply = fold(events([sse(*told)]))
    assert [(choice.parts[0], choice.finish) for choice in reply.choices] == [(Text("ab"), "stop"), (Text("xy"), "length")]
    odd = {"candidates": [{"index": 10**9, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}, 7]}
    assert fold(events([sse(odd)])).choices[0].parts == (Text("a"),)


@pytest.mark.parametrize("slice_at", [100, 10**6])
@pytest.mark.parametrize("write", [sse, array])
def test_an_overlong_piece_is_a_failure(monkeypatch: pytest.MonkeyPatch, slice_at: int, write: Any) -> None:
    """What a provider sends must not fill the memory, and where it is cut must make no difference."""
    monkeypatch.setattr(reader_module, "LIMIT", 2000)
    body = write(TEXTS[0], chunk({"text": "x" * 3000}), *TEXTS[1:])
    told = events([body[at : at + slice_at] for at in range(0, len(body), slice_at)])
    assert [type(one) for one in told] == [Begin, Open, Delta, Fail]
    assert GeminiReader("s").feed(b"") == []
    broken = events([sse(ERROR) + b"data: " + b"x" * 3000])
    assert [type(one) for one in broken] == [Fail]


PIECES = st.sampled_from(
    [
        *(sse(one) for one in (*TEXTS, *CALLS, *BLOCKED, ERROR)),
        *(json.dumps(one).encode() for one in (*TEXTS, ERROR)),
        *(
            b"[",
            b"]",
            b",\r\n",
            b"{",
            b"}",
            b'"',
            b"data: ",
            b": c\n",
            b"\n\n",
            b"\xff",
            b'{"candidates":[{"content":1}]}',
            b'{"candidates":7}',
        ),
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 2000), max_size=8))
def test_any_bytes_in_any_slices_give_the_same_events(body: bytes, cuts: list[int]) -> None:
    """No bytes at all may crash a reader."""
    assert _errors(events(slices(body, cuts))) == _errors(events([body]))


@given(st.lists(st.dictionaries(st.just("candidates"), st.lists(SCRAP, max_size=2)) | SCRAP, max_size=4))
def test_any_json_is_read(told: list[Any]) -> None:
    """The shapes of a provider's JSON are its own: whatever stands where, the events keep their order."""
    found = events(["".join(f"data: {json.dumps(one)}\n\n" for one in told).encode()])
    opened: set[int] = set()
    for event in found:
        if isinstance(event, Open):
            opened.add(event.index)
        elif isinstance(event, Delta):
            assert event.index in opened
        elif isinstance(event, Close):
            opened.remove(event.index)
    assert not opened or not isinstance(found[-1], End)


@pytest.mark.parametrize(
    "recording", parameters([one for one in recordings("gemini.stream_generate_content") if one.status == 200])
)
def test_recorded_streams_are_read(recording: Recording) -> None:
    """Text, thinking, calls, finish, usage and signatures, as a reader without any code of ours finds them."""
    body = recording.body
    told = events([body])
    want, reply = said("gemini.stream_generate_content", 200, body), fold(told)
    parts = reply.choices[0].parts
    seals = [part.seal.data for part in parts if isinstance(part, Text | Thinking | ToolCall) and part.seal]
    assert "".join(part.text for part in parts if isinstance(part, Text)) == want.text
    assert "".join(part.text for part in parts if isinstance(part, Thinking)) == want.thinking
    assert [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)] == [
        (call.name, call.arguments) for call in want.calls
    ]
    assert (reply.choices[0].finish, seals) == (want.finish, list(want.seals))
    assert want.spent is not None
    assert (reply.usage.input, reply.usage.cache_read, reply.usage.output, reply.usage.reasoning) == (
        want.spent.input,
        want.spent.cache_read,
        want.spent.output,
        want.spent.reasoning,
    )
    assert isinstance(told[-1], End)
    for step in (1 if len(body) < 5000 else 131, 7, 1400):
        assert events([body[at : at + step] for at in range(0, len(body), step)]) == told
