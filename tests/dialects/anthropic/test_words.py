"""Stop reasons, from and to canon."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import FinishReason, Text, ToolCall
from trunkline.dialects.anthropic.words import is_call, read_stop, write_stop

CALL = ToolCall("c", "look", "{}")
BY_CODE = ToolCall("c", "look", "{}", vendor={"caller": {"type": "code_execution_20250825", "tool_id": "s"}})


@pytest.mark.parametrize(
    ("word", "calls", "finish"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("stop_sequence", True, "stop_sequence"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("tool_use", False, "tool_calls"),
        ("refusal", False, "content_filter"),
        ("pause_turn", False, "pause"),
        ("a word of tomorrow", False, "stop"),
        (None, False, ""),
        (7, True, ""),
    ],
)
def test_a_stop_reason_is_read_with_a_look_at_the_content(word: object, calls: bool, finish: str) -> None:
    """A client that is told "stop" beside a tool call never runs the tool."""
    assert read_stop(word, calls=calls) == finish


@pytest.mark.parametrize(
    ("finish", "native", "parts", "word"),
    [
        ("stop", "stop", [Text("a")], "end_turn"),
        ("stop", "STOP", [CALL], "tool_use"),
        ("stop", "end_turn", [BY_CODE], "end_turn"),
        ("", "", [], "end_turn"),
        ("", "", [CALL], "tool_use"),
        ("error", "MALFORMED", [Text("a")], "end_turn"),
        ("tool_calls", "tool_calls", [CALL], "tool_use"),
        ("tool_calls", "tool_use", [BY_CODE], "tool_use"),
        ("tool_calls", "tool_calls", [], "end_turn"),
        ("length", "length", [CALL], "max_tokens"),
        ("length", "model_context_window_exceeded", [], "model_context_window_exceeded"),
        ("content_filter", "SAFETY", [], "refusal"),
        ("pause", "pause_turn", [], "pause_turn"),
        ("stop_sequence", "", [], "stop_sequence"),
    ],
)
def test_a_finish_is_written_as_a_word_that_clients_know(
    finish: FinishReason, native: str, parts: list[Text | ToolCall], word: str
) -> None:
    """Claude Code runs tools at `tool_use` and stops at `end_turn`; a finer word of Anthropic's is kept."""
    assert write_stop(finish, native, parts) == word


def test_a_call_by_the_providers_own_code_is_not_the_clients_to_answer() -> None:
    """It may be answered inside the same answer; a client told to run it would run it twice."""
    direct = ToolCall("c", "look", "{}", vendor={"caller": {"type": "direct"}})
    assert [is_call(part) for part in (CALL, direct, BY_CODE, Text("a"))] == [True, True, False, False]
