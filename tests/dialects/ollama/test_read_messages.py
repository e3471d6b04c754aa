"""A client's history into canon."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dialects.ollama.samples import PNG, calls
from trunkline.canon.chat import Media, Message, Part, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects.names import is_made
from trunkline.dialects.ollama.read_messages import read_messages, read_prompt
from trunkline.dialects.taken import Taken

PICTURE = Media("image", media_type="image/png", data=PNG)


def read(*messages: Any) -> list[Message]:
    """The history of these messages."""
    return list(read_messages(Taken({"messages": list(messages)}, "")))


def results(message: Message) -> list[tuple[str, str, tuple[Part, ...]]]:
    """Id, name and parts of each result."""
    return [(part.id, part.name, part.parts) for part in message.parts if isinstance(part, ToolResult)]


ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"role": "system", "content": "be kind"}, Message("system", (Text("be kind"),))),
    ({"role": "developer", "content": "be brief"}, Message("developer", (Text("be brief"),))),
    ({"role": "user", "content": "hi", "images": [PNG]}, Message("user", (PICTURE, Text("hi")))),
    ({"role": "user"}, Message("user", ())),
    ({"role": "assistant", "content": "", "thinking": "Hm."}, Message("assistant", (Thinking("Hm."),))),
    (
        {"role": "assistant", "content": "a", "thinking": "Hm.", "images": None, "later": 1},
        Message("assistant", (Thinking("Hm."), Text("a")), vendor={"later": 1}),
    ),
    (
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "x", "type": "function", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        },
        Message("assistant", (ToolCall("x", "f", '{"a":1}'),)),
    ),
    (
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "description": "d"}, "extra": 2}]},
        Message("assistant", (ToolCall("tlc_0_0", "f", "{}", vendor={"extra": 2, "function.description": "d"}),)),
    ),
]


@pytest.mark.parametrize(("message", "told"), ROWS)
def test_a_message_is_read(message: dict[str, Any], told: Message) -> None:
    """Every field of a message, and what is none."""
    assert read(message) == [told]


def test_calls_without_ids_get_the_same_ones_every_turn() -> None:
    """Prompt caches and signatures hold only if a history is written the same turn after turn."""
    turn = {"role": "assistant", "tool_calls": calls(("f", {}), ("f", {}), ids=False)}
    short = read({"role": "user", "content": "a"}, turn)
    long = read(
        {"role": "user", "content": "a"}, turn, {"role": "tool", "content": "1"}, {"role": "user", "content": "b"}, turn
    )
    ids = [[part.id for part in message.parts if isinstance(part, ToolCall)] for message in long]
    assert long[: len(short)] == short
    assert ids[1] == ["tlc_1_0", "tlc_1_1"]
    assert not set(ids[1]) & set(ids[-1])
    assert all(is_made(one) for one in ids[1])


TWO = {"role": "assistant", "tool_calls": calls(("f", {}), ("g", {}), ("f", {"x": 1}))}
NAMELESS = {"role": "assistant", "tool_calls": calls(("f", {}), ("g", {}), ("f", {"x": 1}), ids=False)}
MATCHES: list[tuple[dict[str, Any], list[dict[str, Any]], list[tuple[str, str]]]] = [
    (TWO, [{"tool_call_id": "c2"}, {"tool_call_id": "c1"}, {"tool_call_id": "c0"}], [("c2", "f"), ("c1", "g"), ("c0", "f")]),
    (
        NAMELESS,
        [{"tool_name": "f"}, {"tool_name": "f"}, {"tool_name": "g"}],
        [("tlc_0_0", "f"), ("tlc_0_2", "f"), ("tlc_0_1", "g")],
    ),
    (NAMELESS, [{}, {}, {}], [("tlc_0_0", "f"), ("tlc_0_1", "g"), ("tlc_0_2", "f")]),
    (NAMELESS, [{"tool_call_id": "lost", "tool_name": "g"}], [("tlc_0_1", "g")]),
    (TWO, [{"tool_name": "h"}, {"tool_call_id": "q", "tool_name": "h"}], [("tlc_1_0", "h"), ("q", "h")]),
    ({"role": "user", "content": "a"}, [{"tool_call_id": "q"}, {}], [("q", ""), ("tlc_2_0", "")]),
]


@pytest.mark.parametrize(("turn", "told", "found"), MATCHES)
def test_results_find_their_calls(turn: dict[str, Any], told: list[dict[str, Any]], found: list[tuple[str, str]]) -> None:
    """By id; else by name, in order; else in order. Results of one turn stand in one message."""
    messages = read(turn, *({"role": "tool", "content": "r", **one} for one in told))
    assert len(messages) == 2
    assert [(one, name) for one, name, _ in results(messages[1])] == found


def test_results_hold_text_and_pictures() -> None:
    """And nothing where they are empty."""
    messages = read(TWO, {"role": "tool", "content": "a", "images": [PNG], "is_error": True}, {"role": "tool", "content": ""})
    assert [parts for _, _, parts in results(messages[1])] == [(Text("a"), PICTURE), ()]
    assert messages[1].parts[0].vendor == {"is_error": True}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("hi", "messages[1]"),
        ({}, "messages[1].role"),
        ({"role": "model"}, "messages[1].role"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content"),
        ({"role": "user", "images": ["https://x/a.png"]}, "messages[1].images[0]"),
        ({"role": "user", "images": [PNG, 1]}, "messages[1].images[1]"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[1].tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "messages[1].tool_calls[0].function.name"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            "messages[1].tool_calls[0].function.arguments",
        ),
        ({"role": "assistant", "thinking": True}, "messages[1].thinking"),
    ],
)
def test_what_is_wrong_is_named(message: Any, path: str) -> None:
    """The caller must know which of many messages to mend."""
    with pytest.raises(GatewayError) as raised:
        read({"role": "user", "content": "a"}, message)
    assert (raised.value.status, raised.value.param) == (400, path)


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"prompt": "hi"}, [Message("user", (Text("hi"),))]),
        ({"prompt": "hi", "system": "", "images": []}, [Message("user", (Text("hi"),))]),
        (
            {"prompt": "hi", "system": "be kind", "images": [PNG]},
            [Message("system", (Text("be kind"),)), Message("user", (PICTURE, Text("hi")))],
        ),
        ({"prompt": "", "system": "be kind"}, []),
        ({}, []),
    ],
)
def test_the_generate_form(fields: dict[str, Any], messages: list[Message]) -> None:
    """One question; none loads the model."""
    assert list(read_prompt(Taken(fields, ""))) == messages


@pytest.mark.parametrize("told", [{"tool_name": "f{}"}, {"tool_call_id": "c{}"}, {}])
def test_a_turn_of_many_calls_takes_no_more_than_its_length(told: dict[str, str]) -> None:
    """A minute of one core for a megabyte would stop everybody else's requests."""
    many = 20_000
    made = calls(*((f"f{at}", {}) for at in range(many)))
    answers = [{"role": "tool", **{name: text.format(at) for name, text in told.items()}} for at in reversed(range(many))]
    began = time.process_time()
    called, answered = read({"role": "assistant", "tool_calls": made}, *answers)
    assert time.process_time() - began < 3
    order = [part.id for part in answered.parts if isinstance(part, ToolResult)]
    assert order == [f"c{at}" for at in (reversed(range(many)) if told else range(many))]
    assert len(called.parts) == many
