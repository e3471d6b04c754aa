"""Turns: roles that alternate, results first, instructions where they may stand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dialects.anthropic.samples import chat, foreign
from trunkline.canon.chat import Chat, Message, Text, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.write_messages import Turns, limit_marks, needs_thinking

MIDWAY = Facts(system_midway=True)


def user(text: str) -> Message:
    """What a user says."""
    return Message("user", (Text(text),))


def assistant(text: str) -> Message:
    """What an assistant says."""
    return Message("assistant", (Text(text),))


def system(text: str) -> Message:
    """An instruction."""
    return Message("system", (Text(text),))


def developer(text: str) -> Message:
    """An instruction in OpenAI's newer word."""
    return Message("developer", (Text(text),))


def called(*ids: str) -> Message:
    """Calls."""
    return Message("assistant", tuple(ToolCall(one, "f", "{}") for one in ids))


def results(*ids: str) -> Message:
    """Their results."""
    return Message("tool", tuple(ToolResult(one, "f", (Text(one),)) for one in ids))


def turns(told: Chat, facts: Facts = NO_FACTS) -> tuple[str, list[str], list[str]]:
    """`system`, the messages in short (u: what a user says, r: a result, c: a call, ...), and what was lost."""
    loss = Loss(strict=False)
    made = Turns(told, facts, loss).write()
    short = {"text": "", "tool_use": "call ", "tool_result": "result "}
    told_system = " ".join(block["text"] for block in made.system)
    lines = []
    for message in made.messages:
        words = (short[one["type"]] + (one.get("text") or one.get("id") or one["tool_use_id"]) for one in message["content"])
        lines.append(message["role"] + ": " + " | ".join(words))
    return told_system, lines, list(loss.names)


def spoken(*messages: Message) -> Chat:
    """A conversation of another dialect."""
    return foreign(messages=messages)


@pytest.mark.parametrize(
    ("messages", "told_system", "lines"),
    [
        ([], "", []),
        ([user("a"), user("b"), assistant("c"), assistant("d"), user("e")], "", ["user: a | b", "assistant: c | d", "user: e"]),
        ([system("s"), developer("t"), user("a")], "s t", ["user: a"]),
        (
            [user("a"), called("1", "2"), results("1"), results("2"), user("b")],
            "",
            ["user: a", "assistant: call 1 | call 2", "user: result 1 | result 2 | b"],
        ),
        ([called("1"), user("b"), results("1")], "", ["assistant: call 1", "user: result 1 | b"]),
        (
            [called("1"), Message("user", (Text("b"), ToolResult("1", "f", ())))],
            "",
            ["assistant: call 1", "user: result 1 | b"],
        ),
        ([user("a"), Message("assistant", (Text(""),)), user("b")], "", ["user: a | b"]),
    ],
)
def test_turns_alternate_and_results_come_first(messages: list[Message], told_system: str, lines: list[str]) -> None:
    """Results that are split or come after a text are a 400 at Anthropic's."""
    assert turns(spoken(*messages)) == (told_system, lines, [])


@pytest.mark.parametrize(
    ("messages", "hoisted", "kept"),
    [
        (
            [system("s"), user("a"), developer("m"), assistant("b"), user("c")],
            ("s m", ["user: a", "assistant: b", "user: c"]),
            ("s", ["user: a", "system: m", "assistant: b", "user: c"]),
        ),
        (
            [user("a"), assistant("b"), system("m"), system("n"), user("c")],
            ("", ["user: a", "assistant: b", "user: m | n | c"]),
            ("", ["user: a", "assistant: b", "user: c", "system: m | n"]),
        ),
        ([user("a"), system("m"), user("b")], ("m", ["user: a | b"]), ("", ["user: a | b", "system: m"])),
        (
            [user("a"), assistant("b"), system("m"), assistant("c"), user("d")],
            ("", ["user: a", "assistant: b", "user: m", "assistant: c", "user: d"]),
            ("", ["user: a", "assistant: b", "user: m", "assistant: c", "user: d"]),
        ),
        (
            [user("a"), called("1"), system("m"), results("1")],
            ("", ["user: a", "assistant: call 1", "user: result 1 | m"]),
            ("", ["user: a", "assistant: call 1", "user: result 1", "system: m"]),
        ),
        (
            [Message("user", ()), system("m"), assistant("b"), user("c")],
            ("m", ["assistant: b", "user: c"]),
            ("m", ["assistant: b", "user: c"]),
        ),
        (
            [assistant("b"), Message("system", ()), user("c")],
            ("", ["assistant: b", "user: c"]),
            ("", ["assistant: b", "user: c"]),
        ),
    ],
)
def test_instructions_in_mid_conversation_stand_where_a_model_takes_them(
    messages: list[Message], hoisted: tuple[str, list[str]], kept: tuple[str, list[str]]
) -> None:
    """After a user's turn, or else at the start, but after an answer in place: anywhere else is a 400 or moves the history."""
    assert turns(spoken(*messages))[:2] == hoisted
    assert turns(spoken(*messages), MIDWAY)[:2] == kept


