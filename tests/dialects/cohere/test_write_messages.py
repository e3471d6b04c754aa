"""A history as Cohere takes it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from trunkline.canon.chat import (
    Chat,
    Citation,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Role,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.cohere.write_messages import Messages

PLAIN, THINKS = Facts(), Facts(thinks="budget")
PNG = Media("image", "image/png", data="QUJD")
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
CALL = ToolCall("c1", "look_up", '{"q":1}')
WRITTEN_CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"q":1}'}}


def written(*messages: Message, facts: Facts = PLAIN) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages, and what was left out."""
    loss = Loss(strict=True)  # nothing here shapes the answer: all of it is noted only
    return Messages(Chat("anthropic", "m", messages), facts, loss).write(), list(loss.names)


def said(role: Role, *parts: Part) -> Message:
    """A message."""
    return Message(role, parts)


def result(*parts: Any, failed: bool = False) -> Message:
    """The result of one call."""
    return Message("tool", (ToolResult("c1", "", parts, failed),))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (said("user", Text("Hi")), {"role": "user", "content": "Hi"}),
        (said("user"), {"role": "user", "content": ""}),
        (said("system", Text("Be.")), {"role": "system", "content": "Be."}),
        (said("developer", Text("Be.")), {"role": "system", "content": "Be."}),
        (
            said("user", Text("a"), PNG, Text("b")),
            {"role": "user", "content": [{"type": "text", "text": "a"}, SHOWN, {"type": "text", "text": "b"}]},
        ),
        (
            said("user", Media("image", url="https://e.org/p.png", detail="low")),
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://e.org/p.png", "detail": "low"}}]},
        ),
        (
            said("user", Media("document", "text/plain", data=base64.b64encode(b"It is.").decode(), name="a.txt")),
            {"role": "user", "content": "a.txt\nIt is."},
        ),
        (said("assistant", Text("Hi")), {"role": "assistant", "content": "Hi"}),
        (said("assistant", Refusal("No.")), {"role": "assistant", "content": "No."}),
        (said("assistant"), {"role": "assistant", "content": ""}),
        (said("assistant", CALL), {"role": "assistant", "tool_calls": [WRITTEN_CALL]}),
        (said("assistant", Text("x"), CALL), {"role": "assistant", "content": "x", "tool_calls": [WRITTEN_CALL]}),
        (result(Text("r")), {"role": "tool", "tool_call_id": "c1", "content": "r"}),
        (result(), {"role": "tool", "tool_call_id": "c1", "content": ""}),
        (result(Text("r"), failed=True), {"role": "tool", "tool_call_id": "c1", "content": "Error: r"}),
        (result(Text("Error: r"), failed=True), {"role": "tool", "tool_call_id": "c1", "content": "Error: r"}),
        (result(failed=True), {"role": "tool", "tool_call_id": "c1", "content": "Error:"}),
        (result(Other("anthropic", {"a": 1})), {"role": "tool", "tool_call_id": "c1", "content": '{"a":1}'}),
        (
            result(Media("document", "text/plain", data=base64.b64encode(b"It is.").decode(), name="T"), Text("x")),
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [
                    {"type": "document", "document": {"data": {"title": "T", "text": "It is."}}},
                    {"type": "text", "text": "x"},
                ],
            },
        ),
        (
            result(Media("document", "text/plain", data="SQ=="), failed=True),
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "Error:"}, {"type": "document", "document": {"data": {"text": "I"}}}],
            },
        ),
    ],
)
def test_a_message(message: Message, expected: dict[str, Any]) -> None:
    """Each as Cohere's reference shows it, and nothing is lost."""
    assert written(message) == ([expected], [])


def test_thoughts_of_a_model_that_thinks_are_blocks() -> None:
    """It goes on where it stopped."""
    message = said("assistant", Thinking("hm"), Text("x"), CALL)
    assert written(message, facts=THINKS) == (
        [
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"}],
                "tool_calls": [WRITTEN_CALL],
            }
        ],
        [],
    )


