"""Errors, as OpenAI's clients know them."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_responses.errors import answer_error, event_fields, read_error, write_error


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (429, None, "rate_limit_exceeded"),
        (429, "insufficient_quota", "insufficient_quota"),
        (502, "weird", "server_error"),
        (529, None, "server_error"),
        (400, "context_length_exceeded", "context_length_exceeded"),
        (400, "unsupported_parameter", "invalid_prompt"),
    ],
)
def test_an_answer_fails_with_a_code_that_clients_know(status: int, code: str | None, told: str) -> None:
    """Codex decides by it whether another try may help, and how long to wait."""
    error = GatewayError(Kind.UPSTREAM_FAILED, "No.", status=status, code=code)
    assert answer_error(error) == {"code": told, "message": "No."}


def test_an_event_tells_the_error_itself() -> None:
    """With the gateway's own word where there is no code."""
    broken = GatewayError(Kind.UPSTREAM_BROKEN, "It hung up.")
    assert event_fields(broken) == {"code": "upstream_broken", "message": "It hung up.", "param": None}
    assert event_fields(GatewayError(Kind.BAD_REQUEST, "No.", code="c", param="p")) == {
        "code": "c",
        "message": "No.",
        "param": "p",
    }


def test_outside_of_streams_they_are_openais() -> None:
    """The same body as of its chat completions; a provider's own passes word for word."""
    body = b'{"error":{"message":"No.","type":"invalid_request_error","param":"input","code":null}}'
    error = read_error(400, "application/json", body)
    assert (error.upstream is not None and error.upstream.verbatim, error.param) == (True, "input")
    assert json.loads(write_error(error))["error"]["type"] == "invalid_request_error"
