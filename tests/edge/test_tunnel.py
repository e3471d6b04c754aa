"""WebSocket through both edges, with a client and a server that are not ours; and raw bytes where those are too polite."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest
import trustme
from msgspec import structs
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin, TlsSettings
from trunkline.edge.answer import Answer
from trunkline.edge.handshake import accepting
from trunkline.edge.side import Side
from trunkline.edge.tunnel import tunnel

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ASK = (
    b"GET /rt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY
)


class Gate:
    """A call that tunnels to `origin`, watches what passes, and remembers how it ended."""

    def __init__(self, rig: Any, wire: Any, origin: Origin, **options: Any) -> None:
        self._rig = rig
        self.request = structs.replace(wire(origin, b"", "/rt", first_byte=5.0), method="GET")
        self._options = options
        self.seen: list[bytes] = []
        self.ends: list[Any] = []
        self.pool = origin

    def watch(self, message: bytes) -> None:
        """See it."""
        self.seen.append(message)

    async def __call__(self, request: Any, reply: Any) -> None:
        """The handler."""
        assert request.websocket
        protocols = request.headers.get(b"sec-websocket-protocol")
        lines = b"" if protocols is None else b"sec-websocket-protocol: %b\r\n" % protocols
        try:
            asked = structs.replace(self.request, head=self.request.head + lines)
            side = await self._rig.client.upgrade(asked)
            if isinstance(side, Answer):
                reply.send(side.status, b"", await side.read())
            else:
                self.ends.append(await tunnel(request, reply, side, self.watch, lines=b"x-id: 1\r\n", **self._options))
        except GatewayError as error:
            self.ends.append(error)
            if not reply.started:
                reply.send(error.status, b"", error.message.encode())
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise

    async def over(self) -> None:
        """Until it ended, with no connection left open on either side."""
        await self._rig.until(lambda: self.ends)
        await self._rig.quiet()
        await self._rig.until(lambda: self._rig.client.pools[self.pool].open == 0)


async def accept_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: bytes = b"") -> None:
    """A provider that says 101."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = head.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + accepting(key) + b"\r\n" + behind)


async def opened(peer: Any) -> None:
    """A raw client that is told 101."""
    await peer.send(ASK)
    got = await peer.answer()
    assert got.status == 101
    assert got.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
    assert (got.headers["connection"], got.headers["upgrade"], got.headers["x-id"]) == ("Upgrade", "websocket", "1")


async def websocket_server(rig: Any, handler: Any, **options: Any) -> Origin:
    """A WebSocket server of another make."""
    server = await serve(handler, "127.0.0.1", 0, **options)
    rig._providers.append(server.server)
    scheme = "https" if "ssl" in options else "http"
    return Origin(scheme, "127.0.0.1", next(iter(server.sockets)).getsockname()[1])


def url(listener: Any) -> str:
    """Where a client connects to."""
    return f"ws://{listener.address}/rt"


# frames -----------------------------------------------------------------------------------------------------------------


async def test_ten_thousand_frames_both_ways(rig: Any, wire: Any) -> None:
    """A realtime session of hours: every frame, of every length, in order, in both directions, by other people's software."""
    dice = random.Random(6455)
    sizes = [dice.choice((0, 1, 20, 125, 126, 127, 600, 4000)) for _ in range(9_990)] + [65_535, 65_536, 300_000] * 3 + [70_000]
    frames: list[str | bytes] = [dice.randbytes(size) if at % 3 else "ä" * size for at, size in enumerate(sizes)]
    got: list[str | bytes] = []

    async def provider(connection: Any) -> None:
        assert connection.request.path == "/rt"
        sending = rig.loop.create_task(send(connection))
        async for message in connection:
            got.append(message)
            if len(got) == len(frames):
                break
        await sending

    async def send(connection: Any) -> None:
        for frame in frames:
            await connection.send(frame)

    origin = await websocket_server(rig, provider, max_size=None, subprotocols=["realtime"])
    gate = Gate(rig, wire, origin)
    back: list[str | bytes] = []
    async with connect(url(rig.serve(gate)), max_size=None, subprotocols=["other", "realtime"]) as client:
        assert client.subprotocol == "realtime"
        assert client.response.headers["x-id"] == "1"
        sending = rig.loop.create_task(send(client))
        while len(back) < len(frames):
            back.append(await client.recv())
        await sending
    await gate.over()
    for one, side in ((got, "provider"), (back, "client")):  # shown one by one: all of them at once is a long diff
        assert len(one) == len(frames), side
        assert next((at for at, pair in enumerate(zip(one, frames, strict=True)) if pair[0] != pair[1]), None) is None, side
    assert gate.ends == [None]
    assert gate.seen == [frame.encode() for frame in frames if isinstance(frame, str)]


