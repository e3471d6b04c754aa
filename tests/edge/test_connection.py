"""One client's connection, driven byte by byte over loopback."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import weakref
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError, Kind

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *headers: bytes, path: bytes = b"/a", length: bool = True) -> bytes:
    """A POST of `body`."""
    fields = [b"POST " + path + b" HTTP/1.1", b"Host: a", *headers]
    if length:
        fields.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*fields, b"", body])


def later(rig: Any, seconds: float = 0.0) -> Any:
    """A handler that answers with the path, after a while."""

    async def answer(request: Any, reply: Any) -> None:
        await asyncio.sleep(seconds)
        reply.send(200, b"", request.path.encode())

    return answer


class Held:
    """A handler that answers when it is told to, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.replies: list[Any] = []

    def __call__(self, request: Any, reply: Any) -> Any:
        """The handler."""
        self.replies.append(reply)
        self.begun.set()
        return self._run(request, reply)

    async def _run(self, request: Any, reply: Any) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        reply.send(200, b"", request.path.encode())


# requests in order ------------------------------------------------------------------------------------------------------


async def test_keep_alive(rig: Any) -> None:
    """Every client library reuses its connections."""
    peer = await rig.peer(rig.serve())
    for body in (b"", b"x", b"y" * 300_000):
        got = await peer.ask(post(body))
        assert (got.status, got.body) == (200, body)
        assert "connection" not in got.headers
        assert got.headers["date"] == "now"
    assert len(rig.server.connections) == 1


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"]
)
async def test_who_asks_for_a_close_gets_one(rig: Any, head: bytes) -> None:
    """HTTP/1.0 and `connection: close` wait for the end of the connection."""
    peer = await rig.peer(rig.serve())
    got = await peer.ask(head)
    assert got.headers["connection"] == "close"
    assert await peer.ended()


async def test_a_head_in_single_bytes_with_empty_lines_before(rig: Any) -> None:
    """RFC 9112 section 2.2: some clients send an empty line after a body."""
    peer = await rig.peer(rig.serve())
    for byte in b"\r\n\r\n" + post(b"hello") + b"\r\n":
        await peer.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await peer.answer()).body == b"hello"
    assert (await peer.ask(b"\r\n" * 3 + post(b"again"))).body == b"again"


@pytest.mark.parametrize("seconds", [0.0, 0.05])
async def test_pipelined_requests_are_answered_in_order(rig: Any, seconds: float) -> None:
    """docs/faults.md A10: also where the first takes its time and the second would be quick."""
    slow = later(rig, seconds)

    def handle(request: Any, reply: Any) -> Any:
        if request.path == "/slow":
            return slow(request, reply)
        reply.send(200, b"", request.path.encode() + request.body)
        return None

    peer = await rig.peer(rig.serve(handle))
    await peer.send(post(b"1", path=b"/slow") + post(b"2") + post(b"3", path=b"/slow") + post(b"4"))
    assert [(await peer.answer()).body for _ in range(4)] == [b"/slow", b"/a2", b"/slow", b"/a4"]


async def test_hundreds_of_pipelined_requests_in_any_slices(rig: Any) -> None:
    """No recursion, no request lost between two reads."""
    peer = await rig.peer(rig.serve())
    data = b"".join(post(b"%d" % n) for n in range(500))

    async def write() -> None:
        for at in range(0, len(data), 997):
            await peer.send(data[at : at + 997])
            await asyncio.sleep(0)

    task = asyncio.ensure_future(write())
    assert [int((await peer.answer()).body) for _ in range(500)] == list(range(500))
    await task


async def test_much_pipelined_behind_a_slow_request_is_not_read(rig: Any) -> None:
    """What a client sends ahead waits in its own buffers, not in our memory."""
    held = Held()
    peer = await rig.peer(rig.serve(held))
    await peer.send(GET)
    await held.begun.wait()
    flood = rig.loop.create_task(peer.send(b"".join(post(b"x" * 10_000) for _ in range(3000))))
    await asyncio.sleep(0.2)
    (connection,) = rig.server.connections
    assert not flood.done()
    held.go.set()
    for _ in range(3001):
        assert len(connection._ahead) < 400_000
        assert (await peer.answer()).body == b"/a"
    await flood


