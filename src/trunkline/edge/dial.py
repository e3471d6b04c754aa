"""Opening a connection to a provider: TCP, through a proxy where there is one, TLS. Errors become words here.

TCP_NODELAY is set by the event loop on every connection it makes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

import httptools
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, Proxy
from trunkline.edge.tls import client_context

P = TypeVar("P", bound=asyncio.Protocol)
_MAX_PROXY_HEAD = 16 * 1024


async def dial(loop: asyncio.AbstractEventLoop, factory: Callable[[], P], origin: Origin) -> P:
    """A connected protocol made by `factory`. Raises `GatewayError`; the message names no host."""
    context = _context(origin) if origin.scheme == "https" else None
    try:
        if origin.proxy is None:
            name = origin.host if origin.address and context is not None else None
            _, protocol = await loop.create_connection(
                factory, origin.address or origin.host, origin.port, ssl=context, server_hostname=name
            )
        elif context is None:
            _, protocol = await loop.create_connection(factory, origin.proxy.host, origin.proxy.port)
        else:
            protocol = await _tunnel(loop, factory, origin, origin.proxy, context)
    except ssl.SSLCertVerificationError as error:
        raise GatewayError(
            Kind.UPSTREAM_TLS, f"The provider's certificate could not be verified: {error.verify_message}."
        ) from error
    except ssl.SSLError as error:
        raise GatewayError(Kind.UPSTREAM_TLS, "No TLS connection to the provider could be made.") from error
    except socket.gaierror as error:
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, "The provider's host name was not found.") from error
    except UnicodeError as error:  # what the resolver says to a name that cannot be one
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, "The provider's host name is not valid.") from error
    except OSError as error:
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, f"The provider could not be reached ({_reason(error)}).") from error
    return protocol


def _context(origin: Origin) -> ssl.SSLContext:
    try:
        return client_context(origin.tls)
    except OSError as error:  # ssl.SSLError is one
        raise GatewayError(Kind.UPSTREAM_TLS, "The certificate files configured for this provider cannot be used.") from error


def _reason(error: OSError) -> str:
    names: dict[type[OSError], str] = {ConnectionRefusedError: "connection refused", ConnectionResetError: "connection reset"}
    return names.get(type(error), "no route or no answer")


async def _tunnel(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], P], origin: Origin, proxy: Proxy, context: ssl.SSLContext
) -> P:
    transport, handshake = await loop.create_connection(lambda: _Connect(loop), proxy.host, proxy.port)
    try:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        place = f"{host}:{origin.port}".encode("ascii")
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
