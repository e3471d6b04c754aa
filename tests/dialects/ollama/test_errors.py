"""Errors of this dialect, read and written."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.ollama.errors import read_error, write_error, write_line

ROWS = [
    (404, b'{"error":"model \'x\' not found"}', Kind.UPSTREAM_REFUSED, "model 'x' not found", True),
    (401, b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', Kind.UPSTREAM_REFUSED, "unauthorized", True),
    (503, b'{"error":"server busy, please try again."}', Kind.UPSTREAM_FAILED, "server busy, please try again.", True),
    (500, b'{"error":{"message":"of another shape"}}', Kind.UPSTREAM_FAILED, "of another shape", False),
    (400, b"plain text", Kind.UPSTREAM_REFUSED, "plain text", False),
    (400, b"[1]", Kind.UPSTREAM_REFUSED, "The provider answered with status 400 and no message.", False),
]


@pytest.mark.parametrize(("status", "body", "kind", "message", "own"), ROWS, ids=[str(row[1][:24]) for row in ROWS])
def test_an_error_is_read_by_status_and_structure(status: int, body: bytes, kind: Kind, message: str, own: bool) -> None:
    """The client must see the provider's own words and status; its own bytes only where they are Ollama's shape."""
    error = read_error(status, "application/json", body)
    assert (error.status, error.kind, error.message) == (status, kind, message)
    assert error.upstream is not None
    assert error.upstream.verbatim is own


def test_an_error_is_written() -> None:
    """The official client looks for a text under `error`."""
    error = GatewayError(Kind.NOT_FOUND, "No such \u201cmodel\u201d.")
    assert json.loads(write_error(error)) == {"error": "No such \u201cmodel\u201d."}
    assert write_line(error) == write_error(error) + b"\n"
