"""One line: what it holds, whatever is strange about it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dialects.ollama import samples
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.ollama import line
from trunkline.dialects.ollama.line import Line, Said


def decoded(**fields: Any) -> Line:
    """A line of these fields."""
    return line.decode(json.dumps(fields).encode())


def test_both_forms_say_the_same() -> None:
    """A reader does not know which form was asked."""
    chat = decoded(message={"content": "a", "thinking": "b", "images": ["c"]}).said()
    generate = decoded(response="a", thinking="b", images=["c"]).said()
    assert (
        (chat.content, chat.thinking, chat.images)
        == (generate.content, generate.thinking, generate.images)
        == ("a", "b", ["c"])
    )


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"message": {}}, True),
        ({"response": ""}, True),
        ({"done": True}, True),
        ({"done": False}, False),
        ({"response": 1}, False),
        ({"choices": []}, False),
    ],
)
def test_an_answer_is_told_from_other_json(fields: dict[str, Any], answers: bool) -> None:
    """A page of another server's JSON must not pass for an empty answer."""
    assert decoded(**fields).answers() is answers


def test_calls() -> None:
    """With and without ids; none where there are none."""
    told = line.decode(samples.WHOLE).said()
    assert [(call.id, call.function.name) for call in line.calls(told)] == [("c0", "weather")]
    assert line.calls(Said()) == line.calls(Said(tool_calls=msgspec.Raw(b"null"))) == []
    with pytest.raises(msgspec.DecodeError):
        line.calls(Said(tool_calls=msgspec.Raw(b'[{"function":{}}]')))


@pytest.mark.parametrize(
    ("word", "called", "finish", "native"),
    [
        ("stop", False, "stop", "stop"),
        ("stop", True, "tool_calls", "stop"),
        ("length", False, "length", "length"),
        ("length", True, "length", "length"),
        ("load", False, "stop", "load"),
        ("unload", False, "stop", "unload"),
        (None, False, "stop", ""),
        (7, True, "tool_calls", ""),
        ("x" * 99, False, "stop", "x" * 64),
    ],
)
def test_finish_is_by_content(word: Any, called: bool, finish: str, native: str) -> None:
    """Ollama says `stop` where it calls tools: a client that goes by the word alone would not run them."""
    told = decoded(done=True, done_reason=word)
    assert (line.finish(told, called=called), line.native_finish(told)) == (finish, native)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_eval_count": 3, "eval_count": 4}, Usage(input=3, output=4, basis="reported")),
        ({"eval_count": 4}, Usage(output=4, basis="reported")),
        ({"prompt_eval_count": 3}, Usage(input=3, basis="reported")),
        ({"prompt_eval_count": 0, "eval_count": 0}, Usage(basis="reported")),
        ({"prompt_eval_count": -3, "eval_count": 4.5}, NO_USAGE),
        ({"prompt_eval_count": True, "eval_count": 10**13}, NO_USAGE),
        ({}, NO_USAGE),
    ],
)
def test_usage(counts: dict[str, Any], usage: Usage) -> None:
    """The prompt's count is missing where the prompt was cached; that must not cost the answer's."""
    assert line.usage(decoded(**counts)) == usage


def test_raw_usage_is_the_providers_own() -> None:
    """The ledger keeps what was billed in the provider's words."""
    assert json.loads(line.raw_usage(samples.WHOLE)) == samples.SPENT


def test_the_rest_is_what_canon_has_no_word_for() -> None:
    """Durations and the context of the generate form, and whatever a later release adds."""
    told = line.rest(samples.line(response="", context=[1], remote_host="h", later={"a": 1}, **samples.LAST))
    assert told == {name: value for name, value in samples.SPENT.items() if "duration" in name} | {
        "context": [1],
        "remote_host": "h",
        "later": {"a": 1},
    }


def test_text() -> None:
    """A strange type is no text."""
    assert (line.text("a"), line.text(None), line.text(1)) == ("a", "", "")
