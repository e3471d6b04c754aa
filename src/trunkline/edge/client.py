"""HTTP/1.1 out: requests to providers over pooled connections. The only way bytes leave for a provider.

Redirects are never followed. One silent second try is made, and only when a *reused* connection died before any byte of
an answer, and the body was held whole: the provider closed it as we sent. Everything else is the pipeline's decision.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection
from typing import cast

from msgspec import structs
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, WireRequest
from trunkline.edge.answer import Answer
from trunkline.edge.dial import dial
from trunkline.edge.handshake import Handshake, accept, asking, new_key
from trunkline.edge.listener import room
from trunkline.edge.names import Lookups, Names, Resolve
from trunkline.edge.pool import SIGNS, Pool, Room, Told
from trunkline.edge.sending import Sending
from trunkline.edge.side import Side
from trunkline.edge.timers import NEVER, Sweep

_MAX_POOLS = 4096
_BUSY = {503, 504, 529}
"""Statuses by which a provider, or a proxy before it, says that it is asked too much; 429 is about our account."""
_METHODS = {"POST": b"POST", "GET": b"GET", "DELETE": b"DELETE"}


class Upstream(asyncio.Protocol):
    """One connection to a provider."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sweep: Sweep) -> None:
        self._loop = loop
        self._sweep = sweep
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._pool: Pool[Upstream] | None = None
        self._answer: Answer | None = None
        self._sending: Sending | None = None
        """A body that has not been sent to its end."""
        self._closed = False
        self.deadline = NEVER
        self.served = 0
        """Answers that came over this connection before the current one."""

    def join(self, pool: Pool[Upstream]) -> None:
        """Belong to `pool`, which is told when this connection closes."""
        if self._closed:
            raise GatewayError(Kind.UPSTREAM_UNREACHABLE, "The provider closed the connection at once.")
        self._pool = pool
        self._sweep.watch(self)

    def exchange(self, request: WireRequest) -> Answer:
        """Send a request; its answer begins to arrive."""
        answer = Answer(self._loop, self, request.deadlines, request.limit)
        if not self.usable():
            answer.ended(None)
            return answer
        self._answer = answer
        body = request.body
        if isinstance(body, bytes):
            self._transport.writelines([head_of(request), body])
        else:
            self._transport.write(head_of(request))
            self._sending = sending = Sending(self._transport, body)
            answer.asked = NEVER
            answer.headed.add_done_callback(lambda _: self._answered(sending))
            sending.start(self._loop, self._sent)
        self.deadline = self._next_check(answer)
        return answer

    def upgrade(self, request: WireRequest) -> Handshake:
        """Ask to speak WebSocket; the answer begins to arrive."""
        key = new_key()
        handshake = Handshake(self._loop, self, (request.deadlines, request.limit), accept(key), self._switch)
        if not self.usable():
            handshake.ended(None)
            return handshake
        self._answer = handshake
        self.deadline = self._next_check(handshake)
        self._transport.write(head_of(structs.replace(request, head=request.head + asking(key))))
        return handshake

    def usable(self) -> bool:
        """Open and clean."""
        return not self._closed and not self._transport.is_closing()

    # the transport's calls ------------------------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.drop()  # nobody asked: whatever this is, it must not become the next tenant's answer
        else:
            self._answer.feed(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._sweep.leave(self)
        answer, self._answer = self._answer, None
        pool, self._pool = self._pool, None
        self._stop_sending()
        if answer is not None:
            answer.ended(exc)
        if pool is not None:
            pool.lost(self)

    @override
    def pause_writing(self) -> None:
        if self._sending is not None and self._answer is not None:
            self._sending.pause()
            self.deadline = self._next_check(self._answer)

    @override
    def resume_writing(self) -> None:
        if self._sending is not None:
            self._sending.resume()

    # a body that is passed on ---------------------------------------------------------------------------------------

    def _sent(self, error: Exception | None) -> None:
        """The body was sent to its end, or failed."""
        answer = cast("Answer", self._answer)
        if error is not None:
            answer.fail(error)
        else:
            self._sending = None
            answer.asked = self._loop.time()
            self.deadline = self._next_check(answer)

    def _answered(self, sending: Sending) -> None:
        """An answer's head is in, or will never be: what is not yet sent, is not wanted.

        Told a little later, when the whole answer may have come and the connection may be sending the next request.
        """
        if self._sending is not sending:
            return
        if self._answer is not None and not self._closed:
            self._answer.asked = self._loop.time()
            self.deadline = self._next_check(self._answer)
        sending.stop()

    def _stop_sending(self) -> None:
        """It stays the unfinished one, so that this connection is not used again."""
        if self._sending is not None:
            self._sending.stop()

    # the answer's calls ---------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Bring no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        self._transport.resume_reading()

    def drop(self) -> None:
        """Close at once; never used again."""
        self._closed = True
        self.deadline = NEVER
        self._stop_sending()
        self._transport.abort()

    def release(self, *, keep: bool) -> None:
        """The answer was read to its end."""
        self.served += 1
        # Else the answer came before the request had left.
        sent = self._sending is None and self._transport.get_write_buffer_size() == 0
        if keep and sent and self._pool is not None and self.usable():
            self._answer = None
            self.deadline = self._loop.time() + self._pool.origin.keep_idle
            self._pool.give_back(self)
        elif sent:
            self._closed = True
            self.deadline = NEVER
            self._transport.close()
        else:
            self.drop()  # a provider that takes no more would keep it open

    def _switch(self, ahead: bytes) -> Side:
        """Stop speaking HTTP on it. It stays ours to count until it is lost."""
        self._answer = None
        self.deadline = NEVER
        return Side(self._transport, self.connection_lost, ahead)

    def expire(self, now: float) -> None:
        """An idle connection is old, or an answer may be late."""
        if self._answer is None:
            self.drop()
            return
        if self._answer.next_deadline() <= now:
            self._answer.fail(self._answer.late())
        elif self._sending is not None and self._sending.stalled():
            self._answer.fail(GatewayError(Kind.UPSTREAM_TIMEOUT, "The provider stopped taking the request's body."))
        else:
            self.deadline = self._next_check(self._answer)

    def _next_check(self, answer: Answer) -> float:
        """When to look at the answer's deadline again: it moves nearer when the body begins, and nobody tells us."""
        return min(answer.next_deadline(), self._loop.time() + answer.deadlines.idle)


def _unheard() -> None:
    """For callers that need not know."""


class Client:
    """All pools. Made once; used from the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sweep: Sweep, resolve: Resolve | None = None) -> None:
        """`resolve`: who is asked for the addresses of names; the system's resolver by default."""
        self._loop = loop
        self._sweep = sweep
        self._names = Names(resolve or Lookups(), loop.time)
        self._room = Room(room(sys.maxsize))
        self.pools: dict[Origin, Pool[Upstream]] = {}

    async def send(self, request: WireRequest, on_sent: Callable[[], None] = _unheard) -> Answer:
        """Send `request` and return the answer once its head is in. Raises `GatewayError`.

        `on_sent` is called when a connection was had and the request goes out. Cancelling closes the connection. A `Body` is
        sent while it arrives, by one task that ends before this does: an answer that comes before its end is returned at once
        and stops it; what the body raises is raised. Nothing else may pump it.
        """
        pool = self.pools.get(request.origin) or self._pool(request.origin)
        connection = pool.take() or await pool.fresh(request.deadlines)
        on_sent()
        answer = connection.exchange(request)
        try:
            return await self._headed(pool, answer)
        except GatewayError as error:
            stale = error.kind is Kind.UPSTREAM_BROKEN and connection.served > 0 and not answer.touched
            if not stale or not isinstance(request.body, bytes):
                raise
        connection = await pool.fresh(request.deadlines)
        return await self._headed(pool, connection.exchange(request))

    async def upgrade(self, request: WireRequest, on_sent: Callable[[], None] = _unheard) -> Answer | Side:
        """Ask a provider to speak WebSocket: its refusal as an ordinary answer, or the connection. Raises `GatewayError`.

        `request` is a GET without body; its head may name subprotocols. The side must be given to `tunnel`, or cut; until it is
        lost it counts in the pool of its origin. Of the deadlines, `connect` and `first_byte` hold, and `total` for a refusal.
        """
        pool = self.pools.get(request.origin) or self._pool(request.origin)
        connection = await pool.fresh(request.deadlines)
        on_sent()
        handshake = connection.upgrade(request)
        await self._headed(pool, handshake)
        return handshake.side or handshake

    def pools_told(self) -> list[Told]:
        """What each pool is like now."""
        return [pool.told() for pool in self.pools.values()]

    def _pool(self, origin: Origin) -> Pool[Upstream]:
        """A new pool; those that are not used any more are forgotten: the ones it replaces, or all where there are too many."""
        full = len(self.pools) >= _MAX_POOLS
        if origin.provider or full:
            past = [key for key, pool in self.pools.items() if not pool.open and (full or key.provider == origin.provider)]
            for key in past:
                del self.pools[key]

        async def connect() -> Upstream:
            connection = await dial(self._loop, lambda: Upstream(self._loop, self._sweep), origin, self._names)
            connection.join(pool)
            return connection

        pool: Pool[Upstream] = Pool(origin, connect, self._room)
        self.pools[origin] = pool
        return pool

    async def _headed(self, pool: Pool[Upstream], answer: Answer) -> Answer:
        """The answer, once its head is in; the pool learns how it went."""
        try:
            await answer.headed
        except BaseException as error:
            answer.close()
            if isinstance(error, GatewayError) and error.kind in SIGNS:
                pool.width.ill(pool.asking, answer.started, self._loop.time())
            raise
        else:
            if answer.status in _BUSY:
                pool.width.ill(pool.asking, answer.started, self._loop.time())
            elif pool.width.uneasy:
                pool.width.well(pool.asking, answer.started, self._loop.time())
            return answer
        finally:
            pool.answered()

    def keep(self, origins: Collection[Origin]) -> None:
        """Close idle connections to any other place. Those in use there come to their own end; without such it is forgotten."""
        for origin, pool in [(origin, pool) for origin, pool in self.pools.items() if origin not in origins]:
            if pool.open == pool.idle:
                del self.pools[origin]
            while pool.shed():
                pass

    def close(self) -> None:
        """Close every idle connection."""
        self.keep(())


def head_of(request: WireRequest) -> bytes:
    """What goes before the body, byte for byte. It holds the credential."""
    origin, target, head = request.origin, request.path, request.head
    if origin.proxy is not None and origin.scheme == "http":  # absolute-form (RFC 9112 section 3.2.2)
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"http://{host}:{origin.port}{target}"
        if origin.proxy.authorization is not None:
            head += b"proxy-authorization: " + origin.proxy.authorization + b"\r\n"
    method, place, body = _METHODS[request.method], target.encode("ascii"), request.body
    if not isinstance(body, bytes):
        framing = b"transfer-encoding: chunked" if body.length is None else b"content-length: %d" % body.length
        return b"%b %b HTTP/1.1\r\n%bcontent-type: %b\r\n%b\r\n\r\n" % (method, place, head, request.content_type, framing)
    if body or request.method == "POST":
        parts = (method, place, head, request.content_type, len(body))
        return b"%b %b HTTP/1.1\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n" % parts
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, place, head)
