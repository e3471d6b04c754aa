"""What a whole answer tells in passing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import gemini_spent
from dialects.gemini.samples import BLOCKED, COUNTS, ERROR, chunk
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.gemini.reply import decode, read_reply


def test_usage_and_finish_are_read() -> None:
    """The ledger stands on them."""
    whole = read_reply(json.dumps(chunk({"text": "Hi"}, finish="STOP", usage=COUNTS)).encode())
    assert (whole.usage.input, whole.usage.output, whole.finish, whole.estimate) == (9, 8, "STOP", 0)
    assert json.loads(whole.raw_usage) == COUNTS


def test_what_is_not_told_is_guessed() -> None:
    """An answer without counts is charged all the same."""
    body = json.dumps(chunk({"text": "x" * 400})).encode()
    assert read_reply(body).estimate == len(body) // 4


def test_a_blocked_prompt_tells_why() -> None:
    """There is no candidate to tell it."""
    assert read_reply(json.dumps(BLOCKED[0]).encode()).finish == "SAFETY"
    assert read_reply(json.dumps({"promptFeedback": {"blockReason": 1}}).encode()).finish == ""
    assert read_reply(json.dumps({"candidates": [{"finishReason": 1}], "promptFeedback": 1}).encode()).finish == ""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Kind.UPSTREAM_PROTOCOL),
        (b"<html>", Kind.UPSTREAM_PROTOCOL),
        (b"[]", Kind.UPSTREAM_PROTOCOL),
        (b"{}", Kind.UPSTREAM_PROTOCOL),
        (b'{"choices": []}', Kind.UPSTREAM_PROTOCOL),
        (b'{"candidates": [1]}', Kind.UPSTREAM_PROTOCOL),
        (b"[" * 5000, Kind.UPSTREAM_PROTOCOL),
        (json.dumps(ERROR).encode(), Kind.UPSTREAM_FAILED),
        (json.dumps([ERROR]).encode(), Kind.UPSTREAM_FAILED),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: Kind) -> None:
    """200 OK is not success."""
    with pytest.raises(GatewayError) as told:
        read_reply(body)
    assert told.value.kind == kind


@pytest.mark.parametrize(("data", "value"), [(b'{"a": NaN}', {"a": None}), (rb'"\ud83d"', "?"), (b"{", None), (b"1", 1)])
def test_what_only_lenient_readers_take_is_mended(data: bytes, value: Any) -> None:
    """Servers in Python write NaN and half surrogates, and their own clients read them."""
    assert decode(data) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_an_error(body: bytes) -> None:
    """No bytes may crash a reader."""
    try:
        read_reply(body)
    except GatewayError as error:
        assert error.status == 502  # noqa: PT017 - both ends are well


@pytest.mark.parametrize("recording", parameters([one for one in recordings("gemini.generate_content") if one.status == 200]))
def test_recorded_answers_are_read(recording: Recording) -> None:
    """What Google really sends."""
    whole, told = read_reply(recording.body), json.loads(recording.body)
    spent = gemini_spent(told["usageMetadata"])
    assert (whole.usage.input, whole.usage.output) == ((spent.input, spent.output) if spent else (0, 0))
    finish = told["candidates"][0]["finishReason"] if "candidates" in told else told["promptFeedback"]["blockReason"]
    assert whole.finish == finish


@pytest.mark.parametrize(
    ("told", "filtered"),
    [
        (BLOCKED[0], True),
        ({"candidates": [{"finishReason": "SAFETY"}]}, True),
        ({"candidates": [{"finishReason": "STOP"}]}, False),
        ({"candidates": [], "promptFeedback": {"blockReason": "SOMETHING_NEW"}}, True),
        ({"candidates": []}, False),
    ],
)
def test_a_filter_s_word_is_known(told: dict[str, Any], filtered: bool) -> None:
    """What it emptied may go to another provider. A prompt is blocked for whatever reason."""
    assert read_reply(json.dumps(told).encode()).filtered is filtered
