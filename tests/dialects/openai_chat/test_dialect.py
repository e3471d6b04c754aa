"""The dialect as one object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat.mutants import ANSWER, CHUNK, REQUEST, VALUES, mutated, paths
from trunkline.canon.chat import Chat, Message, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import End, Fail, unfold
from trunkline.dialects.dialect import Dialect, Frame, Listed
from trunkline.dialects.openai_chat.dialect import OpenAIChat
from trunkline.dialects.table import DIALECTS

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


Read = TypeVar("Read")
FACTS = Facts(thinks="budget", takes=frozenset({"top_k"}), reasoning_field="reasoning_details")
ASKED = DIALECT.read_request(b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}')
FRAME = Frame(ASKED, "ours", 1)


def changes(told: dict[str, Any]) -> Iterator[bytes]:
    """It with each of its values made each of another kind, in turn."""
    for path in paths(told):
        for value in VALUES:
            yield mutated(told, (path, value))


def several(told: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """It with some of its values made others."""
    change = st.tuples(st.sampled_from([*paths(told)]), st.sampled_from(VALUES))
    return st.lists(change, min_size=2, max_size=5).map(lambda found: mutated(told, *found))


def outcome(read: Callable[[], Read]) -> Read | GatewayError:
    """What is read, or why it is not."""
    try:
        return read()
    except GatewayError as error:
        return error


def check_request(body: bytes) -> None:
    """It is read and written for every provider, or refused: a client's mistake, with the field that is wrong."""
    chat = outcome(lambda: DIALECT.read_chat(DIALECT.read_request(body)))
    if isinstance(chat, GatewayError):
        assert (chat.kind, chat.param is not None or chat.code == "invalid_json") == (Kind.BAD_REQUEST, True), body
        return
    for dialect in DIALECTS.values():
        with suppress(GatewayError):
            dialect.write_chat(chat, "m", FACTS, Loss(strict=False), ask_usage=True)


def check_answer(body: bytes) -> None:
    """It is read in passing and whole, or is the provider's fault; what was read every dialect can write."""
    with suppress(GatewayError):
        DIALECT.read_reply(body)
    reply = outcome(lambda: DIALECT.read_answer(body, "seed"))
    if isinstance(reply, GatewayError):
        assert reply.fault == "upstream", body
        return
    for dialect in DIALECTS.values():
        with suppress(GatewayError):
            dialect.write_answer(reply, FRAME)
        dialect.writer(FRAME).write(unfold(reply))


def check_stream(body: bytes) -> None:
    """Tap and reader never raise, and what was read every dialect can write."""
    body = b"data: " + body + b"\n\ndata: " + mutated(CHUNK) + b"\n\ndata: [DONE]\n\n"
    tap = DIALECT.tap(ASKED, hide_usage=False)
    assert tap.feed(body) + tap.close() == body
    assert tap.estimate() >= 0
    reader = DIALECT.reader("seed")
    events = reader.feed(body) + reader.close()
    assert isinstance(events[-1], End | Fail)
    for dialect in DIALECTS.values():
        dialect.writer(FRAME).write(event for event in events if not isinstance(event, Fail))


CHECKS = [(REQUEST, check_request), (ANSWER, check_answer), (CHUNK, check_stream)]


def test_what_is_made_wrong_is_right_to_begin_with() -> None:
    """The tests below say nothing where the first field they meet is refused."""
    chat = DIALECT.read_chat(DIALECT.read_request(mutated(REQUEST)))
    for name, dialect in DIALECTS.items():
        if name == "openai_completions":  # takes no conversation at all
            continue
        assert dialect.write_chat(chat, "m", FACTS, Loss(strict=False), ask_usage=True).body
    assert DIALECT.read_answer(mutated(ANSWER), "seed").choices[0].finish == "tool_calls"


@pytest.mark.parametrize(("told", "check"), CHECKS, ids=["request", "answer", "stream"])
def test_any_value_of_any_kind_is_read_or_refused(told: dict[str, Any], check: Callable[[bytes], None]) -> None:
    """Whatever a client or a provider sends, it is a 400 or a 502 and never a crash of ours."""
    for body in changes(told):
        check(body)


@given(st.data())
def test_several_values_of_any_kind_are_read_or_refused(data: st.DataObject) -> None:
    """As above: one wrong value may lead to where another does harm."""
    told, check = data.draw(st.sampled_from(CHECKS))
    check(data.draw(several(told)))