async def test_over_tls(rig: Any, wire: Any) -> None:
    """As every real provider; and its certificate is checked."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    async def provider(connection: Any) -> None:
        async for message in connection:
            await connection.send(message[::-1])

    with ca.cert_pem.tempfile() as trusted:
        origin = structs.replace(await websocket_server(rig, provider, ssl=context), tls=TlsSettings(ca_file=trusted))
        gate = Gate(rig, wire, origin)
        listener = rig.serve(gate)
        for frame in ("hello", "x" * 1_000_000):
            async with connect(url(listener), max_size=None) as client:
                await client.send(frame[:100_000])
                assert await client.recv() == frame[:100_000][::-1]
            await gate.over()
        untrusted = Gate(rig, wire, structs.replace(origin, tls=TlsSettings()))
        rig.app.handle = untrusted
        with pytest.raises(InvalidStatus) as refused:
            await connect(url(listener))
        assert refused.value.response.status_code == 502
        assert untrusted.ends[0].kind is Kind.UPSTREAM_TLS


async def test_a_client_over_tls(rig: Any, wire: Any) -> None:
    """A listener with a certificate of its own: the tunnel begins above the encryption, and ends with it."""
    ca = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("127.0.0.1").configure_cert(ours)
    ca.configure_trust(theirs)

    async def provider(connection: Any) -> None:
        async for message in connection:
            await connection.send(message * 2)

    gate = Gate(rig, wire, await websocket_server(rig, provider, max_size=None))
    async with connect(url(rig.serve(gate, ours)).replace("ws:", "wss:"), ssl=theirs, max_size=None) as client:
        for message in ("a", "b" * 2_000_00):
            await client.send(message)
            assert await client.recv() == message * 2
    await gate.over()
    assert gate.ends == [None]


async def test_a_providers_refusal_is_an_ordinary_answer(rig: Any, wire: Any, says: Any) -> None:
    """A wrong key or an unknown model: the client is told in plain HTTP, and the connection may be used again."""
    origin = await rig.provider(says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno key"))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno key")

    origin = await rig.provider(script)
    peer = await rig.peer(rig.serve(Gate(rig, wire, origin)))
    for _ in range(2):
        got = await peer.ask(ASK)
        assert (got.status, got.body) == (401, b"no key")
    pool = rig.client.pools[origin]
    assert pool.open == pool.idle


# bytes ------------------------------------------------------------------------------------------------------------------


async def test_what_came_ahead_belongs_to_the_tunnel(rig: Any, wire: Any) -> None:
    """Bytes right behind either head are the first that pass."""
    got = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer, b"welcome")
        while data := await reader.read(100):
            got.extend(data)

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await peer.send(ASK + b"GET / HTTP/1.1\r\n\r\n")
    assert (await peer.answer()).status == 101
    assert await peer._exactly(7) == b"welcome"
    peer.done_sending()
    assert await peer.ended()
    await gate.over()
    assert got == b"GET / HTTP/1.1\r\n\r\n"
    assert gate.ends == ["client"]


async def test_half_closed_ends_are_passed_on(rig: Any, wire: Any) -> None:
    """Who has said all may still listen."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        said = await reader.read()
        await asyncio.sleep(0.05)
        writer.write(b"you said " + said)

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    await peer.send(b"this")
    peer.done_sending()
    assert await peer.rest() == b"you said this"
    await gate.over()
    assert gate.ends == ["client"]


