"""A request's body passed on while it arrives, over loopback: in step, within its bounds, and never mistaken for a request."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.inflow import Inflow
from trunkline.edge.limits import ServerLimits

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"


def head(*headers: bytes, path: bytes = b"/up") -> bytes:
    """The head of a POST."""
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: a", *headers, b"", b""])


def chunks(*pieces: bytes) -> bytes:
    """A whole chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Taker:
    """A handler that takes its body when it may, and answers with its length and what went wrong."""

    def __init__(self, *, wait: bool = False) -> None:
        self.go = asyncio.Event()
        if not wait:
            self.go.set()
        self.begun = asyncio.Event()
        self.body = bytearray()
        self.pieces = 0
        self.stream: Any = None
        self.replies: list[Any] = []
        self.errors: list[BaseException] = []
        self.sink: Callable[[bytes], None] = lambda _: None

    def __call__(self, request: Any, reply: Any) -> Any:
        """The handler."""
        assert request.body == b"" or request.stream is None
        self.stream = request.stream
        self.replies.append(reply)
        self.begun.set()
        return self._run(request, reply)

    def take(self, data: bytes) -> None:
        """The sink."""
        self.pieces += 1
        self.body += data
        self.sink(data)

    async def _run(self, request: Any, reply: Any) -> None:
        if request.stream is None:
            reply.send(200, b"", b"whole:" + request.body)
            return
        await self.go.wait()
        try:
            await request.stream.pump(self.take)
        except GatewayError as error:
            self.errors.append(error)
            reply.send(error.status, b"", error.message.encode())
        except BaseException as error:
            self.errors.append(error)
            raise
        else:
            reply.send(200, b"", b"%d" % len(self.body))


def serve(rig: Any, handle: Any, max_body: int = 1 << 30, **limits: Any) -> Any:
    """A listener whose calls stream."""
    rig.app.streams, rig.app.max_body = True, max_body
    return rig.serve(handle, **limits)


# in step ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_is_taken_while_it_arrives(rig: Any, framing: str) -> None:
    """A gigabyte is passed on in pieces; the request begins with its head, and the connection serves the next one."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker))
    for turn in (1, 2):
        length = framing == "length"
        await peer.send(head(b"Content-Length: 6" if length else CHUNKED))
        await taker.begun.wait()
        assert taker.stream.length == (6 if length else None)
        for number, byte in enumerate(b"abcdef"):
            await peer.send(bytes([byte]) if length else b"1\r\n%c\r\n" % byte)
            await rig.until(lambda number=number, turn=turn: len(taker.body) == 6 * (turn - 1) + number + 1)
        await peer.send(b"" if length else b"0\r\n\r\n")
        got = await peer.answer()
        assert (got.status, got.body) == (200, b"%d" % (6 * turn))
        assert "connection" not in got.headers
        taker.begun.clear()
    assert taker.body == b"abcdef" * 2
    assert len(rig.server.connections) == 1


async def test_a_request_without_a_body_has_no_stream(rig: Any) -> None:
    """A GET, or a length of nothing: there is nothing to wait for."""
    peer = await rig.peer(serve(rig, Taker()))
    for data in (GET, head(b"Content-Length: 0"), head(b"Content-Length: 0", b"Expect: 100-continue")):
        assert (await peer.ask(data)).body == b"whole:"


async def test_pipelined_requests_keep_their_order(rig: Any) -> None:
    """What is sent behind a streamed body is the next request, and waits for the answer before it."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(CHUNKED) + chunks(b"abc") + head(b"Content-Length: 2") + b"de" + GET)
    await asyncio.sleep(0.05)
    assert len(taker.replies) == 1
    taker.go.set()
    assert [(await peer.answer()).body for _ in range(3)] == [b"3", b"5", b"whole:"]