def test_thoughts_before_calls_are_the_plan_of_a_model_that_does_not_think() -> None:
    """As Cohere told them; where nothing is called there is no place for them, and that is said."""
    told, dropped = written(said("assistant", Thinking("a"), Thinking("b"), CALL))
    assert (told, dropped) == ([{"role": "assistant", "tool_plan": "ab", "tool_calls": [WRITTEN_CALL]}], [])
    told, dropped = written(said("assistant", Thinking("a"), Text("x")))
    assert (told, dropped) == ([{"role": "assistant", "content": "x"}], ["reasoning"])


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        (Thinking("hm", Seal("anthropic", "s")), ["reasoning"]),
        (Thinking("", redacted=True), ["reasoning"]),
        (Thinking(""), []),
        (Text("", Seal("gemini", "s")), ["reasoning"]),
        (Text("", cache="5m"), ["cache_control"]),
        (Text("", citations=(Citation("u"),)), ["messages[0].content[0].citations"]),
        (Text("", vendor={"x": 1}), ["messages[0].content[0].x"]),
        (PNG, ["messages[0].content[0]"]),
        (Other("anthropic", {}), ["messages[0].content[0]"]),
    ],
)
def test_what_is_left_out_of_an_answer_is_named(part: Part, dropped: list[str]) -> None:
    """Another family's state, marks, and what only another API knows."""
    assert written(said("assistant", part, Text("x")), facts=THINKS) == ([{"role": "assistant", "content": "x"}], dropped)


def test_marks_and_state_of_calls_and_results_are_named() -> None:
    """As those of text are."""
    call = ToolCall("c1", "look-up", "{}", Seal("gemini", "s"), "5m", {"x": 1})
    answer = ToolResult("c1", "", (Text("r"),), cache="5m", vendor={"y": 1})
    told, dropped = written(Message("assistant", (call,), name="n", vendor={"z": 1}), Message("tool", (answer,)))
    assert told[0]["tool_calls"][0]["function"]["name"].startswith("look_up_")
    assert dropped == [
        "messages[0].z",
        "messages[0].name",
        "cache_control",
        "reasoning",
        "messages[0].content[0].x",
        "messages[1].content[0].y",
    ]


def test_pictures_in_results_follow_as_a_users() -> None:
    """A tool's message takes texts and documents only."""
    both = Message("tool", (ToolResult("c1", "", (Text("r"), PNG)), ToolResult("c2", "", (PNG,))))
    assert written(both) == (
        [
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {"role": "user", "content": [SHOWN, SHOWN]},
        ],
        [],
    )


def test_instructions_come_first() -> None:
    """Those after an answer stay where they are, as the user's words, so that a growing history keeps its beginning."""
    messages = [said("user", Text("a")), said("system", Text("b")), said("assistant", Text("c")), said("system", Text("d"))]
    told, dropped = written(*messages)
    assert [(one["role"], one["content"]) for one in told] == [
        ("system", "b"),
        ("user", "a"),
        ("assistant", "c"),
        ("user", "d"),
    ]
    assert dropped == ["messages[3].role"]
    told, dropped = written(*messages, facts=Facts(system_midway=True))
    assert [one["role"] for one in told] == ["user", "system", "assistant", "system"]
    assert dropped == []


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (said("user", Media("audio", data="QQ==")), "messages[0].content[0]"),
        (said("user", Media("document", "application/pdf", data="QQ==")), "messages[0].content[0]"),
        (said("user", Media("image", file_id="f")), "messages[0].content[0]"),
        (said("user", Other("anthropic", {})), "messages[0].content[0]"),
        (said("user", CALL), "messages[0].content[0]"),
        (said("tool", Text("x")), "messages[0].content[0]"),
        (result(Media("video", url="https://e.org")), "messages[0].content[0].content[0]"),
    ],
)
def test_what_the_model_would_need_is_refused_by_place(message: Message, place: str) -> None:
    """An answer without it would be to another question."""
    with pytest.raises(GatewayError) as caught:
        written(message)
    assert (caught.value.status, caught.value.param) == (400, place)


def test_pictures_for_a_model_that_reads_only() -> None:
    """The caller learns it at once."""
    with pytest.raises(GatewayError, match="no pictures"):
        written(said("user", PNG), facts=Facts(media=frozenset()))


def test_a_detail_that_cohere_has_no_word_for_is_named() -> None:
    """It is a hint."""
    told, dropped = written(said("user", Media("image", data="QUJD", detail="original")))
    assert (told, dropped) == ([{"role": "user", "content": [SHOWN]}], ["messages[0].content[0].detail"])
