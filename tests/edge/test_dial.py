"""The ways to a provider: straight, through a proxy, and the ones that lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec import structs
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, Proxy, TlsSettings
from trunkline.edge.client import Client
from trunkline.edge.dial import _in_turns, dial
from trunkline.edge.names import Lookups, Names

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def open_files() -> int:
    """Descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def refused_by(origin: Origin) -> GatewayError:
    """The error a connection to `origin` ends in."""
    with pytest.raises(GatewayError) as refused:
        await dial(asyncio.get_running_loop(), asyncio.Protocol, origin, Names(Lookups(), asyncio.get_running_loop().time))
    return refused.value


async def test_nodelay_is_set(rig: Any, says: Any) -> None:
    """Without it the end of a stream waits 40 ms for an acknowledgement."""
    made: list[asyncio.BaseTransport] = []

    class Seen(asyncio.Protocol):
        """Remembers its transport."""

        @override
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    await dial(rig.loop, Seen, await rig.provider(says(HELLO)), Names(Lookups(), rig.loop.time))
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


# names with several addresses -------------------------------------------------------------------------------------------


def saying(answers: dict[str, list[str]]) -> Any:
    """A resolver that knows these names."""

    async def resolve(host: str, port: int) -> list[str]:
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return answers[host]

    return resolve


@pytest.mark.parametrize(
    "addresses", [["127.0.0.9", "127.0.0.1"], ["::1", "127.0.0.1"], ["::1", "127.0.0.9", "127.0.0.8", "127.0.0.1"]]
)
async def test_every_address_is_tried(rig: Any, says: Any, wire: Any, addresses: list[str]) -> None:
    """docs/faults.md B13: a name with a dead address, or one that only speaks IPv4 behind an IPv6 one, works all the same."""
    origin = structs.replace(await rig.provider(says(HELLO)), host="a.example")
    client = Client(rig.loop, rig.sweep, saying({"a.example": addresses}))
    assert await (await client.send(wire(origin))).read() == b"hello"
    client.close()


async def test_no_address_takes_it(rig: Any, wire: Any) -> None:
    """The first one's error is told, no descriptor stays open, and the next connection looks the name up anew."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        origin = Origin("http", "a.example", sock.getsockname()[1])
        before, asked = open_files(), []

        async def resolve(host: str, port: int) -> list[str]:
            asked.append((host, port))
            return ["127.0.0.1", "::1"]

        client = Client(rig.loop, rig.sweep, resolve)
        for _ in range(5):
            with pytest.raises(GatewayError) as refused:
                await client.send(wire(origin))
            assert refused.value.kind is Kind.UPSTREAM_UNREACHABLE
            assert "connection refused" in refused.value.message
        await asyncio.sleep(0)
        assert open_files() <= before
        assert asked == [("a.example", origin.port)], "but not more than once a second"


async def test_a_silent_address_delays_only_a_little(rig: Any, says: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that answers nothing has a head start; then the next one is tried beside it, and the first one is let go."""
    monkeypatch.setattr("trunkline.edge.dial._HEAD_START", 0.02)
    origin = structs.replace(await rig.provider(says(HELLO)), host="a.example")
    with full(origin.port) as silent:
        before = open_files()
        client = Client(rig.loop, rig.sweep, saying({"a.example": [silent, "127.0.0.1"]}))
        assert await (await client.send(wire(origin, connect=10.0))).read() == b"hello"
        client.close()
        await rig.until(lambda: all(pool.open == 0 for pool in client.pools.values()))
        await rig.until(lambda: open_files() <= before)


async def test_the_rest_refuses_and_one_is_silent(rig: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for as long as a connection may take, and then let go."""
    monkeypatch.setattr("trunkline.edge.dial._HEAD_START", 0.02)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with full(port) as silent:
            before = open_files()
            client = Client(rig.loop, rig.sweep, saying({"a.example": [silent, "127.0.0.1"]}))
            with pytest.raises(GatewayError) as refused:
                await client.send(wire(Origin("http", "a.example", port), connect=0.1))
            assert refused.value.kind is Kind.UPSTREAM_TIMEOUT
            await rig.until(lambda: open_files() <= before)


@contextlib.contextmanager
def full(port: int) -> Iterator[str]:
    """An address whose queue of connections is full: whoever connects hears nothing."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.77", port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.77", port))
        yield "127.0.0.77"


@pytest.mark.parametrize("steps", range(14))
async def test_cancelled_while_it_connects(rig: Any, says: Any, wire: Any, steps: int) -> None:
    """A client that leaves at any moment of it leaves no socket behind."""
    origin = structs.replace(await rig.provider(says(HELLO)), host="a.example")
    client = Client(rig.loop, rig.sweep, saying({"a.example": ["127.0.0.1", "::1"]}))
    before = open_files()
    task = asyncio.ensure_future(client.send(wire(origin)))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    client.close()
    await rig.until(lambda: all(pool.open == pool.asking == 0 for pool in client.pools.values()))
    await rig.until(lambda: open_files() <= before + 1)  # the provider's side may take a moment
    assert await (await client.send(wire(origin))).read() == b"hello"
    client.close()


def test_the_families_take_turns() -> None:
    """RFC 8305 section 4: where one family leads nowhere, every second try is another one."""
    assert _in_turns(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert _in_turns(["1.1.1.1", "::1", "2.2.2.2"]) == ["1.1.1.1", "::1", "2.2.2.2"]
    assert _in_turns([f"10.0.0.{at}" for at in range(99)]) == [f"10.0.0.{at}" for at in range(16)]


async def test_tls_verifies_the_name_whatever_its_address_is(rig: Any, says: Any, wire: Any, tmp_path: Any) -> None:
    """docs/faults.md B13: a name server that lies sends us to a stranger, who has no certificate for the name."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = TlsSettings(ca_file=str(tmp_path / "ca.pem"))
    for name, verified in (("a.example", True), ("b.example", False), ("127.0.0.1", False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        origin = structs.replace(await rig.provider(says(HELLO), context), host="a.example", tls=tls)
        client = Client(rig.loop, rig.sweep, saying({"a.example": ["127.0.0.1"]}))
        if verified:
            assert await (await client.send(wire(origin))).read() == b"hello"
        else:
            with pytest.raises(GatewayError) as refused:
                await client.send(wire(origin))
            assert refused.value.kind is Kind.UPSTREAM_TLS
        client.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_looked_up_and_the_provider_is_not(rig: Any, wire: Any, scheme: str) -> None:
    """Behind a company's proxy only the proxy knows the names outside."""
    asked: list[bytes] = []
    via = await rig.provider(proxy(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", asked, tunnel=False))
    origin = Origin(scheme, "outside.example", 443, proxy=Proxy("proxy.example", via.port))
    client = Client(rig.loop, rig.sweep, saying({"proxy.example": ["127.0.0.1"]}))
    if scheme == "http":
        assert (await client.send(wire(origin))).status == 403
    else:
        with pytest.raises(GatewayError, match="403"):
            await client.send(wire(origin))
    assert b"outside.example:443" in asked[0]
    client.close()
