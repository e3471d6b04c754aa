"""Accepting connections, with bounds: when there are too many, or no file descriptors are left, accepting pauses.

The event loop's own listeners cannot pause, and spin when descriptors run out; hence this one.
"""

from __future__ import annotations

import asyncio
import mmap
import resource
import socket
import ssl
from collections import Counter
from functools import partial

from trunkline.edge.connection import Connection
from trunkline.edge.server import Served, Server

_BACKLOG = 2048
_SEND_BUFFER = 128 * 1024
"""Bytes the kernel may hold for a slow client (Linux doubles it); left to itself it takes 4 MB, and the provider is read on."""
_BATCH = 64
"""Connections accepted in one tick, so that a flood leaves time for the rest."""
_RESERVE = 64
"""Descriptors left to the rest of the house: the other listener, the journal, the store."""
_REST = 0.1
"""Seconds to wait after the system refused us a connection: out of descriptors or memory, most likely."""
_STEP_BACK = 0.002
"""Seconds in which a process with fewer connections may take the one that waits."""
_ABSENT = 2**62
"""More connections than a process can have: nobody steps back for one that is not there."""


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket, non-blocking. Raises OSError when the address is taken or not ours."""
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # inherited by what is accepted
        sock.setblocking(False)
        sock.bind(place)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def address(sock: socket.socket) -> str:
    """`host:port` as bound, IPv6 hosts in brackets."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def room(wanted: int) -> int:
    """How many of `wanted` connections the descriptors of this process allow: each may need a second one to its provider."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(1, (soft - _RESERVE) // 2))


class Fair:
    """How many connections each of several processes has that accept from one socket, in memory which they share.

    Whoever wakes first would take them all: measured with four idle processes and a hundred connections, 89 of them. With
    sockets of their own (SO_REUSEPORT) the kernel throws dice, and what waits at a process that dies is lost.
    """

    def __init__(self, processes: int) -> None:
        """Make it before forking. All are absent at first."""
        self._counts = memoryview(mmap.mmap(-1, 8 * processes)).cast("q")
        for number in range(processes):
            self.leave(number)

    def enter(self, number: int) -> None:
        """This process takes part from now on, with no connection yet."""
        self._counts[number] = 0

    def leave(self, number: int) -> None:
        """It takes no more."""
        self._counts[number] = _ABSENT

    def count(self, number: int, change: int) -> None:
        """It has one more or one less; only it itself may say so."""
        self._counts[number] += change

    def first(self, number: int) -> bool:
        """Nobody has clearly fewer: where there are many, a few more or less are not worth a wait."""
        least = min(self._counts)
        return self._counts[number] <= least + least // 8


class Listener:
    """One listening socket and the server behind it."""

    def __init__(
        self,
        sock: socket.socket,
        server: Server,
        tls: ssl.SSLContext | None = None,
        shared: tuple[Fair, int] | None = None,
    ) -> None:
        """`shared`: who else accepts from `sock`, and which of them this process is."""
        self._sock = sock
        self._server = server
        self._tls = tls
        self._fair: Fair | None
        self._fair, self._number = shared or (None, 0)
        if self._fair is not None:
            self._fair.enter(self._number)
        self._loop = server.loop
        self._bound = room(server.limits.max_connections)
        self._opening: set[asyncio.Task[None]] = set()
        self._per_ip: Counter[str] = Counter()
        self._accepting = False
        self._closed = False
        server.on_close = self._left

    @property
    def address(self) -> str:
        """`host:port` as bound, IPv6 hosts in brackets."""
        return address(self._sock)

    def start(self) -> None:
        """Begin (or go on) accepting."""
        if not self._accepting and not self._closed:
            self._accepting = True
            self._loop.add_reader(self._sock, self._accept if self._fair is None else self._take_turns)

    def stop(self) -> None:
        """Accept no more and refuse new connections."""
        if not self._closed:
            self._rest()
            self._closed = True
            self._sock.close()
            if self._fair is not None:
                self._fair.leave(self._number)

    def _rest(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._sock)

    def _full(self) -> bool:
        return len(self._server.connections) + len(self._opening) >= self._bound

    def _take_turns(self) -> None:
        """Take one where nobody has fewer; else leave it to others for a moment, and take then what is still there."""
        assert self._fair is not None  # noqa: S101 - as `start` saw
        if self._fair.first(self._number):
            self._accept(1)
        else:
            self._rest()
            self._loop.call_later(_STEP_BACK, self._after_others)

    def _after_others(self) -> None:
        self.start()
        if self._accepting:
            self._accept(1)

    def _accept(self, most: int = _BATCH) -> None:
        for _ in range(most):
            if self._full():
                self._rest()
                return
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._rest()
                self._loop.call_later(_REST, self.start)
                return
            self._open(sock, str(peer[0]).removeprefix("::ffff:"))  # an IPv4 peer is the same one on any socket

    def _open(self, sock: socket.socket, ip: str) -> None:
        bound = self._server.limits.max_connections_per_ip
        if bound is not None and self._per_ip[ip] >= bound:
            sock.close()
            return
        self._count(ip, 1)
        sock.setblocking(False)
        task = self._loop.create_task(self._connect(sock, ip))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._go_on()

    async def _connect(self, sock: socket.socket, ip: str) -> None:
        timeout = self._server.limits.header_timeout if self._tls is not None else None
        try:
            await self._loop.connect_accepted_socket(
                partial(Connection, self._server, ip), sock, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError):  # the peer left, or speaks no TLS: nothing to answer
            sock.close()
            self._forget(ip)

    def _left(self, connection: Served) -> None:
        self._forget(connection.client)

    def _count(self, ip: str, change: int) -> None:
        self._per_ip[ip] += change
        if self._fair is not None and not self._closed:
            self._fair.count(self._number, change)

    def _forget(self, ip: str) -> None:
        self._count(ip, -1)
        if self._per_ip[ip] <= 0:
            del self._per_ip[ip]
        self._go_on()

    def _go_on(self) -> None:
        if not self._accepting and not self._full():
            self.start()