async def test_any_slices_of_many_streamed_requests(rig: Any) -> None:
    """No byte is lost or read twice between two requests, however the network cuts them."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker))
    body = bytes(range(256)) * 3
    one = head(CHUNKED) + chunks(body[:1], body[1:300], body[300:]) + head(b"Content-Length: %d" % len(body)) + body
    data = one * 40

    async def write() -> None:
        for at in range(0, len(data), 331):
            await peer.send(data[at : at + 331])
            await asyncio.sleep(0)

    task = asyncio.ensure_future(write())
    assert [int((await peer.answer()).body) for _ in range(80)] == [len(body) * (n + 1) for n in range(80)]
    await task
    assert taker.body == body * 80


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_until_somebody_pumps_a_bounded_part_is_taken(rig: Any, framing: str) -> None:
    """While we wait for a connection to the provider, the rest of a gigabyte stays with the client."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker))
    size = 20_000_000
    body = b"x" * size
    whole = head(b"Content-Length: %d" % size) + body if framing == "length" else head(CHUNKED) + chunks(body)
    sending = asyncio.ensure_future(peer.send(whole))
    await taker.begun.wait()
    await asyncio.sleep(0.2)
    assert not sending.done()
    assert 0 < taker.stream._held <= 64 * 1024 + 256 * 1024
    taker.go.set()
    assert (await peer.answer()).body == b"%d" % size
    await sending


async def test_pausing_leaves_the_rest_with_the_client(rig: Any) -> None:
    """A slow provider must not fill our memory, nor must its client be blamed for it."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker, body_grace=0.1, body_min_rate=1e9, stall_timeout=0.2))
    size = 30_000_000

    def once(_: bytes) -> None:
        taker.sink = lambda _: None
        taker.stream.pause()
        taker.stream.pause()

    taker.sink = once
    sending = asyncio.ensure_future(peer.send(head(b"Content-Length: %d" % size) + b"x" * size))
    await rig.until(lambda: taker.body)
    await asyncio.sleep(0.5)
    stood = len(taker.body)
    await asyncio.sleep(0.1)
    assert (stood, sending.done()) == (len(taker.body), False)
    assert stood < 1_000_000
    taker.stream.resume()
    assert (await peer.answer()).body == b"%d" % size
    await sending


async def test_paused_before_it_was_pumped(rig: Any) -> None:
    """A provider's connection may be full before the first piece."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(b"Content-Length: 3"))
    await taker.begun.wait()
    taker.stream.pause()
    await peer.send(b"abc")
    taker.go.set()
    await asyncio.sleep(0.05)
    assert taker.body == b""
    taker.stream.resume()
    assert (await peer.answer()).body == b"3"


# bounds and framing -----------------------------------------------------------------------------------------------------


async def test_too_long_is_refused_at_the_head(rig: Any) -> None:
    """docs/faults.md A6: nothing is read of ten gigabytes, and nobody is asked to send them."""
    taker = Taker()
    listener = serve(rig, taker, max_body=100_000)
    for expect in ((), (b"Expect: 100-continue",)):
        peer = await rig.peer(listener)
        got = await peer.ask(head(b"Content-Length: 10000000000", *expect))
        assert (got.status, got.headers["connection"]) == (413, "close")
        assert await peer.ended()
    assert taker.replies == []


