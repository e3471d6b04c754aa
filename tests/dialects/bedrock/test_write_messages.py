"""Turns of a request as Bedrock wants them."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.bedrock.samples import assistant, chat, user, written
from trunkline.canon.chat import Chat, Message, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.write_messages import called, holds_thinking, limit_marks, needs_thinking

MIDWAY = Facts(system_midway=True)
CALLS = assistant(ToolCall("a", "x", "{}"), ToolCall("b", "x", "{}"))
SAYS: Message = user("Rules", role="system")
POINT = {"cachePoint": {"type": "default"}}


def result(call_id: str, text: str = "ok") -> Message:
    """A tool's answer."""
    return Message("tool", (ToolResult(call_id, "", (Text(text),)),))


def turns(asked: Chat, facts: Facts = NO_FACTS, lost: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Roles, and what kinds of blocks they have, or their words."""
    body = written(asked, facts, lost)
    found = [("system", " ".join(block["text"] for block in body.get("system", ())))] if "system" in body else []
    for message in body["messages"]:
        kinds = [block.get("text", next(iter(block))) for block in message["content"]]
        found.append((message["role"], " ".join(kinds)))
    return found


def test_results_of_one_turn_are_one_message_and_come_first() -> None:
    """Bedrock refuses a history in which a call has no result right behind it."""
    asked = chat(user("Hi"), CALLS, user("Wait"), result("a"), result("b"), user("Go on"))
    assert turns(asked) == [
        ("user", "Hi"),
        ("assistant", "toolUse toolUse"),
        ("user", "toolResult toolResult Wait Go on"),
    ]


def test_turns_of_one_role_are_one() -> None:
    """Bedrock wants them to alternate; an answer of which nothing is left is none."""
    asked = chat(user("A"), assistant(Thinking("x")), user("B"), assistant("C"), assistant("D"), user("E"))
    assert turns(asked, lost=("reasoning",)) == [("user", "A B"), ("assistant", "C D"), ("user", "E")]


@pytest.mark.parametrize(
    ("messages", "facts", "lost", "want"),
    [
        ((SAYS, user("A")), NO_FACTS, (), [("system", "Rules"), ("user", "A")]),
        ((SAYS,), NO_FACTS, ("messages[0].role",), [("user", "Rules")]),
        ((SAYS, assistant("A")), NO_FACTS, ("messages[0].role",), [("user", "Rules"), ("assistant", "A")]),
        (
            (SAYS, user("Ask", role="developer"), assistant("A")),
            NO_FACTS,
            ("messages[1].role",),
            [("system", "Rules"), ("user", "Ask"), ("assistant", "A")],
        ),
        (
            (user("A"), SAYS, assistant("B"), user("C")),
            NO_FACTS,
            (),
            [("system", "Rules"), *[("user", "A"), ("assistant", "B"), ("user", "C")]],
        ),
        (
            (user("A"), SAYS, assistant("B"), user("C")),
            MIDWAY,
            (),
            [("user", "A"), ("system", "Rules"), ("assistant", "B"), ("user", "C")],
        ),
        (
            (user("A"), assistant("B"), SAYS, user("C")),
            MIDWAY,
            (),
            [("user", "A"), ("assistant", "B"), ("user", "C"), ("system", "Rules")],
        ),
        (
            (user("A"), assistant("B"), SAYS, user("C")),
            NO_FACTS,
            ("messages[2].role",),
            [("user", "A"), ("assistant", "B"), ("user", "Rules C")],
        ),
        (
            (user("A"), assistant("B"), SAYS),
            MIDWAY,
            ("messages[2].role",),
            [("user", "A"), ("assistant", "B"), ("user", "Rules")],
        ),
        (
            (user("A"), assistant("B"), user("", role="system"), user("C")),
            NO_FACTS,
            (),
            [("user", "A"), ("assistant", "B"), ("user", "C")],
        ),
        ((user(""), SAYS, user("")), MIDWAY, (), None),
    ],
)
def test_instructions(messages: Any, facts: Facts, lost: Any, want: Any) -> None:
    """They stand where the model takes them, and what is written of a history does not change when it grows."""
    if want is None:
        with pytest.raises(Exception, match="conversation is empty"):
            turns(chat(*messages), facts, lost)
    else:
        assert turns(chat(*messages), facts, lost) == want


def test_an_instruction_without_a_user_before_it_is_hoisted() -> None:
    """Where the user's turn before it had no words."""
    asked = chat(user(" "), SAYS, user("A"))
    assert turns(asked, MIDWAY) == [("user", "A"), ("system", "Rules")]
    asked = chat(user(" "), SAYS, assistant("B"), user("C"))
    assert turns(asked, MIDWAY) == [("system", "Rules"), ("assistant", "B"), ("user", "C")]


def test_an_answer_that_is_begun() -> None:
    """Trailing white space is an error to Claude; a model that continues nothing is not asked to."""
    assert turns(chat(user("A"), assistant("Once \n"))) == [("user", "A"), ("assistant", "Once")]
    facts = Facts(refuses=frozenset({"prefill"}))
    assert turns(chat(user("A"), assistant("Once ")), facts, ("messages[1]",)) == [("user", "A")]
    assert turns(chat(user("A"), CALLS)) == [("user", "A"), ("assistant", "toolUse toolUse")]


def test_names_and_fields_are_named() -> None:
    """Who speaks is not told to Bedrock."""
    asked = chat(Message("user", (Text("A"),), name="bob", vendor={"x": 1}))
    assert turns(asked, lost=("messages[0].x", "messages[0].name")) == [("user", "A")]


def test_a_mark_for_the_whole_prompt() -> None:
    """It stands behind the last message, where that is a user's."""
    facts = Facts(caches=frozenset({"messages"}))
    assert written(chat(user("A"), cache="5m"), facts)["messages"][0]["content"] == [{"text": "A"}, POINT]
    assert written(chat(user("A"), assistant("B"), cache="5m"), facts)["messages"][1]["content"] == [{"text": "B"}]


def test_only_the_last_marks_stay() -> None:
    """A fifth mark would be an error; the last ones hold the most of the prompt."""
    loss = Loss(strict=True)
    tools, system, said = [{"a": 1}, dict(POINT)], [dict(POINT), dict(POINT)], [dict(POINT), {"b": 1}, dict(POINT)]
    limit_marks([tools, system, said], 3, loss)
    assert (tools, system, said) == ([{"a": 1}], [POINT], [POINT, {"b": 1}, POINT])
    assert list(loss.names) == ["cache_control"]
    limit_marks([tools, system, said], 3, loss)
    assert system == [POINT]


def test_what_a_history_holds() -> None:
    """What decides whether a model may be told to think, and which tools must be declared."""
    thinks = assistant(Thinking("a", Seal("bedrock", "c2ln")), ToolCall("a", "x", "{}"))
    with_thought = written(chat(user("A"), thinks, result("a")))["messages"]
    without = written(chat(user("A"), CALLS, result("a"), result("b")))["messages"]
    assert (needs_thinking(with_thought), holds_thinking(with_thought)) == (False, True)
    assert (needs_thinking(without), holds_thinking(without)) == (True, False)
    assert not needs_thinking(without[:1])
    assert not needs_thinking(without[:2])
    assert list(called(without)) == ["x", "x"]
    midway = written(chat(user("A"), CALLS, result("a"), result("b"), SAYS), MIDWAY)["messages"]
    assert midway[-1]["role"] == "system"
    assert needs_thinking(midway)
