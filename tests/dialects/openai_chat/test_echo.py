"""The built-in echo: an answer without an account, in the same dialect as everyone's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_chat.echo import echo_events, echo_reply
from trunkline.dialects.openai_chat.request import read_request
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.dialects.openai_shape.reply import read_reply

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, world! "}]


def ask_with(messages: object = HELLO, **fields: Any) -> Ask:
    """A request to echo."""
    return read_request(json.dumps({"model": "echo/echo", "messages": messages, **fields}).encode())


def reply(ask: Ask) -> dict[str, Any]:
    """The whole answer, decoded, and found good by the official SDK's types."""
    told = json.loads(echo_reply(ask, reply_id="chatcmpl-1", created=1700000000))
    ChatCompletion.model_validate(told, strict=True)
    return told


def streamed(ask: Ask) -> list[dict[str, Any]]:
    """The chunks of a streamed answer; the end mark is checked and taken off."""
    raws = list(echo_events(ask, reply_id="chatcmpl-1", created=1700000000))
    assert raws.pop() == b"data: [DONE]\n\n"
    chunks = [json.loads(raw.removeprefix(b"data: ")) for raw in raws]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    return chunks


def test_a_whole_answer_repeats_the_last_user_message() -> None:
    """The first curl after an install must show that the way through works."""
    told = reply(ask_with([*HELLO, {"role": "assistant", "content": "no"}]))
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "Hello, world! ", "refusal": None}
    assert told["choices"][0]["finish_reason"] == "stop"
    assert (told["id"], told["created"], told["model"]) == ("chatcmpl-1", 1700000000, "echo/echo")
    assert told["usage"] == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}


def test_a_stream_says_the_same_word_by_word() -> None:
    """Role first, then words, then the finish; no usage unless asked for."""
    chunks = streamed(ask_with(stream=True))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hello,"},
        {"content": " world!"},
        {"content": " "},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 4 + ["stop"]
    assert not any("usage" in chunk for chunk in chunks)


def test_usage_is_streamed_when_asked_for() -> None:
    """As OpenAI does: null on the others, and one chunk without choices before the end mark."""
    chunks = streamed(ask_with(stream=True, stream_options={"include_usage": True}))
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 5
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 8)


@pytest.mark.parametrize(
    ("limits", "said", "finish"),
    [
        ({"max_tokens": 1}, "Hello,", "length"),
        ({"max_completion_tokens": 2}, "Hello, world!", "length"),
        ({"max_completion_tokens": 2, "max_tokens": 1}, "Hello, world!", "length"),
        ({"max_completion_tokens": None, "max_tokens": 1}, "Hello,", "length"),
        ({"max_tokens": 3}, "Hello, world! ", "stop"),
        ({"max_tokens": None}, "Hello, world! ", "stop"),
    ],
)
def test_token_limits_are_kept(limits: dict[str, Any], said: str, finish: str) -> None:
    """A client's handling of cut answers can be tried out with it."""
    told = reply(ask_with(**limits))
    assert (told["choices"][0]["message"]["content"], told["choices"][0]["finish_reason"]) == (said, finish)
    chunks = streamed(ask_with(stream=True, **limits))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == said


@pytest.mark.parametrize("limit", [0, -1, "5", 1.5, True, []])
def test_a_senseless_limit_is_refused(limit: object) -> None:
    """As a provider would, before the first event."""
    with pytest.raises(GatewayError, match="positive integer") as caught:
        echo_events(ask_with(max_tokens=limit), reply_id="", created=0)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "max_tokens")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], ""),
        ([{"role": "user"}], ""),
        ([{"role": "user", "content": None}], ""),
        ([{"role": "user", "content": 7}], ""),
        ([{"role": "system", "content": "x"}], ""),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a "}, {"type": "image_url"}, "x", {"type": "text", "text": "b"}],
                }
            ],
            "a b",
        ),
        ([{"role": "user", "content": "first"}, {"role": "user", "content": "last"}], "last"),
    ],
)
def test_any_message_has_an_answer(messages: list[Any], said: str) -> None:
    """Pictures and odd contents have no text; the echo of nothing is nothing."""
    assert reply(ask_with(messages))["choices"][0]["message"]["content"] == said


@pytest.mark.parametrize("messages", [["x"], [{"content": "no role"}], [{"role": 7}], [[]]])
def test_messages_that_are_none_are_refused(messages: list[Any]) -> None:
    """The echo judges as a provider does: a 400 that names the place."""
    with pytest.raises(GatewayError, match=r"\$\[0\]") as caught:
        echo_reply(ask_with(messages), reply_id="", created=0)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "messages")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_the_echo_is_true_and_our_own_readers_understand_it(text: str, include_usage: bool) -> None:
    """Every character comes back, and reply and tap agree on what it cost."""
    ask = ask_with([{"role": "user", "content": text}], stream_options={"include_usage": include_usage})
    whole = read_reply(echo_reply(ask, reply_id="x", created=1))
    tap = ChatTap(hide_usage=False)
    raws = list(echo_events(ask, reply_id="x", created=1))
    assert b"".join(map(tap.feed, raws)) == b"".join(raws)
    said = [json.loads(raw[6:])["choices"] for raw in raws[:-1]]
    assert "".join(choices[0]["delta"].get("content", "") for choices in said if choices) == text
    assert (tap.finish, tap.complete, tap.error, tap.unread) == (whole.finish, True, None, 0) == ("stop", True, None, 0)
    assert whole.usage.basis == "reported"
    assert not include_usage or tap.usage == whole.usage
