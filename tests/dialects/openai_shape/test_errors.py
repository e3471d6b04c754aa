"""Errors in OpenAI's own shape."""

from __future__ import annotations

import json

import pytest
from openai import APIError

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_shape.errors import read_error, write_error, write_stream_error


@pytest.mark.parametrize(
    ("body", "verbatim"),
    [
        (b'{"error":{"message":"m","type":"t","param":null,"code":null}}', True),
        (b'{"error":{"message":"m"}}', True),
        (b'{"error":{"message":7}}', False),
        (b'{"error":"m"}', False),
        (b'{"message":"m"}', False),
        (b'[{"error":{"message":"m"}}]', False),
        (b"m", False),
    ],
)
def test_only_openais_shape_passes_as_it_is(body: bytes, verbatim: bool) -> None:
    """The SDKs read `error.message`; any other shape would show a user nothing."""
    error = read_error(400, "application/json", body)
    assert error.upstream is not None
    assert error.upstream.verbatim == verbatim


@pytest.mark.parametrize(
    ("error", "kind", "code", "param"),
    [
        (GatewayError(Kind.BAD_REQUEST, "m", param="model"), "invalid_request_error", "bad_request", "model"),
        (GatewayError(Kind.UNAUTHENTICATED, "m", code="invalid_api_key"), "authentication_error", "invalid_api_key", None),
        (GatewayError(Kind.FORBIDDEN, "m"), "permission_error", "forbidden", None),
        (GatewayError(Kind.NOT_FOUND, "m", code="model_not_found"), "invalid_request_error", "model_not_found", None),
        (GatewayError(Kind.TOO_LARGE, "m"), "invalid_request_error", "too_large", None),
        (GatewayError(Kind.RATE_LIMITED, "m"), "rate_limit_error", "rate_limited", None),
        (GatewayError(Kind.BUDGET_EXCEEDED, "m", status=429), "insufficient_quota", "budget_exceeded", None),
        (GatewayError(Kind.INTERNAL, "m"), "server_error", "internal", None),
        (GatewayError(Kind.UPSTREAM_TIMEOUT, "m"), "server_error", "upstream_timeout", None),
        (GatewayError(Kind.UPSTREAM_FAILED, "m", status=429), "rate_limit_error", "upstream_failed", None),
    ],
)
def test_our_errors_are_in_openais_words(error: GatewayError, kind: str, code: str, param: str | None) -> None:
    """An OpenAI client must be able to branch on them as on OpenAI's own."""
    assert json.loads(write_error(error)) == {"error": {"message": "m", "type": kind, "param": param, "code": code}}


def test_a_stream_error_is_one_event_and_no_end_mark() -> None:
    """The official SDK raises on it; a `[DONE]` after it would let other clients take the answer for whole."""
    event = write_stream_error(GatewayError(Kind.UPSTREAM_BROKEN, "line\nbreak"))
    assert event.startswith(b'data: {"error":{')
    assert event.endswith(b"}}\n\n")
    assert event.count(b"\n") == 2
    assert b"[DONE]" not in event
    told = json.loads(event[6:])["error"]
    sdk = APIError(told["message"], request=None, body=told)  # type: ignore[arg-type]
    assert (sdk.code, sdk.type, sdk.param) == ("upstream_broken", "server_error", None)
