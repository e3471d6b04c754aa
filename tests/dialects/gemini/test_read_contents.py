"""Contents read into messages, and results matched with their calls."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.gemini.samples import FOREIGN
from trunkline.canon.chat import Message, Part, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.read_contents import ContentReader


def read(*contents: Any) -> list[Message]:
    """The messages."""
    reader = ContentReader()
    for at, content in enumerate(contents):
        reader.read(content, f"contents[{at}]")
    return reader.messages()


def call(name: str, **more: Any) -> dict[str, Any]:
    """A function call."""
    return {"functionCall": {"name": name, **more}}


def result(name: str, said: str, **more: Any) -> dict[str, Any]:
    """What it answered."""
    return {"functionResponse": {"name": name, "response": {"output": said}, **more}}


def ids(message: Message) -> list[tuple[str, str]]:
    """The results of a message: which call, and what was said."""
    return [
        (part.id, part.parts[0].text)
        for part in message.parts
        if isinstance(part, ToolResult) and isinstance(part.parts[0], Text)
    ]


@pytest.mark.parametrize("role", [{"role": "user"}, {}, {"role": "function"}, {"role": "tool"}])
def test_all_that_is_not_the_models_is_the_users(role: dict[str, str]) -> None:
    """Older clients say `function` where results come."""
    assert read({**role, "parts": [{"text": "a"}]}) == [Message("user", (Text("a"),))]


@pytest.mark.parametrize("content", [{"parts": {"text": "a"}}, {"role": "user", "parts": [{"text": "a"}]}, "a"])
def test_a_single_part_stands_for_a_list(content: Any) -> None:
    """Google's own examples write it so."""
    assert read(content) == [Message("user", (Text("a"),))]


def test_calls_without_ids_are_called_the_same_turn_after_turn() -> None:
    """Other providers match by id, and their caches and signatures hang on the same bytes."""
    model = {"role": "model", "parts": [call("f"), call("g", id="x"), call("f")]}
    first = read({"parts": [{"text": "a"}]}, model)
    later = read({"parts": [{"text": "a"}]}, model, {"parts": [{"text": "b"}]}, {"role": "model", "parts": [call("f")]})
    assert [part.id for part in first[1].parts if isinstance(part, ToolCall)] == ["tlc_history_0", "x", "tlc_history_1"]
    assert later[:2] == first
    assert later[3].parts == (ToolCall("tlc_history_2", "f", "{}"),)


@pytest.mark.parametrize(
    ("calls", "results", "found"),
    [
        ([call("f"), call("f")], [result("f", "1"), result("f", "2")], [("tlc_history_0", "1"), ("tlc_history_1", "2")]),
        ([call("f"), call("g")], [result("g", "1"), result("f", "2")], [("tlc_history_1", "1"), ("tlc_history_0", "2")]),
        (
            [call("f", id="a"), call("f", id="b")],
            [result("f", "1", id="b"), result("f", "2", id="a")],
            [("b", "1"), ("a", "2")],
        ),
        ([call("f", id="a")], [result("f", "1")], [("a", "1")]),
        ([call("f")], [result("f", "1", id="new")], [("tlc_history_0", "1")]),
        ([call("f")], [result("h", "1", id="new"), result("h", "2")], [("new", "1"), ("tlc_history_1", "2")]),
        ([call("f", id="a")], [result("f", "1", id="a"), result("f", "2", id="a")], [("a", "1"), ("a", "2")]),
    ],
)
def test_results_find_their_calls(calls: list[Any], results: list[Any], found: list[tuple[str, str]]) -> None:
    """By id where one is told, else by name and order: a result of the wrong call misleads the model."""
    messages = read({"role": "model", "parts": calls}, {"role": "user", "parts": results})
    assert (messages[1].role, ids(messages[1])) == ("tool", found)


