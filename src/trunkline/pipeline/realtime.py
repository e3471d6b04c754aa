"""Realtime sessions: a WebSocket that passes to a provider of the same form, frame for frame, and what its answers used.

How bytes are carried belongs in `edge.tunnel`, what an event says in `dialects.realtime`. One session is one record, charged to
budgets and limits answer by answer.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast
from urllib.parse import parse_qsl, urlencode

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.canon.wire import WireRequest
from trunkline.dialects.realtime import Coming, passed_on, used, write_event
from trunkline.dialects.shallow import checked_model
from trunkline.dialects.table import SPOKEN
from trunkline.edge.side import Side
from trunkline.edge.tunnel import Party, tunnel
from trunkline.meters.meter import Hold
from trunkline.pipeline.admit import known
from trunkline.pipeline.attempt import judged
from trunkline.pipeline.claim import claim_more
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import head
from trunkline.pipeline.passthrough import admit_passing, passed_query, written
from trunkline.pipeline.pursue import once, pursue
from trunkline.pipeline.settle import price_more
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.families import speech

_KEEPS = b"Connection: keep-alive\r\n"
"""Not said where the connection is to become another one."""


class _Account:
    """What a session's answers use: each is charged as it comes, and the next one's is reserved."""

    def __init__(self, exchange: Exchange, parts: Parts) -> None:
        self._exchange = exchange
        self._parts = parts
        self._hold: Hold | None = None
        self._reserving: asyncio.Task[None] | None = None
        self._so_far, self._coming = 0, Coming()
        """Tokens of the conversation, and the answer that the provider is about."""
        self.refused: GatewayError | None = None
        """No budget or limit is left for another answer, or the key is no longer valid."""
        self.over: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """Done, with the last word to the client, when the session may go on no longer."""

    async def reserve(self, so_far: int = 0) -> None:
        """Reserve the next answer. Raises `GatewayError`."""
        self._hold = await claim_more(self._exchange, self._parts, cast("Candidates", self._exchange.candidates), so_far)

    def see(self, message: bytes) -> None:
        """An event of the provider's. The key must still hold: a session may last a day."""
        if not self.over.done():
            try:
                known(self._exchange, self._parts)
            except GatewayError as error:
                self._end(error)
        self._coming.see(message)
        if (found := used(message)) is None:
            return
        usage, raw = found
        self._exchange.raw_usage = raw
        self._so_far = usage.input + usage.output
        counted = self._hold is not None or self._reserving is not None
        self._charge(usage, raw)
        if counted and self._reserving is None:
            self._reserving = asyncio.get_running_loop().create_task(self._again())

    def close(self) -> None:
        """The session is over. Whoever leaves in the middle of an answer owes what came of it."""
        if self._reserving is not None:
            self._reserving.cancel()
        if (came := self._coming).tokens:
            self._charge(Usage(input=self._so_far, output=came.tokens, audio_output=came.sound, basis="estimated"), "")
        if self._hold is not None:
            hold, self._hold = self._hold, None
            self._parts.meters.settle(hold, 0, 0)

    def _charge(self, usage: Usage, raw: str) -> None:
        """Now, where something is reserved for it; else with the rest of the session, at its end."""
        nano, tokens = price_more(self._exchange, self._parts, usage, raw) or 0, usage.input + usage.output
        if self._hold is not None:
            hold, self._hold = self._hold, None
            self._parts.meters.settle(hold, tokens, nano)
            paid = self._exchange.paid
            self._exchange.paid = paid[0] + tokens, paid[1] + nano

    async def _again(self) -> None:
        try:
            await self.reserve(self._so_far)
        except GatewayError as error:
            self._end(error)
        finally:
            self._reserving = None

    def _end(self, error: GatewayError) -> None:
        """The session may go on no longer."""
        if not self.over.done():
            self.refused = error.with_traceback(None)
            self.over.set_result(write_event(error))


async def converse(exchange: Exchange, parts: Parts) -> None:
    """Carry one session from its beginning to its end. Raises `GatewayError`, before the session begins or where it broke."""
    exchange.charged = False  # `_Account` sees to what was not reported
    known(exchange, parts)
    request = exchange.request
    if not request.websocket:
        exchange.extra += b"upgrade: websocket\r\n"  # RFC 9110 section 15.5.22
        raise GatewayError(Kind.BAD_REQUEST, "Only WebSocket is spoken here.", status=426, code="upgrade_required")
    rest = passed_query(request.query)
    model = next((value for name, value in parse_qsl(request.query.decode("ascii")) if name == "model"), "")
    way = await admit_passing(exchange, parts, checked_model(model) if model else "")
    await pursue(exchange, parts, once(way), partial(_session, rest=rest))


async def _session(exchange: Exchange, parts: Parts, target: Target, rest: bytes) -> None:
    """A session with `target`. `rest`: of the query, what goes on as it is."""
    said = urlencode({"model": target.model}).encode() if target.model else b""
    query = b"&".join(filter(None, (said, rest)))
    account = _Account(exchange, parts)
    await account.reserve()
    try:
        await _talk(exchange, parts, account, await written(exchange, "/realtime", query))
    finally:
        account.close()


async def _talk(exchange: Exchange, parts: Parts, account: _Account, request: WireRequest) -> None:
    provider = await _dialled(exchange, parts, _upgrade(exchange, request))
    exchange.first_byte = parts.mono()
    broke = await tunnel(exchange.request, exchange.reply, provider, account.see, lines=head(exchange), over=account.over)
    if account.refused is not None:
        raise account.refused
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
