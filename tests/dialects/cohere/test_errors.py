"""What Cohere says when it does not answer."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import Kind
from trunkline.dialects.cohere.errors import read_error


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown", "code"),
    [
        (400, b'{"id":"1","message":"too many tokens: 9000"}', Kind.UPSTREAM_REFUSED, 400, None),
        (400, b'{"message":"x","error_type":"TOO_MANY_TOKENS"}', Kind.UPSTREAM_REFUSED, 400, "too_many_tokens"),
        (401, b'{"id":"1","message":"invalid api token"}', Kind.UPSTREAM_REFUSED, 401, None),
        (404, b'{"message":"model not found"}', Kind.UPSTREAM_REFUSED, 404, None),
        (429, b'{"message":"slow down"}', Kind.UPSTREAM_FAILED, 429, None),
        (498, b'{"message":"blocked"}', Kind.UPSTREAM_REFUSED, 400, "content_filter"),
        (498, b'{"message":"blocked","code":"c"}', Kind.UPSTREAM_REFUSED, 400, "c"),
        (500, b"<html>", Kind.UPSTREAM_FAILED, 500, None),
        (503, b'{"message":"busy","error_type":["x"]}', Kind.UPSTREAM_FAILED, 503, None),
        (503, b"[" * 100_000, Kind.UPSTREAM_FAILED, 503, None),
    ],
)
def test_errors(status: int, body: bytes, kind: Kind, shown: int, code: str | None) -> None:
    """By status and structure; the one status of its own becomes one that clients know."""
    error = read_error(status, "application/json", body)
    assert (error.kind, error.status, error.code) == (kind, shown, code)
    assert error.upstream is not None
    assert (error.upstream.status, error.upstream.verbatim) == (status, False)


def test_the_message_is_shown() -> None:
    """It says what to do."""
    assert read_error(400, "application/json", b'{"id":"1","message":"no such model"}').message == "no such model"
