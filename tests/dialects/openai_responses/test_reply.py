"""A whole answer, read in passing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.openai_responses.told import CALL, MESSAGE, USAGE, answer, body
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.openai_responses.reply import read_reply


def test_usage_and_finish_are_seen() -> None:
    """The ledger knows an answer by these."""
    whole = read_reply(b"\n" + body(MESSAGE))
    assert (whole.usage.input, whole.usage.output, whole.finish, whole.estimate) == (10, 7, "completed", 0)
    assert json.loads(whole.raw_usage) == USAGE


@pytest.mark.parametrize(
    ("fields", "finish"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": ""}}, "incomplete"),
        ({"status": "queued"}, "queued"),
        ({"status": "x" * 99}, "x" * 64),
        ({"status": 7}, ""),
    ],
)
def test_why_it_ended(fields: dict[str, Any], finish: str) -> None:
    """What made an answer incomplete says more than that it is."""
    assert read_reply(body(CALL, **fields)).finish == finish


def test_an_answer_without_usage_is_estimated() -> None:
    """A provider that does not count must not be free."""
    whole = read_reply(body(MESSAGE, usage=None))
    assert whole.usage is NO_USAGE
    assert whole.estimate > 10


def test_python_s_own_json_is_read() -> None:
    """NaN is no JSON, and some servers write it."""
    assert read_reply(body(MESSAGE)[:-1] + b',"x":NaN}').finish == "completed"


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        (b"", Kind.UPSTREAM_PROTOCOL, "The provider's answer is empty."),
        (b"<html>", Kind.UPSTREAM_PROTOCOL, "The provider's answer is not JSON."),
        (b"[1]", Kind.UPSTREAM_PROTOCOL, "The provider's answer is not a response."),
        (b'{"choices":[]}', Kind.UPSTREAM_PROTOCOL, "The provider's answer is not a response."),
        (
            json.dumps({**answer(), "output": {"a": 1}}).encode(),
            Kind.UPSTREAM_PROTOCOL,
            "The provider's answer is not a response.",
        ),
        (b'{"error":{"message":"no"}}', Kind.UPSTREAM_FAILED, "no"),
        (body(status="failed", error={"code": "invalid_prompt", "message": "bad"}), Kind.UPSTREAM_REFUSED, "bad"),
        (body(status="cancelled"), Kind.UPSTREAM_FAILED, "The provider could not finish its answer."),
    ],
)
def test_what_is_no_answer(told: bytes, kind: Kind, message: str) -> None:
    """A 200 is not success."""
    with pytest.raises(GatewayError) as caught:
        read_reply(told)
    assert (caught.value.kind, caught.value.message) == (kind, message)


@pytest.mark.parametrize(("reason", "filtered"), [("content_filter", True), ("max_output_tokens", False)])
def test_a_filter_s_word_is_known(reason: str, filtered: bool) -> None:
    """What it emptied may go to another provider."""
    told = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
    assert read_reply(json.dumps(told).encode()).filtered is filtered
