"""Realtime sessions: a WebSocket that passes to a provider of the same form, frame for frame, and what its answers used.

How bytes are carried belongs in `edge.tunnel`, what an event says in `dialects.realtime`. One session is one record.
"""

from __future__ import annotations

from functools import partial
from typing import cast
from urllib.parse import parse_qsl, urlencode

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage, total
from trunkline.canon.wire import WireRequest
from trunkline.dialects.realtime import passed_on, used
from trunkline.dialects.shallow import checked_model
from trunkline.dialects.table import SPOKEN
from trunkline.edge.side import Side
from trunkline.edge.tunnel import Party, tunnel
from trunkline.pipeline.admit import known
from trunkline.pipeline.attempt import judged
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import head
from trunkline.pipeline.passthrough import admit_passing, passed_query, written
from trunkline.pipeline.pursue import once, pursue
from trunkline.pipeline.settle import price
from trunkline.providers.provider import Target
from trunkline.routing.families import speech

_KEEPS = b"Connection: keep-alive\r\n"
"""Not said where the connection is to become another one."""


class _Account:
    """What a session's answers used, added up."""

    def __init__(self) -> None:
        self.used: Usage | None = None
        self.raw = ""

    def see(self, message: bytes) -> None:
        """An event of the provider's."""
        if (found := used(message)) is not None:
            self.used = found[0] if self.used is None else total((self.used, found[0]))
            self.raw = found[1]


async def converse(exchange: Exchange, parts: Parts) -> None:
    """Carry one session from its beginning to its end. Raises `GatewayError`, before the session begins or where it broke."""
    exchange.charged = False  # what was not reported cannot be told from bytes
    known(exchange, parts)
    request = exchange.request
    if not request.websocket:
        exchange.extra += b"upgrade: websocket\r\n"  # RFC 9110 section 15.5.22
        raise GatewayError(Kind.BAD_REQUEST, "Only WebSocket is spoken here.", status=426, code="upgrade_required")
    rest = passed_query(request.query)
    model = next((value for name, value in parse_qsl(request.query.decode("ascii")) if name == "model"), "")
    way = admit_passing(exchange, parts, checked_model(model) if model else "")
    await pursue(exchange, parts, once(way), partial(_session, rest=rest))


async def _session(exchange: Exchange, parts: Parts, target: Target, rest: bytes) -> None:
    """A session with `target`. `rest`: of the query, what goes on as it is."""
    said = urlencode({"model": target.model}).encode() if target.model else b""
    query = b"&".join(filter(None, (said, rest)))
    provider = await _dialled(exchange, parts, _upgrade(exchange, await written(exchange, "/realtime", query)))
    account = _Account()
    exchange.first_byte = parts.mono()
    try:
        broke = await tunnel(exchange.request, exchange.reply, provider, account.see, lines=head(exchange))
    finally:
        if account.used is not None:
            exchange.raw_usage = account.raw
            price(exchange, parts, account.used)
    if broke is not None:
        raise _cut(broke)


def _upgrade(exchange: Exchange, request: WireRequest) -> WireRequest:
    lines = request.head.replace(_KEEPS, b"")
    protocols = passed_on(exchange.request.headers.get(b"sec-websocket-protocol", b""))
    if protocols:
        lines += b"sec-websocket-protocol: %b\r\n" % protocols
    return msgspec.structs.replace(request, head=lines)


async def _dialled(exchange: Exchange, parts: Parts, request: WireRequest) -> Side:
    """The provider's end of the session. Raises `GatewayError` where it refuses."""
    provider = cast("Target", exchange.target).provider
    if (credential := exchange.credentials.get(provider.name)) is not None:
        exchange.secrets = credential.secrets
    answer = await parts.client.upgrade(request, exchange.mark_sent)
    if isinstance(answer, Side):
        return answer
    (await judged(exchange, parts, answer, SPOKEN[speech(provider)])).close()
    raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider answered, but does not speak WebSocket here.")


def _cut(by: Party) -> GatewayError:
    """For a session that ended without either side's last word."""
    if by == "client":
        return GatewayError(Kind.CLIENT_GONE, "The client closed the connection.")
    if by == "provider":
        return GatewayError(Kind.UPSTREAM_BROKEN, "The provider broke off the session.")
    return GatewayError(Kind.UPSTREAM_TIMEOUT, "A side took nothing any more, or the session lasted too long.")
