"""A whole answer read into canon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import said
from dialects.openai_chat.telling import CLAUDE, GEMINI
from dialects.openai_chat.test_reader import ANY, DELTAS, told
from trunkline.canon.chat import Citation, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Fold, unfold
from trunkline.dialects.openai_chat.read_answer import read_answer
from trunkline.dialects.openai_chat.reader import MOST_CHOICES

WHOLE = [one for one in recordings("openai.chat") if one.status == 200 and not one.streamed]


def answer(message: Any, finish: Any = "stop", **rest: Any) -> Reply:
    """The reply of one choice with this message."""
    return read_answer(
        json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **rest}).encode(), "seed"
    )


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_a_recorded_answer_says_what_it_holds(recording: Recording) -> None:
    """Text, thinking, calls, finish, usage and state, as the yardstick reads them; an error is one."""
    expected = said("openai.chat", 200, recording.body)
    if expected.error:
        with pytest.raises(GatewayError) as caught:
            read_answer(recording.body, "seed")
        assert caught.value.message == expected.error
        return
    reply = read_answer(recording.body, "seed")
    assert told(reply) == expected
    fold = Fold("openai_chat")
    fold.add(unfold(reply))
    assert fold.reply() == reply


SIGNED = {"type": "reasoning.text", "text": "a", "signature": "sig", "format": "anthropic-claude-v1"}
SEALED_CALL = {"id": "x", "function": {"name": "f"}, "extra_content": {"google": {"thought_signature": "c2ln"}}}


def test_all_of_it() -> None:
    """Every place of an answer in its place in canon; what canon has no word for rides along."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "system_fingerprint": "fp",
        "service_tier": None,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "ab",
                    "refusal": None,
                    "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0}}],
                    "reasoning_details": [SIGNED],
                    "tool_calls": [SEALED_CALL],
                    "audio": {"id": "a"},
                    "channel": "final",
                },
                "logprobs": {"content": [{"token": "a"}]},
                "finish_reason": "stop",
                "stop_reason": None,
                "content_filter_results": {"hate": {"filtered": False}},
            },
            {"index": 1, "message": {"content": "c"}, "finish_reason": "length", "logprobs": {"tokens": ["c"]}},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }  # fmt: skip
    reply = read_answer(json.dumps(body).encode(), "seed")
    assert (reply.dialect, reply.id, reply.model, reply.created) == ("openai_chat", "c1", "m", 7)
    assert reply.vendor == {"system_fingerprint": "fp"}
    assert (reply.usage.input, reply.usage.output) == (3, 2)
    assert json.loads(reply.raw_usage) == body["usage"]
    first, second = reply.choices
    assert first.parts == (
        Thinking("a", CLAUDE),
        Text("ab", citations=(Citation("u", "t", start=0),)),
        ToolCall("x", "f", "{}", GEMINI),
    )
    assert (first.finish, first.native_finish, first.logprobs) == ("tool_calls", "stop", ({"token": "a"},))
    assert first.vendor == {
        "content_filter_results": {"hate": {"filtered": False}},
        "message": {"audio": {"id": "a"}, "channel": "final"},
    }
    assert (second.parts, second.finish, second.vendor) == ((Text("c"),), "length", {"logprobs": {"tokens": ["c"]}})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":null}',
        b'{"choices":[7]}',
        b'{"choices":{"a":1}}',
        b'{"object":"list"}',
        b'{"choices":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """As on the way where bytes pass."""
    with pytest.raises(GatewayError) as caught:
        read_answer(body, "seed")
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL


def test_usage_without_choices_is_an_answer() -> None:
    """The client has paid for it; a cache warmed up says nothing."""
    reply = read_answer(b'{"usage":{"prompt_tokens":1}}', "seed")
    assert (reply.usage.input, reply.choices[0].parts) == (1, ())


def test_an_error_inside_a_200_is_an_error() -> None:
    """OpenRouter answers so when its provider failed."""
    with pytest.raises(GatewayError) as caught:
        read_answer(b'{"error":{"message":"m","code":429},"choices":[]}', "seed")
    assert (caught.value.status, caught.value.message) == (429, "m")


def test_an_answer_that_only_failed_is_an_error() -> None:
    """An empty answer with a word for why would look like a model with nothing to say."""
    with pytest.raises(GatewayError) as caught:
        answer({"content": ""}, "error")
    assert caught.value.status == 502
    assert answer({"content": "a"}, "error").choices[0].finish == "error"


def test_odd_answers_are_read() -> None:
    """NaN among the logprobs, half a surrogate in the text, a message that is none, more choices than there can be."""
    assert read_answer(b'{"choices":[{"message":{"content":"a\\ud83d"},"logprobs":NaN}]}', "s").choices[0].parts == (
        Text("a?"),
    )
    assert answer(None).choices[0].parts == ()
    assert answer({}, finish=7, created=-1, id=7, model=[]).choices[0].finish == ""
    many = json.dumps({"choices": [{"message": {"content": "a"}}] * (MOST_CHOICES + 9)}).encode()
    assert len(read_answer(many, "s").choices) == MOST_CHOICES


def test_sources_are_cited() -> None:
    """Perplexity's."""
    (part,) = answer({"content": "a"}, citations=["https://a"]).choices[0].parts
    assert part == Text("a", citations=(Citation("https://a"),))


@given(DELTAS, ANY, ANY)
def test_any_message_at_all_is_read_without_a_crash(message: Any, finish: Any, logprobs: Any) -> None:
    """Whole or streamed, the same rules and the same answer."""
    choice = {"message": message, "finish_reason": finish, "logprobs": logprobs}
    try:
        reply = read_answer(json.dumps({"choices": [choice]}).encode(), "seed")
    except GatewayError as error:
        reply, fault = None, error.fault
    if reply is None:
        assert fault == "upstream"
        return
    fold = Fold("openai_chat")
    fold.add(unfold(reply))
    assert [part for choice in fold.reply().choices for part in choice.parts] == list(reply.choices[0].parts)


@given(st.text(alphabet='{}[]":,choiesmgn0 ').map(str.encode) | st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_an_error(body: bytes) -> None:
    """No answer may crash the exchange that must account for it."""
    try:
        read_answer(body, "seed")
    except GatewayError as error:
        fault = error.fault
    else:
        return
    assert fault == "upstream"


@pytest.mark.parametrize(
    ("content", "text"),
    [(b'"a\xffb"', "a\ufffdb"), (b'"a\\ud800"', "a?"), (b'["a",NaN,{"text":"b"},1e999]', "b")],
    ids=["no UTF-8", "half a surrogate pair", "numbers no one can hold"],
)
def test_an_answer_with_broken_text_is_read(content: bytes, text: str) -> None:
    """A byte in a thousand that a model's server cut in two: clients of its own dialect read it, and those of others must."""
    body = b'{"choices":[{"message":{"content":' + content + b'},"finish_reason":"stop"}]}'
    assert read_answer(body, "s").choices[0].parts == (Text(text),)


def test_an_answer_that_cannot_be_mended_is_the_providers_fault() -> None:
    """A number of five thousand digits is found only where all is read: a 502, never a crash of ours."""
    body = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"created":%b}' % (b"1" * 5000)
    with pytest.raises(GatewayError, match="not a completion"):
        read_answer(body, "s")