SMUGGLED = {
    "over the limit in one": (b"fffff\r\n", 413),
    "over the limit in two": (b"9c40\r\n" + b"x" * 40_000 + b"\r\n9c40\r\n", 413),
    "extension": (b"5;a=b\r\nhello\r\n0\r\n\r\n", 400),
    "longer than said": (b"2\r\nhello\r\n0\r\n\r\n", 400),
    "sign": (b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "0x": (b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "space": (b" 5\r\nhello\r\n0\r\n\r\n", 400),
    "bare LF": (b"5\nhello\n0\n\n", 400),
    "bare CR": (b"5\rhello\r\n", 400),
    "LF after the chunk": (b"5\r\nhello\n0\r\n\r\n", 400),
    "no trailer": (b"0\r\nno colon\r\n\r\n", 400),
    "folded trailer": (b"0\r\n folded: a\r\n\r\n", 400),
    "NUL in a trailer": (b"0\r\nx: \0\r\n\r\n", 400),
    "endless trailers": (b"0\r\n" + b"x: y\r\n" * 5000, 400),
}


@pytest.mark.parametrize("first", [b"", b"3\r\nabc\r\n"])
@pytest.mark.parametrize("name", SMUGGLED)
async def test_a_body_two_parsers_could_read_in_two_ways_ends_the_connection(rig: Any, name: str, first: bytes) -> None:
    """docs/faults.md S1, A6: told by the pump and answered by the call; what follows is never taken for a request."""
    data, status = SMUGGLED[name]
    taker = Taker()
    peer = await rig.peer(serve(rig, taker, max_body=60_000))
    await peer.send(head(CHUNKED) + first)
    await taker.begun.wait()
    await peer.send(data + GET)
    got = await peer.answer()
    assert (got.status, got.headers["connection"]) == (status, "close")
    await peer.send(GET)
    assert await peer.ended()
    assert len(rig.app.seen) == 1
    assert bytes(taker.body) in {first[3:6], first[3:6] + b"x" * 40_000}


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 3", CHUNKED),
        (b"Content-Length: 3", b"Content-Length: 4"),
        (b"Content-Length: +3",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: gzip, chunked",),
    ],
)
async def test_wrong_lengths_never_reach_the_call(rig: Any, headers: tuple[bytes, ...]) -> None:
    """docs/faults.md S1: the head is checked before anything streams."""
    peer = await rig.peer(serve(rig, Taker()))
    got = await peer.ask(head(*headers) + b"abc")
    assert (got.status, got.headers["connection"]) == (400, "close")
    assert await peer.ended()
    assert rig.app.seen == []


async def test_a_body_that_is_wrong_before_it_is_pumped(rig: Any) -> None:
    """The call hears of it when it asks, and takes nothing of it."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(CHUNKED) + b"3\r\nabc\r\nzz\r\n" + GET)
    await taker.begun.wait()
    await asyncio.sleep(0.02)
    taker.go.set()
    assert (await peer.answer()).status == 400
    assert await peer.ended()
    assert taker.body == b""


# deadlines --------------------------------------------------------------------------------------------------------------


async def drip(peer: Any, data: bytes, gap: float) -> None:
    """One byte at a time, until the other side has enough."""
    try:
        for byte in data:
            await peer.send(bytes([byte]))
            await asyncio.sleep(gap)
    except OSError:
        pass


@pytest.mark.parametrize("start", [head(b"Content-Length: 100000"), head(CHUNKED) + b"f000\r\n"])
async def test_a_slow_body_is_given_up(rig: Any, start: bytes) -> None:
    """docs/faults.md A5: a provider's connection must not be held by a client that drips."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker, body_grace=0.3, body_min_rate=1000.0))
    await peer.send(start)
    begun = rig.loop.time()
    dripping = asyncio.ensure_future(drip(peer, b"x" * 1000, 0.02))
    got = await peer.answer()
    assert (got.status, got.headers["connection"]) == (408, "close")
    assert rig.loop.time() - begun < 2.5
    dripping.cancel()


async def test_a_body_that_never_begins_is_given_up(rig: Any) -> None:
    """Also where the minimum rate would still allow it, and before anybody pumps."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker, body_grace=0.2, body_min_rate=0.0))
    await peer.send(head(b"Content-Length: 5"))
    await asyncio.sleep(0.5)
    taker.go.set()
    assert (await peer.answer()).status == 408


async def test_a_fast_beginning_buys_no_endless_pause(rig: Any) -> None:
    """After a gigabyte in ten seconds, an average of a kilobyte a second would allow eleven days of silence."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker, body_grace=0.1, body_min_rate=1.0, stall_timeout=0.3))
    await peer.send(head(b"Content-Length: 1000001") + b"x" * 1_000_000)
    begun = rig.loop.time()
    assert (await peer.answer()).status == 408
    assert rig.loop.time() - begun < 4.0


async def test_a_body_at_a_fair_rate_may_take_its_time(rig: Any) -> None:
    """Speech that is transcribed while it is spoken."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker, body_grace=0.2, body_min_rate=10.0))
    await peer.send(head(b"Content-Length: 80"))
    await drip(peer, b"x" * 80, 0.02)
    assert (await peer.answer()).body == b"80"


# expect -----------------------------------------------------------------------------------------------------------------


async def test_expect_is_answered_when_the_body_is_wanted(rig: Any) -> None:
    """A refusal by the provider's limits, keys or budgets comes before the client has sent its file."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker, body_grace=0.1))
    await peer.send(head(b"Content-Length: 5", b"Expect: 100-continue"))
    await asyncio.sleep(0.4)
    assert taker.stream._resting is not None
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    taker.go.set()
    assert (await peer.answer()).status == 100
    assert (await peer.ask(b"hello")).body == b"5"


async def test_expect_is_not_answered_where_the_body_came(rig: Any) -> None:
    """A client that did not wait is not told to go on; it might take that for the answer."""
    taker = Taker(wait=True)
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(b"Content-Length: 5", b"Expect: 100-continue") + b"hello")
    taker.go.set()
    assert (await peer.answer()).status == 200
    taker.go.clear()
    await peer.send(head(b"Content-Length: 5", b"Expect: 100-continue"))
    await rig.until(lambda: len(taker.replies) == 2)
    await peer.send(b"hello")
    await rig.until(lambda: taker.stream._size)
    taker.go.set()
    assert (await peer.answer()).status == 200


