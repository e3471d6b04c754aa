"""Errors in Anthropic's shape."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.anthropic.errors import read_error, reported, write_error, write_event

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_status_has_its_word(status: int, word: str) -> None:
    """Claude Code decides by the type whether it tries again."""
    told = json.loads(write_error(GatewayError(Kind.UPSTREAM_FAILED, "No.", status=status)))
    assert told == {"type": "error", "error": {"type": word, "message": "No."}}


@pytest.mark.parametrize("status", [402, 429])
def test_a_budget_is_a_matter_of_billing(status: int) -> None:
    """Whatever status the operator prefers: no time heals it."""
    told = json.loads(write_error(GatewayError(Kind.BUDGET_EXCEEDED, "No.", status=status)))
    assert told["error"]["type"] == "billing_error"


def test_a_broken_stream_ends_with_an_error_event() -> None:
    """No `message_stop`: the SDKs raise, and nobody takes half an answer for a whole one."""
    assert write_event(GatewayError(Kind.UPSTREAM_BROKEN, "It hung up.")) == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"It hung up."}}\n\n'
    )


@pytest.mark.parametrize(
    ("body", "verbatim"),
    [
        (OVERLOADED, True),
        (b'{"error":{"type":"x","message":"m"}}', False),
        (b'{"type":"error","error":{"message":"m"}}', False),
        (b'{"type":"error","error":{"type":"x"}}', False),
        (b'{"type":"error","error":"m"}', False),
        (b'["error"]', False),
        (b"busy", False),
    ],
)
def test_only_an_error_of_this_shape_goes_out_as_it_came(body: bytes, verbatim: bool) -> None:
    """A client of this dialect must be able to read it."""
    error = read_error(529, "application/json", body)
    assert error.upstream is not None
    assert (error.status, error.kind, error.upstream.verbatim) == (529, Kind.UPSTREAM_FAILED, verbatim)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, 529, Kind.UPSTREAM_FAILED),
        ({"type": "rate_limit_error", "message": "Slow"}, 429, Kind.UPSTREAM_FAILED),
        ({"type": "invalid_request_error", "message": "No"}, 400, Kind.UPSTREAM_REFUSED),
        ({"type": "something_new", "message": "No"}, 502, Kind.UPSTREAM_FAILED),
        ({"type": ["x"], "message": "No"}, 502, Kind.UPSTREAM_FAILED),
        ("down", 502, Kind.UPSTREAM_FAILED),
    ],
)
def test_an_error_inside_a_200_has_the_status_of_its_type(error: object, status: int, kind: Kind) -> None:
    """An overload told as the first event of a stream is tried again like one told as a 529."""
    found = reported(error, b"data")
    assert (found.status, found.kind) == (status, kind)
