"""Pieces of a candidate grown together: signatures, thoughts, calls in pieces, citations, what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.gemini.samples import COUNTS, chunk, events, sse
from trunkline.canon.chat import Choice, Citation, Media, Other, Part, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Cite, Close, Count, End, Finished, Fold, Open

SEAL = Seal("gemini", "c2ln")
SIGNED = {"thoughtSignature": "c2ln"}


def choice(*chunks: dict[str, Any]) -> Choice:
    """The answer that these chunks tell."""
    grown = Fold("gemini")
    grown.add(events([sse(*chunks)]))
    return grown.reply().choices[0]


def parts(*told: dict[str, Any]) -> tuple[Part, ...]:
    """The same, each part in a chunk of its own."""
    return choice(*(chunk(one) for one in told), chunk({"text": ""}, finish="STOP")).parts


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([{"text": "a"}, {"text": "b", **SIGNED}], (Text("ab", SEAL),)),
        ([{"text": "a"}, {"text": "", **SIGNED}], (Text("a", SEAL),)),
        ([{"text": "a", **SIGNED}, {"text": "b"}], (Text("a", SEAL), Text("b"))),
        ([{"text": "a", **SIGNED}, {"text": "", **SIGNED}], (Text("a", SEAL), Text("", SEAL))),
        ([{"text": "", **SIGNED}], (Text("", SEAL),)),
        ([{"text": "t", "thought": True}, {"text": "", **SIGNED}], (Thinking("t"), Text("", SEAL))),
        ([{"text": "t", "thought": True, **SIGNED}, {"text": "u", "thought": True}], (Thinking("t", SEAL), Thinking("u"))),
        ([{"text": "t", "thought": True}, {"text": "", "thought": True}, {"text": "a"}], (Thinking("t"), Text("a"))),
        (
            [{"text": "a"}, {"functionCall": {"name": "f"}}, {"text": "b"}],
            (Text("a"), ToolCall("tlc_seed_0", "f", "{}"), Text("b")),
        ),
        ([{"executableCode": {"code": "1"}}, {"text": "a"}], (Other("gemini", {"executableCode": {"code": "1"}}), Text("a"))),
        (
            [{"inlineData": {"mimeType": "image/png", "data": "aQ=="}, **SIGNED}],
            (Media("image", "image/png", "aQ==", vendor=SIGNED),),
        ),
        ([{"functionCall": {"name": 1}}], (Other("gemini", {"functionCall": {"name": 1}}),)),
        ([{"text": ""}], ()),
    ],
)
def test_parts_grow_together(told: list[dict[str, Any]], found: tuple[Part, ...]) -> None:
    """A signature belongs to the part it stands in: moved to another, Gemini refuses the next turn."""
    assert parts(*told) == found


@pytest.mark.parametrize("more", [{}, {"willContinue": True}])
def test_a_calls_signature_is_told_when_it_begins(more: dict[str, Any]) -> None:
    """Claude Code moves what comes after a call before it: a signature told at the call's end is then another part's."""
    told = events([sse(chunk({"functionCall": {"name": "f", **more}, **SIGNED}, finish="STOP"))])
    assert [event.part for event in told if isinstance(event, Open)] == [ToolCall("tlc_seed_0", "f", "", SEAL)]
    assert [event.seal for event in told if isinstance(event, Close)] == [SEAL]


def test_a_call_in_pieces_is_put_together() -> None:
    """Vertex streams arguments; clients of other APIs see them whole, with the signature of the first piece."""
    begins = {"functionCall": {"name": "f", "willContinue": True}, **SIGNED}
    piece = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}
    ends: dict[str, Any] = {"functionCall": {}}
    whole = ToolCall("tlc_seed_0", "f", '{"a":"x"}', SEAL)
    assert parts(begins, piece, ends) == (whole,)
    assert parts(begins, piece) == (whole,)
    assert parts(begins, piece, {"text": "b"}) == (whole, Text("b"))
    assert parts(begins, piece, {"functionCall": {"name": "g"}}) == (whole, ToolCall("tlc_seed_1", "g", "{}"))


def test_what_is_told_of_a_candidate_is_kept() -> None:
    """Ratings, grounding and the like have no word in canon and ride in vendor."""
    found = choice(
        chunk({"text": "a"}, safetyRatings=[1]), chunk(finish="SAFETY", finishMessage="No."), chunk({"text": "late"})
    )
    assert (found.parts, found.finish, found.native_finish) == ((Text("a"),), "content_filter", "SAFETY")
    assert found.vendor == {"safetyRatings": [1], "finishMessage": "No."}


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "SOMETHING_NEW"])
def test_an_end_in_error_is_one(word: str) -> None:
    """An empty answer that looks like a stop leaves an agent at a loss; and half an answer is none that came to its end."""
    told = events([sse(chunk(finish=word, finishMessage="Malformed.", usage=COUNTS))])
    assert [type(one) for one in told] == [Begin, Finished, Count, End]
    grown = Fold("gemini")
    grown.add(told)
    reply = grown.reply()
    assert reply.choices[0] == Choice((), "error", word, vendor={"finishMessage": "Malformed."})
    assert reply.usage.output == 8
    assert choice(chunk({"text": "a"}), chunk(finish=word)).finish == ("stop" if word == "SOMETHING_NEW" else "error")


def test_an_unspecified_finish_is_none() -> None:
    """Protobuf's default may be spelled out."""
    assert choice(chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED"), chunk({"text": "b"}, finish="STOP")).parts == (
        Text("ab"),
    )


def test_citations_come_before_their_text_is_closed() -> None:
    """Other APIs tell them inside of the text; Google tells them at the end of all."""
    support = {"segment": {"startIndex": 1, "endIndex": 2, "text": "b"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}], "groundingSupports": [support]}
    ended = chunk({"text": "", **SIGNED}, finish="STOP", groundingMetadata=grounding)
    told = events([sse(chunk({"text": "a"}), chunk({"text": "b"}), ended)])
    assert [one for one in told if isinstance(one, Cite | Close)] == [
        Cite(0, Citation("https://a.test", "A", start=1, end=2)),
        Close(0, SEAL),
    ]
    thought = events([sse(chunk({"text": "t", "thought": True}, finish="STOP", groundingMetadata=grounding))])
    assert not any(isinstance(one, Cite) for one in thought)


def test_log_probabilities_come_with_their_text() -> None:
    """They stand beside the parts of a chunk, in no part of their own."""
    result = {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    found = choice(chunk({"text": "a"}, logprobsResult=result), chunk({"text": "b"}, finish="STOP", logprobsResult=result))
    assert [one["token"] for one in found.logprobs] == ["a", "a"]
    assert choice(chunk({"functionCall": {"name": "f"}}, finish="STOP", logprobsResult=result)).logprobs == ()


def test_parts_of_all_candidates_are_numbered_in_one_row() -> None:
    """An index is a part's own in the whole stream."""
    told = events([sse(chunk({"text": "a"}), chunk({"text": "b"}, index=1), chunk({"functionCall": {"name": "f"}}, index=1))])
    assert [(one.index, one.choice) for one in told if isinstance(one, Open)] == [(0, 0), (1, 1), (2, 1)]
