"""Paths, names and stop reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.bedrock import words

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0"


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("us.anthropic.claude-sonnet-5", "us.anthropic.claude-sonnet-5"),
        ("amazon.nova-pro-v1:0", "amazon.nova-pro-v1%3A0"),
        (ARN, ARN.replace(":", "%3A").replace("/", "%2F")),
        ("a//b c?d#é", "a%2F%2Fb%20c%3Fd%23%C3%A9"),
        ("..", ".."),
    ],
)
def test_a_model_is_one_segment_of_the_path(model: str, segment: str) -> None:
    """A slash or a question mark in a model's name must not lead to another endpoint."""
    assert words.path(model, stream=False) == f"/model/{segment}/converse"
    assert words.path(model, stream=True) == f"/model/{segment}/converse-stream"


@given(st.text(min_size=1))
def test_names_and_ids_always_fit(name: str) -> None:
    """One name that Bedrock does not take is a 400 for the whole conversation."""
    assert set(words.fit_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert 1 <= len(words.fit_name(name)) <= 64
    assert 1 <= len(words.fit_id(name)) <= 64


def test_ids_keep_what_bedrock_takes_of_them() -> None:
    """An id that fits is the client's own, so that nothing has to be undone."""
    assert words.fit_id("call_1.a:b-c") == "call_1.a:b-c"
    assert words.fit_id("call|1") != words.fit_id("call/1")
    assert words.fit_name("a.b").startswith("a_b_")


@pytest.mark.parametrize(
    ("reason", "calls", "finish"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("stop_sequence", True, "stop_sequence"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("guardrail_intervened", False, "content_filter"),
        ("content_filtered", False, "content_filter"),
        ("malformed_model_output", False, "error"),
        ("malformed_tool_use", True, "error"),
        ("of_tomorrow", False, "stop"),
        ("", False, ""),
        ("", True, "tool_calls"),
    ],
)
def test_finish_reasons(reason: str, calls: bool, finish: str) -> None:
    """A program that waits for tool calls looks at the reason, whatever word the model used."""
    assert words.read_stop(reason, calls=calls) == finish
