"""An answer streamed to a client of Gemini's: what was said is read again the same, in either framing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import objects, said
from dialects.gemini.samples import BLOCKED, CALLS, COUNTS, FOREIGN, TEXTS, events, frame, sse
from trunkline.canon.chat import Choice, Citation, Media, Other, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Finished, Fold, Open, unfold
from trunkline.canon.usage import Usage
from trunkline.dialects.gemini.writer import GeminiWriter

OWN, CLAUDE = Seal("gemini", "c2ln"), Seal("anthropic", "EqQBCkYIBxgC")
SIGNED = {"thoughtSignature": "c2ln"}
GONE = GatewayError(Kind.UPSTREAM_BROKEN, "Gone.")


def write(*calls: list[Event], form: str = "sse") -> list[Any]:
    """The pieces of a stream whose events came in these lots."""
    writer = GeminiWriter(frame(form))
    return list(objects(b"".join(map(writer.write, calls))))


def parts(*told: Event) -> list[Any]:
    """The parts of all pieces but the last, each event in a lot of its own."""
    lots = [[Begin("i", "m")], *([event] for event in told), [Finished("stop")], [End()]]
    return [part for one in write(*lots)[:-1] for part in one["candidates"][0]["content"]["parts"]]


def test_text_goes_out_as_it_comes_and_the_end_comes_last() -> None:
    """A client shows words at once; finish and usage stand in the last piece, as Gemini's do."""
    told = write(
        [Begin("i", "m"), Open(0, Text(""))],
        [Delta(0, "Hel")],
        [Delta(0, "lo"), Delta(0, "!"), Close(0), Finished("stop", "end_turn")],
        [Count(Usage(9, output=3, basis="reported")), Extra("openai_chat", {})],
        [End()],
    )
    base = {"modelVersion": "m", "responseId": "i"}
    assert told == [
        {"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}], **base},
        {"candidates": [{"content": {"parts": [{"text": "lo!"}], "role": "model"}, "index": 0}], **base},
        {
            "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "STOP"}],
            **base,
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12},
        },
    ]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([Open(0, Text("")), Delta(0, "a"), Close(0, OWN)], [{"text": "a"}, {"text": "", **SIGNED}]),
        ([Open(0, Text("", OWN)), Close(0)], [{"text": "", **SIGNED}]),
        (
            [Open(0, Thinking("")), Delta(0, "t"), Close(0, CLAUDE)],
            [{"text": "t", "thought": True}, {"text": "", "thought": True, "thoughtSignature": FOREIGN}],
        ),
        ([Open(0, Thinking("", redacted=True)), Close(0, CLAUDE)], [{"thought": True, "thoughtSignature": FOREIGN}]),
        ([Open(0, Refusal("")), Delta(0, "no"), Close(0)], [{"text": "no"}]),
        (
            [Open(0, ToolCall("x", "f", "")), Delta(0, '{"a"'), Delta(0, ":1}"), Close(0, OWN)],
            [{"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}, **SIGNED}],
        ),
        ([Open(0, ToolCall("x", "f", "", OWN)), Close(0)], [{"functionCall": {"name": "f", "args": {}, "id": "x"}, **SIGNED}]),
        (
            [
                Open(0, ToolCall("x", "f", "")),
                Open(1, ToolCall("y", "g", "")),
                Delta(1, "{}"),
                Delta(0, "{}"),
                Close(1),
                Close(0),
            ],
            [{"functionCall": {"name": "g", "args": {}, "id": "y"}}, {"functionCall": {"name": "f", "args": {}, "id": "x"}}],
        ),
        ([Open(0, Media("image", "image/png", "YQ==")), Close(0)], [{"inlineData": {"mimeType": "image/png", "data": "YQ=="}}]),
        ([Open(0, Other("gemini", {"executableCode": {}})), Close(0)], [{"executableCode": {}}]),
        ([Open(0, Other("anthropic", {})), Close(0)], []),
        ([Open(0, Text("")), Close(0)], []),
    ],
)
def test_each_part_is_written(told: list[Event], found: list[Any]) -> None:
    """Calls come whole, however their arguments were streamed; signatures stand where a client of Gemini's keeps them."""
    assert parts(*told) == found


