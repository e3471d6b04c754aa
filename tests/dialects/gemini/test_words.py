"""Gemini's words for how an answer ended, both ways; names of functions; kinds of media."""

from __future__ import annotations

import pytest

from trunkline.dialects.gemini.words import BAD_NAME, LONGEST_NAME, medium, read_finish, write_finish
from trunkline.dialects.names import fit


@pytest.mark.parametrize(
    ("word", "calls", "content", "finish"),
    [
        ("STOP", False, True, "stop"),
        ("STOP", True, True, "tool_calls"),
        ("STOP", False, False, "stop"),
        ("MAX_TOKENS", True, True, "length"),
        ("CONTINUATION", False, True, "length"),
        ("SAFETY", False, False, "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", False, False, "content_filter"),
        ("MODEL_ARMOR", False, True, "content_filter"),
        ("MALFORMED_FUNCTION_CALL", False, False, "error"),
        ("UNEXPECTED_TOOL_CALL", True, True, "error"),
        ("OTHER", False, True, "error"),
        ("SOMETHING_NEW", False, True, "stop"),
        ("SOMETHING_NEW", True, True, "tool_calls"),
        ("SOMETHING_NEW", False, False, "error"),
        ("", False, True, ""),
        ("", True, True, "tool_calls"),
        ("", False, False, "error"),
    ],
)
def test_a_finish_is_read_by_word_and_content(word: str, calls: bool, content: bool, finish: str) -> None:
    """Gemini says STOP for tool calls and has a dozen words for an error: an agent would stop where it should act."""
    assert read_finish(word, calls=calls, content=content) == finish


@pytest.mark.parametrize(
    ("finish", "native", "malformed", "word"),
    [
        ("stop", "end_turn", False, "STOP"),
        ("stop_sequence", "stop_sequence", False, "STOP"),
        ("tool_calls", "tool_use", False, "STOP"),
        ("tool_calls", "STOP", False, "STOP"),
        ("length", "length", False, "MAX_TOKENS"),
        ("content_filter", "content_filter", False, "SAFETY"),
        ("content_filter", "RECITATION", False, "RECITATION"),
        ("pause", "pause_turn", False, "OTHER"),
        ("error", "", False, "OTHER"),
        ("error", "UNEXPECTED_TOOL_CALL", False, "UNEXPECTED_TOOL_CALL"),
        ("tool_calls", "tool_calls", True, "MALFORMED_FUNCTION_CALL"),
        ("length", "length", True, "MAX_TOKENS"),
        ("", "", False, "STOP"),
    ],
)
def test_a_finish_is_written_in_geminis_words(finish: str, native: str, malformed: bool, word: str) -> None:
    """The SDK knows only Google's words, and a client decides by them what to do next."""
    assert write_finish(finish, native, malformed=malformed) == word  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "sent"),
    [("look_at-it.now:1", "look_at-it.now:1"), ("_x", "_x"), ("1st", "_st_"), ("a b", "a_b_"), ("x" * 129, "x" * 119 + "_")],
)
def test_a_functions_name_is_made_to_fit(name: str, sent: str) -> None:
    """Gemini refuses the whole request for one name that begins with a digit or is too long."""
    found = fit(name, BAD_NAME, LONGEST_NAME)
    assert found.startswith(sent)
    assert (found == sent) == (name == sent)
    assert len(found) <= LONGEST_NAME


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("image/png", "image"), ("audio/wav", "audio"), ("video/mp4", "video"), ("application/pdf", "document"), ("", "document")],
)
def test_a_medium_is_known_by_its_type(media_type: str, kind: str) -> None:
    """Other dialects have a field for each kind."""
    assert medium(media_type) == kind