async def test_expect_is_never_answered_by_a_call_that_refuses(rig: Any) -> None:
    """Nor where the answer has begun: what comes after its head is its body."""

    async def refuse(request: Any, reply: Any) -> None:
        reply.send(401, b"", b"no")

    async def early(request: Any, reply: Any) -> None:
        reply.start(200, b"")
        await request.stream.pump(reply.write)
        reply.end()

    listener = serve(rig, refuse)
    for handle in (refuse, early):
        rig.app.handle = handle
        peer = await rig.peer(listener)
        await peer.send(head(b"Content-Length: 2", b"Expect: 100-continue"))
        if handle is early:
            await asyncio.sleep(0.05)
            await peer.send(b"ok")
        got = await peer.answer()
        assert (got.status, got.headers["connection"]) == (401 if handle is refuse else 200, "close")
        assert await peer.ended()


# ends -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_answer_before_the_end_closes(rig: Any, at_once: bool) -> None:
    """A client in the middle of its file can still read why; what it sends meanwhile is not taken for a request."""

    def now(request: Any, reply: Any) -> None:
        reply.send(403, b"", b"no")

    async def soon(request: Any, reply: Any) -> None:
        await asyncio.sleep(0.05)
        reply.send(403, b"", b"no")

    peer = await rig.peer(serve(rig, now if at_once else soon))
    await peer.send(head(b"Content-Length: 50000000"))
    flood = asyncio.ensure_future(peer.send(b"x" * 50_000_000))
    await asyncio.sleep(0.3)
    got = await peer.answer()
    assert (got.status, got.headers["connection"], got.complete) == (403, "close", True)
    await rig.quiet()
    with pytest.raises(OSError, match=r"."):
        await flood
    assert len(rig.app.seen) == 1


async def test_an_answer_while_somebody_pumps_ends_the_pump(rig: Any) -> None:
    """A task that waits for the rest of a body nobody will read would wait for ever."""
    ended: list[BaseException] = []

    async def answer(request: Any, reply: Any) -> None:
        pumping = rig.loop.create_task(request.stream.pump(lambda _: None))
        await asyncio.sleep(0.02)
        reply.send(200, b"", b"early")
        await asyncio.wait([pumping])
        ended.append(pumping.exception())

    peer = await rig.peer(serve(rig, answer))
    await peer.send(head(b"Content-Length: 5") + b"abc")
    assert (await peer.answer()).headers["connection"] == "close"
    await rig.until(lambda: ended)
    assert isinstance(ended[0], GatewayError)


