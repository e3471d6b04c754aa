"""What all connections of a listener share."""

from __future__ import annotations

import asyncio
from typing import Any

from trunkline.edge.limits import ServerLimits
from trunkline.edge.server import Server
from trunkline.edge.timers import Sweep


class Connection:
    """Remembers what it was told, and leaves when it was."""

    client = "127.0.0.1"

    def __init__(self, server: Server) -> None:
        self._server = server
        self.told: list[str] = []
        server.connections.add(self)

    def drain(self) -> None:
        """Leave."""
        self.told.append("drain")
        self._server.connections.discard(self)

    def interrupt(self) -> None:
        """Leave."""
        self.told.append("interrupt")
        self._server.connections.discard(self)


async def test_all_connections_are_told_though_they_leave_meanwhile(rig: Any) -> None:
    """A connection that closes while the others are being told must not spare one of them."""
    loop = asyncio.get_running_loop()
    server = Server(loop, rig.app, ServerLimits(), Sweep(loop), lambda: b"date: now\r\n")
    first = [Connection(server) for _ in range(5)]
    server.drain()
    second = [Connection(server) for _ in range(5)]
    server.interrupt()
    assert server.draining
    assert [connection.told for connection in first + second] == [["drain"]] * 5 + [["interrupt"]] * 5
    assert server.connections == set()