def test_a_signature_that_comes_with_its_text_stands_in_it() -> None:
    """No piece is made that says nothing."""
    told = write([Begin("i", "m"), Open(0, Text("")), Delta(0, "a"), Close(0, OWN), Finished("stop"), End()])
    assert told[0]["candidates"][0]["content"]["parts"] == [{"text": "a", **SIGNED}]


def test_a_call_with_broken_arguments_is_told_as_gemini_tells_it() -> None:
    """There is no way to write it, and it must not look like a good end."""
    told = write([Begin("i", "m"), Open(0, ToolCall("x", "f", "")), Delta(0, '{"a'), Close(0), Finished("tool_calls"), End()])
    ended = told[-1]["candidates"][0]
    assert (len(told), ended["finishReason"], ended["finishMessage"]) == (
        1,
        "MALFORMED_FUNCTION_CALL",
        'Malformed function call: f({"a)',
    )


def test_choices_are_told_apart() -> None:
    """Each piece holds one, and the last holds the ends of all."""
    lot: list[Event] = [
        Open(0, Text("")),
        Open(1, Text(""), 1),
        Delta(1, "b"),
        Delta(0, "a"),
        Finished("stop"),
        Finished("length", choice=1),
    ]
    told = write([Begin("i", "m"), *lot], [End()])
    assert [[one["index"] for one in piece["candidates"]] for piece in told] == [[1], [0], [0, 1]]
    assert [one["finishReason"] for one in told[-1]["candidates"]] == ["STOP", "MAX_TOKENS"]


def test_text_of_one_choice_stands_together() -> None:
    """Choices that speak by turns in one read make one piece each, as Gemini's do; a piece holds parts in their order."""
    lot: list[Event] = [Open(0, Text("")), Open(1, Thinking(""), 1), Delta(0, "a"), Delta(1, "b"), Delta(0, "c"), Delta(1, "d")]
    told = write([Begin("i", "m"), *lot])
    assert [one["candidates"][0]["content"]["parts"] for one in told] == [[{"text": "ac"}], [{"text": "bd", "thought": True}]]


def test_an_end_that_nobody_explained_is_a_stop() -> None:
    """A client takes a stream without a finish reason for a broken one."""
    assert (
        write([Begin("i", "m"), Open(0, Text("")), Delta(0, "a"), Close(0), End()])[-1]["candidates"][0]["finishReason"]
        == "STOP"
    )
    assert write([Begin("", ""), End()])[-1]["candidates"][0]["index"] == 0


def test_log_probabilities_stand_in_their_piece() -> None:
    """Beside the text they belong to; a piece may hold nothing else."""
    token = {"token": "a", "logprob": -1.0}
    told = write(
        [Begin("i", "m"), Open(0, Text("")), Delta(0, "a", (token,))], [Delta(0, "", (token,))], [Finished("stop"), End()]
    )
    assert [one["candidates"][0].get("logprobsResult", {}).get("chosenCandidates") for one in told] == [
        [{"token": "a", "logProbability": -1.0}],
        [{"token": "a", "logProbability": -1.0}],
        None,
    ]


def test_citations_stand_in_the_last_piece() -> None:
    """Where Gemini tells them."""
    lot: list[Event] = [Open(0, Text("")), Delta(0, "Ö b"), Cite(0, Citation("https://a.test", start=2, end=3)), Close(0)]
    grounding = write([Begin("i", "m"), *lot, Finished("stop"), End()])[-1]["candidates"][0]["groundingMetadata"]
    assert grounding["groundingSupports"] == [
        {"segment": {"startIndex": 3, "endIndex": 4, "text": "b"}, "groundingChunkIndices": [0]}
    ]