@pytest.mark.parametrize("reset", [True, False])
async def test_a_client_that_leaves_ends_everything(rig: Any, reset: bool) -> None:
    """docs/faults.md A1: the task is cancelled, and whoever pumps elsewhere is told."""
    seen: list[BaseException] = []
    cancelled = asyncio.Event()

    async def answer(request: Any, reply: Any) -> None:
        async def pump() -> None:
            try:
                await request.stream.pump(lambda _: None)
            except GatewayError as error:
                seen.append(error)

        task = rig.loop.create_task(pump())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        finally:
            await asyncio.wait([task])

    peer = await rig.peer(serve(rig, answer))
    await peer.send(head(b"Content-Length: 5000") + b"abc")
    await rig.until(lambda: rig.app.seen)
    if reset:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    async with asyncio.timeout(0.25):
        await cancelled.wait()
    await rig.until(lambda: seen)
    assert isinstance(seen[0], GatewayError)
    assert seen[0].kind is Kind.CLIENT_GONE
    await rig.quiet()


@pytest.mark.parametrize("data", [head(b"Content-Length: 5") + b"abc", head(CHUNKED) + b"5\r\nabc", head(CHUNKED) + b"0\r\n"])
async def test_a_body_that_is_cut_never_looks_whole(rig: Any, data: bytes) -> None:
    """Half a file transcribed as a whole one is worse than an error."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker))
    await peer.send(data)
    await taker.begun.wait()
    peer.done_sending()
    assert await peer.ended()
    await rig.until(lambda: taker.errors)
    await rig.quiet()


async def test_a_client_that_half_closes_behind_its_body_gets_its_answer(rig: Any) -> None:
    """docs/faults.md A3."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(CHUNKED) + chunks(b"abc"))
    peer.done_sending()
    assert (await peer.answer()).body == b"3"
    assert await peer.ended()


@pytest.mark.parametrize("before", [True, False])
async def test_a_sink_that_raises_stops_the_reading(rig: Any, before: bool) -> None:
    """Whoever takes the body finds fault with it: heard where it pumps, and the connection ends behind the answer."""
    taker = Taker(wait=before)

    def refuse(_: bytes) -> None:
        raise GatewayError(Kind.BAD_REQUEST, "not like this")

    taker.sink = refuse
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(b"Content-Length: 5") + b"abc")
    await asyncio.sleep(0.05)
    taker.go.set()
    got = await peer.answer()
    assert (got.status, got.body, got.headers["connection"]) == (400, b"not like this", "close")
    assert await peer.ended()
    assert taker.body == b"abc"


async def test_a_sink_that_raises_at_the_last_piece(rig: Any) -> None:
    """All was read, and yet it failed: an error, not an end."""
    taker = Taker()

    def refuse(_: bytes) -> None:
        raise GatewayError(Kind.BAD_REQUEST, "not like this")

    taker.sink = refuse
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(b"Content-Length: 3"))
    await taker.begun.wait()
    await asyncio.sleep(0.02)
    await peer.send(b"abc")
    assert (await peer.answer()).status == 400


# draining ---------------------------------------------------------------------------------------------------------------


async def test_a_drain_lets_a_body_come_to_its_end(rig: Any) -> None:
    """docs/faults.md E1: an upload that had begun is answered, and told to close."""
    taker = Taker()
    peer = await rig.peer(serve(rig, taker))
    await peer.send(head(b"Content-Length: 5") + b"ab")
    await taker.begun.wait()
    rig.server.drain()
    await peer.send(b"cde")
    got = await peer.answer()
    assert (got.body, got.headers["connection"]) == (b"5", "close")
    assert await peer.ended()
    await rig.quiet()