async def test_a_pipelined_request_is_refused_on_its_own(rig: Any) -> None:
    """docs/faults.md A10: the first one's key must not serve the second; a refusal at the head keeps order and connection."""
    peer = await rig.peer(rig.serve(later(rig, 0.05)))
    await peer.send(post(b"1") + post(b"2", path=b"/refuse") + post(b"3"))
    assert [(await peer.answer()).status for _ in range(3)] == [200, 401, 200]
    assert [request.body for request in rig.app.seen] == [b"1", b"3"]


async def test_nothing_of_a_request_is_left_to_the_next(rig: Any) -> None:
    """Headers, body and refusal belong to one request."""
    peer = await rig.peer(rig.serve())
    await peer.ask(post(b"secret", b"X-Api-Key: k"))
    await peer.ask(post(b"x", path=b"/refuse"))
    assert (await peer.ask(GET)).body == b""
    assert rig.app.seen[-1].headers == {b"host": b"a"}


async def test_data_that_arrives_while_an_answer_still_leaves_is_kept(rig: Any) -> None:
    """The next request may come while a slow client has not taken all of the answer before."""

    def handle(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"x" * 8_000_000 if request.path == "/a" else request.body)

    peer = await rig.peer(rig.serve(handle), receive_buffer=4096)
    await peer.send(GET)
    await asyncio.sleep(0.05)
    await peer.send(post(b"next", path=b"/b"))
    await asyncio.sleep(0.05)
    assert len((await peer.answer()).body) == 8_000_000
    assert (await peer.answer()).body == b"next"


# bodies -----------------------------------------------------------------------------------------------------------------

CHUNKED = b"Transfer-Encoding: chunked"


async def test_a_chunked_body(rig: Any) -> None:
    """Clients that stream their request; what is pipelined behind it is the next request."""
    peer = await rig.peer(rig.serve())
    one = post(b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n", CHUNKED, length=False)
    await peer.send(one + one)
    assert [(await peer.answer()).body for _ in range(2)] == [b"hello", b"hello"]


async def test_expect_is_answered_when_the_head_is_accepted(rig: Any) -> None:
    """Clients like curl wait a second for it with every body over 1 MB."""
    peer = await rig.peer(rig.serve())
    for _ in range(2):
        await peer.send(post(b"", b"Expect: 100-continue", b"Content-Length: 5", length=False))
        assert (await peer.answer()).status == 100
        assert (await peer.ask(b"hello")).body == b"hello"
    head = post(b"", b"Expect: 100-Continue", CHUNKED, length=False)
    assert (await peer.ask(head)).status == 100
    assert (await peer.ask(b"1\r\na\r\n0\r\n\r\n")).body == b"a"


async def test_expect_with_its_body_needs_no_answer(rig: Any) -> None:
    """A client that did not wait is not told to go on; neither is one without a body, nor HTTP/1.0."""
    peer = await rig.peer(rig.serve())
    assert (await peer.ask(post(b"hello", b"Expect: 100-continue"))).body == b"hello"
    assert (await peer.ask(post(b"", b"Expect: 100-continue"))).status == 200
    await peer.send(post(b"", b"Expect: 100-continue", b"Content-Length: 1", length=False).replace(b"1.1", b"1.0"))
    await asyncio.sleep(0.05)
    assert (await peer.ask(b"a")).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(b"", b"Expect: 100-continue", b"Content-Length: 10000000000", length=False), 413),
        (post(b"", b"Expect: 100-continue", b"Content-Length: 5", length=False, path=b"/refuse"), 401),
        (post(b"", b"Content-Length: 10000000000", length=False), 413),
        (post(b"", CHUNKED, length=False, path=b"/refuse"), 401),
        (post(b"", CHUNKED, length=False) + b"fffffff\r\n", 413),
        (post(b"", CHUNKED, length=False) + b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n1\r\n", 413),
    ],
)
async def test_refused_before_the_body(rig: Any, head: bytes, status: int) -> None:
    """docs/faults.md A6: no 100, no reading of 10 GB, and the connection ends: what follows is body, not a request."""
    peer = await rig.peer(rig.serve())
    got = await peer.ask(head)
    assert (got.status, got.headers["connection"], rig.app.seen) == (status, "close", [])
    await peer.send(GET)
    assert await peer.ended()
    peer.close()
    await rig.quiet()
    assert rig.app.seen == []