def test_results_of_one_turn_stand_together_and_before_what_else_is_said() -> None:
    """Other providers refuse results that are split or late."""
    messages = read(
        {"role": "model", "parts": [call("f")]},
        {"role": "model", "parts": [call("f")]},
        {"role": "user", "parts": [result("f", "1")]},
        {"role": "user", "parts": [{"text": "and"}, result("f", "2")]},
    )
    assert [message.role for message in messages] == ["assistant", "tool", "user"]
    assert ids(messages[1]) == [("tlc_history_0", "1"), ("tlc_history_1", "2")]


def model(*parts: Any) -> dict[str, Any]:
    """A content of the model's."""
    return {"role": "model", "parts": list(parts)}


THOUGHT = {"thought": True}
END = {"text": "", **THOUGHT, "thoughtSignature": FOREIGN}
CLAUDE, OWN = Seal("anthropic", "EqQBCkYIBxgC"), Seal("gemini", "c2ln")


@pytest.mark.parametrize("apart", [False, True], ids=["one content", "a content each"])
@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (
            [{"text": "t", **THOUGHT}, {"text": "u", **THOUGHT}, END, {"text": "a"}, {"text": "b"}],
            (Thinking("tu", CLAUDE), Text("ab")),
        ),
        ([{"text": "t", **THOUGHT}, END, {"text": "u", **THOUGHT}, END], (Thinking("t", CLAUDE), Thinking("u", CLAUDE))),
        (
            [{"text": "t", **THOUGHT}, {**THOUGHT, "thoughtSignature": FOREIGN}],
            (Thinking("t"), Thinking("", CLAUDE, redacted=True)),
        ),
        ([{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}], (Text("a"), Text("", OWN))),
        ([{"text": "a", "thoughtSignature": "c2ln"}, {"text": "b"}], (Text("a", OWN), Text("b"))),
        (
            [{"text": "a"}, {"text": "b", "partMetadata": {}}, {"text": "c"}],
            (Text("a"), Text("b", vendor={"partMetadata": {}}), Text("c")),
        ),
        ([{"text": "a"}, call("f"), {"text": ""}], (Text("a"), ToolCall("tlc_history_0", "f", "{}"))),
        ([{"text": ""}, call("f")], (Text(""), ToolCall("tlc_history_0", "f", "{}"))),
        ([{"text": "t", **THOUGHT}, {"text": "a"}], (Thinking("t"), Text("a"))),
    ],
)
def test_the_pieces_of_a_streamed_answer_are_one_again(parts: list[Any], found: tuple[Part, ...], apart: bool) -> None:
    """Google's SDK keeps each piece of a stream as a content, others put all parts into one: Claude refuses thinking whose
    signature comes back in another block than its text.
    """
    contents = [model(part) for part in parts] if apart else [model(*parts)]
    assert read(*contents) == [Message("assistant", found)]
    assert len(read({"parts": parts})[0].parts) == len(parts)


def test_a_call_of_an_earlier_turn_is_not_answered_by_name() -> None:
    """What was never answered stays so."""
    messages = read(
        {"role": "model", "parts": [call("f")]},
        {"parts": [{"text": "b"}]},
        {"role": "model", "parts": [call("f")]},
        {"parts": [result("f", "1")]},
    )
    assert ids(messages[-1]) == [("tlc_history_1", "1")]


def test_a_content_without_parts_is_an_empty_message() -> None:
    """The provider is to judge it."""
    assert read({"role": "user"}, {"role": "model", "parts": []}) == [Message("user", ()), Message("assistant", ())]


@pytest.mark.parametrize(
    ("content", "place"),
    [({"role": "system", "parts": []}, "contents[0].role"), (7, "contents[0]"), ({"parts": [7]}, "contents[0].parts[0]")],
)
def test_what_is_wrong_is_told_by_its_path(content: Any, place: str) -> None:
    """A caller must be able to find the field."""
    with pytest.raises(GatewayError) as wrong:
        read(content)
    assert (wrong.value.status, wrong.value.param) == (400, place)
