"""A provider's whole answer into canon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.ollama import samples
from dialects.ollama.samples import calls, line
from trunkline.canon.chat import Choice, Media, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.ollama.read_answer import read_answer


def test_a_whole_answer_is_read() -> None:
    """Everything it says, and what canon has no word for."""
    reply = read_answer(samples.WHOLE, "seed")
    durations = {name: value for name, value in samples.SPENT.items() if "duration" in name}
    call = ToolCall("c0", "weather", json.dumps(samples.ARGUMENTS))
    choice = Choice((Thinking("Hm."), Text("It rains."), call), "tool_calls", "stop", vendor=durations)
    assert reply == Reply("ollama", "", "m", (choice,), samples.USAGE, reply.raw_usage, samples.SECONDS)
    assert json.loads(reply.raw_usage) == samples.SPENT


def test_calls_without_ids_get_some() -> None:
    """The client must be able to name the call it answers; the same answer gives the same ids."""
    body = line({"tool_calls": calls(("f", {}), ("f", {}), ids=False)}, done=True)
    assert [part.id for part in read_answer(body, "a1").choices[0].parts] == ["tlc_a1_0", "tlc_a1_1"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ({"name": "f"}, "{}"),
        ({"name": "f", "arguments": None}, "{}"),
        ({"name": "f", "arguments": ""}, "{}"),
        ({"name": "f", "arguments": {}}, "{}"),
        ({"name": "f", "arguments": '{"a": 1}'}, '{"a": 1}'),
        ({"name": "f", "arguments": {"a": 1.50}}, '{"a": 1.5}'),
    ],
)
def test_arguments_are_text_of_an_object(function: dict[str, Any], arguments: str) -> None:
    """Servers that copy Ollama send none, null or text."""
    part = read_answer(line({"tool_calls": [{"function": function}]}, done=True), "s").choices[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == arguments


def test_pictures_logprobs_and_no_usage() -> None:
    """What a server may leave out or add."""
    logprob = {"token": "a", "logprob": -0.1, "top_logprobs": []}
    reply = read_answer(line({"content": "a", "images": [samples.PNG]}, logprobs=[logprob], done=True), "s")
    assert reply.choices[0].parts == (Text("a"), Media("image", media_type="image/png", data=samples.PNG))
    assert reply.choices[0].logprobs == (logprob,)
    assert (reply.usage, reply.raw_usage) == (NO_USAGE, "")


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        ("2026-08-07T06:08:09Z", samples.SECONDS),
        ("2026-08-07T08:08:09.5+02:00", samples.SECONDS),
        ("1901-01-01T00:00:00Z", 0),
        ("soon", 0),
        (None, 0),
        (5, 0),
    ],
)
def test_when(when: Any, seconds: int) -> None:
    """Go writes nanoseconds and zones; a strange time must not cost the answer."""
    assert read_answer(json.dumps({"message": {}, "created_at": when}).encode(), "s").created == seconds


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":"x"}', Kind.UPSTREAM_FAILED),
        (b"", Kind.UPSTREAM_PROTOCOL),
        (line({"tool_calls": [{}]}), Kind.UPSTREAM_PROTOCOL),
        (line({"images": ["http://x"]}), Kind.UPSTREAM_PROTOCOL),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: Kind) -> None:
    """Broken calls must not be left out: the client would think the model is done."""
    with pytest.raises(GatewayError) as raised:
        read_answer(body, "s")
    assert raised.value.kind is kind


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """A provider may send anything."""
    with pytest.raises(GatewayError):
        read_answer(body, "s")
