"""Counting tokens: the question, a provider's answer, the answer to a client."""

from __future__ import annotations

import json

import pytest

from conformance.recordings import Recording, parameters, recordings
from trunkline.canon.chat import Chat, Message, Text, Tool
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.gemini.count import read_count, write_count, write_count_answer


def test_the_whole_request_is_counted() -> None:
    """Instructions and tools are tokens too, and what Gemini lacks must not stop a count."""
    chat = Chat(
        "openai_chat",
        "m",
        (Message("system", (Text("a"),)), Message("user", (Text("b"),))),
        tools=(Tool("f"),),
        parallel_tools=False,
    )
    sent = write_count(chat, "gemini-y", NO_FACTS)
    assert sent.path == "/models/gemini-y:countTokens"
    assert json.loads(sent.body) == {
        "generateContentRequest": {
            "model": "models/gemini-y",
            "contents": [{"role": "user", "parts": [{"text": "b"}]}],
            "systemInstruction": {"parts": [{"text": "a"}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }
    }


def test_a_count_is_read_as_it_is_written() -> None:
    """A client of Gemini's counts at a provider of another dialect."""
    assert read_count(write_count_answer(31)) == 31


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"totalTokens": "8"}', b'{"totalTokens": -1}', b'{"totalTokens": true}'])
def test_what_is_no_count_is_an_error(body: bytes) -> None:
    """A client would take it for nothing."""
    with pytest.raises(GatewayError) as wrong:
        read_count(body)
    assert wrong.value.kind == Kind.UPSTREAM_PROTOCOL


@pytest.mark.parametrize("recording", parameters(recordings("gemini.count_tokens")))
def test_recorded_counts_are_read(recording: Recording) -> None:
    """What Google really sends."""
    assert read_count(recording.body) == json.loads(recording.body)["totalTokens"]
