"""Whole answers of Cohere's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
from dialects.cohere.samples import USAGE, WHOLE
from dialects.odd import each
from trunkline.canon.chat import Citation, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.cohere.read_answer import read_answer
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.table import DIALECTS

FRAME = Frame(Ask({}, "m", stream=False, include_usage=True), "id", 1)


def read(told: Any) -> Reply:
    """The answer in canon."""
    return read_answer(json.dumps(told).encode(), "seed")


def test_an_answer() -> None:
    """Thoughts, text with its sources, the plan as thoughts, a call."""
    reply = read(WHOLE)
    choice = reply.choices[0]
    assert choice.parts == (
        Thinking("Hm, gems."),
        Text(
            "Ruby 漢",
            citations=(
                Citation("https://e.org/r", "On Ruby", "Ruby is red.", 0, 4),
                Citation("https://e.org/d", "", "A gem.", 0, 4),
            ),
        ),
        Thinking("I will look."),
        ToolCall("look_up_1", "look_up", '{"q": "x"}'),
    )
    assert (choice.finish, choice.native_finish, choice.logprobs[0]["logprob"]) == ("tool_calls", "TOOL_CALL", -1.5)
    assert (reply.dialect, reply.id, reply.model, reply.usage.input, json.loads(reply.raw_usage)) == (
        "cohere", "c-1", "", 50, USAGE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({}, ()),
        ({"content": None, "tool_calls": None}, ()),
        ({"content": "Hi"}, (Text("Hi"),)),
        ({"content": [{"type": "text", "text": ""}, 5, {"type": "new"}]}, ()),
        ({"tool_calls": [{}]}, (ToolCall("tlc_seed_0", "", "{}"),)),
        ({"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}]}, (ToolCall("x", "f", '{"a":1}'),)),
        ({"content": "Hi", "citations": [{"type": "PLAN"}, 5]}, (Text("Hi"),)),
    ],
)
def test_odd_answers(message: dict[str, Any], parts: tuple[Any, ...]) -> None:
    """What is there is read."""
    assert read({"message": message}).choices[0].parts == parts


def test_what_canon_has_no_word_for_rides_along() -> None:
    """Nothing is dropped in silence."""
    assert read({"message": {}, "prompt": "p", "x": None}).vendor == {"prompt": "p"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message":5}', b"[" * 100_000])
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    """A 200 is not success."""
    with pytest.raises(GatewayError) as caught:
        read_answer(body, "seed")
    assert (caught.value.kind, caught.value.status) == (Kind.UPSTREAM_PROTOCOL, 502)


def test_an_error_in_its_place_is_one() -> None:
    """With the message that Cohere gives."""
    with pytest.raises(GatewayError, match="no such model"):
        read({"id": "1", "message": "no such model"})


def test_anything_from_a_provider_is_read_or_its_fault() -> None:
    """A provider's bytes never end in a 500, for a client of any dialect."""
    for body in each(WHOLE):
        try:
            reply = read_answer(body, "seed")
        except GatewayError:
            continue
        for client in DIALECTS.values():
            try:
                client.write_answer(reply, FRAME)
            except GatewayError:
                pass
            except Exception as error:
                raise AssertionError((client.name, body)) from error


@pytest.mark.parametrize("recording", parameters([one for one in recordings("cohere.chat") if not one.streamed]))
def test_recorded(recording: Recording) -> None:
    """What Cohere really sends, read against the standard library's reading of it."""
    told = json.loads(recording.body)
    reply = read_answer(recording.body, "seed")
    blocks = {block["type"]: block[block["type"]] for block in told["message"]["content"]}
    thinking, text = reply.choices[0].parts
    assert isinstance(thinking, Thinking)
    assert isinstance(text, Text)
    assert (thinking.text, text.text) == (blocks["thinking"], blocks["text"])
    for cited, citation in zip(told["message"]["citations"], text.citations, strict=True):
        assert text.text[citation.start : citation.end] == cited["text"]
        assert citation.url == cited["sources"][0]["tool_output"]["url"]
    tokens, usage = told["usage"]["tokens"], reply.usage
    assert (usage.input, usage.output, usage.reasoning) == (
        tokens["input_tokens"], tokens["output_tokens"], tokens["reasoning_tokens"],
    )  # fmt: skip
    assert (usage.cache_read, reply.choices[0].finish) == (told["usage"]["cached_tokens"], "stop")
