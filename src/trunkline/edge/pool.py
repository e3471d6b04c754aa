"""Connections to one origin: how many there may be, who waits, which is used next. No socket is touched here.

The most recently used connection is taken first, so that idle ones age and close.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin


class Pooled(Protocol):
    """A connection as far as the pool cares."""

    def usable(self) -> bool:
        """Open, idle, with nothing unread."""
        ...


C = TypeVar("C", bound=Pooled)


class Pool(Generic[C]):
    """Bounded connections to one origin."""

    def __init__(self, origin: Origin, connect: Callable[[], Awaitable[C]]) -> None:
        """`connect` opens one connection, or raises `GatewayError`."""
        self.origin = origin
        self.open = 0
        """Connections open or being opened."""
        self._connect = connect
        self._idle: list[C] = []
        self._waiting: deque[asyncio.Future[C | None]] = deque()

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting)

    def take(self) -> C | None:
        """An idle connection, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
        return None

    async def fresh(self) -> C:
        """A new connection, waiting for room when the origin is at its bound. Raises `GatewayError`."""
        if self.open >= self.origin.max_connections:
            connection = await self._wait()
            if connection is not None:
                return connection
        else:
            self.open += 1
        try:
            return await self._connect()
        except BaseException:
            self.lost()
            raise

    def give_back(self, connection: C) -> None:
        """A connection whose answer was read to its end."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def lost(self, connection: C | None = None) -> None:
        """A connection closed, or was never opened: its room goes to whoever waits longest."""
        if connection is not None and connection in self._idle:
            self._idle.remove(connection)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the room is handed over, so `open` stays
                return
        self.open -= 1

    async def _wait(self) -> C | None:
        if len(self._waiting) >= self.origin.max_waiting:
            raise _exhausted()
        waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.origin.pool_wait):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # handed something in the tick we were cancelled in
                connection = waiter.result()
                if connection is None:
                    self.lost()
                else:
                    self.give_back(connection)
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise _exhausted() from None
            raise


def _exhausted() -> GatewayError:
    return GatewayError(
        Kind.OVERLOADED,
        "All connections to the provider are busy. Try again shortly.",
        retry_after=1.0,
        code="provider_connections_busy",
    )