@pytest.mark.parametrize("form", ["sse", "array"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_broken_stream_ends_in_an_error(form: str, begun: bool) -> None:
    """Told by the provider or found by the gateway: never a clean end, and an array that can be read."""
    lot: list[Event] = [Begin("i", "m"), Open(0, Text("")), Delta(0, "a")] if begun else []
    writer = GeminiWriter(frame(form))
    out = writer.write(lot) + writer.fail(GONE)
    told = list(objects(out))
    assert (len(told), told[-1]["error"]["message"]) == (1 + begun, "Gone.")
    if form == "array":
        json.loads(out)


def fold(found: list[Event]) -> Reply:
    """The answer that events tell."""
    grown = Fold("gemini")
    grown.add(found)
    return grown.reply()


def said_again(reply: Reply, form: str) -> Reply:
    """The answer after it was streamed to a client and read by it."""
    return fold(events([GeminiWriter(frame(form)).write(unfold(reply))]))


SEALS = st.sampled_from([None, OWN, CLAUDE])
CALL_IDS = st.integers(0, 99).map("c{}".format)
PART = (
    st.builds(Text, st.text(min_size=1, max_size=5), SEALS)
    | st.builds(Thinking, st.text(min_size=1, max_size=5), SEALS)
    | st.builds(
        ToolCall, CALL_IDS, st.sampled_from(["f", "g"]), st.sampled_from(["{}", '{"a":"b"}', '{"n":[1.5,null]}']), SEALS
    )
    | st.just(Media("image", "image/png", "YWJj"))
    | st.just(Other("gemini", {"executableCode": {"code": "1"}}))
)


@given(st.lists(PART, max_size=5), st.sampled_from(["sse", "array"]))
def test_what_is_written_is_read_the_same(found: list[Any], form: str) -> None:
    """Text, thoughts, calls and every signature, through a client that speaks Gemini."""
    apart: list[Any] = []
    for part in found:  # text that follows text without a signature is one part to a reader
        last = apart[-1] if apart else None
        if isinstance(part, Text | Thinking) and type(last) is type(part) and last.seal is None:
            apart[-1] = msgspec.structs.replace(part, text=last.text + part.text)
        else:
            apart.append(part)
    calls = any(isinstance(part, ToolCall) for part in found)
    usage = Usage(9, output=8, reasoning=5, basis="reported")
    reply = Reply("gemini", "i", "m", (Choice(tuple(apart), "tool_calls" if calls else "stop", "STOP"),), usage)
    again = said_again(reply, form)
    assert msgspec.structs.replace(again, raw_usage="") == reply


@pytest.mark.parametrize("told", [TEXTS, CALLS, BLOCKED])
@pytest.mark.parametrize("form", ["sse", "array"])
def test_a_stream_says_the_same_after_canon(told: tuple[Any, ...], form: str) -> None:
    """Reading and writing the same dialect returns what came in."""
    once = events([sse(*told)])
    out = b"".join(GeminiWriter(frame(form)).write(lot) for lot in (once,))
    want, found = said("gemini.x", 200, sse(*told)), said("gemini.x", 200, out)
    assert found._replace(calls=()) == want._replace(calls=())
    assert [call[:2] for call in found.calls] == [call[:2] for call in want.calls]
    assert list(objects(out))[-1]["usageMetadata"] == (COUNTS if told is not BLOCKED else {"promptTokenCount": 4})
    assert ("candidates" in list(objects(out))[-1]) == (told is not BLOCKED)


@pytest.mark.parametrize(
    "recording", parameters([one for one in recordings("gemini.stream_generate_content") if one.status == 200])
)
def test_recorded_streams_say_the_same_after_canon(recording: Recording) -> None:
    """What Google really sends, event by event, to a client in the other framing."""
    want = said("gemini.x", 200, recording.body)
    for form in ("sse", "array"):
        writer = GeminiWriter(frame(form))
        out = b"".join(writer.write([event]) for event in events([recording.body]))
        found = said("gemini.x", 200, out)
        assert found._replace(calls=()) == want._replace(calls=())
        assert [call[:2] for call in found.calls] == [call[:2] for call in want.calls]
