"""Bodies sent to a provider while they arrive: framed, in step, and ended in time, over loopback."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from msgspec import structs

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Body, Deadlines, TlsSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
PIECE = b"x" * 50_000


class Parts:
    """A body from memory: brings piece after piece as long as it may, then ends, waits for ever, or fails."""

    def __init__(self, *pieces: bytes, length: int | None = None, ends: bool = True, error: Exception | None = None) -> None:
        self.length = length
        self.pauses = 0
        self.brought = 0
        self.pumps = 0
        self.stopped = False
        self.tasks: set[Any] = set()
        self._pieces = pieces
        self._ends = ends
        self._error = error
        self._go = asyncio.Event()
        self._go.set()

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Bring."""
        self.pumps += 1
        try:
            for piece in self._pieces:
                await self._go.wait()
                self.tasks.add(asyncio.current_task())
                sink(piece)
                self.brought += len(piece)
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
            if not self._ends:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise

    def pause(self) -> None:
        """Stop."""
        self.pauses += 1
        self._go.clear()

    def resume(self) -> None:
        """Go on."""
        self._go.set()


async def read_upload(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """(head, body) of one request, by its framing."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"transfer-encoding: chunked\r\n" not in head:
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await reader.readexactly(length)
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:size]
    assert await reader.readexactly(2) == b"\r\n"
    return head, bytes(body)


async def refused_by(rig: Any, request: Any) -> GatewayError:
    """The error `request` ends in."""
    with pytest.raises(GatewayError) as refused:
        await (await rig.client.send(request)).read()
    return refused.value


# what goes out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("length", [100_005, None])
async def test_what_goes_out(rig: Any, wire: Any, length: int | None, method: str) -> None:
    """Byte for byte, framed by its length where that is known, in chunks where it is not; then the connection is free."""
    got: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            got.append(await read_upload(reader))
            writer.write(OK)

    origin = await rig.provider(script)
    for _ in range(3):
        body = Parts(b"begin", b"", PIECE, PIECE, length=length)
        request = structs.replace(wire(origin, body), method=method, content_type=b"multipart/form-data; boundary=x")
        answer = await rig.client.send(request)
        assert await answer.read() == b"hello"
        assert (len(body.tasks), body.pumps) == (1, 1)
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    head = b"%b /v1/x HTTP/1.1\r\nhost: provider.test\r\ncontent-type: multipart/form-data; boundary=x\r\n%b\r\n\r\n"
    assert got == [(head % (method.encode(), framing), b"begin" + PIECE + PIECE)] * 3
    assert (rig.accepted, rig.client.pools[origin].idle) == (1, 1)


@pytest.mark.parametrize(
    ("method", "body", "fields"),
    [
        ("DELETE", b"", b""),
        ("GET", b"", b""),
        ("POST", b"", b"content-type: a/b\r\ncontent-length: 0\r\n"),
        ("DELETE", b"{}", b"content-type: a/b\r\ncontent-length: 2\r\n"),
    ],
)
async def test_a_body_that_is_none_is_not_announced(rig: Any, wire: Any, method: str, body: bytes, fields: bytes) -> None:
    """A content type on a DELETE without body makes some servers wait, and others refuse."""
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    origin = await rig.provider(script)
    await (await rig.client.send(structs.replace(wire(origin, body), method=method, content_type=b"a/b"))).read()
    assert got == [b"%b /v1/x HTTP/1.1\r\nhost: provider.test\r\n%b\r\n" % (method.encode(), fields)]


async def test_pieces_leave_in_the_tick_they_arrive_in(rig: Any, wire: Any) -> None:
    """Speech that is transcribed while it is spoken."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while data := await reader.read(1000):
            heard.put_nowait(data)
            if data.endswith(b"0\r\n\r\n"):
                writer.write(OK)

    class Spoken(Parts):
        async def pump(self, sink: Callable[[bytes], None]) -> None:
            for word in (b"one", b"two"):
                sink(word)
                assert await heard.get() == b"3\r\n%b\r\n" % word

    origin = await rig.provider(script)
    answer = await rig.client.send(wire(origin, Spoken()))
    assert await answer.read() == b"hello"


@pytest.mark.parametrize("length", [9, 11])
async def test_a_body_of_another_length_than_announced(rig: Any, wire: Any, length: int) -> None:
    """Sent on, what is too much would be the beginning of somebody else's request."""
    got = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            got.extend(data)

    origin = await rig.provider(script)
    error = await refused_by(rig, wire(origin, Parts(b"hello", b"world", length=length)))
    assert error.kind is Kind.INTERNAL
    await rig.until(lambda: rig.client.pools[origin].open == 0)
    assert not got.endswith(b"helloworld") or length == 11


# a provider that answers early, dies or is slow -------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_early_answer_stops_the_upload(rig: Any, wire: Any, streamed: bool) -> None:
    """A wrong key or a file too large is told at once; the connection, in the middle of a request, is not used again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nb")
        await asyncio.sleep(0.1 if streamed else 0)
        writer.write(b"ig")
        await reader.read(1000)
        await asyncio.sleep(5)

    origin = await rig.provider(script)
    body = Parts(PIECE, length=10_000_000_000, ends=False)
    answer = await rig.client.send(wire(origin, body))
    await rig.until(lambda: body.stopped)
    assert (answer.status, await answer.read()) == (413, b"big")
    await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_an_early_answer_of_a_provider_that_takes_nothing(rig: Any, wire: Any) -> None:
    """What waits for it would keep the connection, and its place in the pool, for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(5)

    origin = await rig.provider(script)
    body = Parts(*[PIECE] * 1000)
    answer = await rig.client.send(wire(origin, body))
    assert (answer.status, await answer.read()) == (401, b"no")
    await rig.until(lambda: body.stopped)
    assert body.pauses
    await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_an_answer_stops_no_upload_but_its_own(rig: Any, wire: Any) -> None:
    """A connection may carry the next request in the very tick that ended the last: its upload would come to a stand."""
    uploads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uploads.extend([(await read_upload(reader))[1] for _ in range(2)])
        writer.write(OK)

    origin = await rig.provider(script)
    connection = await rig.client._pool(origin).fresh(Deadlines())
    body = Parts(b"first", length=5)
    connection.exchange(wire(origin, body))
    await rig.until(lambda: body.brought and connection._sending is None)
    connection.data_received(OK)
    assert rig.client.pools[origin].take() is connection
    assert await connection.exchange(wire(origin, Parts(b"second", length=6))).read() == b"hello"
    assert uploads == [b"first", b"second"]


@pytest.mark.parametrize("reused", [False, True])
async def test_a_provider_that_dies_in_the_middle(rig: Any, wire: Any, reused: bool) -> None:
    """A body that is gone cannot be sent again: never a second try, also on a connection that was used before."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reused:
            await read_upload(reader)
            writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")

    origin = await rig.provider(script)
    if reused:
        await (await rig.client.send(wire(origin))).read()
    body = Parts(PIECE, ends=False)
    error = await refused_by(rig, wire(origin, body))
    assert (error.kind, rig.accepted, body.pumps) == (Kind.UPSTREAM_BROKEN, 1, 1)
    await rig.until(lambda: body.stopped)
    assert rig.client.pools[origin].open == 0


async def test_the_bodys_own_failure_is_raised(rig: Any, wire: Any) -> None:
    """The client left, or was too slow: not the provider's fault; and the provider must not take half for the whole."""
    got = bytearray()
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100_000):
                got.extend(data)
        finally:
            ended.set()

    origin = await rig.provider(script)
    for failure in (GatewayError(Kind.CLIENT_GONE, "gone"), ZeroDivisionError()):
        ended.clear()
        with pytest.raises(type(failure)) as raised:
            await rig.client.send(wire(origin, Parts(PIECE, error=failure)))
        assert raised.value is failure
        await ended.wait()
        assert not got.endswith(b"0\r\n\r\n")
        await rig.until(lambda: rig.client.pools[origin].open == 0)


