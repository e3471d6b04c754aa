"""Realtime sessions: what an answer used, and who pays, as told between the lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.realtime import Coming, key_of, passed_on, used, write_event

USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def done(usage: Any) -> bytes:
    """The event that ends an answer."""
    return json.dumps({"type": "response.done", "event_id": "e", "response": {"id": "r", "usage": usage}}).encode()


def test_an_answer_s_usage_is_read() -> None:
    """Sound costs ten times what text does, and what was cached a tenth: each must be known."""
    found = used(done(USAGE))
    assert found is not None
    usage, raw = found
    assert usage == Usage(input=132, cache_read=64, audio_input=9, output=121, audio_output=91, basis="reported")
    assert json.loads(raw) == USAGE


def test_how_much_of_an_answer_came() -> None:
    """Whoever leaves before its end would pay nothing for what was heard."""
    coming = Coming()
    for message in (
        b'{"type":"session.updated"}',
        b'{"event_id":"e","type":"response.created","response":{"usage":null}}',
        b'{"type":"response.output_text.delta","delta":"one"}',
        b'{"type":"response.output_audio.delta","delta":"%b"}' % (b"A" * 6400),
        b'{"type":"conversation.item.created","item":{"text":"%b"response.created""}}' % (b"." * 300),
    ):
        coming.see(message)
    assert (coming.tokens, coming.sound) == (5, 3)
    coming.see(b'{"type":"response.done","response":{"usage":null}}')
    assert (coming.tokens, coming.sound) == (0, 0)


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"response.created","response":{"usage":null}}',
        b'{"type":"conversation.item.created","item":{"content":[{"text":"response.done"}]}}',
        b'{"type":"response.done"}',
        b'{"type":"response.done","response":null}',
        b'{"type":"response.done","response":[]}',
        done(None),
        done([]),
        b'{"type":"response.done"',
        b"\xff response.done",
        b"[" * 5000 + b'"response.done"',
    ],
)
def test_other_events_use_nothing(message: bytes) -> None:
    """What only speaks of an answer's end, or is none, is not counted."""
    assert used(message) is None


@given(st.binary())
def test_any_message_is_borne(message: bytes) -> None:
    """A provider may send anything."""
    used(message)
    used(b'{"type":"response.done","response":{"usage":' + message)


@pytest.mark.parametrize(
    ("offered", "key", "passed"),
    [
        (b"", b"", b""),
        (b"realtime", b"", b"realtime"),
        (b"realtime, openai-insecure-api-key.tl-abc,openai-beta.realtime-v1", b"tl-abc", b"realtime, openai-beta.realtime-v1"),
        (b"openai-insecure-api-key.a,openai-insecure-api-key.b", b"a", b""),
        (b"realtime,openai-organization.org,openai-project.p, ,", b"", b"realtime"),
    ],
)
def test_a_browser_s_key_is_taken_and_kept(offered: bytes, key: bytes, passed: bytes) -> None:
    """A web page can send its key only so; the provider must never see it, nor a word on who pays."""
    assert (key_of(offered), passed_on(offered)) == (key, passed)


def test_an_error_is_an_event() -> None:
    """A client of a session whose budget is used up reads it like any other event."""
    told = json.loads(write_event(GatewayError(Kind.BUDGET_EXCEEDED, "no more", code="budget_exceeded")))
    assert (told["type"], told["error"]["code"], told["error"]["type"]) == ("error", "budget_exceeded", "insufficient_quota")
