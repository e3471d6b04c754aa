"""Errors inside answers of status 200."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.errors import Kind
from trunkline.dialects.openai_responses.failure import event_error, failed


@pytest.mark.parametrize(
    ("error", "status", "kind", "retryable"),
    [
        ({"code": "server_error", "message": "m"}, 502, Kind.UPSTREAM_FAILED, True),
        ({"code": "rate_limit_exceeded", "message": "m"}, 429, Kind.UPSTREAM_FAILED, True),
        ({"code": "insufficient_quota", "message": "m"}, 429, Kind.UPSTREAM_FAILED, False),
        ({"code": "image_too_small", "message": "m"}, 400, Kind.UPSTREAM_REFUSED, False),
        ({"code": "invalid_prompt", "message": "m"}, 400, Kind.UPSTREAM_REFUSED, False),
        ({"code": 404, "message": "m"}, 404, Kind.UPSTREAM_REFUSED, False),
        ({"message": "m"}, 502, Kind.UPSTREAM_FAILED, True),
        ("m", 502, Kind.UPSTREAM_FAILED, True),
    ],
)
def test_a_code_says_whether_to_try_again(error: object, status: int, kind: Kind, retryable: bool) -> None:
    """A quota that is used up is not cured by waiting; a server's fault may be."""
    found = failed(error, b"{}")
    assert (found.status, found.kind, found.retryable, found.message) == (status, kind, retryable, "m")


def test_an_error_without_words_has_ours() -> None:
    """A user must read something."""
    found = failed(None, b"body", streamed=True)
    assert found.message == "The provider could not finish its answer."
    assert found.upstream is not None
    assert (found.upstream.body, found.upstream.content_type) == (b"body", "text/event-stream")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"code": "c", "message": "m", "param": None, "type": "error"}, {"code": "c", "message": "m"}),
        ({"error": {"message": "m"}, "message": "x"}, {"message": "m"}),
        ({"error": None}, {}),
    ],
)
def test_where_an_event_tells_its_error(told: dict[str, Any], expected: object) -> None:
    """Older servers tell it in an object of its own."""
    assert event_error(told) == expected
