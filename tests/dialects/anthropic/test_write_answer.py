"""Whole answers for an Anthropic client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.anthropic.samples import FRAME
from trunkline.canon.chat import (
    Choice,
    Citation,
    FinishReason,
    Media,
    Other,
    Part,
    Refusal,
    Reply,
    Seal,
    Text,
    Thinking,
    ToolCall,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import Usage
from trunkline.dialects import state
from trunkline.dialects.anthropic.read_answer import read_answer
from trunkline.dialects.anthropic.read_blocks import read_content
from trunkline.dialects.anthropic.write_answer import UNSIGNED, write_answer

FOREIGN = Seal("gemini", "c2ln")
OWN = Seal("anthropic", "b3du")


def answered(*parts: Part, finish: FinishReason = "stop", dialect: str = "gemini", **fields: Any) -> dict[str, Any]:
    """What a client gets for an answer of these parts."""
    choice = Choice(parts, finish, **fields)
    told: dict[str, Any] = json.loads(write_answer(Reply(dialect, "", "", (choice,)), FRAME))
    return told


def test_the_frame_of_an_answer() -> None:
    """Every field that the SDKs want, with what the provider does not name made up by us."""
    reply = Reply("openai_chat", "", "", (Choice((Text("Hi"),), "length", "length"),), Usage(input=9, cache_read=4, output=2))
    assert json.loads(write_answer(reply, FRAME)) == {
        "id": "msg_ours",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 2},
    }


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ([Text("")], []),
        ([ToolCall("a", "f", '{"x":')], [{"type": "tool_use", "id": "a", "name": "f", "input": {"_raw": '{"x":'}}]),
        ([Thinking("Hm")], [{"type": "thinking", "thinking": "Hm", "signature": UNSIGNED}]),
        ([Thinking("")], []),
        ([Thinking("", OWN)], [{"type": "thinking", "thinking": "", "signature": "b3du"}]),
        ([Thinking("Hm", FOREIGN)], [{"type": "thinking", "thinking": "Hm", "signature": state.wrap(FOREIGN)}]),
        ([Thinking("", OWN, redacted=True)], [{"type": "redacted_thinking", "data": "b3du"}]),
        ([Thinking("", redacted=True)], []),
        ([Media("image", url="http://x", name="cat")], [{"type": "text", "text": "![cat](http://x)"}]),
        ([Media("audio", "audio/wav", "AA")], [{"type": "text", "text": "[audio](data:audio/wav;base64,AA)"}]),
        ([Other("gemini", {"executableCode": {}})], []),
        ([Other("anthropic", {"type": "server_tool_use"})], [{"type": "server_tool_use"}]),
        (
            [Text("a", citations=(Citation("http://x", "T", "q"), Citation(vendor={"type": "y", "cited_text": "q"})))],
            [
                {
                    "type": "text",
                    "text": "a",
                    "citations": [
                        {
                            "type": "web_search_result_location",
                            "cited_text": "q",
                            "url": "http://x",
                            "title": "T",
                            "encrypted_index": "",
                        },
                        {"type": "y", "cited_text": "q"},
                    ],
                }
            ],
        ),
    ],
)
def test_a_part_becomes_its_block(parts: list[Part], content: list[Any]) -> None:
    """Empty ones are not told: a client would send them back, and Anthropic would refuse them."""
    assert answered(*parts)["content"] == content


@pytest.mark.parametrize(
    "parts",
    [
        [Thinking("Hm"), ToolCall("a", "f", '{"x":1}', FOREIGN), ToolCall("b", "f", "{}")],
        [Thinking("Hm", OWN), ToolCall("a", "f", "{}", FOREIGN)],
        [Text("Hi", FOREIGN), ToolCall("a", "f", "{}", FOREIGN)],
        [ToolCall("a", "f", "{}"), Text("", FOREIGN)],
        [Thinking("Hm"), Text("", FOREIGN)],
    ],
)
def test_the_state_of_a_part_without_a_slot_comes_back(parts: list[Part]) -> None:
    """Carried by blocks of thinking, which every client hands back."""
    assert read_content(answered(*parts)["content"], "content") == tuple(parts)


def test_a_refusal_is_text_and_a_stop_reason() -> None:
    """But not where a tool is to be run."""
    told = answered(Refusal("I will not."))
    assert (told["content"], told["stop_reason"]) == ([{"type": "text", "text": "I will not."}], "refusal")
    assert told["stop_details"] == {"type": "refusal", "category": None, "explanation": "I will not."}
    assert answered(Refusal("No."), ToolCall("a", "f", "{}"), finish="tool_calls")["stop_reason"] == "tool_use"
    assert answered(Refusal(""), finish="content_filter")["content"] == []


def test_an_answer_that_could_not_be_finished_is_an_error() -> None:
    """What there is of it would look like a good one."""
    with pytest.raises(GatewayError, match="MALFORMED"):
        answered(finish="error", native_finish="MALFORMED")
    with pytest.raises(GatewayError, match=r"finish its answer\."):
        answered(finish="error")
    with pytest.raises(GatewayError) as raised:
        answered(Text("a"), finish="error", native_finish="OTHER")
    assert raised.value.message == "The model could not finish its answer (OTHER)."


def test_another_dialects_words_stay_out() -> None:
    """An SDK that is strict would stumble over them."""
    told = answered(Text("a"), ToolCall("b", "f", "{}", vendor={"x": 1, "toolset_name": "t"}), vendor={"stop_details": {}})
    assert "stop_details" not in told
    assert told["content"][1] == {"type": "tool_use", "id": "b", "name": "f", "input": {}, "toolset_name": "t"}


def test_reading_and_writing_returns_what_came_in() -> None:
    """Anthropic's answer through canon is the same answer, its usage word for word."""
    told = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "thinking", "thinking": "Hm", "signature": "b3du"},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "http://x"}]},
            {"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": "x", "document_index": 0}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}, "caller": {"type": "direct"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "output_tokens": 2,
            "service_tier": "standard",
            "server_tool_use": {"web_search_requests": 1},
        },
        "container": {"id": "c"},
        "diagnostics": {"cache_miss_reason": None},
    }
    body = json.dumps(told).encode()
    assert json.loads(write_answer(read_answer(body, "s"), FRAME)) == told
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    refused = {**told, "content": [], "stop_reason": "refusal", "stop_details": details}
    assert json.loads(write_answer(read_answer(json.dumps(refused).encode(), "s"), FRAME)) == refused
