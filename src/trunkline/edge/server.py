"""What all client connections of one listener share, and what they ask of the app behind them.

One connection's life belongs to `connection`; accepting to `listener`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from trunkline.canon.errors import GatewayError
from trunkline.edge.limits import ServerLimits
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.timers import Sweep

Task = Coroutine[Any, Any, None]


class Call(Protocol):
    """A request whose head was accepted."""

    max_body: int
    """Bytes its body may have."""
    streams: bool
    """It takes its body while it arrives: `start` is called when the head is in."""

    def start(self, request: Request, reply: Reply) -> Task | None:
        """Answer at once and return None, or return the coroutine that will, and that never raises.

        The body is in, `request.body`; where the call `streams` and there is one, it is `request.stream` instead. An answer
        that is sent before the stream's end closes the connection. Where `request.websocket` is set, `tunnel` may take over.
        """
        ...


class App(Protocol):
    """What the server calls."""

    def begin(self, request: Request) -> Call:
        """The head is in. Raises `GatewayError` to refuse before the body is read."""
        ...

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:
        """Answer with this error, in the dialect of the request's path."""
        ...


class Served(Protocol):
    """One client's connection, as far as the server looks after it."""

    client: str
    """The peer's IP address."""

    def drain(self) -> None:
        """Close when idle; a busy connection closes after its answer."""
        ...

    def interrupt(self) -> None:
        """Cancel the request being answered, or close."""
        ...


class Server:
    """What all connections of one listener share."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, app: App, limits: ServerLimits, sweep: Sweep, date: Callable[[], bytes]
    ) -> None:
        """`date` gives the current `date` header line; it is asked once per request."""
        self.loop = loop
        self.app = app
        self.limits = limits
        self.sweep = sweep
        self.date = date
        self.connections: set[Served] = set()
        self.draining = False
        self.on_close: Callable[[Served], None] = lambda _: None

    def drain(self) -> None:
        """Close idle connections; the others close after their answer."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()

    def interrupt(self) -> None:
        """Cancel every request that is still being answered; its handler says the last words."""
        for connection in tuple(self.connections):
            connection.interrupt()
