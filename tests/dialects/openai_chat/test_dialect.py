"""The dialect as one object."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.chat import Chat, Message, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.canon.loss import Loss
from trunkline.canon.stream import unfold
from trunkline.dialects.dialect import Dialect, Frame, Listed
from trunkline.dialects.openai_chat.dialect import OpenAIChat

DIALECT: Dialect = OpenAIChat()


def test_one_exchange_of_the_same_dialect() -> None:
    """The pipeline knows only the interface; a part wired to the wrong function would show here."""
    ask = DIALECT.read_request(b'{"model":"m","messages":[],"stream":true}')
    assert DIALECT.name == "openai_chat"
    assert DIALECT.estimate_input(ask) == 0
    sent = DIALECT.write_request(ask, "n", ask_usage=False)
    assert (sent.path, sent.body) == ("/chat/completions", b'{"model":"n","messages":[],"stream":true}')
    assert DIALECT.read_reply(b'{"choices":[{"finish_reason":"stop"}]}').finish == "stop"
    assert DIALECT.tap(ask, hide_usage=True).feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
    error = DIALECT.read_error(500, "text/plain", b"boom")
    assert json.loads(DIALECT.write_error(error))["error"]["message"] == "boom"
    listed = Listed("m", "lab", NO_FACTS)
    assert json.loads(DIALECT.write_models([listed]))["data"] == [json.loads(DIALECT.write_model(listed))]


def test_one_exchange_through_canon() -> None:
    """As client and as provider, whole and streamed."""
    ask = DIALECT.read_request(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    chat = DIALECT.read_chat(ask)
    sent = json.loads(DIALECT.write_chat(chat, "n", NO_FACTS, Loss(strict=True), ask_usage=False).body)
    assert sent == {"model": "n", "messages": [{"role": "user", "content": "hi"}]}
    body = b'{"id":"c","created":1,"model":"n","choices":[{"message":{"content":"ho"},"finish_reason":"stop"}]}'
    reply = DIALECT.read_answer(body, "seed")
    frame = Frame(ask, "ours", 5)
    assert json.loads(DIALECT.write_answer(reply, frame))["choices"][0]["message"]["content"] == "ho"
    stream = DIALECT.writer(frame).write(unfold(reply))
    reader = DIALECT.reader("seed")
    assert reader.feed(stream)[-1] == unfold(reply)[-1]
    assert reader.close() == []


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [(b"text/event-stream", True), (b"Text/Event-Stream; charset=utf-8", True), (b"application/json", False), (b"", False)],
)
def test_a_stream_is_told_by_its_type(content_type: bytes, streams: bool) -> None:
    """Some servers ignore `stream` and answer whole; others add a charset."""
    assert DIALECT.streams(content_type) == streams
    assert DIALECT.stream_type(DIALECT.read_request(b'{"model":"m","messages":[]}')) == b"text/event-stream"


def test_tokens_cannot_be_asked_for() -> None:
    """The gateway counts itself where a provider of this form is behind an Anthropic or Gemini client."""
    chat = Chat("anthropic", "m", (Message("user", (Text("hi"),)),))
    assert DIALECT.write_count(chat, "m", NO_FACTS) is None
    with pytest.raises(GatewayError) as caught:
        DIALECT.read_count(b'{"input_tokens":3}')
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL
    assert json.loads(DIALECT.write_count_answer(3)) == {}
