"""A provider's answer as bytes in, pieces out; the carrier only remembers what it was told."""

from __future__ import annotations

import asyncio
import gc
import gzip
import weakref

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines
from trunkline.edge.answer import Answer
from trunkline.edge.timers import NEVER

OK = b"HTTP/1.1 200 OK\r\n"


class Carrier:
    """Remembers."""

    def __init__(self) -> None:
        self.paused = False
        self.dropped = 0
        self.released: list[bool] = []

    def pause_reading(self) -> None:
        """Remember."""
        self.paused = True

    def resume_reading(self) -> None:
        """Remember."""
        self.paused = False

    def drop(self) -> None:
        """Remember."""
        self.dropped += 1

    def release(self, *, keep: bool) -> None:
        """Remember."""
        self.released.append(keep)


def make(limit: int = 1 << 20, **deadlines: float) -> tuple[Carrier, Answer]:
    """A carrier and the answer on it."""
    carrier = Carrier()
    return carrier, Answer(asyncio.get_running_loop(), carrier, Deadlines(**deadlines), limit)


async def read(*pieces: bytes, limit: int = 1 << 20, ended: bool = False) -> tuple[Carrier, Answer, bytes]:
    """Carrier, answer and whole body of these bytes. Raises GatewayError."""
    carrier, answer = make(limit)
    for piece in pieces:
        answer.feed(piece)
    if ended:
        answer.ended(None)
    await answer.headed
    return carrier, answer, await answer.read()


async def refusal(*pieces: bytes, limit: int = 1 << 20, ended: bool = False) -> GatewayError:
    """The error these bytes end in. The connection must be dropped, never released."""
    carrier, answer = make(limit)
    for piece in pieces:
        answer.feed(piece)
    if ended:
        answer.ended(None)

    async def whole() -> None:
        await answer.headed
        await answer.read()

    with pytest.raises(GatewayError) as refused:
        await whole()
    assert (carrier.dropped, carrier.released) == (1, [])
    return refused.value


GOOD = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "length 0": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n", b"a", True),
    "close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        b"a",
        True,
    ),
    "identity": (OK + b"Content-Encoding: identity\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "error": (b"HTTP/1.1 529 Overloaded\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n", b"", True),
    "upgrade offered": (OK + b"Connection: upgrade\r\nUpgrade: h2\r\nContent-Length: 1\r\n\r\na", b"a", True),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("sliced", [False, True])
async def test_a_whole_answer(name: str, sliced: bool) -> None:
    """Every way an honest provider frames its answer, in one piece and byte by byte."""
    data, body, keep = GOOD[name]
    pieces = [data[i : i + 1] for i in range(len(data))] if sliced else [data]
    carrier, answer, got = await read(*pieces)
    assert (got, carrier.released, carrier.dropped) == (body, [keep], 0)
    assert answer.status >= 200
    assert not answer.headers.keys() & {b"x-sum", b"link", b"host"}


async def test_a_body_that_ends_with_the_connection() -> None:
    """HTTP/1.0 servers know no other end."""
    carrier, _, body = await read(OK + b"\r\nhel", b"lo", ended=True)
    assert (body, carrier.released) == (b"hello", [False])


async def test_a_long_body_in_the_same_piece_as_the_head() -> None:
    """On a fast network 200 KB arrive at once: that is no long head."""
    body = b"x" * 200_000
    _, _, got = await read(OK + b"Content-Length: 200000\r\n\r\n" + body)
    assert got == body


BROKEN = {
    "nothing": (b"", Kind.UPSTREAM_BROKEN),
    "half a head": (OK + b"Content-Le", Kind.UPSTREAM_BROKEN),
    "only 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n", Kind.UPSTREAM_BROKEN),
    "short body": (OK + b"Content-Length: 10\r\n\r\nhello", Kind.UPSTREAM_BROKEN),
    "cut in a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\na\r\nhello", Kind.UPSTREAM_BROKEN),
    "no last chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Kind.UPSTREAM_BROKEN),
    "cut in the trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", Kind.UPSTREAM_BROKEN),
    "gzip cut by the end": (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 999)[:-6], Kind.UPSTREAM_BROKEN),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_cut_short_never_looks_whole(name: str) -> None:
    """docs/faults.md B3: half an answer passed on as a whole one is worse than an error."""
    data, kind = BROKEN[name]
    assert (await refusal(data, ended=True) if data else await refusal(ended=True)).kind is kind


