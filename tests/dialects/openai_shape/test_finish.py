"""Why an answer ended, in and out."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import FinishReason
from trunkline.dialects.openai_shape.finish import means_filter, read_reason, write_reason


@pytest.mark.parametrize(
    ("word", "called", "reason"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("STOP", False, "stop"),
        ("eos", False, "stop"),
        ("length", False, "length"),
        ("length", True, "length"),
        ("model_length", False, "length"),
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("function_call", True, "tool_calls"),
        ("content_filter", False, "content_filter"),
        ("content_filter", True, "content_filter"),
        ("insufficient_system_resource", False, "error"),
        ("a word of next year", False, "stop"),
        ("a word of next year", True, "tool_calls"),
        ("", False, ""),
        ("", True, "tool_calls"),
    ],
)
def test_what_a_word_means(word: str, called: bool, reason: FinishReason) -> None:
    """An agent goes on or stops by this: what the answer holds counts for more than its last word."""
    assert read_reason(word, called=called) == reason


@pytest.mark.parametrize(
    ("reason", "called", "legacy", "word"),
    [
        ("stop", False, False, "stop"),
        ("stop", True, False, "tool_calls"),
        ("", False, False, "stop"),
        ("", True, True, "function_call"),
        ("stop_sequence", False, False, "stop"),
        ("length", True, False, "length"),
        ("tool_calls", True, False, "tool_calls"),
        ("tool_calls", True, True, "function_call"),
        ("tool_calls", False, False, "stop"),
        ("content_filter", False, False, "content_filter"),
    ],
)
def test_what_openais_clients_are_told(reason: FinishReason, called: bool, legacy: bool, word: str) -> None:
    """Their types know five words; an answer that was cut short is never told as whole."""
    assert write_reason(reason, called=called, legacy=legacy) == word


@pytest.mark.parametrize("word", ["content_filter", "SAFETY", "refusal", "sensitive"])
def test_a_filter_s_word_is_known(word: str) -> None:
    """What it emptied may go to another provider, in whatever words it was told."""
    assert means_filter(word)
    assert not means_filter("stop")
    assert not means_filter("")