async def test_a_client_that_had_half_closed_before(rig: Any, wire: Any) -> None:
    """It was asked whether it still listens, with letters of a status line that turned out to be a 101."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        await accept_upgrade(reader, writer, b"all")
        await reader.read()

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await peer.send(ASK)
    peer.done_sending()
    got = await peer.answer()
    assert got.raw.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert await peer.rest() == b"all"
    await gate.over()


@pytest.mark.parametrize("side", ["client", "provider"])
async def test_an_end_that_is_reset_ends_the_other(rig: Any, wire: Any, side: str) -> None:
    """docs/faults.md A1: a provider is paid by the second of an open session."""
    gone = asyncio.Event()
    break_off = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        if side == "provider":
            await break_off.wait()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        try:
            await reader.read()
        finally:
            gone.set()

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    if side == "client":
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        async with asyncio.timeout(0.25):
            await gone.wait()
    else:
        break_off.set()
        assert await peer.ended()
    await gate.over()
    assert gate.ends == [side]


@pytest.mark.parametrize("slow", ["client", "provider"])
async def test_who_is_slow_holds_the_other(rig: Any, wire: Any, slow: str) -> None:
    """docs/faults.md A4: fifty megabytes for an end that does not read stay where they are; then all of them arrive."""
    size, piece = 50_000_000, b"x" * 100_000
    go, taken, written = asyncio.Event(), 0, 0

    async def read(more: Any) -> None:
        nonlocal taken
        while data := await more():
            taken += len(data)
            if taken == size:
                return

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await accept_upgrade(reader, writer)
        if slow == "provider":
            await go.wait()
            await read(lambda: reader.read(1_000_000))
            return
        for _ in range(size // len(piece)):
            writer.write(piece)
            await writer.drain()
            written += len(piece)
        await reader.read()

    async def fill(peer: Any) -> None:
        nonlocal written
        for _ in range(size // len(piece)):
            await peer.send(piece)
            written += len(piece)

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    task = asyncio.ensure_future(fill(peer)) if slow == "provider" else None
    await asyncio.sleep(0.4)
    stood = written
    await asyncio.sleep(0.2)
    assert stood == written < 40_000_000
    go.set()
    if slow == "client":
        taken = len(peer._buffer)
        await read(peer.more)
        peer.close()
    else:
        assert task is not None
        await task
        peer.close()
    await gate.over()
    assert taken == size


@pytest.mark.parametrize("slow", ["client", "provider"])
async def test_an_end_that_takes_nothing_is_cut(rig: Any, wire: Any, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold both connections for a day."""
    monkeypatch.setattr("trunkline.edge.tunnel._STALL", 0.3)
    monkeypatch.setattr("trunkline.edge.tunnel._LINGER", 0.3)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        if slow == "provider":
            writer.transport.pause_reading()
            await asyncio.sleep(20)
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate), receive_buffer=4096)
    await opened(peer)
    if slow == "provider":
        with pytest.raises(OSError, match=r"."):
            await peer.send(b"x" * 80_000_000)
    await gate.over()
    assert gate.ends == ["gateway"]


async def test_one_that_takes_slowly_is_not_cut(rig: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is what counts."""
    monkeypatch.setattr("trunkline.edge.tunnel._STALL", 0.3)
    size, go = 800_000, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        await go.wait()
        writer.write(b"x" * size)
        await reader.read()

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate), receive_buffer=4096)
    await opened(peer)
    (connection,) = rig.server.connections
    connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    go.set()
    taken = 0
    while taken < size:
        more = await peer.more()
        assert more
        taken += len(more)
        await asyncio.sleep(0.01)


# the end ----------------------------------------------------------------------------------------------------------------


async def quiet_provider(connection: Any) -> None:
    """Listens until the end."""
    codes = connection.codes = []
    try:
        async for _ in connection:
            pass
    finally:
        codes.append(connection.close_code)


async def test_a_drain_ends_with_a_word_to_both(rig: Any, wire: Any) -> None:
    """docs/faults.md E1: sessions have the grace of a drain; then both ends hear 1001, and no connection is left."""
    codes: list[int] = []

    async def provider(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)
        codes.append(connection.close_code)

    gate = Gate(rig, wire, await websocket_server(rig, provider))
    async with connect(url(rig.serve(gate))) as client:
        await client.send("one")
        assert await client.recv() == "one"
        rig.server.drain()
        await client.send("two")
        assert await client.recv() == "two"
        rig.server.interrupt()
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    await gate.over()
    await rig.until(lambda: codes)
    assert (codes, gate.ends) == ([1001], ["cancelled"])


async def test_no_word_is_put_into_the_middle_of_a_frame(rig: Any, wire: Any) -> None:
    """It would be read as the frame's content."""
    begun = b"\x82\x7e\x10\x00" + b"x" * 100
    heard = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer, begun)
        while data := await reader.read(100):
            heard.extend(data)

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    assert await peer._exactly(len(begun)) == begun
    await peer.send(b"\x88\x80abcd")  # the client's own close: nothing is said behind it
    await rig.until(lambda: heard)
    rig.server.drain()
    rig.server.interrupt()
    assert await peer.ended()
    await gate.over()
    assert heard == b"\x88\x80abcd"


