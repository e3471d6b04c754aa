"""What the items of any server's answer say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialects.openai_responses.told import CALL, CITED, CUSTOM, MESSAGE, PICTURE, REASONING
from trunkline.canon.chat import Citation, Media, Seal, Text, Thinking, ToolCall
from trunkline.dialects.openai_responses.items import (
    call_of,
    citations_of,
    decoded,
    picture_of,
    seal_of,
    text_of,
    thought_of,
    thought_text,
    tokens_of,
)


def test_calls_keep_what_they_are_called_here() -> None:
    """Without it the history could not be written again."""
    assert call_of({**CALL, "caller": {"type": "direct"}}, "i") == ToolCall(
        "i", "look", "", vendor={"id": "fc_1", "caller": {"type": "direct"}}
    )
    assert call_of(CUSTOM, "i") == ToolCall(
        "i", "functions__run", "", vendor={"type": "custom_tool_call", "id": "ctc_1", "namespace": "functions"}
    )
    assert call_of({"type": "function_call"}, "i") == ToolCall("i", "", "")


def test_texts_know_their_message() -> None:
    """Models are led by the phase of what they said."""
    assert text_of(MESSAGE) == Text("", vendor={"id": "msg_1", "phase": "final_answer"})
    assert text_of({"phase": 5}) == Text("")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (REASONING, "First.\n\nThen."),
        ({"summary": [], "content": [{"text": "a"}, {"text": "b"}, 5]}, "ab"),
        ({"summary": [{"text": ""}], "content": None}, ""),
        ({"summary": 7}, ""),
    ],
)
def test_what_reasoning_shows(item: dict[str, Any], text: str) -> None:
    """Its summary, else what was thought."""
    assert thought_text(item) == text


def test_state_of_reasoning() -> None:
    """It goes back to the model as it came."""
    assert seal_of(REASONING) == Seal("openai_responses", "sealed")
    assert seal_of({"encrypted_content": ""}) is None
    assert thought_of(REASONING, redacted=True) == Thinking("", redacted=True, vendor={"id": "rs_1"})


@pytest.mark.parametrize(
    ("item", "media_type"),
    [
        (PICTURE, "image/png"),
        ({"result": "/9j/A"}, "image/jpeg"),
        ({"result": "AAAA", "output_format": "webp"}, "image/webp"),
        ({"result": "AAAA"}, "image/png"),
    ],
)
def test_pictures(item: dict[str, Any], media_type: str) -> None:
    """A client shows them by their type."""
    assert picture_of(item) == Media("image", media_type, data=item["result"])
    assert picture_of({"result": None}) is None


def test_lists_of_anything() -> None:
    """What is no object says nothing."""
    assert citations_of([5, CITED]) == [Citation("https://a.example", "A", start=0, end=2)]
    assert citations_of("x") == []
    assert tokens_of([{"token": "a", "top_logprobs": [{"token": "b"}, 5]}, 7]) == (
        {"token": "a", "top_logprobs": [{"token": "b"}]},
    )


def test_values_that_are_no_json() -> None:
    """Python's servers write NaN and half surrogates."""
    assert decoded(msgspec.Raw(b'[{"a":NaN}]')) == [{"a": None}]
    assert decoded(msgspec.Raw(b"[")) is None
