"""The dialect as one object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.bedrock.samples import begin, call, chat, end, event, text, thought, told
from dialects.odd import each
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.bedrock.dialect import Bedrock
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.translate import Translation

FRAME = Frame(Ask(fields={}, model="m", stream=True, include_usage=True), "id", 1)


@pytest.mark.parametrize(
    ("content_type", "stream"),
    [
        (b"application/vnd.amazon.eventstream", True),
        (b"Application/Vnd.Amazon.EventStream; x=y", True),
        (b"application/json", False),
        (b"text/event-stream", False),
        (b"", False),
    ],
)
def test_what_is_a_stream(content_type: bytes, stream: bool) -> None:
    """A whole answer to a request for a stream is still an answer."""
    assert Bedrock().streams(content_type) is stream


def test_it_is_not_asked_to_count() -> None:
    """A tokenizer here counts instead, as for every provider that cannot."""
    assert Bedrock().write_count(chat(), "m", NO_FACTS) is None
    with pytest.raises(GatewayError) as caught:
        Bedrock().read_count(b"{}")
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL


ANSWER: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "Hi"},
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                {"reasoningContent": {"redactedContent": "cmVk"}},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}},
                {"citationsContent": {"content": [{"text": "a"}], "citations": [{"location": {"web": {"url": "https://a"}}}]}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 1, "outputTokens": 2, "cacheDetails": [{"ttl": "1h", "inputTokens": 1}]},
    "additionalModelResponseFields": {"stop_sequence": "x"},
}


def test_odd_answers_are_at_most_a_502() -> None:
    """Anything in any place of an answer: read, and told to every client, or refused; never a fault of ours."""
    for body in each(ANSWER):
        try:
            reply = Bedrock().read_answer(body, "seed")
        except GatewayError as error:
            if error.status != 502:
                raise AssertionError(body) from error
            continue
        for client in DIALECTS.values():
            try:
                client.write_answer(reply, FRAME)
            except GatewayError as error:
                if error.status < 400:
                    raise AssertionError(body) from error


EVENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "look"}}}),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "aGk="}}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "cmVk"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": {"title": "a", "sourceContent": [{"text": "b"}]}}}),
    ("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"delta": {"stop_sequence": "x"}}}),
    ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}, "trace": {}}),
)


@pytest.mark.parametrize(("kind", "fields"), EVENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_odd_events_break_no_client(kind: str, fields: dict[str, Any]) -> None:
    """The same in a stream, in the middle of others."""
    around = begin() + text(2, "a") + thought(3, "b") + call(4, "{}")
    for body in each(fields):
        data = around + told("event", kind, body) + event("contentBlockDelta", contentBlockIndex=0, delta={"text": "c"}) + end()
        for client in DIALECTS.values():
            stream = Translation("bedrock", Bedrock().reader("seed"), client.writer(FRAME), {})
            stream.feed(data)
            stream.close()
            stream.kept()
            assert stream.opened, json.dumps(fields)
