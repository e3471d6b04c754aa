"""A history for a provider."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from dialects.ollama.samples import PNG
from trunkline.canon.chat import (
    Chat,
    Citation,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.ollama.write_messages import MessageWriter

PICTURE = Media("image", media_type="image/png", data=PNG)


def write(*messages: Message, dialect: str = "anthropic", facts: Facts = NO_FACTS) -> tuple[list[dict[str, Any]], list[str]]:
    """What is written, and what is lost."""
    loss = Loss(strict=True)
    told = MessageWriter(Chat(dialect, "m", messages), facts, loss).write()
    return json.loads(msgspec.json.encode(told)), list(loss.names)


def user(*parts: Part) -> Message:
    """A user's message."""
    return Message("user", parts)


def document(text: bytes, name: str = "", kind: str = "text/plain") -> Media:
    """A document of these bytes."""
    return Media("document", media_type=kind, data=base64.b64encode(text).decode(), name=name)


ROWS: list[tuple[str, Message, list[dict[str, Any]], list[str]]] = [
    (
        "texts are joined as templates join messages",
        user(Text("a"), Text(""), Text("b")),
        [{"role": "user", "content": "a\n\nb"}],
        [],
    ),
    ("pictures", user(Text("a"), PICTURE), [{"role": "user", "content": "a", "images": [PNG]}], []),
    ("nothing", user(), [{"role": "user", "content": ""}], []),
    ("a developer", Message("developer", (Text("a"),)), [{"role": "system", "content": "a"}], []),
    (
        "an answer's texts are one",
        Message("assistant", (Thinking("x"), Text("a"), Thinking(""), Thinking("y"), Text("b"), Refusal("c"))),
        [{"role": "assistant", "content": "abc", "thinking": "xy"}],
        [],
    ),
    (
        "thoughts of another family stay out",
        Message(
            "assistant", (Thinking("x", Seal("anthropic", "s")), Thinking("", redacted=True), Text("a", Seal("gemini", "s")))
        ),
        [{"role": "assistant", "content": "a"}],
        ["reasoning"],
    ),
    (
        "calls",
        Message("assistant", (ToolCall("i", "f", '{"a":1}'), ToolCall("j", "g", "", seal=Seal("gemini", "s"), cache="5m"))),
        [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "i", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"id": "j", "function": {"name": "g", "arguments": {}}},
                ],
            }
        ],
        ["cache_control", "reasoning"],
    ),
    (
        "what has no field is told",
        msgspec.structs.replace(
            user(
                Text("a", citations=(Citation("u"),), cache="1h", vendor={"x": 1}),
                Media("image", data=PNG, detail="high"),
            ),
            name="bob",
            vendor={"y": 1},
        ),
        [{"role": "user", "content": "a", "images": [PNG]}],
        [
            "messages[0].y",
            "messages[0].name",
            "cache_control",
            "messages[0].content[0].x",
            "messages[0].content[0].citations",
            "messages[0].content[1].detail",
        ],
    ),
    (
        "a text document",
        user(document(b"caf\xc3\xa9", "menu.txt"), Text("a")),
        [{"role": "user", "content": "menu.txt\ncaf\u00e9\n\na"}],
        [],
    ),
    ("without a name", user(document(b"a,b", kind="text/csv")), [{"role": "user", "content": "a,b"}], []),
    (
        "not in base64",
        user(Media("document", media_type="text/plain", data="A")),
        [{"role": "user", "content": "A"}],
        [],
    ),
]