@pytest.mark.parametrize("steps", range(1, 8))
async def test_cancelled_in_the_middle(rig: Any, wire: Any, steps: int) -> None:
    """The client left: pump and connection end, and the place in the pool is free."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    origin = structs.replace(await rig.provider(script), max_connections=1)
    body = Parts(PIECE, ends=False)
    task = asyncio.ensure_future(rig.client.send(wire(origin, body)))
    if steps == 7:
        await rig.until(lambda: body.brought)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await rig.until(lambda: rig.client.pools[origin].open == 0)
    assert body.stopped or not body.brought


async def test_a_slow_provider_pauses_the_body(rig: Any, wire: Any) -> None:
    """docs/faults.md A4, the other way: what a provider does not take stays with the client."""
    go = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        assert len((await read_upload(reader))[1]) == 60_000_000
        writer.write(OK)
        await reader.read()

    origin = await rig.provider(script)
    body = Parts(*[PIECE] * 1200)
    sending = asyncio.ensure_future(rig.client.send(wire(origin, body)))
    await rig.until(lambda: body.pauses)
    await asyncio.sleep(0.1)
    stood = body.brought
    await asyncio.sleep(0.1)
    assert stood == body.brought < 30_000_000
    go.set()
    assert await (await sending).read() == b"hello"
    assert rig.client.pools[origin].idle == 1


# deadlines --------------------------------------------------------------------------------------------------------------


async def test_the_first_byte_is_waited_for_from_the_end_of_the_upload(rig: Any, wire: Any) -> None:
    """A gigabyte takes its minutes; only then is the provider on the clock."""

    class Slow(Parts):
        async def pump(self, sink: Callable[[bytes], None]) -> None:
            for _ in range(8):
                await asyncio.sleep(0.1)
                sink(b"x")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_upload(reader)
        if rig.accepted == 1:
            writer.write(OK)
        await reader.read()

    origin = structs.replace(await rig.provider(silent), keep_idle=0.0)
    request = wire(origin, Slow(), first_byte=0.4, idle=0.3)
    assert await (await rig.client.send(request)).read() == b"hello"
    await rig.until(lambda: rig.client.pools[origin].open == 0)
    begun = rig.loop.time()
    error = await refused_by(rig, structs.replace(request, body=Slow()))
    assert (error.kind, "begin" in error.message) == (Kind.UPSTREAM_TIMEOUT, True)
    assert 1.1 < rig.loop.time() - begun < 2.0


async def test_a_provider_that_stops_taking_is_given_up(rig: Any, wire: Any) -> None:
    """docs/faults.md B2, the other way: an upload must not hang for the whole of `total`."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.sleep(20)

    origin = await rig.provider(script)
    body = Parts(*[PIECE] * 2000)
    begun = rig.loop.time()
    error = await refused_by(rig, wire(origin, body, idle=0.3))
    assert (error.kind, "stopped taking" in error.message) == (Kind.UPSTREAM_TIMEOUT, True)
    assert rig.loop.time() - begun < 2.0
    await rig.until(lambda: body.stopped)
    assert rig.client.pools[origin].open == 0


