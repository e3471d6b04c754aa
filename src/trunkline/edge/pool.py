"""Connections to one provider: how many there may be, who waits, which is used next. No socket is touched here.

The most recently used connection is taken first, so that idle ones age and close: what the load of the last `keep_idle` seconds
did not need goes. Who waits is served in the order of arrival; nobody overtakes. A request needs a place among the unanswered
ones (`width`) and a connection; the place is free again when its answer begins, the connection when it ends.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin
from trunkline.edge.width import Width

_AT_ONCE = 64
"""Connections of one pool that are opened at the same time: after an outage, and at a cold start, no herd of handshakes."""
_SHARE = 4
"""How much more than what is left one pool may hold of all descriptors."""
SIGNS = {Kind.UPSTREAM_UNREACHABLE, Kind.UPSTREAM_TIMEOUT}
"""Failures that may be a provider's way to say that it is asked too much."""


class Pooled(Protocol):
    """A connection as far as the pool cares."""

    def usable(self) -> bool:
        """Open, idle, with nothing unread."""
        ...

    def drop(self) -> None:
        """Close at once; the pool is told by `lost`."""
        ...


C = TypeVar("C", bound=Pooled)


class Told(msgspec.Struct, frozen=True):
    """What a pool is like now, for whoever watches."""

    provider: str
    idle: int
    busy: int
    opening: int
    waiting: int
    """Requests that wait for a place or a connection."""
    asking: int
    """Requests whose answer has not begun."""
    limit: int
    """How many of those there may be."""
    most: int
    """How many connections there may be."""
    rejected: int
    """Requests that were told to come again later, since the pool was made."""


class Room:
    """The descriptors that all pools share.

    Beyond its first, a pool may hold at most `_SHARE` times what is left, so that something is always left for the others,
    however many are stuck (Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches, 1998).
    """

    def __init__(self, most: int) -> None:
        """`most`: connections, all pools together."""
        self.most = most
        self.taken = 0
        self.pools: set[Pool[Any]] = set()
        """Those with a connection."""
        self.short: dict[Pool[Any], bool] = {}
        """Those whose requests wait for what another pool lets go, in that order; whether one is being closed for it."""

    def has_more(self, pool: Pool[Any]) -> bool:
        """Whether `pool` may open one more; if not, an idle connection of the pool that has most of them is closed for it."""
        if not pool.open or pool.open < _SHARE * (self.most - self.taken):
            return True
        if not self.short.get(pool):
            self.short[pool] = max(self.pools, key=lambda one: one.idle, default=pool).shed()
        return False

    def make_way(self, pool: Pool[Any]) -> None:
        """`pool` has an idle connection: whoever waits for one to be closed, waited for this."""
        for waits, closing in self.short.items():
            if not closing:
                self.short[waits] = pool.shed()
                return

    def freed(self) -> None:
        """A descriptor was let go."""
        self.taken -= 1
        short, self.short = self.short, {}
        for pool in short:
            pool.serve()


