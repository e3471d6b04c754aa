"""Opening a connection to a provider: TCP, through a proxy where there is one, TLS. Errors become words here.

TCP_NODELAY is set by the event loop on every connection it makes. Which addresses a name has is told by `names`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import TypeVar, cast

import httptools
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, Proxy
from trunkline.edge.names import Names
from trunkline.edge.tls import client_context

P = TypeVar("P", bound=asyncio.Protocol)
_MAX_PROXY_HEAD = 16 * 1024
_HEAD_START = 0.25
"""Seconds an address has before the next one is tried beside it (RFC 8305 section 5)."""
_MAX_ADDRESSES = 16


async def dial(loop: asyncio.AbstractEventLoop, factory: Callable[[], P], origin: Origin, names: Names) -> P:
    """A connected protocol made by `factory`. Raises `GatewayError`; the message names no host."""
    context = _context(origin) if origin.scheme == "https" else None
    try:
        if origin.proxy is None:
            sock = await _reach(loop, names, origin.address or origin.host, origin.port)
            name = origin.host if context is not None else None
            _, protocol = await loop.create_connection(factory, sock=sock, ssl=context, server_hostname=name)
        elif context is None:
            sock = await _reach(loop, names, origin.proxy.host, origin.proxy.port)
            _, protocol = await loop.create_connection(factory, sock=sock)
        else:
            sock = await _reach(loop, names, origin.proxy.host, origin.proxy.port)
            protocol = await _tunnel(loop, factory, sock, origin, context)
    except ssl.SSLCertVerificationError as error:
        raise GatewayError(
            Kind.UPSTREAM_TLS, f"The provider's certificate could not be verified: {error.verify_message}."
        ) from error
    except ssl.SSLError as error:
        raise GatewayError(Kind.UPSTREAM_TLS, "No TLS connection to the provider could be made.") from error
    except socket.gaierror as error:
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, "The provider's host name was not found.") from error
    except OSError as error:
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, f"The provider could not be reached ({_reason(error)}).") from error
    return protocol


async def _reach(loop: asyncio.AbstractEventLoop, names: Names, host: str, port: int) -> socket.socket:
    """A socket connected to one of the addresses of `host`. Raises OSError."""
    addresses = await names(host, port)
    try:
        return await _first(loop, _in_turns(addresses), port)
    except BaseException:
        names.doubt(host)
        raise


async def _first(loop: asyncio.AbstractEventLoop, addresses: list[str], port: int) -> socket.socket:
    """A socket connected to the address that takes it first. Raises OSError: that of the first to fail.

    Each has a head start before the next one is tried beside it: Happy Eyeballs, RFC 8305. uvloop by itself would wait for one
    after the other.
    """
    left = deque(addresses)
    won: list[socket.socket] = []
    errors: list[OSError] = []
    tries: set[asyncio.Task[None]] = set()
    try:
        while left or tries:
            if left:
                tries.add(loop.create_task(_try(loop, (left.popleft(), port), won, errors)))
            _, tries = await asyncio.wait(tries, timeout=_HEAD_START if left else None, return_when=asyncio.FIRST_COMPLETED)
            if won:
                return won[0]
    except BaseException:
        for sock in won:
            sock.close()
        raise
    finally:
        for task in tries:
            task.cancel()
    raise errors[0]


def _in_turns(addresses: list[str]) -> list[str]:
    """The families by turns, beginning with the first address's (RFC 8305 section 4)."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    other = [address for address in addresses if (":" in address) != (":" in addresses[0])]
    turns = chain.from_iterable(zip_longest(first, other))
    return [address for address in turns if address is not None][:_MAX_ADDRESSES]


async def _try(
    loop: asyncio.AbstractEventLoop, address: tuple[str, int], won: list[socket.socket], errors: list[OSError]
) -> None:
    """Connect to one address; the first to do so is the only one in `won`."""
    try:
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET))
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            if not won:
                won.append(sock)
                stack.pop_all()
    except OSError as error:
        errors.append(error)


def _context(origin: Origin) -> ssl.SSLContext:
    try:
        return client_context(origin.tls)
    except OSError as error:  # ssl.SSLError is one
        raise GatewayError(Kind.UPSTREAM_TLS, "The certificate files configured for this provider cannot be used.") from error


def _reason(error: OSError) -> str:
    names: dict[type[OSError], str] = {ConnectionRefusedError: "connection refused", ConnectionResetError: "connection reset"}
    return names.get(type(error), "no route or no answer")


async def _tunnel(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], P], sock: socket.socket, origin: Origin, context: ssl.SSLContext
) -> P:
    transport, handshake = await loop.create_connection(lambda: _Connect(loop), sock=sock)
    try:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        place = f"{host}:{origin.port}".encode("ascii")
        proxy = cast("Proxy", origin.proxy)
        credential = b"" if proxy.authorization is None else b"proxy-authorization: %b\r\n" % proxy.authorization
        transport.write(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (place, place, credential))
        await handshake.opened
        protocol = factory()
        secure = await loop.start_tls(transport, protocol, context, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(cast("asyncio.Transport", secure))
    return protocol


class _Connect(asyncio.Protocol):
    """The proxy's answer to CONNECT (RFC 9110 section 9.3.6): any 2xx opens the tunnel."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0

    @override
    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError:
            self._fail("the proxy's answer is not HTTP")
        if self._size > _MAX_PROXY_HEAD:
            self._fail("the proxy's answer is too long")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def on_headers_complete(self) -> None:
        """The proxy's verdict."""
        status = self._parser.get_status_code()
        if 200 <= status < 300:
            if not self.opened.done():
                self.opened.set_result(None)
        else:
            self._fail(f"the proxy answered {status}")

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(GatewayError(Kind.UPSTREAM_UNREACHABLE, f"The provider could not be reached: {reason}."))
