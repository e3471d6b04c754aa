"""The opening handshake of WebSocket (RFC 6455 section 4): what is asked, what must come back, and a provider's answer to it.

What passes afterwards belongs to `tunnel`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping

from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines
from trunkline.edge.answer import Answer, Carrier
from trunkline.edge.side import Side

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_VERSION = b"13"


def key_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's key, where these headers of a GET ask for WebSocket as they must; else nothing: it is an ordinary GET."""
    key = headers.get(b"sec-websocket-key", b"")
    asked = _upgrades(headers) and headers.get(b"sec-websocket-version") == _VERSION
    return key if asked and _KEY.fullmatch(key) else b""


def accept(key: bytes) -> bytes:
    """What whoever understood `key` says in `sec-websocket-accept`."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())


def accepting(key: bytes) -> bytes:
    """The header lines of a 101 to whoever sent `key`."""
    return b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: %b\r\n" % accept(key)


def new_key() -> bytes:
    """A key of our own: 16 random bytes."""
    return base64.b64encode(os.urandom(16))


def asking(key: bytes) -> bytes:
    """The header lines of a GET that asks for WebSocket. No extension is offered: what passes can be read."""
    return b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n" % key


class Handshake(Answer):
    """A provider's answer to an upgrade: 101 makes `side`, anything else is an ordinary answer."""

    __slots__ = ("_accept", "_switch", "side")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        carrier: Carrier,
        bounds: tuple[Deadlines, int],
        accepted: bytes,
        switch: Callable[[bytes], Side],
    ) -> None:
        """`bounds` as in `Answer`; `switch` makes the connection a side, given what came behind the 101."""
        super().__init__(loop, carrier, *bounds)
        self._accept = accepted
        self._switch = switch
        self.side: Side | None = None

    @override
    def on_headers_complete(self) -> None:
        if self._parser is None or self._parser.get_status_code() != 101:
            super().on_headers_complete()
        elif not _upgrades(self.headers) or self.headers.get(b"sec-websocket-accept") != self._accept:
            raise _wrong("It agreed to something else than WebSocket.")
        elif b"sec-websocket-extensions" in self.headers:
            raise _wrong("It chose an extension of WebSocket that was not offered.")

    @override
    def _upgraded(self, rest: bytes) -> None:
        self._over()
        self.side = self._switch(rest)
        self.side.headers = self.headers
        if not self.headed.done():
            self.headed.set_result(None)

    @override
    def close(self) -> None:
        if self.side is not None:
            self.side.cut()
        super().close()


def _upgrades(headers: Mapping[bytes, bytes]) -> bool:
    tokens = {token.strip().lower() for token in headers.get(b"connection", b"").split(b",")}
    return b"upgrade" in tokens and headers.get(b"upgrade", b"").strip().lower() == b"websocket"


def _wrong(message: str) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider's answer cannot be used. {message}")