@pytest.mark.parametrize(("message", "told", "lost"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_message_is_written(message: Message, told: list[dict[str, Any]], lost: list[str]) -> None:
    """Each part in its field, and no loss in silence."""
    assert write(message) == (told, lost)


CALLS = Message("assistant", (ToolCall("i", "f", "{}"), ToolCall("j", "g", "{}")))


def test_ids_that_nobody_gave_are_left_out() -> None:
    """An Ollama that names no ids sees none come back; names and order tell which is which."""
    made = Message("assistant", (ToolCall("tlc_x_0", "f", "{}"), ToolCall("j", "g", "{}")))
    told, _ = write(made, Message("tool", (ToolResult("tlc_x_0", "", ()), ToolResult("j", "", ()))))
    assert [call.get("id") for call in told[0]["tool_calls"]] == [None, "j"]
    assert [(one.get("tool_call_id"), one["tool_name"]) for one in told[1:]] == [(None, "f"), ("j", "g")]


RESULTS: list[tuple[str, tuple[Part, ...], list[dict[str, Any]], list[str]]] = [
    (
        "each in its own message, with the name of what it answers",
        (ToolResult("j", "", (Text("a"), Text("b"))), ToolResult("i", "f2", ())),
        [
            {"role": "tool", "content": "a\n\nb", "tool_name": "g", "tool_call_id": "j"},
            {"role": "tool", "content": "", "tool_name": "f2", "tool_call_id": "i"},
        ],
        [],
    ),
    (
        "failures say so",
        (
            ToolResult("i", "f", (Text("no"),), failed=True),
            ToolResult("j", "g", (Text("Error: no"),), failed=True),
            ToolResult("q", "", (), failed=True),
        ),
        [
            {"role": "tool", "content": "Error: no", "tool_name": "f", "tool_call_id": "i"},
            {"role": "tool", "content": "Error: no", "tool_name": "g", "tool_call_id": "j"},
            {"role": "tool", "content": "Error: ", "tool_name": "", "tool_call_id": "q"},
        ],
        [],
    ),
    (
        "pictures follow all results",
        (ToolResult("i", "f", (PICTURE, Text("a")), cache="5m"), ToolResult("j", "g", (PICTURE,))),
        [
            {"role": "tool", "content": "a", "tool_name": "f", "tool_call_id": "i"},
            {"role": "tool", "content": "", "tool_name": "g", "tool_call_id": "j"},
            {"role": "user", "content": "", "images": [PNG, PNG]},
        ],
        ["cache_control"],
    ),
    (
        "what only another dialect knows stands as it is, what has no field is told",
        (ToolResult("i", "f", (Other("anthropic", {"type": "tool_reference"}),), vendor={"x": 1}),),
        [{"role": "tool", "content": '{"type":"tool_reference"}', "tool_name": "f", "tool_call_id": "i"}],
        ["messages[1].content[0].x"],
    ),
]


@pytest.mark.parametrize(("parts", "told", "lost"), [row[1:] for row in RESULTS], ids=[row[0] for row in RESULTS])
def test_results_are_written(parts: tuple[Part, ...], told: list[dict[str, Any]], lost: list[str]) -> None:
    """A result that its call cannot be told of is one the model ignores."""
    messages, names = write(CALLS, Message("tool", parts))
    assert (messages[1:], names) == (told, lost)


def test_what_only_another_dialect_knows() -> None:
    """A question without it would be another question; an answer does without."""
    code = Other("gemini", {"executableCode": {}})
    assert write(Message("assistant", (code, Text("a"))))[1] == ["messages[0].content[0]"]
    for message in (user(code), Message("system", (code,)), user(ToolResult("i", "f", ())), Message("tool", (code,))):
        with pytest.raises(GatewayError) as raised:
            write(message)
        assert (raised.value.status, raised.value.param) == (400, "messages[0].content[0]")


def test_an_instruction_after_an_answer_stays_there() -> None:
    """Hoisted it would leave the assistant to go on with its own text, and move the prompt that is cached."""
    history = (
        Message("system", (Text("s"),)),
        user(Text("a")),
        Message("assistant", (Text("b"),)),
        Message("developer", (Text("c"),)),
        Message("assistant", (Text("d"),)),
        user(Text("e")),
    )
    told, lost = write(*history)
    assert [(one["role"], one["content"]) for one in told] == [
        ("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e"),
    ]  # fmt: skip
    assert lost == ["messages[3].role"]
    assert write(*history[:4])[0] == told[:4]
    assert write(*history[:1])[0] == told[:1]


ORDER = (user(Text("a")), Message("system", (Text("s"),)), user(Text("b")), Message("developer", (Text("d"),)))


def test_instructions_go_first() -> None:
    """Most templates know a system message only at the start."""
    assert [message["content"] for message in write(*ORDER)[0]] == ["s", "d", "a", "b"]


def test_instructions_stay_where_the_model_takes_them() -> None:
    """Prompt caches hold only if nothing moves."""
    assert [message["content"] for message in write(*ORDER, facts=Facts(system_midway=True))[0]] == ["a", "s", "b", "d"]


@pytest.mark.parametrize(
    ("part", "facts"),
    [
        (Media("image", url="https://x/a.png"), NO_FACTS),
        (Media("image", file_id="file-1"), NO_FACTS),
        (PICTURE, Facts(media=frozenset({"document"}))),
        (document(b"%PDF", kind="application/pdf"), NO_FACTS),
        (Media("document", media_type="text/plain", url="https://x/a.txt"), NO_FACTS),
        (Media("audio", data="AAAA"), NO_FACTS),
        (Media("video", data="AAAA"), NO_FACTS),
    ],
)
def test_media_that_cannot_be_sent_is_refused(part: Media, facts: Facts) -> None:
    """Left out, the model would answer another question."""
    with pytest.raises(GatewayError) as raised:
        write(user(Text("what is this?"), part), facts=facts)
    assert (raised.value.status, raised.value.param) == (400, "messages[0].content[1]")
    with pytest.raises(GatewayError) as raised:
        write(Message("tool", (ToolResult("i", "f", (part,)),)), facts=facts)
    assert raised.value.param == "messages[0].content[0].content[0]"


def test_its_own_fields_are_given_back() -> None:
    """A field that a later release of Ollama knows must reach it."""
    call = ToolCall("i", "f", "{}", vendor={"x": 1, "function.y": 2})
    messages = (
        Message("assistant", (call,), vendor={"z": 3}),
        Message("tool", (ToolResult("i", "f", (Text("r"),), vendor={"is_error": True}),)),
    )
    told, lost = write(*messages, dialect="ollama")
    assert told == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "i", "function": {"name": "f", "arguments": {}, "y": 2}, "x": 1}],
            "z": 3,
        },
        {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "i", "is_error": True},
    ]
    assert lost == []