async def test_interrupt_gives_the_call_the_last_word(rig: Any) -> None:
    """At the end of a drain, a client in the middle of its upload is told why."""

    async def answer(request: Any, reply: Any) -> None:
        try:
            await request.stream.pump(lambda _: None)
        except asyncio.CancelledError:
            reply.send(503, b"", b"bye")

    peer = await rig.peer(serve(rig, answer))
    await peer.send(head(b"Content-Length: 5") + b"ab")
    await rig.until(lambda: rig.app.seen)
    await asyncio.sleep(0.02)
    rig.server.drain()
    rig.server.interrupt()
    got = await peer.answer()
    assert (got.status, got.body, got.headers["connection"]) == (503, b"bye", "close")
    assert await peer.ended()
    await rig.quiet()


# the rest ---------------------------------------------------------------------------------------------------------------


async def test_an_answer_in_step_with_its_request(rig: Any) -> None:
    """Both ways at once: what is slow on one side holds the other."""

    async def echo(request: Any, reply: Any) -> None:
        reply.flow = request.stream
        reply.start(200, b"")
        await request.stream.pump(reply.write)
        reply.end()

    peer = await rig.peer(serve(rig, echo), receive_buffer=8192)
    body = bytes(range(256)) * 40_000
    sending = asyncio.ensure_future(peer.send(head(b"Content-Length: %d" % len(body)) + body))
    await asyncio.sleep(0.2)
    assert not sending.done()
    got = await peer.answer()
    await sending
    assert (got.body == body, got.complete, got.headers["connection"]) == (True, True, "close")
    assert await peer.ended()


async def test_over_tls(rig: Any) -> None:
    """The same over an encrypted connection, where reading pauses elsewhere."""
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("localhost").configure_cert(server)
    ca.configure_trust(client)
    taker = Taker(wait=True)
    listener = serve(rig, taker)
    listener._tls = server
    host, _, port = listener.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=client, server_hostname="localhost")
    body = b"x" * 8_000_000
    writer.write(head(CHUNKED) + chunks(body[:5], body[5:]))
    await taker.begun.wait()
    await asyncio.sleep(0.1)
    assert taker.stream._held < 1_000_000
    taker.go.set()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert taker.body == body
    writer.close()


async def test_nothing_is_left_for_the_collector(rig: Any) -> None:
    """Circles would pile up between collections; a body's end, its failure and its client's leave none."""
    gc.collect()
    gc.disable()
    try:
        ghosts: list[Any] = []

        async def answer(request: Any, reply: Any) -> None:
            ghosts.extend((weakref.ref(asyncio.current_task()), weakref.ref(reply._line)))
            try:
                await request.stream.pump(lambda _: None)
            except GatewayError as error:
                reply.send(error.status, b"", b"")
            else:
                reply.send(200, b"", b"")

        listener = serve(rig, answer)
        for data, leave in ((head(CHUNKED) + chunks(b"abc"), False), (head(CHUNKED) + b"zz\r\n", False), (head(CHUNKED), True)):
            peer = await rig.peer(listener)
            await peer.send(data)
            if leave:
                await rig.until(lambda: len(ghosts) == 6)
            else:
                await peer.answer()
            peer.close()
        await rig.quiet()
        rig.app.seen.clear()
        await asyncio.sleep(0.05)
        assert [ghost() for ghost in ghosts] == [None] * 6
    finally:
        gc.enable()


async def test_a_failure_after_the_end_changes_nothing() -> None:
    """The client may leave while its request, read to the end, is being answered."""

    class Nothing:
        def invite(self) -> None: ...

        def forsake(self) -> None: ...

        def pause_reading(self) -> None: ...

        def resume_reading(self) -> None: ...

    nothing: Any = Nothing()
    inflow = Inflow(nothing, nothing, ServerLimits(), (2, 10), expects=False)
    assert inflow.feed(b"abc") == b"c"
    inflow.fail(GatewayError(Kind.CLIENT_GONE, "late"))
    inflow.pause()
    inflow.resume()
    pieces: list[bytes] = []
    await inflow.pump(pieces.append)
    assert pieces == [b"ab"]
