"""One end of a tunnel: a connection that no longer speaks HTTP.

Whoever made the connection keeps the books of it and is told when it is lost. What passes between two of them is `tunnel`'s.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

#: Seconds of silence before the system asks a peer whether it lives, between two such questions, and how many are asked.
_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Taker(Protocol):
    """What a side tells of itself."""

    def came(self, side: Side, data: bytes) -> None:
        """Bytes arrived."""
        ...

    def ended(self, side: Side) -> None:
        """Its peer will send no more."""
        ...

    def lost(self, side: Side) -> None:
        """The connection is gone."""
        ...

    def full(self, side: Side) -> None:
        """Its peer is slow: bring no more."""
        ...

    def free(self, side: Side) -> None:
        """Its peer caught up."""
        ...


class Side(asyncio.Protocol):
    """The protocol of a connection from the moment it changed. Reads nothing until it is joined."""

    def __init__(
        self, transport: asyncio.Transport, on_lost: Callable[[Exception | None], None], ahead: bytes, *, ended: bool = False
    ) -> None:
        """`on_lost`: of the connection's keeper. `ahead`: what had arrived. `ended`: the peer will send no more."""
        self.transport = transport
        self.headers: dict[bytes, bytes] = {}
        """What a provider said in its 101."""
        self.ended = ended
        self.gone = False
        self._on_lost = on_lost
        self._ahead = ahead
        self._taker: Taker | None = None
        transport.pause_reading()
        transport.set_protocol(self)
        _keep_alive(transport.get_extra_info("socket"))

    def join(self, taker: Taker) -> None:
        """Begin to read; what had come is told at once."""
        self._taker = taker
        ahead, self._ahead = self._ahead, b""
        if ahead:
            taker.came(self, ahead)
        if self.gone:
            taker.lost(self)
        elif self.ended:
            taker.ended(self)
        self.transport.resume_reading()

    def cut(self) -> None:
        """Drop the connection at once."""
        self.transport.abort()

    # the transport's calls ------------------------------------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        if self._taker is None:
            self._ahead += data
        else:
            self._taker.came(self, data)

    @override
    def eof_received(self) -> bool:
        self.ended = True
        if self._taker is not None:
            self._taker.ended(self)
        return self.transport.can_write_eof()  # TLS knows no half-closed connection

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.gone = True
        self._on_lost(exc)
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.lost(self)

    @override
    def pause_writing(self) -> None:
        if self._taker is not None:
            self._taker.full(self)

    @override
    def resume_writing(self) -> None:
        if self._taker is not None:
            self._taker.free(self)


def _keep_alive(sock: socket.socket) -> None:
    """A tunnel may be silent for hours: let the system find out whether its peer is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE:
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
