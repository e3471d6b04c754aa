"""A whole answer written for a client of Gemini's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.gemini.samples import BLOCKED, FOREIGN, frame
from trunkline.canon.chat import (
    Choice,
    Citation,
    Media,
    Other,
    Part,
    Refusal,
    Reply,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.usage import Usage
from trunkline.dialects.gemini.read_answer import read_answer
from trunkline.dialects.gemini.write_answer import merged, object_of, write_answer, write_part

OWN, CLAUDE = Seal("gemini", "c2ln"), Seal("anthropic", "EqQBCkYIBxgC")
SIGNED = {"thoughtSignature": "c2ln"}


def write(*choices: Choice, **more: Any) -> Any:
    """The answer."""
    return json.loads(write_answer(Reply("openai_chat", "", "", choices, **more), frame()))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Text("a", OWN), {"text": "a", **SIGNED}),
        (Text("a", vendor={"partMetadata": {}, "foreign": 1}), {"text": "a", "partMetadata": {}}),
        (Refusal("no"), {"text": "no"}),
        (Thinking("t", CLAUDE), {"text": "t", "thought": True, "thoughtSignature": FOREIGN}),
        (Thinking("", CLAUDE), {"text": "", "thought": True, "thoughtSignature": FOREIGN}),
        (Thinking("", CLAUDE, redacted=True), {"thought": True, "thoughtSignature": FOREIGN}),
        (ToolCall("x", "f", '{"a":1}', OWN), {"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}, **SIGNED}),
        (ToolCall("x", "f", ""), {"functionCall": {"name": "f", "args": {}, "id": "x"}}),
        (ToolCall("x", "f", '{"a'), None),
        (
            Media("image", "image/png", "YQ==", vendor=SIGNED),
            {"inlineData": {"mimeType": "image/png", "data": "YQ=="}, **SIGNED},
        ),
        (Media("image", url="https://a.test/b"), {"fileData": {"fileUri": "https://a.test/b"}}),
        (Other("gemini", {"executableCode": {}}), {"executableCode": {}}),
        (Other("anthropic", {"type": "server_tool_use"}), None),
        (ToolResult("x", "f", ()), None),
    ],
)
def test_a_part_is_written(part: Part, told: Any) -> None:
    """State of another family goes wrapped, in base64: the SDK refuses an answer with anything else there."""
    assert write_part(part) == told


def test_an_answer_is_written() -> None:
    """Everything that Gemini has a word for."""
    told = write(
        Choice((Thinking("t"), Text("Hi")), "stop", "end_turn", vendor={"stop_details": 1}),
        Choice((ToolCall("x", "f", "{}"),), "tool_calls", "tool_use", logprobs=({"token": "a", "logprob": -1.0},)),
        usage=Usage(9, output=8, reasoning=5, basis="reported"),
        vendor={"system_fingerprint": "x"},
    )
    assert told == {
        "candidates": [
            {
                "content": {"parts": [{"text": "t", "thought": True}, {"text": "Hi"}], "role": "model"},
                "index": 0,
                "finishReason": "STOP",
            },
            {
                "content": {"parts": [{"functionCall": {"name": "f", "args": {}, "id": "x"}}], "role": "model"},
                "index": 1,
                "logprobsResult": {
                    "chosenCandidates": [{"token": "a", "logProbability": -1.0}],
                    "topCandidates": [{"candidates": []}],
                },
                "finishReason": "STOP",
            },
        ],
        "modelVersion": "gemini-x",
        "responseId": "req-1",
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 17, "thoughtsTokenCount": 5},
    }


def test_an_empty_answer_has_a_part() -> None:
    """Google's SDK takes a turn whose answer has no parts for an invalid one, and drops it from its history."""
    told = write(Choice((), "content_filter", "refusal"))
    assert told["candidates"] == [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "SAFETY"}]
    assert "usageMetadata" not in told


def test_a_call_with_broken_arguments_is_told_as_gemini_tells_it() -> None:
    """An `args` must be an object; the client may try again."""
    told = write(Choice((Text("a"), ToolCall("x", "f", '{"a')), "tool_calls", "tool_calls"))["candidates"][0]
    assert (told["finishReason"], told["finishMessage"]) == ("MALFORMED_FUNCTION_CALL", 'Malformed function call: f({"a)')
    assert told["content"]["parts"] == [{"text": "a"}]


def test_a_blocked_prompt_is_written_as_gemini_writes_it() -> None:
    """No candidates, and why."""
    body = json.dumps(BLOCKED[0]).encode()
    told = json.loads(write_answer(read_answer(body, "s"), frame()))
    assert told == {**BLOCKED[0], "responseId": "req-1"}
    kept = write(Choice((Text("a"),), "stop"), vendor={"promptFeedback": {"blockReason": "SAFETY"}})
    assert len(kept["candidates"]) == 1


def test_citations_of_others_are_grounding_here() -> None:
    """Where a client of Gemini's looks for them."""
    cited = Text("Ö b", citations=(Citation("https://a.test", "A", start=2, end=3),))
    told = write(Choice((Thinking("t"), cited), "stop"))["candidates"][0]
    assert told["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"partIndex": 1, "startIndex": 3, "endIndex": 4, "text": "b"}, "groundingChunkIndices": [0]}
        ],
    }


@pytest.mark.parametrize(("text", "found"), [("", {}), ('{"a":1}', {"a": 1}), ("[]", None), ("{", None), ("[" * 5000, None)])
def test_arguments_are_an_object_or_none(text: str, found: Any) -> None:
    """Models write what they like."""
    assert object_of(text) == found


def test_what_nobody_took_goes_back_to_its_place() -> None:
    """Beside the object of a part, or within it."""
    vendor = {"inlineData": {"x": 1}, "videoMetadata": {"fps": 1}, "foreign": 1}
    told = {"inlineData": {"mimeType": "video/mp4", "data": "YQ==", "x": 1}, "videoMetadata": {"fps": 1}}
    assert write_part(Media("video", "video/mp4", "YQ==", vendor=vendor)) == told
    assert merged({"inlineData": {"data": "YQ=="}}, vendor)["foreign"] == 1
