"""Errors in Google's shape, read and written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.gemini.errors import read_error, reported, write_error

BAD_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}
QUOTA = {
    "error": {
        "code": 429,
        "message": "Quota exceeded.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}],
    }
}


@pytest.mark.parametrize(
    ("status", "body", "shown", "code", "after", "verbatim"),
    [
        (400, BAD_KEY, 401, "INVALID_ARGUMENT", None, True),
        (400, [BAD_KEY], 401, "INVALID_ARGUMENT", None, False),
        (429, QUOTA, 429, "RESOURCE_EXHAUSTED", 34.4, True),
        (404, {"error": {"code": 404, "message": "No such model."}}, 404, None, None, True),
        (403, {"error": {"code": "odd", "message": "No."}}, 403, "odd", None, True),
        (500, {"error": "broken"}, 500, None, None, False),
        (500, [], 500, None, None, False),
    ],
)
def test_an_error_is_read(status: int, body: Any, shown: int, code: str | None, after: float | None, verbatim: bool) -> None:
    """A wrong key is told as 400: a client that is told so would mend its request instead of its key."""
    found = read_error(status, "application/json", json.dumps(body).encode())
    assert (found.status, found.code, found.retry_after) == (shown, code, after)
    assert found.upstream is not None
    assert (found.upstream.status, found.upstream.verbatim) == (status, verbatim)


def test_an_error_that_is_no_json_is_read_too() -> None:
    """A proxy on the way answers with pages."""
    found = read_error(502, "text/html", b"<html>Bad gateway</html>")
    assert (found.status, found.code) == (502, None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}, 503, "UNAVAILABLE"),
        ({"code": 400, "message": "No."}, 400, None),
        ({"code": 200, "message": "What?"}, 502, None),
        ({"code": "x", "message": "What?"}, 502, "x"),
        ("What?", 502, None),
    ],
)
def test_an_error_inside_an_answer_is_read(error: Any, status: int, code: str | None) -> None:
    """200 OK is not success: what the error itself says decides whether another try helps."""
    found = reported(error, b"{}")
    assert (found.status, found.code) == (status, code)
    assert found.message


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        (Kind.BAD_REQUEST, 400, "INVALID_ARGUMENT"),
        (Kind.UNAUTHENTICATED, 401, "UNAUTHENTICATED"),
        (Kind.BUDGET_EXCEEDED, 402, "RESOURCE_EXHAUSTED"),
        (Kind.FORBIDDEN, 403, "PERMISSION_DENIED"),
        (Kind.NOT_FOUND, 404, "NOT_FOUND"),
        (Kind.TOO_LARGE, 413, "INVALID_ARGUMENT"),
        (Kind.INTERNAL, 500, "INTERNAL"),
        (Kind.UPSTREAM_BROKEN, 502, "UNAVAILABLE"),
        (Kind.OVERLOADED, 503, "UNAVAILABLE"),
        (Kind.UPSTREAM_TIMEOUT, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_an_error_is_written_with_googles_words(kind: Kind, status: int, word: str) -> None:
    """Google's clients decide by `status`."""
    assert json.loads(write_error(GatewayError(kind, "Why."))) == {"error": {"code": status, "message": "Why.", "status": word}}


def test_a_status_of_anthropics_is_told_in_googles() -> None:
    """Google's clients know 503 and try again."""
    told = json.loads(write_error(GatewayError(Kind.UPSTREAM_FAILED, "Why.", status=529)))
    assert told == {"error": {"code": 503, "message": "Why.", "status": "UNAVAILABLE"}}


def test_when_to_try_again_is_told_in_a_retry_info() -> None:
    """Google's clients look for no header, and read it back as it was written."""
    written = write_error(GatewayError(Kind.RATE_LIMITED, "Slow down.", retry_after=7.5))
    assert json.loads(written)["error"]["details"][0]["retryDelay"] == "7.5s"
    assert read_error(429, "application/json", written).retry_after == 7.5


@pytest.mark.parametrize("recording", parameters([one for one in recordings("gemini.generate_content") if one.status != 200]))
def test_recorded_errors_are_read(recording: Recording) -> None:
    """What Google really sends keeps its status, its words and its delay."""
    told = json.loads(recording.body)["error"]
    found = read_error(recording.status, recording.content_type, recording.body)
    assert (found.status, found.code) == (recording.status, told["status"])
    assert found.upstream is not None
    assert found.upstream.verbatim
    assert (found.retry_after is not None) == ("RetryInfo" in recording.body.decode())
