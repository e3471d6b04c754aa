"""The ways to a provider: straight, through a proxy, and the ones that lead nowhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec import structs

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, Proxy, TlsSettings
from trunkline.edge.dial import dial

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def open_files() -> int:
    """Descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def refused_by(origin: Origin) -> GatewayError:
    """The error a connection to `origin` ends in."""
    with pytest.raises(GatewayError) as refused:
        await dial(asyncio.get_running_loop(), asyncio.Protocol, origin)
    return refused.value


async def test_nodelay_is_set(rig: Any, says: Any) -> None:
    """Without it the end of a stream waits 40 ms for an acknowledgement."""
    made: list[asyncio.BaseTransport] = []

    class Seen(asyncio.Protocol):
        """Remembers its transport."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    await dial(rig.loop, Seen, await rig.provider(says(HELLO)))
    sock = made[0].get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    made[0].abort()  # type: ignore[attr-defined]


async def test_nobody_listens() -> None:
    """A provider that is down: retryable, and the words say so."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        error = await refused_by(Origin("http", "127.0.0.1", sock.getsockname()[1]))
    assert (error.kind, error.retryable) == (Kind.UPSTREAM_UNREACHABLE, True)
    assert "connection refused" in error.message
    assert "127.0.0.1" not in error.message


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 80, "\u00df" * 70])
async def test_names_that_lead_nowhere(host: str) -> None:
    """A typo in base_url is an answer in words, never an internal error."""
    error = await refused_by(Origin("http", host, 80))
    assert error.kind is Kind.UPSTREAM_UNREACHABLE
    assert host not in error.message


async def test_a_checked_address_is_where_it_goes(rig: Any, says: Any, wire: Any, tmp_path: Any) -> None:
    """The name is not looked up again, and still is the one that TLS asks for and verifies."""
    origin = structs.replace(await rig.provider(says(HELLO)), host="nowhere.invalid", address="127.0.0.1")
    assert await (await rig.client.send(wire(origin))).read() == b"hello"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = TlsSettings(ca_file=str(tmp_path / "ca.pem"))
    for name, verified in (("nowhere.invalid", True), ("127.0.0.1", False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        secure = await rig.provider(says(HELLO), context)
        request = wire(structs.replace(secure, host="nowhere.invalid", address="127.0.0.1", tls=tls))
        if verified:
            assert await (await rig.client.send(request)).read() == b"hello"
        else:
            with pytest.raises(GatewayError) as refused:
                await rig.client.send(request)
            assert refused.value.kind is Kind.UPSTREAM_TLS


def proxy(answer: bytes, asked: list[bytes], *, tunnel: bool) -> Callable[..., Any]:
    """A proxy that answers this; with `tunnel` it then carries bytes to where it was asked."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if not tunnel:
            return
        host, _, port = asked[-1].split(b" ")[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        finally:
            far_writer.transport.abort()

    return script


OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def tls_origin(rig: Any, says: Any) -> tuple[Origin, trustme.CA]:
    """A provider over TLS."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return await rig.provider(says(HELLO), context), ca


@pytest.mark.parametrize("credential", [None, b"Basic dTpw"])
async def test_tls_through_a_proxy(rig: Any, says: Any, wire: Any, tmp_path: Any, credential: bytes | None) -> None:
    """Companies let nothing out but through CONNECT; the provider's certificate is verified inside the tunnel."""
    origin, ca = await tls_origin(rig, says)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    asked: list[bytes] = []
    via = await rig.provider(proxy(OPEN, asked, tunnel=True))
    tls = TlsSettings(ca_file=str(tmp_path / "ca.pem"))
    origin = structs.replace(origin, tls=tls, proxy=Proxy(via.host, via.port, credential))
    for _ in range(2):
        answer = await rig.client.send(wire(origin))
        assert await answer.read() == b"hello"
    place = b"127.0.0.1:%d" % origin.port
    lines = [b"CONNECT %b HTTP/1.1" % place, b"host: %b" % place]
    if credential is not None:
        lines.append(b"proxy-authorization: " + credential)
    assert asked == [b"\r\n".join([*lines, b"", b""])]


async def test_the_tunnel_is_verified(rig: Any, says: Any) -> None:
    """A proxy that puts itself in the middle must not get the key."""
    origin, _ = await tls_origin(rig, says)
    via = await rig.provider(proxy(OPEN, [], tunnel=True))
    error = await refused_by(structs.replace(origin, proxy=Proxy(via.host, via.port)))
    assert error.kind is Kind.UPSTREAM_TLS


async def test_an_ipv6_host_goes_in_brackets(rig: Any) -> None:
    """`::1:443` would be read as another address."""
    asked: list[bytes] = []
    via = await rig.provider(proxy(b"HTTP/1.1 502 No\r\n\r\n", asked, tunnel=False))
    await refused_by(Origin("https", "::1", 443, proxy=Proxy(via.host, via.port)))
    assert asked[0].startswith(b"CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000, "too long"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(rig: Any, answer: bytes, words: str) -> None:
    """The operator must see that it is the proxy, and why; nothing is left open."""
    via = await rig.provider(proxy(answer, [], tunnel=False))
    before = open_files()
    error = await refused_by(Origin("https", "127.0.0.1", 443, proxy=Proxy(via.host, via.port)))
    assert error.kind is Kind.UPSTREAM_UNREACHABLE
    assert words in error.message
    await rig.until(lambda: open_files() <= before)


async def test_http_through_a_proxy_is_absolute(rig: Any, wire: Any, read_request: Any) -> None:
    """RFC 9112 section 3.2.2: a proxy without a tunnel must be told where to."""
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append((await read_request(reader))[0])
            writer.write(HELLO)

    via = await rig.provider(script)
    for host, name in (("provider.test", b"provider.test"), ("::1", b"[::1]")):
        for credential in (None, b"Basic dTpw"):
            origin = Origin("http", host, 8080, proxy=Proxy(via.host, via.port, credential))
            answer = await rig.client.send(wire(origin))
            assert await answer.read() == b"hello"
            head = heads.pop()
            assert head.startswith(b"POST http://%b:8080/v1/x HTTP/1.1\r\nhost: provider.test\r\n" % name)
            assert (b"proxy-authorization: Basic dTpw\r\n" in head) is (credential is not None)


async def test_a_proxy_that_never_answers_is_given_up(rig: Any, wire: Any) -> None:
    """The connect deadline covers the proxy and the handshake behind it, and leaves no socket."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    via = await rig.provider(silent)
    before = open_files()
    for origin in (
        Origin("https", "127.0.0.1", 443, proxy=Proxy(via.host, via.port)),
        Origin("https", via.host, via.port),
    ):
        with pytest.raises(GatewayError) as refused:
            await rig.client.send(wire(origin, connect=0.1))
        assert refused.value.kind is Kind.UPSTREAM_TIMEOUT
        assert rig.client.pools[origin].open == 0
    await rig.until(lambda: open_files() <= before)
