"""Thinking and its state in OpenAI's form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat.telling import CLAUDE, GEMINI, OTHER
from trunkline.canon.chat import Other, Part, Seal, Text, Thinking, ToolCall
from trunkline.dialects.openai_chat.details import read_extra, read_thinking, write_details, write_extra
from trunkline.dialects.state import wrap

SIGNED = {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1"}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "enc", "format": "openai-responses-v1"}
MESSAGES: list[tuple[str, dict[str, Any], list[Part]]] = [
    ("nothing", {}, []),
    ("a text", {"reasoning_content": "a"}, [Thinking("a")]),
    ("the other name", {"reasoning": "a"}, [Thinking("a")]),
    ("told twice", {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}, [Thinking("a")]),
    (
        "pieces of a stream, kept apart",
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "index": 0},
                {"type": "reasoning.text", "text": "b", "index": 0},
                {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.text", "text": "c", "index": 1},
            ]
        },
        [Thinking("ab", CLAUDE), Thinking("c")],
    ),
    (
        "a signature whose text stands outside",
        {"reasoning_content": "a", "reasoning_details": [SIGNED]},
        [Thinking("a", CLAUDE)],
    ),
    (
        "encrypted, and a text outside",
        {"reasoning": "a", "reasoning_details": [ENCRYPTED]},
        [Thinking("a"), Thinking("", OTHER, redacted=True)],
    ),
    ("no format", {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
     [Thinking("", Seal("openai_chat", "x"), redacted=True)]),
    ("wrapped", {"reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": wrap(Seal("zed", "s"))}]},
     [Thinking("a", Seal("zed", "s"))]),
    ("another kind", {"reasoning_details": [{"type": "x"}]}, [Other("openai_chat", {"type": "x"})]),
    ("a wrong type", {"reasoning_details": {"type": "x"}, "reasoning": 7}, []),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES])
def test_a_message_is_read(message: dict[str, Any], expected: list[Part]) -> None:
    """What a client hands back must be what it was given, or the next turn is refused for its signature."""
    assert read_thinking(message) == expected


SEALS = st.builds(
    Seal, st.sampled_from(["anthropic", "gemini", "openai_chat", "xai-responses-v1"]), st.text("abc+/=", min_size=1)
)
THOUGHTS = (
    st.builds(Thinking, st.text(min_size=1), st.none() | SEALS)
    | st.builds(Thinking, st.just(""), SEALS, st.just(True))
    | st.builds(Thinking, st.text(min_size=1), vendor=st.just({"type": "reasoning.summary", "id": "rs"}))
)


@given(st.lists(THOUGHTS, max_size=4), st.booleans())
def test_what_is_written_is_read_the_same(thoughts: list[Part], wrapped: bool) -> None:
    """Words, state, family and order survive the way through a client."""
    assert read_thinking({"reasoning_details": write_details(thoughts, own=True, wrapped=wrapped)}) == thoughts


def test_to_a_client_state_of_another_family_is_wrapped() -> None:
    """Its next turn may go to a provider of this form, and raw state would not be found among the bytes that pass."""
    own = Seal("openai_chat", "own")
    thoughts = [Thinking("a", CLAUDE), Thinking("", OTHER, redacted=True), Thinking("b", own)]
    told = write_details(thoughts, own=False, wrapped=True)
    assert told == [
        {"type": "reasoning.text", "text": "a", "signature": wrap(CLAUDE), "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": wrap(OTHER), "format": "openai-responses-v1", "index": 1},
        {"type": "reasoning.text", "text": "b", "signature": "own", "index": 2},
    ]


def test_entries_have_openrouters_names() -> None:
    """To a provider Claude's and Gemini's state goes raw, under the names that OpenRouter gives it."""
    told = write_details(
        [
            Thinking("a", CLAUDE),
            Text("b"),
            Thinking("", OTHER, redacted=True, vendor={"id": "rs"}),
            ToolCall("x", "f", "{}", GEMINI),
            ToolCall("y", "g", "{}", CLAUDE),
            Other("openai_chat", {"type": "reasoning.z"}),
            Other("openai_chat", {"type": "reference"}),
            Other("anthropic", {"type": "z"}),
        ],
        own=False,
    )
    assert told == [
        {"type": "reasoning.text", "text": "a", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "enc", "format": "openai-responses-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1", "id": "x", "index": 2},
        {"type": "reasoning.z"},
    ]


def test_googles_slot() -> None:
    """What stands there raw is Gemini's, as clients of Google's own endpoint hand it back; what is wrapped is whose it was."""
    assert write_extra("c2ln") == {"google": {"thought_signature": "c2ln"}}
    assert read_extra(write_extra("c2ln")) == GEMINI
    assert read_extra(write_extra(wrap(GEMINI))) == GEMINI
    assert read_extra(write_extra(wrap(CLAUDE))) == CLAUDE
    assert read_extra({"google": {}}) is None
    assert read_extra({"google": {"thought_signature": ""}}) is None
