"""Cohere's words."""

from __future__ import annotations

import pytest

from trunkline.dialects.cohere.words import BAD_NAME, objects, read_finish, table, text


@pytest.mark.parametrize(
    ("word", "plain", "called"),
    [
        ("COMPLETE", "stop", "tool_calls"),
        ("STOP_SEQUENCE", "stop_sequence", "stop_sequence"),
        ("MAX_TOKENS", "length", "length"),
        ("ERROR_LIMIT", "length", "length"),
        ("TOOL_CALL", "stop", "tool_calls"),
        ("ERROR_TOXIC", "content_filter", "content_filter"),
        ("ERROR", "error", "error"),
        ("TIMEOUT", "error", "error"),
        ("NEW_WORD", "stop", "tool_calls"),
        ("", "", "tool_calls"),
    ],
)
def test_finish_reasons_by_content_first(word: str, plain: str, called: str) -> None:
    """An agent goes on as long as tools are called, and stops where none is."""
    assert (read_finish(word, called=False), read_finish(word, called=True)) == (plain, called)


@pytest.mark.parametrize("value", [None, 5, True])
def test_what_is_none_is_empty(value: object) -> None:
    """A provider may send anything."""
    assert (text(value), table(value), objects(value)) == ("", {}, [])
    assert objects([{"a": 1}, value]) == [{"a": 1}]


@pytest.mark.parametrize(
    ("name", "fits"), [("look_up2", "look_up2"), ("a-b.c", "a_b_c"), ("2nd", "_2nd"), ("über", "_ber"), ("_", "_")]
)
def test_names_of_tools(name: str, fits: str) -> None:
    """One that Cohere refuses would cost the whole request."""
    assert BAD_NAME.sub("_", name) == fits