async def test_a_provider_that_takes_slowly_is_not_given_up(rig: Any, wire: Any) -> None:
    """Progress is what counts."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = 0
        while taken < 12_000_000:
            taken += len(await reader.read(400_000))
            await asyncio.sleep(0.02)
        writer.write(OK)
        await reader.read()

    origin = await rig.provider(script)
    body = Parts(*[PIECE] * 240, length=12_000_000)
    assert await (await rig.client.send(wire(origin, body, idle=0.4))).read() == b"hello"
    assert body.pauses


async def test_over_tls(rig: Any, wire: Any) -> None:
    """As to every real provider: a slow one pauses the body, one that takes nothing is given up, all of it arrives."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    got = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        writer.transport.pause_reading()
        await asyncio.sleep(0.3 if rig.accepted == 1 else 20)
        writer.transport.resume_reading()
        got = len((await read_upload(reader))[1])
        writer.write(OK)
        await reader.read()

    with ca.cert_pem.tempfile() as trusted:
        origin = structs.replace(await rig.provider(script, context, keep_idle=0.0), tls=TlsSettings(ca_file=trusted))
        body = Parts(*[PIECE] * 800)
        assert await (await rig.client.send(wire(origin, body))).read() == b"hello"
        assert (got, body.pauses > 0) == (40_000_000, True)
        await rig.until(lambda: rig.client.pools[origin].open == 0)
        body = Parts(*[PIECE] * 800)
        error = await refused_by(rig, wire(origin, body, idle=0.3))
        assert (error.kind, body.brought < 20_000_000) == (Kind.UPSTREAM_TIMEOUT, True)
        await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_the_total_holds_while_uploading(rig: Any, wire: Any) -> None:
    """A body that never ends."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    origin = await rig.provider(script)
    error = await refused_by(rig, wire(origin, Parts(b"a", ends=False), total=0.3, idle=0.2))
    assert (error.kind, "finish" in error.message) == (Kind.UPSTREAM_TIMEOUT, True)


# from edge to edge ------------------------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of memory this process holds."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read in an async test, twice
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_large_file_there_and_back_through_both_edges(rig: Any, wire: Any, framing: str) -> None:
    """50 MB from a client through our server and our client to a provider, and back: every byte, and flat memory."""
    size, block = 50_000_000, bytes(range(256)) * 1000
    most = held = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        digest, left = hashlib.sha256(), size
        assert (b"chunked" in head) == (framing == "chunks")
        while left:
            part = left if framing == "length" else int(await reader.readuntil(b"\r\n"), 16)
            left -= part
            while part:
                data = await reader.read(part)
                digest.update(data)
                part -= len(data)
            if framing == "chunks":
                await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Sum: %b\r\nContent-Length: %d\r\n\r\n" % (digest.hexdigest().encode(), size))
        for at in range(0, size, len(block)):
            writer.write(block[: size - at])
            await writer.drain()

    async def passing(request: Any, reply: Any) -> None:
        nonlocal most
        body: Body = request.stream
        answer = await rig.client.send(wire(origin, body, limit=1 << 30))
        reply.flow = answer
        reply.start(answer.status, b"x-sum: %b\r\n" % answer.headers[b"x-sum"])

        def sink(data: bytes) -> None:
            nonlocal most
            most = max(most, resident() - held)
            reply.write(data)

        await answer.pump(sink)
        reply.end()

    origin = await rig.provider(script)
    rig.app.streams, rig.app.max_body = True, 1 << 30
    peer = await rig.peer(rig.serve(passing))
    held = resident()
    sent = hashlib.sha256()
    fields = b"Content-Length: %d" % size if framing == "length" else b"Transfer-Encoding: chunked"
    await peer.send(b"POST /up HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n")
    for at in range(0, size, len(block)):
        piece = block[: size - at]
        sent.update(piece)
        await peer.send(piece if framing == "length" else b"%x\r\n%b\r\n" % (len(piece), piece))
        most = max(most, resident() - held)
    if framing == "chunks":
        await peer.send(b"0\r\n\r\n")
    head = await peer._until(b"\r\n\r\n")
    assert b"x-sum: %b\r\n" % sent.hexdigest().encode() in head
    back, whole = hashlib.sha256(), hashlib.sha256()
    while part := int(await peer._until(b"\r\n"), 16):
        back.update((await peer._exactly(part + 2))[:part])
    for at in range(0, size, len(block)):
        whole.update(block[: size - at])
    assert back.digest() == whole.digest() == sent.digest()
    assert most < 16 * 1024 * 1024


async def test_an_early_answer_through_both_edges(rig: Any, wire: Any) -> None:
    """The client hears of a wrong key in the middle of its gigabyte, and nothing of the rest is taken for a request."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(5)

    async def passing(request: Any, reply: Any) -> None:
        answer = await rig.client.send(wire(origin, request.stream))
        reply.send(answer.status, b"", await answer.read())

    origin = await rig.provider(script)
    rig.app.streams, rig.app.max_body = True, 1 << 40
    peer = await rig.peer(rig.serve(passing))
    await peer.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
    flood = asyncio.ensure_future(peer.send(b"x" * 50_000_000))
    await asyncio.sleep(0.2)
    got = await peer.answer()
    assert (got.status, got.body, got.headers["connection"]) == (401, b"no", "close")
    await rig.quiet()
    with pytest.raises(OSError, match=r"."):
        await flood
    assert (len(rig.app.seen), rig.client.pools[origin].open) == (1, 0)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_takes_the_providers_connection_with_it(rig: Any, wire: Any, framing: bytes) -> None:
    """docs/faults.md A1: half a file must never reach the provider as a whole one, nor a connection be kept for it."""
    heard, gone = bytearray(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                heard.extend(data)
        finally:
            gone.set()

    async def passing(request: Any, reply: Any) -> None:
        await rig.client.send(wire(origin, request.stream))

    origin = await rig.provider(script)
    rig.app.streams = True
    peer = await rig.peer(rig.serve(passing))
    await peer.send(b"POST /up HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
    await rig.until(lambda: b"hello" in heard)
    peer.close()
    async with asyncio.timeout(0.25):
        await gone.wait()
    assert not heard.endswith(b"0\r\n\r\n")
    await rig.quiet()
    assert rig.client.pools[origin].open == 0
