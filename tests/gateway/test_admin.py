"""The operator's listener: three pages, and nothing that could be taken for the other one."""

from __future__ import annotations

import pytest

from harness.client import Reply, request
from pipeline.inside import Inside


def ask(inside: Inside, method: str, path: str, body: bytes | None = None) -> Reply:
    """One request to the admin listener."""
    with inside.connect(admin=True) as wire:
        wire.send(request(method, path, [], body))
        reply = wire.read_reply(bodyless=method == "HEAD")
    assert reply is not None
    return reply


def test_metrics(inside: Inside) -> None:
    """Prometheus reads this form."""
    reply = ask(inside, "GET", "/metrics")
    assert reply.status == 200
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert b"trunkline_build_info" in reply.body


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_health(inside: Inside, ready: bool, status: int) -> None:
    """While it drains, the supervisor must still see it live, and the load balancer must not."""
    inside.operator.ready = ready
    try:
        assert ask(inside, "GET", "/readyz").status == status
        assert ask(inside, "GET", "/healthz").status == 200
    finally:
        inside.operator.ready = True


def test_head(inside: Inside) -> None:
    """Probes by HEAD see the head of the GET."""
    reply = ask(inside, "HEAD", "/metrics")
    assert reply.status == 200
    assert int(reply.header("content-length") or 0) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods(inside: Inside, method: str) -> None:
    """A 405 names what is served (RFC 9110 section 15.5.6)."""
    reply = ask(inside, method, "/metrics")
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
    assert reply.error["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/chat/completions", "/metrics/", "//metrics", "/%6detrics", "/admin"])
def test_anything_else(inside: Inside, path: str) -> None:
    """The data plane's doors are not here either."""
    assert ask(inside, "GET", path).status == 404


def test_a_body_is_not_read(inside: Inside) -> None:
    """Nobody signs in here: what is sent must not be kept."""
    assert ask(inside, "GET", "/metrics", b"x" * 1000).status == 413


def test_status(inside: Inside) -> None:
    """`trunkline status` reads it; what it says belongs elsewhere."""
    reply = ask(inside, "GET", "/status")
    assert (reply.status, reply.header("content-type"), reply.json) == (200, "application/json", {})
    assert ask(inside, "POST", "/status").status == 405
