"""A request's head: what llhttp parsed, checked for what llhttp lets through. Sans-io.

Refused here, with 400 and the end of the connection: everything two HTTP parsers could read in two ways.
"""

from __future__ import annotations

import re

import httptools

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Body
from trunkline.edge.handshake import key_of
from trunkline.edge.limits import ServerLimits

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")
_TE_LINE = re.compile(rb"\r\ntransfer-encoding: ?chunked\r\n", re.IGNORECASE)
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_VERSIONS = {"1.1", "1.0"}


class Request:
    """One request. `headers` has lower-case names; `body` is whole once the request is handled."""

    __slots__ = (
        "body",
        "client",
        "headers",
        "keep_alive",
        "length",
        "method",
        "path",
        "query",
        "started",
        "stream",
        "version",
        "websocket",
    )

    def __init__(self, client: str, started: float) -> None:
        """`client` is the peer's IP address, `started` the monotonic clock at the first byte."""
        self.client = client
        self.started = started
        self.method = ""
        self.path = ""
        self.query = b""
        self.version = ""
        self.headers: dict[bytes, bytes] = {}
        self.keep_alive = True
        self.length: int | None = 0
        """Length of the body in bytes; None where it comes in chunks."""
        self.body = b""
        self.stream: Body | None = None
        """The body while it arrives, for a call that streams; None where there is none, or where it is in `body`."""
        self.websocket = b""
        """The client's key, where it soundly asks to speak WebSocket from here on; else empty."""


class HeadParser:
    """Parses one head. Feed bytes up to and including the blank line; `done` tells when it was seen."""

    def __init__(self, request: Request, limits: ServerLimits) -> None:
        self._request = request
        self._headers = request.headers
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._raw: list[bytes] = []
        self._url = b""
        self._hosts_again = False
        self._count = 0
        self.size = 0
        self.tail = b""
        """The last three bytes fed, so that a blank line cut in two is found."""
        self.done = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the head. Raises `GatewayError`; the connection cannot be used after that."""
        self.size += len(data)
        self._raw.append(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # whether it is taken up, its call decides (RFC 9110 section 7.8); CONNECT is refused as a method
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, GatewayError):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise GatewayError(Kind.BAD_REQUEST, f"The request is not valid HTTP: {error}.", code="bad_http") from None
        if self.size > self._limits.max_header:
            raise _too_long(f"The request's head is longer than {self._limits.max_header} bytes.", 431)
        if self.done:
            self._check()
            del self._parser  # it holds our methods: a circle that only the collector would free
        else:
            self.tail = (self.tail + data[-3:])[-3:]

    # llhttp's callbacks -------------------------------------------------------------------------------------------

    def on_url(self, part: bytes) -> None:
        """A piece of the request target."""
        self._url += part
        if len(self._url) > self._limits.max_url:
            raise _too_long(f"The URL is longer than {self._limits.max_url} bytes.", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field; fields that stand twice are joined, as RFC 9110 section 5.3 joins them."""
        self._count += 1
        if self._count > self._limits.max_headers:
            raise _too_long(f"The request has more than {self._limits.max_headers} header fields.", 431)
        name, headers = name.lower(), self._headers
        if name in headers:
            self._hosts_again |= name == b"host"
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        """The blank line was seen."""
        self.done = True

    def _check(self) -> None:
        request, headers = self._request, self._headers
        method: bytes = self._parser.get_method()
        request.method = method.decode("ascii")
        request.version = self._parser.get_http_version()
        if request.version not in _VERSIONS:
            raise GatewayError(Kind.BAD_REQUEST, "Only HTTP/1.1 and HTTP/1.0 are spoken here.", code="bad_http")
        if not b"".join(self._raw).startswith(b"%b %b HTTP/" % (method, self._url)):
            raise _bad("The request line has more than single spaces between its parts.")
        if request.method == "CONNECT":
            raise _bad("CONNECT is not served: this is no forward proxy.")
        if self._hosts_again or (b"host" not in headers and request.version == "1.1"):
            raise _bad("A request has exactly one Host field.")
        if not _HOST.fullmatch(headers.get(b"host", b"")):
            raise _bad("The Host field is not a host.")
        self._frame(request, headers)
        self._split_url(request)
        tokens = headers.get(b"connection", b"").lower()
        request.keep_alive = request.version == "1.1" and b"close" not in tokens
        if b"upgrade" in headers and request.version == "1.1" and request.method == "GET" and request.length == 0:
            request.websocket = key_of(headers)

    def _frame(self, request: Request, headers: dict[bytes, bytes]) -> None:
        if b"transfer-encoding" in headers:
            alone = headers[b"transfer-encoding"].lower() == b"chunked"  # llhttp lets `xchunked` pass in a line before it
            plain = _TE_LINE.search(b"".join(self._raw))
            if request.version == "1.0" or b"content-length" in headers or not (alone and plain):
                raise _bad("The only transfer encoding is 'chunked', in HTTP/1.1 and without Content-Length.")
            request.length = None
        else:
            request.length = int(headers.get(b"content-length", b"0"))

    def _split_url(self, request: Request) -> None:
        target = self._url
        if not target.startswith(b"/"):  # absolute-form (RFC 9112 section 3.2.2); `*` of OPTIONS stays
            authority = _ABSOLUTE.match(target)
            if authority is not None:
                rest = target[authority.end() :]
                target = rest if rest.startswith(b"/") else b"/" + rest
            elif target != b"*" or request.method != "OPTIONS":
                raise _bad("The request target is not a path.")
        path, _, request.query = target.partition(b"?")
        request.path = path.decode("ascii", "replace")


def _bad(message: str) -> GatewayError:
    return GatewayError(Kind.BAD_REQUEST, message, code="bad_http")


def _too_long(message: str, status: int) -> GatewayError:
    return GatewayError(Kind.TOO_LARGE, message, status=status, code="too_large")
