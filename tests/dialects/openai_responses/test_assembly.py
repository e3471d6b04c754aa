"""The items of one answer, told in pieces, told again whole, and told at places that mean nothing.

What streams and whole answers make of it is in `test_reader` and `test_read_answer`.
"""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from trunkline.canon.chat import Text, ToolCall
from trunkline.canon.stream import Close, Delta, Event, Finished, Open
from trunkline.dialects.names import is_made
from trunkline.dialects.openai_responses.assembly import Assembly


def message(text: str, **more: object) -> dict[str, object]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}], **more}


def raw(*items: dict[str, object]) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(items).encode())


def texts(out: list[Event]) -> list[str]:
    return [one.text for one in out if isinstance(one, Delta)]


def test_what_was_told_is_not_told_again() -> None:
    """A client would read every answer two or three times over."""
    out: list[Event] = []
    found = Assembly("seed")
    found.add(0, {"type": "message", "id": "a"}).text(0, "Hel", None, out)
    found.find(0, "message").text(0, "lo", None, out)
    found.end(0, message("Hello", id="a"), out)
    found.rest(raw(message("Hello", id="a")), out)
    found.finish("completed", incomplete=False, out=out)
    assert texts(out) == ["Hel", "lo"]
    assert [type(one) for one in out] == [Open, Delta, Delta, Close, Finished]


def test_an_item_that_was_told_of_only_at_the_end_is_told_then() -> None:
    """Servers that send no pieces would answer nothing."""
    out: list[Event] = []
    found = Assembly("seed")
    assert not found.begun
    found.rest(raw(message("Hello")), out)
    assert found.begun
    assert texts(out) == ["Hello"]


def test_items_that_all_stand_at_one_place() -> None:
    """Some servers call every place 0: the second item would be lost, or told twice."""
    out: list[Event] = []
    found = Assembly("seed")
    found.end(0, message("A", id="a"), out)
    found.end(0, message("B", id="b"), out)
    found.rest(raw(message("A", id="a"), message("B", id="b")), out)
    assert texts(out) == ["A", "B"]


@pytest.mark.parametrize(
    ("items", "word", "incomplete", "reason"),
    [
        ([message("A")], "completed", False, "stop"),
        ([{"type": "function_call", "name": "f", "arguments": "{}"}], "completed", False, "tool_calls"),
        ([message("A")], "max_output_tokens", True, "length"),
        ([message("A")], "content_filter", True, "content_filter"),
    ],
)
def test_why_it_ended(items: list[dict[str, object]], word: str, incomplete: bool, reason: str) -> None:
    """Responses has no word for a turn that calls tools: a client of another API would not run them."""
    out: list[Event] = []
    found = Assembly("seed")
    found.rest(raw(*items), out)
    found.finish(word, incomplete=incomplete, out=out)
    assert out[-1] == Finished(reason, word)  # type: ignore[arg-type]


def test_a_call_without_an_id_is_given_one() -> None:
    """Its result could not be told apart from another's."""
    out: list[Event] = []
    found = Assembly("seed")
    found.end(0, {"type": "function_call", "name": "f", "arguments": "{}"}, out)
    (opened,) = [one.part for one in out if isinstance(one, Open)]
    assert isinstance(opened, ToolCall)
    assert is_made(opened.id)
    assert found.call_id("theirs") == "theirs"
    assert found.number(Text("")) == 1


def test_many_pieces_of_a_summary_take_no_longer_than_their_number() -> None:
    """One provider must not hold up everybody: each piece was looked for among all before it."""
    out: list[Event] = []
    item = Assembly("seed").find(0, "reasoning")
    began = time.process_time()
    for at in range(30_000):
        item.think("summary", at, "a", out)
        item.thought("summary", at, "a", out)
    assert time.process_time() - began < 3
    assert texts(out)[:2] == ["a", "\n\na"]
    assert len(texts(out)) == 30_000


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call"])
def test_what_comes_after_an_items_end_is_not_told(kind: str) -> None:
    """Writers know nothing of a part that was closed: the client would see a fault of ours."""
    out: list[Event] = []
    found = Assembly("seed")
    found.end(0, {"type": kind, "call_id": "c", "name": "f", "arguments": "{}", "input": "{}"}, out)
    before = len(out)
    found.find(0, kind).argue("x", out)
    found.finish("completed", incomplete=False, out=out)
    assert [type(one) for one in out[before:]] == [Finished]