class Pool(Generic[C]):
    """Bounded connections to one provider."""

    def __init__(self, origin: Origin, connect: Callable[[], Awaitable[C]], room: Room) -> None:
        """`connect` opens one connection, or raises `GatewayError`."""
        self.origin = origin
        self.open = 0
        """Connections open or being opened."""
        self.opening = 0
        self.asking = 0
        """Requests whose answer has not begun."""
        self.rejected = 0
        """Requests that got no connection in time."""
        self.width = Width(origin.min_connections, origin.max_connections)
        self._room = room
        self._connect = connect
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._idle: deque[C] = deque()
        self._waiting: deque[asyncio.Future[C | None]] = deque()

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place or a connection."""
        return len(self._waiting)

    def told(self) -> Told:
        """What it is like now."""
        busy = self.open - self.opening - self.idle
        told = (self.origin.provider, self.idle, busy, self.opening, self.waiting, self.asking)
        return Told(*told, self.width.now, self.origin.max_connections, self.rejected)

    def take(self) -> C | None:
        """An idle connection for a request that need not wait, or None. Whoever has it calls `answered` once."""
        if self._waiting or self.asking >= self.width.now:
            return None
        connection = self._kept()
        if connection is not None:
            self.asking += 1
        return connection

    async def fresh(self, deadlines: Deadlines) -> C:
        """A new connection, or one that came free while we waited. Whoever has it calls `answered` once. Raises `GatewayError`.

        Waits for room at most as long as the origin allows, then for its turn to connect, and for the connection, each as long
        as `connect`; all end with `total`.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadlines.total
        if self._waiting or self.asking >= self.width.now or not self._may_open():
            connection = await self._wait(min(self.origin.pool_wait, deadlines.total))
            if connection is not None:
                return connection
        else:
            self._claim(None)
        began = late = math.inf
        self.opening += 1
        try:
            async with asyncio.timeout_at(min(end, loop.time() + deadlines.connect)) as limit, self._turns:
                began = loop.time()
                late = began + deadlines.connect
                limit.reschedule(min(end, late))
                return await self._connect()
        except BaseException as error:
            # Where the request had less time than a connection may take, it tells nothing of the provider.
            if (isinstance(error, TimeoutError) and late <= end) or (isinstance(error, GatewayError) and error.kind in SIGNS):
                self.width.ill(self.asking, began, loop.time())
            self._let_go(None)
            if not isinstance(error, TimeoutError):
                raise
            if began == math.inf:  # it had no turn
                raise self._rejected() from None
            raise GatewayError(Kind.UPSTREAM_TIMEOUT, "The provider did not accept a connection in time.") from None
        finally:
            self.opening -= 1

    def answered(self) -> None:
        """An answer began, or never will: its place is free."""
        self.asking -= 1
        if self._waiting:
            self.serve()

    def give_back(self, connection: C) -> None:
        """A connection whose answer was read to its end."""
        self._idle.append(connection)
        if self._waiting:
            self.serve()
        if self._room.short:
            self._room.make_way(self)

    def lost(self, connection: C | None = None) -> None:
        """A connection closed, or was never opened: its room goes to whoever waits longest."""
        if connection is not None and connection in self._idle:
            self._idle.remove(connection)
        self.open -= 1
        if not self.open:
            self._room.pools.discard(self)
        self._room.freed()
        if self._waiting:
            self.serve()

    def shed(self) -> bool:
        """Close the connection that has been idle longest. False where there is none."""
        if not self._idle:
            return False
        self._idle.popleft().drop()
        return True

    def serve(self) -> None:
        """Hand out what there is, first come, first served."""
        while self._waiting and self.asking < self.width.now:
            if self._waiting[0].done():  # cancelled, and has not run since
                self._waiting.popleft()
                continue
            connection = self._kept()
            if connection is None and not self._may_open():
                return
            self._claim(connection)
            self._waiting.popleft().set_result(connection)

    def _kept(self) -> C | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
        return None

    def _may_open(self) -> bool:
        return self.open < self.origin.max_connections and self._room.has_more(self)

    def _claim(self, connection: C | None) -> None:
        """A place, and room for a new connection where none is given."""
        self.asking += 1
        if connection is None:
            self.open += 1
            self._room.taken += 1
            self._room.pools.add(self)

    def _let_go(self, connection: C | None) -> None:
        """What `_claim` took is free for the next."""
        self.asking -= 1
        if connection is None:
            self.lost()
        elif connection.usable():
            self.give_back(connection)

    async def _wait(self, patience: float) -> C | None:
        """A connection, or None: room for one. What it hands over is claimed."""
        if len(self._waiting) >= self.origin.max_waiting:
            raise self._rejected()
        waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self.serve()  # a new connection was wanted, but an idle one is as good as waiting for it
        try:
            async with asyncio.timeout(patience):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # handed something in the tick we were cancelled in
                self._let_go(waiter.result())
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise self._rejected() from None
            raise

    def _rejected(self) -> GatewayError:
        self.rejected += 1
        return GatewayError(
            Kind.OVERLOADED,
            "All connections to the provider are busy. Try again shortly.",
            retry_after=1.0,
            code="provider_connections_busy",
        )