async def test_a_small_refused_body_is_read_and_the_connection_kept(rig: Any) -> None:
    """A wrong key should not cost every client a new connection."""
    rig.app.max_body = 10
    peer = await rig.peer(rig.serve())
    assert (await peer.ask(post(b"x" * 11))).status == 413
    assert (await peer.ask(post(b"x" * 1000, path=b"/refuse"))).status == 401
    assert (await peer.ask(post(b"x" * 10))).status == 200


async def test_a_client_in_the_middle_of_its_body_can_read_why(rig: Any) -> None:
    """A reset would throw our words away: we stop reading, and give it a second to look up."""
    peer = await rig.peer(rig.serve())
    await peer.send(post(b"", b"Content-Length: 10000000000", length=False))
    flood = asyncio.ensure_future(peer.send(b"x" * 50_000_000))
    await asyncio.sleep(0.3)
    got = await peer.answer()
    assert (got.status, got.complete) == (413, True)
    await rig.quiet()
    with pytest.raises(OSError, match=r"."):
        await flood


# bad requests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        post(b"0\r\n\r\n", CHUNKED) + GET,
        post(b"", b"Transfer-Encoding: xchunked", CHUNKED, length=False) + b"0\r\n\r\n" + GET,
        post(b"", CHUNKED, length=False) + b"5;a=b\r\nhello\r\n0\r\n\r\n" + GET,
        post(b"", CHUNKED, length=False) + b"2\r\nhello\r\n0\r\n\r\n" + GET,
        b"GET / HTTP/1.1\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01" + b"\0" * 50 + b"\r\n\r\n",
    ],
)
async def test_bad_http_is_refused_and_the_connection_ends(rig: Any, data: bytes) -> None:
    """docs/faults.md S1: 400 and close; what follows is never taken for a request."""
    peer = await rig.peer(rig.serve())
    got = await peer.ask(data)
    assert (got.status, got.headers["connection"]) == (400, "close")
    assert await peer.ended()
    assert rig.app.seen == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
async def test_heads_that_are_too_long(rig: Any, data: bytes, status: int) -> None:
    """docs/faults.md A7, and the client can read it."""
    peer = await rig.peer(rig.serve())
    got = await peer.ask(data)
    assert (got.status, got.headers["connection"]) == (status, "close")
    assert await peer.ended()


