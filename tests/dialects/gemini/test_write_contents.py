"""Messages written as contents: roles, order, hoisted instructions, signatures."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat, Media, Message, Part, Role, Seal, Text, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.gemini.write_contents import write_contents

GEMINI_3 = Facts(signatures=True)
SKIP = "skip_thought_signature_validator"


def say(role: Role, *parts: str | Part) -> Message:
    """A message; a string is a text."""
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def call(number: int, seal: str = "", family: str = "gemini") -> ToolCall:
    """A call."""
    return ToolCall(f"c{number}", "f", "{}", Seal(family, seal) if seal else None)


def result(number: int) -> ToolResult:
    """Its result."""
    return ToolResult(f"c{number}", "", (Text(str(number)),))


def write(*messages: Message, facts: Facts = NO_FACTS) -> dict[str, Any]:
    """The contents."""
    return write_contents(Chat("openai_chat", "m", messages), facts, Loss(strict=True))


def brief(told: dict[str, Any]) -> list[Any]:
    """Role and parts of each content, as short as can be."""
    found = []
    for content in told["contents"]:
        parts = [
            part.get("text") or part.get("functionCall", {}).get("id") or part["functionResponse"]["response"]["output"]
            for part in content["parts"]
        ]
        found.append((content["role"], *parts))
    return found


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([say("user", "a"), say("assistant", "b"), say("user", "c")], [("user", "a"), ("model", "b"), ("user", "c")]),
        (
            [say("user", "a"), say("user", "b"), say("assistant", "c"), say("assistant", "d")],
            [("user", "a", "b"), ("model", "c", "d")],
        ),
        ([say("user", "a"), say("assistant"), say("user", "b")], [("user", "a", "b")]),
        (
            [say("assistant", "a", call(1), call(2)), say("tool", result(1)), say("tool", result(2)), say("user", "b")],
            [("model", "a", "c1", "c2"), ("user", "1", "2", "b")],
        ),
        (
            [say("assistant", call(1), call(2)), say("user", "b"), say("tool", result(2), result(1))],
            [("model", "c1", "c2"), ("user", "1", "2", "b")],
        ),
        ([say("tool", result(9), result(8))], [("user", "9", "8")]),
        (
            [
                say("assistant", call(2)),
                say("tool", result(2)),
                say("assistant", call(1), call(2)),
                say("tool", result(2), result(1)),
            ],
            [("model", "c2"), ("user", "2"), ("model", "c1", "c2"), ("user", "1", "2")],
        ),
    ],
)
def test_roles_alternate_and_results_stand_together(messages: list[Message], found: list[Any]) -> None:
    """Gemini wants as many results as calls, in one content, and matches two calls of a function by their order."""
    assert brief(write(*messages)) == found


def test_instructions_are_hoisted_in_order() -> None:
    """Gemini has no role for them; a model that does not see them answers another question."""
    told = write(say("system", "a"), say("user", "x"), say("developer", "b"), say("user", "y"))
    assert told["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert brief(told) == [("user", "x", "y")]


ALONE = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
ANSWERED = {"contents": [*ALONE["contents"], {"role": "model", "parts": [{"text": "b"}]}]}
FIRST = {"systemInstruction": {"parts": [{"text": "s"}]}}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([say("system", "a")], ALONE),
        ([say("system", "a"), say("assistant", "b")], ANSWERED),
        ([say("system", "s"), say("developer", "a")], {**ALONE, **FIRST}),
        ([say("system", "s"), say("developer", "a"), say("assistant", "b")], {**ANSWERED, **FIRST}),
    ],
)
def test_instructions_that_nobody_asks_beside_are_a_users_words(messages: list[Message], found: Any) -> None:
    """Gemini refuses a request without contents, and goes on with its own answer where that stands last. They stay where they
    are when the history grows: caches hang on it.
    """
    assert write(*messages) == found


def test_an_instruction_after_an_answer_is_said_where_it_stands() -> None:
    """And told, for it weighs less there."""
    loss = Loss(strict=True)
    turns = [say("user", "a"), say("assistant", "b"), say("system", "c"), say("developer", "d"), say("user", "e")]
    told = write_contents(Chat("openai_chat", "m", tuple(turns)), NO_FACTS, loss)
    assert brief(told) == [("user", "a"), ("model", "b"), ("user", "c", "d", "e")]
    assert ("systemInstruction" in told, list(loss.names)) == (False, ["messages[2].role", "messages[3].role"])


@pytest.mark.parametrize(
    ("dialect", "messages"),
    [("openai_chat", ()), ("gemini", ()), ("openai_chat", (say("user", ""),)), ("anthropic", (say("assistant"),))],
)
def test_a_conversation_without_words_is_refused(dialect: str, messages: tuple[Message, ...]) -> None:
    """Its client is told, in its own words, and no provider is asked."""
    with pytest.raises(GatewayError) as refused:
        write_contents(Chat(dialect, "m", messages), NO_FACTS, Loss(strict=False))
    assert (refused.value.status, refused.value.param) == (400, "messages")


def test_a_client_of_geminis_instructs_as_it_likes() -> None:
    """The provider is to judge it."""
    chat = Chat("gemini", "m", (say("system", "s"),))
    assert write_contents(chat, NO_FACTS, Loss(strict=False)) == {"contents": [], **FIRST}


@pytest.mark.parametrize(
    ("messages", "signatures"),
    [
        ([say("user", "a"), say("assistant", call(1), call(2)), say("tool", result(1), result(2))], [SKIP, None]),
        ([say("user", "a"), say("assistant", call(1, "s1"), call(2)), say("tool", result(1), result(2))], ["s1", None]),
        (
            [
                say("user", "a"),
                say("assistant", call(1, "s1")),
                say("tool", result(1)),
                say("assistant", call(2)),
                say("tool", result(2)),
            ],
            ["s1", SKIP],
        ),
        (
            [say("user", "a"), say("assistant", call(1)), say("tool", result(1)), say("user", "b"), say("assistant", call(2))],
            [SKIP, SKIP],
        ),
        (
            [say("user", "a"), say("assistant", call(1)), say("tool", result(1)), say("assistant", "x"), say("user", "b")],
            [SKIP],
        ),
        ([say("assistant", call(1)), say("tool", result(1))], [SKIP]),
        ([say("user", "a"), say("assistant", "b")], []),
    ],
)
def test_a_call_is_signed(messages: list[Message], signatures: list[str | None]) -> None:
    """Gemini 3 refuses the request else: a conversation that began with another model could not go on."""
    told = write(*messages, facts=GEMINI_3)
    assert [
        part.get("thoughtSignature") for content in told["contents"] for part in content["parts"] if "functionCall" in part
    ] == signatures
    unsigned = write(*messages)
    assert SKIP not in str(unsigned)


def test_a_foreign_signature_is_no_signature() -> None:
    """It is left out, told, and the call signed anew."""
    loss = Loss(strict=True)
    chat = Chat("anthropic", "m", (say("user", "a"), say("assistant", call(1, "EqQB", "anthropic"))))
    told = write_contents(chat, GEMINI_3, loss)
    assert told["contents"][1]["parts"][0]["thoughtSignature"] == SKIP
    assert list(loss.names) == ["reasoning"]


def test_what_a_message_says_beside_its_parts_is_told() -> None:
    """Names of speakers have no place in Gemini."""
    loss = Loss(strict=True)
    message = Message("user", (Text("a"), Media("image", "image/png", "YQ==")), name="Ann", vendor={"x": 1})
    told = write_contents(Chat("openai_chat", "m", (message,)), NO_FACTS, loss)
    assert len(told["contents"][0]["parts"]) == 2
    assert list(loss.names) == ["messages[0].name", "messages[0].x"]


def test_a_longer_history_begins_with_the_same_bytes() -> None:
    """Prompt caches and signatures hang on them."""
    turns = [say("user", "a"), say("assistant", "b", call(1)), say("tool", result(1)), say("assistant", "c")]
    assert write(*turns, say("user", "d"), facts=GEMINI_3)["contents"][:4] == write(*turns, facts=GEMINI_3)["contents"]
