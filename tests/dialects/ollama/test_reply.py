"""A whole answer read in passing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.ollama import samples
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.ollama.reply import read_reply


def test_a_whole_answer_is_read() -> None:
    """Usage for the ledger, in both forms."""
    whole = read_reply(samples.WHOLE)
    assert (whole.usage, whole.finish, whole.estimate) == (samples.USAGE, "stop", 0)
    assert json.loads(whole.raw_usage)["eval_count"] == 7
    assert read_reply(samples.line(response="hi", **samples.LAST)).usage == samples.USAGE


def test_an_answer_without_counts_is_guessed() -> None:
    """A server that counts nothing must not be free of charge."""
    said = {"content": "x" * 40, "thinking": "y" * 40, "tool_calls": samples.calls(("f", {"a": "z" * 40}))}
    whole = read_reply(samples.line(said, done=True))
    assert (whole.usage, whole.raw_usage, whole.finish) == (NO_USAGE, "", "")
    assert whole.estimate in range(30, 60)


def test_a_loaded_model_is_an_answer() -> None:
    """What comes back where no messages were sent."""
    whole = read_reply(samples.line({}, done=True, done_reason="load"))
    assert (whole.finish, whole.estimate) == ("load", 0)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"error":"out of memory"}', Kind.UPSTREAM_FAILED, "out of memory"),
        (b"", Kind.UPSTREAM_PROTOCOL, "The provider's answer is empty."),
        (b"<html>", Kind.UPSTREAM_PROTOCOL, "The provider's answer is not JSON."),
        (b'{"choices":[]}', Kind.UPSTREAM_PROTOCOL, "The provider's answer is not an Ollama answer."),
        (b'{"message":"hi"}', Kind.UPSTREAM_PROTOCOL, "The provider's answer is not an Ollama answer."),
        (b"[]", Kind.UPSTREAM_PROTOCOL, "The provider's answer is not an Ollama answer."),
        (b'{"logprobs":' + b"[" * 100_000, Kind.UPSTREAM_PROTOCOL, "The provider's answer is not JSON."),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: Kind, message: str) -> None:
    """A status of 200 proves nothing."""
    with pytest.raises(GatewayError) as raised:
        read_reply(body)
    assert (raised.value.kind, raised.value.message) == (kind, message)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """A provider may send anything."""
    with pytest.raises(GatewayError):
        read_reply(body)
