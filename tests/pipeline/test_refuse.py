"""How a client learns that it failed, and what it must not learn."""

from __future__ import annotations

import json

import pytest

from harness.gateway import PROVIDER_KEY
from pipeline.by_hand import at_once, by_hand
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.dialects.dialect import Ask
from trunkline.pipeline.admit import admit
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.refuse import refuse

SECRET = PROVIDER_KEY.encode()


def admitted(inside: Inside) -> tuple[Exchange, object]:
    """An exchange that has its target; its opening is not kept."""
    exchange, line = by_hand(inside)
    at_once(admit(exchange, inside.parts))
    inside.books.opened.clear()
    return exchange, line


@pytest.mark.parametrize("offset", range(150, 205, 6))
def test_a_cut_detail_holds_no_half_of_a_credential(inside: Inside, offset: int) -> None:
    """The log shows the beginning of what the provider said: cutting must not hide a key from the scrubbing."""
    exchange, _ = admitted(inside)
    body = b"x" * offset + SECRET + b"y" * 100
    refuse(exchange, GatewayError(Kind.UPSTREAM_REFUSED, "no", upstream=Upstream(401, body)))
    assert len(exchange.detail) <= 200
    assert PROVIDER_KEY[:8] not in exchange.detail


def test_verbatim_and_scrubbed(inside: Inside) -> None:
    """A provider's error in OpenAI's shape goes out as it stands, but for the credential."""
    exchange, line = admitted(inside)
    body = b'{ "error": {"message": "bad key %b", "odd": [1] } }' % SECRET
    refuse(exchange, GatewayError(Kind.UPSTREAM_REFUSED, "x", status=401, upstream=Upstream(401, body, verbatim=True)))
    head, _, sent = line.sent.partition(b"\r\n\r\n")  # type: ignore[attr-defined]
    assert sent == body.replace(SECRET, b"***")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"content-length: %d" % len(sent) in head
    assert b"x-trunkline-provider: lab\r\n" in head


def test_an_error_answer(inside: Inside) -> None:
    """Ours are written in the client's dialect, with the request's id, and the connection stays."""
    exchange, line = by_hand(inside, extra=b"vary: origin\r\n")
    refuse(exchange, GatewayError(Kind.OVERLOADED, "later", retry_after=2))
    head, _, body = line.sent.partition(b"\r\n\r\n")
    assert json.loads(body)["error"]["message"] == "later"
    for field in (
        b"x-request-id: " + exchange.id.encode(),
        b"retry-after: 2",
        b"vary: origin",
        b"content-type: application/json",
    ):
        assert field + b"\r\n" in head + b"\r\n"
    assert line.kept is True


@pytest.mark.parametrize(("kind", "kept"), [(Kind.UPSTREAM_BROKEN, True), (Kind.SHUTTING_DOWN, False)])
def test_a_stream_that_began(inside: Inside, kind: Kind, kept: bool) -> None:
    """It ends with an error event and no end mark; at a shutdown the connection ends too."""
    exchange, line = by_hand(inside)
    exchange.tap = exchange.dialect.tap(Ask({}, "m", stream=True, include_usage=True), hide_usage=False)
    exchange.reply.start(200, b"")
    refuse(exchange, GatewayError(kind, "broken"))
    assert b'data: {"error":' in line.sent
    assert line.sent.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in line.sent
    assert line.kept is kept


@pytest.mark.parametrize("state", ["gone", "ended"])
def test_nobody_to_tell(inside: Inside, state: str) -> None:
    """Who left, or has a whole answer, gets nothing more; the failure is still known to the account."""
    exchange, line = by_hand(inside)
    setattr(exchange.reply, state, True)
    error = GatewayError(Kind.INTERNAL, "x")
    refuse(exchange, error)
    assert line.sent == b""
    assert exchange.error is error