@pytest.mark.parametrize(("error", "code"), [(GatewayError(Kind.FORBIDDEN, "enough"), 1008), (ZeroDivisionError(), 1011)])
async def test_a_watch_that_raises_ends_the_tunnel(rig: Any, wire: Any, error: Exception, code: int) -> None:
    """A budget is used up in mid-session: both ends are told, whoever watches hears of it, and what it refused never passes."""
    got: list[Any] = []
    raised: list[Exception] = []

    async def provider(connection: Any) -> None:
        await connection.send("secret")
        with suppress(ConnectionClosed):
            got.append(await connection.recv())
        await connection.wait_closed()
        got.append(connection.close_code)

    def refuse(_: bytes) -> None:
        raise error

    gate = Gate(rig, wire, await websocket_server(rig, provider))
    gate.watch = refuse  # type: ignore[method-assign]
    plain = gate.__call__

    async def handle(request: Any, reply: Any) -> None:
        try:
            await plain(request, reply)
        except ZeroDivisionError as error:
            raised.append(error)

    async with connect(url(rig.serve(handle))) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
    await rig.quiet()
    await rig.until(lambda: got)
    assert got == [code]
    await rig.until(lambda: gate.ends + raised)
    assert gate.ends + raised == [error]
    await rig.until(lambda: rig.client.pools[gate.pool].open == 0)


async def test_a_watch_that_raises_in_the_middle_of_a_frame(rig: Any, wire: Any) -> None:
    """Its beginning has passed, its end never does: a last word behind it would be read as its end."""
    half = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer, b"\x81\x06sec")
        await half.wait()
        writer.write(b"ret")
        await reader.read()

    def refuse(message: bytes) -> None:
        raise GatewayError(Kind.FORBIDDEN, message.decode())

    gate = Gate(rig, wire, await rig.provider(script))
    gate.watch = refuse  # type: ignore[method-assign]
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    assert await peer._exactly(5) == b"\x81\x06sec"
    half.set()
    assert await peer.rest() == b""
    await gate.over()
    assert [str(end) for end in gate.ends] == ["secret"]


async def test_a_tunnel_does_not_live_for_ever(rig: Any, wire: Any) -> None:
    """Its `total` deadline does not hold for it; its life does."""
    gate = Gate(rig, wire, await websocket_server(rig, quiet_provider), life=0.4)
    gate.request = structs.replace(gate.request, deadlines=structs.replace(gate.request.deadlines, total=0.1, idle=0.1))
    begun = rig.loop.time()
    async with connect(url(rig.serve(gate))) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    assert rig.loop.time() - begun > 0.35
    await gate.over()
    assert gate.ends == ["gateway"]


async def test_an_end_left_open_is_closed_in_time(rig: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that ignores the end of its client would be paid for a day."""
    monkeypatch.setattr("trunkline.edge.tunnel._STALL", 0.3)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        await reader.read()
        await asyncio.sleep(20)

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    peer = await rig.peer(rig.serve(gate))
    await opened(peer)
    peer.done_sending()
    assert await peer.ended()
    await gate.over()
    assert gate.ends == ["client"]


async def test_a_client_that_left_before_the_101(rig: Any, wire: Any) -> None:
    """The provider's side, just opened, must not stay."""
    ready = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_upgrade(reader, writer)
        await reader.read()

    origin = await rig.provider(script)
    gate = Gate(rig, wire, origin)
    ended: list[Any] = []

    async def handle(request: Any, reply: Any) -> None:
        side = await rig.client.upgrade(gate.request)
        assert isinstance(side, Side)
        ready.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with pytest.raises(GatewayError) as gone:
                await tunnel(request, reply, side, gate.watch)
            ended.append(gone.value.kind)

    peer = await rig.peer(rig.serve(handle))
    await peer.send(ASK)
    await ready.wait()
    peer.close()
    await rig.until(lambda: ended)
    assert ended == [Kind.CLIENT_GONE]
    await rig.until(lambda: rig.client.pools[origin].open == 0)