async def test_a_flood_of_empty_lines_costs_little(rig: Any) -> None:
    """Cutting each pair of lines off a large read would take seconds of everybody's time per packet."""
    peer = await rig.peer(rig.serve())
    begun = rig.loop.time()
    await peer.send(b"\r\n" * 2_000_000 + GET)
    assert (await peer.answer()).status == 200
    assert rig.loop.time() - begun < 2.0


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_an_upgrade_is_answered_as_plain_http(rig: Any, upgrade: bytes) -> None:
    """Java's HttpClient offers h2c with its first request and sends a body with it."""
    peer = await rig.peer(rig.serve())
    request = post(b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AAMAAABk")
    for _ in range(2):
        got = await peer.ask(request)
        assert (got.status, got.body) == (200, b"hello")


async def test_head_gets_no_body(rig: Any) -> None:
    """Load balancers ask with HEAD; a body would be read as the next answer."""
    peer = await rig.peer(rig.serve())
    await peer.send(GET.replace(b"GET", b"HEAD") + post(b"next"))
    got = await peer.answer(head_only=True)
    assert (got.status, got.headers["content-length"]) == (200, "0")
    assert (await peer.answer()).body == b"next"


# deadlines --------------------------------------------------------------------------------------------------------------


async def drip(peer: Any, data: bytes, gap: float) -> None:
    """One byte at a time, until the other side has enough."""
    try:
        for byte in data:
            await peer.send(bytes([byte]))
            await asyncio.sleep(gap)
    except OSError:
        pass


async def test_a_slow_head_is_given_up_in_all(rig: Any) -> None:
    """docs/faults.md A5: a byte now and then buys no time."""
    peer = await rig.peer(rig.serve(header_timeout=0.3))
    begun = rig.loop.time()
    dripping = asyncio.ensure_future(drip(peer, GET * 10, 0.02))
    got = await peer.answer()
    assert (got.status, got.headers["connection"]) == (408, "close")
    assert 0.25 < rig.loop.time() - begun < 1.0
    dripping.cancel()


async def test_who_says_nothing_is_let_go_without_a_word(rig: Any) -> None:
    """An answer nobody asked for would be taken for the answer to the next request."""
    listener = rig.serve(header_timeout=0.2, keep_alive=0.3)
    silent = await rig.peer(listener)
    begun = rig.loop.time()
    assert await silent.ended()
    assert 0.15 < rig.loop.time() - begun < 0.8
    idle = await rig.peer(listener)
    assert (await idle.ask(GET)).status == 200
    begun = rig.loop.time()
    await idle.send(b"\r\n")
    assert await idle.ended()
    assert 0.25 < rig.loop.time() - begun < 0.8


async def test_the_time_for_a_second_head_starts_with_its_first_byte(rig: Any) -> None:
    """A connection that rested longer than a head may take is still good."""
    peer = await rig.peer(rig.serve(header_timeout=0.2, keep_alive=5.0))
    assert (await peer.ask(GET)).status == 200
    await asyncio.sleep(0.5)
    assert (await peer.ask(GET)).status == 200
    await peer.send(GET[:10])
    assert (await peer.answer()).status == 408


@pytest.mark.parametrize(
    "head", [post(b"", b"Content-Length: 100000", length=False), post(b"", CHUNKED, length=False) + b"f000\r\n"]
)
async def test_a_slow_body_is_given_up(rig: Any, head: bytes) -> None:
    """docs/faults.md A5: announcing a large chunk is not sending it."""
    peer = await rig.peer(rig.serve(body_grace=0.3, body_min_rate=1000.0))
    await peer.send(head)
    begun = rig.loop.time()
    dripping = asyncio.ensure_future(drip(peer, b"x" * 1000, 0.02))
    got = await peer.answer()
    assert (got.status, got.headers["connection"]) == (408, "close")
    assert rig.loop.time() - begun < 2.5
    dripping.cancel()


async def test_a_body_that_never_begins_is_given_up(rig: Any) -> None:
    """Also where the minimum rate would still allow it."""
    peer = await rig.peer(rig.serve(body_grace=0.2, body_min_rate=0.0))
    got = await peer.ask(post(b"", b"Content-Length: 5", length=False))
    assert got.status == 408


async def test_a_body_at_a_fair_rate_may_take_its_time(rig: Any) -> None:
    """A long prompt over a telephone line."""
    peer = await rig.peer(rig.serve(body_grace=0.2, body_min_rate=10.0))
    await peer.send(post(b"", b"Content-Length: 60", length=False))
    await drip(peer, b"x" * 60, 0.02)
    assert (await peer.answer()).body == b"x" * 60


# clients that leave -----------------------------------------------------------------------------------------------------


def streaming(pieces: int, gap: float) -> Any:
    """A handler that streams numbered pieces."""

    async def answer(request: Any, reply: Any) -> None:
        await asyncio.sleep(gap)
        reply.start(200, b"")
        for number in range(pieces):
            reply.write(b"data: %06d\n\n" % number)
            await asyncio.sleep(gap)
        reply.end()

    return answer


@pytest.mark.parametrize("gap", [0.0, 0.03, 0.15])
async def test_half_closed_gets_its_whole_answer(rig: Any, gap: float) -> None:
    """docs/faults.md A3: legal, and what `nc -N` and some Go clients do; the same bytes as for any other client."""
    pieces = 8
    listener = rig.serve(streaming(pieces, gap))
    ordinary, half = await rig.peer(listener), await rig.peer(listener)
    await ordinary.send(GET)
    await half.send(GET)
    half.done_sending()
    want, got = await ordinary.answer(), await half.answer()
    assert (got.status, got.headers, got.complete) == (want.status, want.headers, True)
    assert got.body == want.body == b"".join(b"data: %06d\n\n" % number for number in range(pieces))
    assert await half.ended()
    assert len(rig.server.connections) == 1


async def test_half_closed_gets_a_whole_answer_late(rig: Any) -> None:
    """More probes than `HTTP/1.1 ` has letters would spoil the status line."""
    listener = rig.serve(later(rig, 0.5))
    peer = await rig.peer(listener)
    await peer.send(GET)
    peer.done_sending()
    got = await peer.answer()
    assert got.raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (got.body, await peer.ended()) == (b"/a", True)


async def test_half_closed_gets_all_its_pipelined_answers(rig: Any) -> None:
    """`printf 'GET…GET…' | nc -N`: what was sent is answered; the half of a request at the end is nobody's."""
    peer = await rig.peer(rig.serve(later(rig, 0.03)))
    await peer.send(GET * 3 + GET[:10])
    peer.done_sending()
    assert [(await peer.answer()).body for _ in range(3)] == [b"/a"] * 3
    assert await peer.ended()
    await rig.quiet()


@pytest.mark.parametrize("data", [b"", GET[:10], post(b"", b"Content-Length: 5", length=False) + b"abc"])
async def test_half_closed_before_the_request_is_whole(rig: Any, data: bytes) -> None:
    """Nothing can come of it."""
    peer = await rig.peer(rig.serve())
    await peer.send(data)
    peer.done_sending()
    assert await peer.ended()
    await rig.quiet()
    assert rig.app.seen == []


async def test_half_closed_while_a_large_answer_leaves(rig: Any) -> None:
    """All of it, to a client that reads slowly and will not ask again."""

    def handle(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"x" * 8_000_000)

    peer = await rig.peer(rig.serve(handle), receive_buffer=4096)
    await peer.send(GET)
    await asyncio.sleep(0.05)
    peer.done_sending()
    await asyncio.sleep(0.1)
    got = await peer.answer()
    assert (len(got.body), await peer.ended()) == (8_000_000, True)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("started", [False, True])
async def test_a_client_that_left_is_noticed_at_once(rig: Any, started: bool, reset: bool) -> None:
    """docs/faults.md A1, A2: within 250 ms while nothing is being sent: the provider is paid by the token."""
    held = Held()
    peer = await rig.peer(rig.serve(held))
    await peer.send(GET)
    await held.begun.wait()
    if started:
        held.replies[0].start(200, b"")
        held.replies[0].write(b"first")
        await peer.more()
    if reset:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    async with asyncio.timeout(0.25):
        await held.cancelled.wait()
    assert held.replies[0].gone
    held.replies[0].write(b"late")
    held.replies[0].end()
    assert not rig.server.connections


async def test_a_half_closed_client_that_leaves_later_is_noticed(rig: Any) -> None:
    """Probing goes on as long as there is a byte that changes nothing."""
    held = Held()
    peer = await rig.peer(rig.serve(held))
    await peer.send(GET)
    await held.begun.wait()
    peer.done_sending()
    await asyncio.sleep(0.2)
    assert not held.cancelled.is_set()
    peer.close()
    async with asyncio.timeout(1.5):
        await held.cancelled.wait()


# slow readers -----------------------------------------------------------------------------------------------------------


class Source:
    """A flow that brings pieces as fast as it may, like a provider."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.pauses = 0
        self.running = asyncio.Event()
        self.running.set()

    def pause(self) -> None:
        """No more for now."""
        self.pauses += 1
        self.running.clear()

    def resume(self) -> None:
        """Go on."""
        self.running.set()

    async def answer(self, request: Any, reply: Any) -> None:  # noqa: ARG002 - a handler
        """Stream until the end."""
        reply.flow = self
        reply.start(200, b"")
        while self.left:
            await self.running.wait()
            reply.write(b"x" * 10_000)
            self.left -= 1
            await asyncio.sleep(0)
        reply.end()


async def test_a_slow_reader_pauses_the_provider(rig: Any) -> None:
    """docs/faults.md A4: 50 MB for a client that does not read stay with the provider; when it reads, it gets all of them."""
    source = Source(5_000)
    peer = await rig.peer(rig.serve(source.answer))
    await peer.send(GET)
    await rig.until(lambda: source.pauses)
    await asyncio.sleep(0.1)
    stood = source.left
    (connection,) = rig.server.connections
    assert connection._transport.get_write_buffer_size() < 256 * 1024
    await asyncio.sleep(0.1)
    assert source.left == stood > 3_000
    got = await peer.answer()
    assert (len(got.body), got.complete) == (50_000_000, True)
    assert source.left == 0
    assert (await peer.ask(GET)).complete


async def test_a_reader_that_takes_nothing_is_cut(rig: Any) -> None:
    """Held open for ever, it would hold the provider's connection as well."""
    source = Source(20_000)
    peer = await rig.peer(rig.serve(source.answer, stall_timeout=0.3), receive_buffer=4096)
    await peer.send(GET)
    await rig.until(lambda: source.pauses)
    await rig.quiet()
    got = await peer.answer()
    assert not got.complete


async def test_a_slow_reader_that_takes_something_is_not_cut(rig: Any) -> None:
    """Even where what arrives meanwhile makes its backlog grow: progress is what counts."""
    piece, all_written = b"x" * 300_000, asyncio.Event()

    async def answer(request: Any, reply: Any) -> None:
        (connection,) = rig.server.connections
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        reply.start(200, b"")
        for _ in range(12):
            reply.write(piece)
            await asyncio.sleep(0.1)
        reply.end()
        all_written.set()

    peer = await rig.peer(rig.serve(answer, stall_timeout=0.4), receive_buffer=4096)
    await peer.send(GET)
    taken = 0
    while not all_written.is_set():
        taken += (await peer.more()).count(b"x")
        await asyncio.sleep(0.05)
    assert taken < 1_000_000
    while taken < 3_600_000:
        more = await peer.more()
        assert more
        taken += more.count(b"x")


async def test_an_answer_before_a_close_is_not_cut_while_it_leaves(rig: Any) -> None:
    """A megabyte to a slow client that asked for a close, with more pipelined behind, takes longer than we linger."""

    def handle(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"x" * 4_000_000)

    peer = await rig.peer(rig.serve(handle), receive_buffer=4096)
    await peer.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    await asyncio.sleep(1.5)
    got = await peer.answer()
    assert len(got.body) == 4_000_000


async def test_one_that_never_takes_the_rest_is_let_go(rig: Any) -> None:
    """Idle, closed and lingering connections with unsent bytes must end too."""

    def handle(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"x" * 6_000_000)

    listener = rig.serve(handle, stall_timeout=0.3, keep_alive=0.2)
    for head in (GET, GET.replace(b"1.1", b"1.0"), GET + GET):
        peer = await rig.peer(listener, receive_buffer=4096)
        await peer.send(head)
    await asyncio.sleep(0.1)
    assert len(rig.server.connections) == 3
    await rig.quiet()


# broken answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_an_answer_cut_short_never_looks_whole(rig: Any, version: bytes) -> None:
    """Chunked: no last chunk. HTTP/1.0, where the end of the connection is the end of the body: a reset."""

    def handle(request: Any, reply: Any) -> None:
        reply.start(200, b"")
        reply.write(b"half")
        reply.abort()

    peer = await rig.peer(rig.serve(handle))
    await peer.send(GET.replace(b"1.1", version))
    with pytest.raises(ConnectionResetError) if version == b"1.0" else _nothing():
        data = b""
        while more := await rig.loop.sock_recv(peer.sock, 65536):
            data += more
        assert b"half" in data
        assert not data.endswith(b"0\r\n\r\n")


class _nothing:  # noqa: N801 - stands where pytest.raises stands
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


async def test_an_app_that_raises_ends_the_connection(rig: Any) -> None:
    """A bug must not leave a client waiting for ever; the loop's handler hears of it."""
    heard: list[Any] = []
    rig.loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def handle(request: Any, reply: Any) -> None:
        raise ZeroDivisionError

    listener = rig.serve(handle)
    peer = await rig.peer(listener)
    await peer.send(GET)
    assert await peer.ended()
    slow = await rig.peer(listener)

    def second(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"%d" % (1 // (3 - len(rig.app.seen))))

    rig.app.handle = second
    await slow.send(GET + GET)
    assert (await slow.answer()).status == 200
    assert await slow.ended()
    await rig.quiet()
    assert [type(error) for error in heard] == [ZeroDivisionError] * 2


async def test_an_app_that_cannot_refuse_ends_the_connection(rig: Any) -> None:
    """Called from the sweep, its error must stop neither the connection's end nor other deadlines."""
    heard: list[Any] = []
    rig.loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def refuse(request: Any, reply: Any, error: Any) -> None:
        raise ZeroDivisionError

    rig.app.refuse = refuse
    listener = rig.serve(header_timeout=0.1)
    peers = [await rig.peer(listener) for _ in range(3)]
    for peer in peers:
        await peer.send(b"GET")
    for peer in peers:
        assert await peer.ended()
    await rig.quiet()
    assert [type(error) for error in heard] == [ZeroDivisionError] * 3


# draining ---------------------------------------------------------------------------------------------------------------


async def test_drain(rig: Any) -> None:
    """docs/faults.md E1: idle connections close, busy ones finish and say close, half a request is still served."""
    held = Held()
    listener = rig.serve(held)
    idle, busy, halfway = [await rig.peer(listener) for _ in range(3)]
    held.go.set()
    assert (await idle.ask(GET)).status == 200
    held.go.clear()
    held.begun.clear()
    await busy.send(GET)
    await held.begun.wait()
    await halfway.send(GET[:10])
    await asyncio.sleep(0.05)
    rig.server.drain()
    assert await idle.ended()
    await halfway.send(GET[10:])
    await asyncio.sleep(0.05)
    held.go.set()
    for peer in (busy, halfway):
        got = await peer.answer()
        assert (got.status, got.headers["connection"], got.body) == (200, "close", b"/a")
        assert await peer.ended()
    await rig.quiet()


async def test_a_stream_that_had_begun_ends_with_its_connection(rig: Any) -> None:
    """Its head said nothing of a close; the drain must still end."""
    peer = await rig.peer(rig.serve(streaming(5, 0.05)))
    await peer.send(GET)
    await asyncio.sleep(0.1)
    rig.server.drain()
    got = await peer.answer()
    assert got.complete
    assert await peer.ended()
    await rig.quiet()


async def test_interrupt_lets_handlers_have_the_last_word(rig: Any) -> None:
    """At the end of a drain each stream ends with an error of its dialect; whoever only sends is closed."""

    async def answer(request: Any, reply: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            error = GatewayError(Kind.SHUTTING_DOWN, "bye")
            reply.send(error.status, b"", error.message.encode())

    listener = rig.serve(answer)
    busy, sending = await rig.peer(listener), await rig.peer(listener)
    await busy.send(GET)
    await sending.send(post(b"", b"Content-Length: 5", length=False))
    await rig.until(lambda: rig.app.seen)
    rig.server.drain()
    rig.server.interrupt()
    got = await busy.answer()
    assert (got.status, got.body, got.headers["connection"]) == (503, b"bye", "close")
    assert await busy.ended()
    assert await sending.ended()
    await rig.quiet()


async def test_a_drain_while_an_answer_still_leaves(rig: Any) -> None:
    """Neither cut nor left open."""

    def handle(request: Any, reply: Any) -> None:
        reply.send(200, b"", b"x" * 8_000_000)

    peer = await rig.peer(rig.serve(handle), receive_buffer=4096)
    await peer.send(GET)
    await asyncio.sleep(0.05)
    rig.server.drain()
    assert len((await peer.answer()).body) == 8_000_000
    assert await peer.ended()
    await rig.quiet()


# memory -----------------------------------------------------------------------------------------------------------------


async def test_a_closed_connection_leaves_nothing_for_the_collector(rig: Any) -> None:
    """Circles would pile up between collections, and be taken apart in the middle of somebody's stream."""
    gc.collect()
    gc.disable()
    try:
        replies: list[Any] = []

        async def answer(request: Any, reply: Any) -> None:
            replies.append(weakref.ref(asyncio.current_task()))
            await asyncio.sleep(0)
            reply.send(200, b"", b"")

        peer = await rig.peer(rig.serve(answer))
        for _ in range(3):
            await peer.ask(GET)
        (connection,) = rig.server.connections
        ghosts = [*replies, weakref.ref(connection)]
        del connection
        peer.close()
        await rig.quiet()
        await asyncio.sleep(0.05)
        assert [ghost() for ghost in ghosts] == [None] * 4
    finally:
        gc.enable()


async def test_dates_and_statuses_look_like_http(rig: Any) -> None:
    """Every byte of a head in one look."""
    peer = await rig.peer(rig.serve())
    got = await peer.ask(GET)
    assert re.fullmatch(rb"HTTP/1\.1 200 OK\r\nx-path: /a\r\ndate: now\r\ncontent-length: 0\r\n\r\n", got.raw)