def test_a_history_that_grows_keeps_its_beginning() -> None:
    """Prompt caches and signatures of thinking hold only for a prefix that stays as it was."""
    histories = [
        [user("a"), assistant("b"), system("m"), user("c"), assistant("d"), user("e")],
        [user("a"), assistant("b"), system("m"), developer("n"), assistant("d"), user("e")],
        [system("s"), developer("t"), assistant("d"), user("e")],
        [developer("t"), assistant("d"), developer("e")],
        [system("s"), user("a"), developer("n"), assistant("d"), user("e")],
    ]
    for facts in (NO_FACTS, MIDWAY):
        for messages in histories:
            asked = turns(spoken(*messages[:-2]), facts)
            grown = turns(spoken(*messages), facts)
            assert (grown[0], grown[1][: len(asked[1])]) == asked[:2]


def test_a_long_history_takes_no_more_than_its_length() -> None:
    """A minute of one core for a megabyte would stop everybody else's requests."""
    began = time.process_time()
    made = Turns(spoken(*[user("a")] * 20_000, called("1"), *[results("1")] * 20_000), NO_FACTS, Loss(strict=False)).write()
    assert [len(message["content"]) for message in made.messages] == [20_000, 1, 20_000]
    assert time.process_time() - began < 3


def test_somebody_but_the_assistant_speaks_last() -> None:
    """An instruction at the end must be answered; hoisted, it would leave the assistant to go on with its own words."""
    assert turns(spoken(system("s"))) == ("", ["user: s"], ["messages[0].role"])
    assert turns(spoken(system("s"), system("t"))) == ("s", ["user: t"], ["messages[1].role"])
    assert turns(spoken(system("s"), system("t"), assistant("b"))) == (
        "s",
        ["user: t", "assistant: b"],
        ["messages[1].role"],
    )
    for facts in (NO_FACTS, MIDWAY):
        told = turns(spoken(user("a"), assistant("b"), system("m")), facts)
        assert told == ("", ["user: a", "assistant: b", "user: m"], ["messages[2].role"])


def test_a_client_of_anthropics_own_places_its_instructions_itself() -> None:
    """It may set fields beside them, and stand after server tools."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": [], "output_config": {"effort": "low"}},
    ]
    made = Turns(chat(messages=messages), MIDWAY, Loss(strict=True)).write()
    assert made.messages[-1] == messages[-1]
    loss = Loss(strict=True)
    messages.append({"role": "user", "content": "c"})
    assert len(Turns(chat(messages=messages), NO_FACTS, loss).write().messages) == 3
    assert list(loss.names) == ["messages[2].output_config"]
    del messages[1]
    loss = Loss(strict=True)
    assert len(Turns(chat(messages=messages), NO_FACTS, loss).write().messages) == 1
    assert list(loss.names) == ["messages[1].output_config"]
    alone = Turns(chat(system="s", messages=[]), NO_FACTS, loss).write()
    assert (alone.system, alone.messages) == ([{"type": "text", "text": "s"}], [])


def test_a_speakers_name_has_no_place() -> None:
    """And says so."""
    told = spoken(Message("user", (Text("a"),), name="Ann", vendor={"x": 1}))
    assert turns(told) == ("", ["user: a"], ["messages[0].x", "messages[0].name"])


def test_an_answer_that_is_begun_for_the_model() -> None:
    """Claude up to 4.5 goes on from it, but not from white space; later ones refuse it."""
    begun = spoken(user("a"), assistant("b \n"))
    refuses = Facts(refuses=frozenset({"prefill"}))
    assert turns(begun) == ("", ["user: a", "assistant: b"], [])
    assert turns(begun, refuses) == ("", ["user: a"], ["messages[1]"])
    assert turns(spoken(user("a"), called("1"))) == ("", ["user: a", "assistant: call 1"], [])
    own = chat(messages=[{"role": "assistant", "content": "b "}])
    assert turns(own)[1] == ["assistant: b "]
    with pytest.raises(GatewayError, match="does not continue"):
        Turns(begun, refuses, Loss(strict=True)).write()


RESULT = {"role": "user", "content": [{"type": "tool_result"}]}
CALL = {"role": "assistant", "content": [{"type": "tool_use"}]}
THOUGHT = {"role": "assistant", "content": [{"type": "thinking"}, {"type": "tool_use"}]}
SYSTEM = {"role": "system", "content": []}


@pytest.mark.parametrize(
    ("messages", "needed"),
    [
        ([], False),
        ([RESULT], False),
        ([CALL, RESULT], True),
        ([CALL, RESULT, SYSTEM], True),
        ([THOUGHT, RESULT], False),
        ([RESULT, CALL], False),
        ([RESULT, RESULT], False),
    ],
)
def test_a_tools_turn_that_began_without_thinking_is_seen(messages: list[dict[str, Any]], needed: bool) -> None:
    """Claude with a budget refuses it: "expected thinking, but found tool_use"."""
    assert needs_thinking(messages) is needed


def test_the_last_marks_stay() -> None:
    """More than four are a 400; the last ones hold the longest prompts."""

    def marked(name: str) -> dict[str, Any]:
        return {"type": "text", "text": name, "cache_control": {"type": "ephemeral"}}

    inner = marked("3")
    spaces = [
        [marked("1")],
        [marked("2")],
        [{"type": "tool_result", "content": [inner, "odd"]}, {"type": "tool_result", "content": "x"}, marked("4")],
    ]
    loss = Loss(strict=True)
    limit_marks(spaces, 2, loss)
    assert ["cache_control" in block for block in (spaces[0][0], spaces[1][0], inner, spaces[2][2])] == [
        False,
        False,
        True,
        True,
    ]
    assert list(loss.names) == ["cache_control"]
    limit_marks(spaces, 2, Loss(strict=True))
    assert "cache_control" in inner