GZIP = OK + b"Content-Encoding: gzip\r\n"
WRONG = {
    "not HTTP": b"SSH-2.0-x\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "cl and te": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "te and cl": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "two equal lengths": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "te gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "te twice": OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2\r\n\r\nabc",
    "17 interim answers": b"HTTP/1.1 103 Hints\r\n\r\n" * 17,
    "status 99": b"HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n",
    "folded": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bad chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk longer than said": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    "brotli": OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\na",
    "gzip twice": OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\na",
    "gzip that is none": GZIP + b"Content-Length: 3\r\n\r\nabc",
    "gzip cut, length right": GZIP + b"Content-Length: 20\r\n\r\n" + gzip.compress(b"hello there, you")[:20],
    "huge head": OK + b"X: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "many fields": OK + b"X-Field: aaaaaaaaaaaa\r\n" * 4000 + b"Content-Length: 0\r\n\r\n",
    "announced too long": OK + b"Content-Length: 2000000\r\n\r\n" + b"x" * 1_100_000,
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_cannot_be_trusted_is_refused(name: str) -> None:
    """docs/faults.md B12, B15: a framing two parsers read in two ways puts one tenant's bytes into another's answer."""
    error = await refusal(WRONG[name])
    assert (error.kind, error.status) == (Kind.UPSTREAM_PROTOCOL, 502)


async def test_a_head_without_end_takes_bounded_memory() -> None:
    """One endless field is never handed to us by the parser; it must be stopped by its bytes."""
    carrier, answer = make()
    answer.feed(OK + b"X: ")
    for _ in range(70):
        answer.feed(b"a" * 1000)
    assert carrier.dropped
    assert isinstance(answer.headed.exception(), GatewayError)


async def test_trailers_without_end_take_bounded_memory() -> None:
    """What is neither head nor body counts as well."""
    carrier, answer = make()
    answer.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ")
    for _ in range(70):
        answer.feed(b"a" * 1000)
    assert carrier.dropped
    with pytest.raises(GatewayError):
        await answer.read()


async def test_a_long_stream_of_small_chunks_is_no_overhead() -> None:
    """The bound on what is not body starts anew with each piece of body."""
    carrier, answer = make()
    answer.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(20_000):
        answer.feed(b"1\r\na\r\n")
    answer.feed(b"0\r\n\r\n")
    assert await answer.read() == b"a" * 20_000
    assert carrier.released == [True]


async def test_gzip_is_inflated_within_the_bound() -> None:
    """A gzip bomb costs its sender 1 KB and us 1 MB at most."""
    packed = gzip.compress(b"hello" * 1000)
    head = GZIP + b"Content-Length: %d\r\n\r\n" % len(packed)
    carrier, _, body = await read(head + packed)
    assert (body, carrier.released) == (b"hello" * 1000, [True])
    bomb = gzip.compress(bytes(10_000_000))
    error = await refusal(GZIP + b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb, limit=1_000_000)
    assert error.kind is Kind.UPSTREAM_PROTOCOL


async def test_an_empty_answer_marked_gzip_keeps_its_status() -> None:
    """Some servers mark every answer; a 401 must not become a 502."""
    _, answer, body = await read(b"HTTP/1.1 401 No\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, body) == (401, b"")


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb", b"\x15\x03"])
async def test_bytes_after_the_end_drop_the_connection(extra: bytes) -> None:
    """They would be the next tenant's answer (docs/faults.md B9); this one stands."""
    carrier, answer = make()
    answer.feed(OK + b"Content-Length: 1\r\n\r\na" + extra)
    assert carrier.dropped == 1
    assert await answer.read() == b"a"
    answer.feed(extra)
    assert carrier.dropped == 2


async def test_pieces_are_pushed_in_the_tick_they_arrive() -> None:
    """No await per piece: what was kept before `pump` comes first, then each as it comes."""
    _, answer = make()
    answer.feed(OK + b"Content-Length: 6\r\n\r\nab")
    got: list[bytes] = []
    pump = asyncio.ensure_future(answer.pump(got.append))
    await asyncio.sleep(0)
    assert got == [b"ab"]
    answer.feed(b"cd")
    assert got == [b"ab", b"cd"]
    answer.feed(b"ef")
    await pump
    assert got == [b"ab", b"cd", b"ef"]


class SinkError(Exception):
    """What a sink raises."""


@pytest.mark.parametrize("early", [False, True])
async def test_an_exception_in_the_sink_ends_the_exchange(early: bool) -> None:
    """A stream we cannot pass on is not paid for any longer; the handler sees its own exception."""
    carrier, answer = make()

    def sink(_: bytes) -> None:
        raise SinkError

    answer.feed(OK + b"Content-Length: 6\r\n\r\n" + (b"ab" if early else b""))
    pump = asyncio.ensure_future(answer.pump(sink))
    await asyncio.sleep(0)
    if not early:
        answer.feed(b"ab")
    with pytest.raises(SinkError):
        await pump
    assert (carrier.dropped, carrier.released) == (1, [])


async def test_cancelling_the_pump_drops_the_connection_at_once() -> None:
    """docs/faults.md A1: a client that left is paid for until the provider's connection closes."""
    carrier, answer = make()
    answer.feed(OK + b"Content-Length: 6\r\n\r\nab")
    pump = asyncio.ensure_future(answer.pump(lambda _: None))
    await asyncio.sleep(0)
    pump.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pump
    assert (carrier.dropped, carrier.released) == (1, [])
    answer.feed(b"cdef")
    answer.ended(None)
    assert carrier.released == []


async def test_an_error_before_anybody_asks_for_the_body_is_not_lost() -> None:
    """The body may break while the pipeline still looks at the head."""
    carrier, answer = make()
    answer.feed(OK + b"Content-Length: 6\r\n\r\nab")
    answer.ended(None)
    got: list[bytes] = []
    with pytest.raises(GatewayError) as broken:
        await answer.pump(got.append)
    assert (broken.value.kind, got, carrier.dropped) == (Kind.UPSTREAM_BROKEN, [b"ab"], 1)


async def test_close_is_final_and_repeatable() -> None:
    """Who gives up an answer may do so from several places."""
    carrier, answer = make()
    answer.close()
    answer.close()
    answer.fail(GatewayError(Kind.INTERNAL, "late"))
    assert carrier.dropped == 1
    carrier, answer = make()
    answer.feed(OK + b"Content-Length: 0\r\n\r\n")
    answer.close()
    assert (carrier.dropped, carrier.released) == (0, [True])


async def test_pause_and_resume() -> None:
    """A slow client stops the provider, once, and a finished answer leaves the connection reading for the next."""
    carrier, answer = make()
    answer.feed(OK + b"Content-Length: 4\r\n\r\nab")
    answer.resume()
    answer.pause()
    answer.pause()
    assert carrier.paused
    answer.resume()
    assert not carrier.paused
    answer.pause()
    answer.feed(b"cd")  # already read when we paused
    assert not carrier.paused
    answer.resume()
    answer.pause()
    assert not carrier.paused


async def test_deadlines() -> None:
    """docs/faults.md B1, B2: which deadline counts when, and the words for each."""
    _, answer = make(first_byte=5, idle=2, total=100)
    start = answer.started
    assert answer.next_deadline() == start + 5
    answer.feed(OK + b"Content-Length: 4\r\n\r\n")
    assert answer.next_deadline() == start + 5
    assert "begin" in answer.late().message
    answer.feed(b"a")
    assert start + 2 <= answer.next_deadline() <= start + 3
    assert "middle" in answer.late().message
    answer.pause()
    assert answer.next_deadline() == start + 100
    answer.resume()
    assert answer.next_deadline() <= start + 3
    answer.feed(b"bcd")
    assert answer.next_deadline() == NEVER
    _, answer = make(total=0)
    assert answer.next_deadline() == answer.started
    assert answer.late().kind is Kind.UPSTREAM_TIMEOUT
    assert "finish" in answer.late().message


async def test_nothing_is_left_for_the_collector() -> None:
    """A circle per request would be garbage collected in the middle of somebody's stream."""
    gc.collect()
    gc.disable()
    try:
        carrier, answer = make()
        answer.feed(OK + b"Content-Length: 4\r\n\r\nab")
        pump = asyncio.ensure_future(answer.pump(lambda _: None))
        await asyncio.sleep(0)
        answer.feed(b"cd")
        await pump
        ghost = weakref.ref(answer.headed)
        del answer, pump, carrier
        assert ghost() is None
    finally:
        gc.enable()
