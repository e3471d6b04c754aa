"""The words of a conversation: plain values that nobody can change behind another's back."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest

from trunkline.canon import chat
from trunkline.canon.chat import NOTHING, Chat, Message, OutputFormat, Reasoning, Text, Tool, ToolCall, ToolResult

STRUCTS = [one for _, one in inspect.getmembers(chat, inspect.isclass) if issubclass(one, msgspec.Struct)]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_word_is_frozen(struct: type[msgspec.Struct]) -> None:
    """A history is shared by every attempt: one that changed it would change what the next provider sees."""
    assert struct.__struct_config__.frozen


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_defaults_cannot_be_shared_and_changed(struct: type[msgspec.Struct]) -> None:
    """A default that is a dict would carry one client's fields into another's request."""
    for field in msgspec.structs.fields(struct):
        assert field.default_factory is msgspec.NODEFAULT
        default = field.default
        assert default is msgspec.NODEFAULT or default is NOTHING or not isinstance(default, dict | list | set), field.name


def test_nothing_cannot_be_filled() -> None:
    """It stands in every part without `vendor`."""
    with pytest.raises(TypeError):
        NOTHING["a"] = 1  # type: ignore[index]
    assert NOTHING == {}


def test_a_plain_chat_asks_for_nothing_more() -> None:
    """What a client did not say must not be sent."""
    said = Chat("openai_chat", "m", (Message("user", (Text("hi"),)),))
    asked = {name: value for name, value in msgspec.structs.asdict(said).items() if value not in (None, (), "", False)}
    assert asked.keys() == {"dialect", "model", "messages", "vendor", "sampling", "hints", "needed"}
    assert (dict(asked["vendor"]), asked["hints"], asked["needed"]) == ({}, frozenset(), frozenset())
    assert not any(value is not None for value in msgspec.structs.asdict(said.sampling).values())


PARTS: list[Any] = [
    Text("a"),
    ToolCall("i", "f", "{}"),
    ToolResult("i", "f", (Text("a"), chat.Media("image", data="AAAA"), chat.Other("x", {}))),
    chat.Thinking("a", chat.Seal("f", "d")),
    chat.Refusal("no"),
    chat.Media("document", url="https://x"),
    chat.Other("gemini", {"a": [1]}),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_parts_are_told_apart_when_they_are_stored(part: Any) -> None:
    """The memory of answers keeps parts as bytes; a text must not come back as a refusal."""
    data = msgspec.msgpack.encode(part, enc_hook=dict)
    assert msgspec.msgpack.decode(data, type=chat.Part) == part


def test_words_are_equal_by_value() -> None:
    """The same request read twice is the same request, whatever kind of mapping holds its rest."""
    assert Tool("f", vendor={}) == Tool("f")
    assert OutputFormat("json") == OutputFormat("json")
    assert Reasoning("on", effort="high") != Reasoning("on", effort="low")
