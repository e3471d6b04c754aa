"""Errors of Bedrock, as answers and inside a stream."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.errors import Kind
from trunkline.dialects.bedrock.errors import read_error, reported


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, Kind.UPSTREAM_REFUSED, False),
        (403, Kind.UPSTREAM_REFUSED, False),
        (404, Kind.UPSTREAM_REFUSED, False),
        (408, Kind.UPSTREAM_FAILED, True),
        (424, Kind.UPSTREAM_FAILED, True),
        (429, Kind.UPSTREAM_FAILED, True),
        (500, Kind.UPSTREAM_FAILED, True),
        (503, Kind.UPSTREAM_FAILED, True),
    ],
)
def test_error_answers(status: int, kind: Kind, retryable: bool) -> None:
    """Whether another try helps: a model that broke (424) is tried again, a request that is wrong is not."""
    error = read_error(status, "application/json", b'{"message":"No."}')
    assert (error.kind, error.status, error.retryable, error.message) == (kind, status, retryable, "No.")
    assert error.upstream is not None
    assert not error.upstream.verbatim


def test_what_stands_before_the_service_speaks_in_capitals() -> None:
    """A wrong key or region is refused by AWS's front door, whose words help most."""
    assert read_error(403, "application/json", b'{"Message":"Authentication failed."}').message == "Authentication failed."


@pytest.mark.parametrize(
    ("word", "payload", "status", "kind", "message"),
    [
        ("throttlingException", {"message": "Slow down."}, 429, Kind.UPSTREAM_FAILED, "Slow down."),
        ("validationException", {"message": "Wrong."}, 400, Kind.UPSTREAM_REFUSED, "Wrong."),
        ("internalServerException", {}, 500, Kind.UPSTREAM_FAILED, "internalServerException"),
        ("serviceUnavailableException", {"message": "Later."}, 503, Kind.UPSTREAM_FAILED, "Later."),
        ("modelStreamErrorException", {"message": "Broke."}, 424, Kind.UPSTREAM_FAILED, "Broke."),
        (
            "modelStreamErrorException",
            {"originalStatusCode": 529, "originalMessage": "Full."},
            529,
            Kind.UPSTREAM_FAILED,
            "Full.",
        ),
        ("modelStreamErrorException", {"message": "B", "originalStatusCode": 400}, 400, Kind.UPSTREAM_REFUSED, "B"),
        ("modelStreamErrorException", {"message": "B", "originalStatusCode": 200}, 424, Kind.UPSTREAM_FAILED, "B"),
        ("tomorrowsException", {"message": "B"}, 502, Kind.UPSTREAM_FAILED, "B"),
    ],
)
def test_exceptions_in_a_stream(word: str, payload: object, status: int, kind: Kind, message: str) -> None:
    """Before the first event these are ordinary errors to the client, with the status they would have had."""
    error = reported(word, "", json.dumps(payload).encode())
    assert (error.status, error.kind, error.message, error.code) == (status, kind, message, word)
    assert error.retryable == (kind is Kind.UPSTREAM_FAILED)


def test_an_exception_that_is_no_object() -> None:
    """A payload of plain text is its message; what a header says counts more."""
    assert reported("throttlingException", "", b"slow").message == "slow"
    assert reported("InternalError", "An internal server error occurred", b"").message == "An internal server error occurred"
    assert reported("x", "", b"[" * 100_000).status == 502
