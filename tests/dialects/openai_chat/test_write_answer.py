"""A whole answer, as OpenAI's clients read it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from openai.types.chat import ChatCompletion

from dialects.openai_chat.answers import REPLIES
from dialects.openai_chat.telling import CLAUDE, GEMINI, OTHER, frame
from trunkline.canon.chat import Choice, Citation, FinishReason, Media, Part, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.openai_chat.read_answer import read_answer
from trunkline.dialects.openai_chat.write_answer import custom_input, write_answer
from trunkline.dialects.state import wrap


def written(*parts: Part, finish: Any = "stop", dialect: str = "anthropic", asked: Any = None, **rest: Any) -> dict[str, Any]:
    """The body for an answer of one choice."""
    reply = Reply(dialect, "", "", (Choice(parts, finish, **rest),))
    told: dict[str, Any] = json.loads(write_answer(reply, frame(**(asked or {}))))
    return told


def message(*parts: Part, **rest: Any) -> dict[str, Any]:
    """Its message, without the role."""
    found: dict[str, Any] = written(*parts, **rest)["choices"][0]["message"]
    assert found.pop("role") == "assistant"
    return found


def test_all_of_it() -> None:
    """The official SDK takes it strictly, and every word is in its place."""
    reply = Reply(
        "anthropic",
        "c1",
        "m",
        (
            Choice(
                (
                    Thinking("hm", CLAUDE),
                    Thinking("", OTHER, redacted=True),
                    Text("ab", citations=(Citation("u", "t", "q", 0, 2),)),
                    Text("c", GEMINI, citations=(Citation("v", start=0, end=1), Citation("w"))),
                    Media("image", "image/png", data="QUJD"),
                    ToolCall("x", "f", '{"a":1}', GEMINI),
                ),
                "tool_calls",
                logprobs=({"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []},),
            ),
        ),
        Usage(input=3, output=2, basis="reported"),
        created=7,
        vendor={"container": "foreign"},
    )
    body = write_answer(reply, frame())
    told = json.loads(body)
    assert ChatCompletion.model_validate(told, strict=True).choices[0].message.content == "abc"
    assert told == {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "abc",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "hm", "signature": wrap(CLAUDE), "format": "anthropic-claude-v1",
                         "index": 0},
                        {"type": "reasoning.encrypted", "data": wrap(OTHER), "format": "openai-responses-v1", "index": 1},
                    ],
                    "annotations": [
                        {"type": "url_citation",
                         "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2, "content": "q"}},
                        {"type": "url_citation", "url_citation": {"url": "v", "title": "", "start_index": 2, "end_index": 3}},
                        {"type": "url_citation", "url_citation": {"url": "w", "title": "", "start_index": 2, "end_index": 3}},
                    ],
                    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
                    "tool_calls": [
                        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'},
                         "extra_content": {"google": {"thought_signature": wrap(GEMINI)}}}
                    ],
                    "extra_content": {"google": {"thought_signature": wrap(GEMINI)}},
                },
                "logprobs": {"content": [{"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}], "refusal": None},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": told["usage"],
    }  # fmt: skip
    assert told["usage"]["total_tokens"] == 5


def test_what_the_provider_does_not_name_is_ours() -> None:
    """Clients key their logs by the id; usage that nobody told is not made up."""
    told = written(Text("a"))
    assert (told["id"], told["created"], told["model"]) == ("ours", 1700000000, "asked")
    assert "usage" not in told


@pytest.mark.parametrize(
    ("parts", "content"),
    [((), ""), ((Text("a"),), "a"), ((ToolCall("x", "f", "{}"),), None), ((Refusal("no"),), None), ((Thinking("a"),), "")],
)
def test_no_content_is_null_beside_calls_only(parts: tuple[Part, ...], content: str | None) -> None:
    """OpenAI's own way; clients add strings to it otherwise."""
    assert message(*parts)["content"] == content


def test_a_refusal_is_one() -> None:
    """Parsers of structured output branch on it; its logprobs are its own."""
    told = written(Refusal("n"), Refusal("o"), logprobs=({"token": "n"},))["choices"][0]
    assert told["message"]["refusal"] == "no"
    assert told["logprobs"] == {"content": None, "refusal": [{"token": "n"}]}


def test_thinking_without_state_is_told_as_in_a_stream() -> None:
    """Twice: a client that reads entries sees thoughts whichever way it asks. An empty thought is none."""
    entries = [{"type": "reasoning.text", "text": "a", "index": 0}, {"type": "reasoning.text", "text": "b", "index": 1}]
    assert message(Thinking("a"), Thinking(""), Thinking("b")) == {
        "content": "",
        "refusal": None,
        "reasoning_content": "ab",
        "reasoning_details": entries,
    }


@pytest.mark.parametrize("finish", ["error", "pause"])
def test_an_answer_without_an_end_is_an_error(finish: FinishReason) -> None:
    """OpenAI has no word for it, and a client must not take half an answer for the whole."""
    with pytest.raises(GatewayError, match="W") as caught:
        written(Text("a"), finish=finish, native_finish="W")
    assert caught.value.kind is Kind.UPSTREAM_FAILED


def test_a_client_of_functions_gets_a_function_call() -> None:
    """As before there were tools; it knows no other form."""
    old = {"functions": [{"name": "f"}]}
    told = written(ToolCall("x", "f", "{}"), finish="tool_calls", asked=old)["choices"][0]
    assert told["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in told["message"]
    assert told["finish_reason"] == "function_call"
    assert "tool_calls" in message(ToolCall("x", "f", "{}"), asked={**old, "tools": []})


def test_its_own_dialects_words_come_back() -> None:
    """Through canon for a picture's sake, a provider's own fields must not be lost; another dialect's must not appear."""
    custom = ToolCall("x", "f", '{"input":"a"}', vendor={"type": "custom"})
    vendor = {"native_finish_reason": "STOP", "message": {"channel": "final"}}
    told = written(custom, dialect="openai_chat", vendor=vendor)["choices"][0]
    assert told["native_finish_reason"] == "STOP"
    assert told["message"]["channel"] == "final"
    assert told["message"]["tool_calls"] == [{"id": "x", "type": "custom", "custom": {"name": "f", "input": "a"}}]
    foreign = written(custom, vendor=vendor)["choices"][0]
    assert "native_finish_reason" not in foreign
    assert foreign["message"]["tool_calls"][0]["type"] == "function"


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"input":"a"}', "a"), ('{"input":7}', '{"input":7}'), ("[1]", "[1]"), ('{"a', '{"a')]
)
def test_a_custom_tools_input_is_text(arguments: str, text: str) -> None:
    """A model that was not made to may give it anything."""
    assert custom_input(arguments) == text


@given(REPLIES)
def test_what_is_written_is_read_the_same(reply: Reply) -> None:
    """Parts, state, citations, finish and usage survive: what this form can say, it says."""
    body = write_answer(reply, frame())
    ChatCompletion.model_validate(json.loads(body), strict=True)
    back = read_answer(body, "seed")
    assert (back.id, back.model, back.created, back.usage) == (reply.id, reply.model, reply.created, reply.usage)
    for told, meant in zip(back.choices, reply.choices, strict=True):
        assert told.finish == meant.finish
        assert [msgspec.structs.replace(part, vendor={}) if isinstance(part, Thinking) else part for part in told.parts] == [
            *meant.parts
        ]
