"""A whole answer read into canon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from conformance.recordings import Recording, parameters, recordings
from conformance.said import said
from dialects.gemini.samples import BLOCKED, COUNTS, SCRAP, candidate, chunk, frame
from trunkline.canon.chat import Choice, Citation, Other, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.read_answer import created, read_answer
from trunkline.dialects.gemini.write_answer import write_answer

SEAL = Seal("gemini", "c2ln")
SIGNED = {"thoughtSignature": "c2ln"}


def read(told: Any) -> Reply:
    """The answer."""
    return read_answer(json.dumps(told).encode(), "seed")


def test_parts_stay_as_many_as_they_are() -> None:
    """Each part has a signature of its own, an empty one too: joined, they could not be told apart again."""
    told = chunk(
        {"text": "t", "thought": True},
        {"text": "a", **SIGNED},
        {"text": "b"},
        {"text": "", **SIGNED},
        {"text": ""},
        finish="STOP",
    )
    assert read(told).choices[0].parts == (Thinking("t"), Text("a", SEAL), Text("b"), Text("", SEAL))


def test_an_answer_is_read() -> None:
    """Everything that canon has a word for, and the rest in vendor."""
    told = {
        "candidates": [
            candidate(
                {"functionCall": {"name": "f", "args": {"a": 1}}, **SIGNED}, finishReason="STOP", finishMessage="Called."
            ),
            candidate({"text": "b"}, index=1, finishReason="MAX_TOKENS", logprobsResult={"chosenCandidates": [{"token": "b"}]}),
        ],
        "usageMetadata": COUNTS,
        "modelVersion": "gemini-x",
        "responseId": "r1",
        "createTime": "2026-08-19T14:34:21.877166Z",
    }
    reply = read(told)
    assert reply.choices[0] == Choice(
        (ToolCall("tlc_seed_0", "f", '{"a":1}', SEAL),), "tool_calls", "STOP", vendor={"finishMessage": "Called."}
    )
    assert (reply.choices[1].finish, reply.choices[1].logprobs[0]["token"]) == ("length", "b")
    assert (reply.id, reply.model, reply.created, reply.usage.output) == ("r1", "gemini-x", 1787150061, 8)
    assert reply.vendor == {"createTime": "2026-08-19T14:34:21.877166Z"}


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    """It has no candidate, and a client expects a choice."""
    reply = read(BLOCKED[0])
    assert reply.choices == (Choice((), "content_filter", "SAFETY"),)
    assert reply.vendor == {"promptFeedback": {"blockReason": "SAFETY"}}


@pytest.mark.parametrize(
    "told",
    [
        chunk(finish="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: f("),
        chunk(),
        {"usageMetadata": COUNTS},
        {"candidates": [{"content": {}, "finishReason": "OTHER"}]},
        {"candidates": [], "promptFeedback": {"safetyRatings": []}},
    ],
)
def test_an_answer_that_ended_in_an_error_and_says_nothing_is_one(told: Any) -> None:
    """Recorded with status 200; as an empty stop it would leave an agent at a loss. Its tokens are paid for all the same."""
    reply = read({**told, "usageMetadata": COUNTS})
    assert [(choice.parts, choice.finish) for choice in reply.choices] == [((), "error")]
    assert (reply.usage.input, reply.usage.output) == (9, 8)


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        (chunk(finish="MAX_TOKENS"), "length"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length"),
        (chunk(finish="SAFETY"), "content_filter"),
        (chunk(finish="STOP"), "stop"),
        (chunk({"text": "a"}, finish="OTHER"), "error"),
        (chunk({"text": "a"}), ""),
    ],
)
def test_an_answer_without_parts_is_read(told: Any, finish: str) -> None:
    """All tokens went into thinking; the filter struck; nothing was to be said."""
    assert read(told).choices[0].finish == finish


def test_citations_belong_to_their_part() -> None:
    """A segment names the part by its number among all parts."""
    support = {"segment": {"partIndex": 1, "startIndex": 0, "endIndex": 1, "text": "b"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.test"}}], "groundingSupports": [support]}
    found = read(
        chunk({"executableCode": {}}, {"text": "b"}, {"text": "c"}, finish="STOP", groundingMetadata=grounding)
    ).choices[0]
    assert found.parts[1:] == (Text("b", citations=(Citation("https://a.test", start=0, end=1),)), Text("c"))
    assert found.vendor == {"groundingMetadata": grounding}


@pytest.mark.parametrize(
    ("time", "seconds"), [("1970-01-01T00:01:00Z", 60), ("1960-01-01T00:01:00Z", 0), ("soon", 0), (None, 0), (7, 0)]
)
def test_a_time_is_told_in_seconds(time: Any, seconds: int) -> None:
    """OpenAI's clients expect a number."""
    assert created({"createTime": time}) == seconds


@given(SCRAP)
def test_any_json_is_an_answer_or_an_error(told: Any) -> None:
    """The shapes of a provider's JSON are its own."""
    try:
        read({"candidates": told})
    except GatewayError as error:
        assert error.status == 502  # noqa: PT017 - both ends are well


@pytest.mark.parametrize("recording", parameters([one for one in recordings("gemini.generate_content") if one.status == 200]))
def test_recorded_answers_are_read_and_written_the_same(recording: Recording) -> None:
    """What Google really sends says the same here, and to its own clients again."""
    want = said("gemini.generate_content", 200, recording.body)
    reply = read_answer(recording.body, "seed")
    parts = reply.choices[0].parts
    assert "".join(part.text for part in parts if isinstance(part, Text)) == want.text
    assert [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)] == [
        (call.name, call.arguments) for call in want.calls
    ]
    assert reply.choices[0].finish == want.finish
    told, again = json.loads(recording.body), json.loads(write_answer(reply, frame()))
    for one in again.get("candidates", ()):
        for part in one["content"]["parts"]:
            if part.get("functionCall", {}).get("id", "").startswith("tlc_"):
                del part["functionCall"]["id"]
    for one in told.get("candidates", ()):
        one.setdefault("index", 0)
        one["content"] = one["content"] or {"parts": [{"text": ""}], "role": "model"}
    if not reply.raw_usage:  # nothing was counted
        del told["usageMetadata"]
    assert again == told
    assert not any(isinstance(part, Other) and part.dialect != "gemini" for part in parts)
