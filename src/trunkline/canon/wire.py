"""What one HTTP exchange with a provider needs to know, as plain values.

How bytes are sent belongs in `edge`; who the provider is and what its credential is belongs in `providers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from typing_extensions import override


class Deadlines(msgspec.Struct, frozen=True):
    """How long each phase of an upstream exchange may take, in seconds."""

    connect: float = 5.0
    """From opening a connection to having one, name look-up and TLS handshake included."""
    first_byte: float = 60.0
    """From the request's last byte to the first byte of the answer's body."""
    idle: float = 60.0
    """Between two pieces of the answer's body, or in which a provider takes none of a body that is passed on to it.

    Does not run while the client's own slowness holds us back.
    """
    total: float = 600.0
    """From the start to the end of the exchange."""


class TlsSettings(msgspec.Struct, frozen=True):
    """How to trust a provider. Paths are PEM files. `verify=False` is only ever an explicit choice."""

    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    digest: bytes = b""
    """Of what is in the files: others under the same names are other settings, with connections of their own."""


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy. `authorization` is the ready value of `proxy-authorization`, or None."""

    host: str
    port: int
    authorization: bytes | None = None

    @override
    def __repr__(self) -> str:
        """The address without the credential."""
        return f"Proxy({self.host}:{self.port})"


class Origin(msgspec.Struct, frozen=True):
    """Where connections go and how many there may be: the key of one connection pool."""

    scheme: str
    """`http` or `https`."""
    host: str
    port: int
    tls: TlsSettings = TlsSettings()
    proxy: Proxy | None = None
    provider: str = ""
    """Whose pool it is: two providers at one place do not share one."""
    min_connections: int = 8
    """Unanswered requests there may always be at once, however overloaded it shows itself."""
    max_connections: int = 512
    """Bound on open connections to this origin, and on its unanswered requests while it shows no overload."""
    max_waiting: int = 1024
    """Bound on requests waiting for one of them."""
    pool_wait: float = 1.0
    """Seconds a request may wait for a free connection before it is answered 503."""
    keep_idle: float = 30.0
    """Seconds an unused connection is kept."""
    address: str = ""
    """Connect here, an IP address that was checked, instead of looking `host` up; TLS and its name stay those of `host`."""


class Body(Protocol):
    """A request's body that is passed on while it arrives, never held whole."""

    length: int | None
    """Bytes, where they are known beforehand; else it is sent in chunks."""

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Push every piece into `sink`, in the tick it arrives in, until the end. Called once.

        Raises `GatewayError` where its sender breaks off, is too slow, or sends more than it may.
        """
        ...

    def pause(self) -> None:
        """Whoever takes it is slow: bring no more."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class WireRequest(msgspec.Struct, frozen=True):
    """One request, ready to send: to a provider nearly always a POST of JSON."""

    origin: Origin
    path: str
    head: bytes
    """Complete header lines, each ending CRLF, without framing fields and content type. May hold a credential."""
    body: bytes | Body
    deadlines: Deadlines
    limit: int
    """Bytes the answer's body may have, inflated."""
    method: Literal["POST", "GET", "DELETE"] = "POST"
    """A GET or DELETE with an empty body says nothing of one."""
    content_type: bytes = b"application/json"
    """Of the body."""

    @override
    def __repr__(self) -> str:
        """The place only: the head holds a credential, the body a prompt."""
        return f"WireRequest({self.origin.scheme}://{self.origin.host}:{self.origin.port}{self.path})"
