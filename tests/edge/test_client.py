"""Requests over pooled connections, against providers that behave and providers that do not."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from msgspec import structs

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.client import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def refused_by(rig: Any, request: Any) -> GatewayError:
    """The error `request` ends in, head or body."""
    with pytest.raises(GatewayError) as refused:
        await ask(rig, request)
    return refused.value


async def ask(rig: Any, request: Any) -> bytes:
    """The body `request` is answered with."""
    answer = await rig.client.send(request)
    body: bytes = await answer.read()
    return body


async def test_what_goes_out(rig: Any, wire: Any, read_request: Any) -> None:
    """The provider gets exactly the head lines it was given, framing that fits, and the body byte for byte."""
    got: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await read_request(reader))
        writer.write(OK)

    origin = await rig.provider(script)
    assert await ask(rig, wire(origin, b'{"a":1}', "/v1/chat?b=c")) == b"hello"
    head = b"POST /v1/chat?b=c HTTP/1.1\r\nhost: provider.test\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"
    assert got == [(head, b'{"a":1}')]


async def test_a_get_has_no_body_and_no_framing(rig: Any, wire: Any) -> None:
    """A picture is asked for by GET; a content type or length there would be a body that some servers wait for."""
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    origin = await rig.provider(script)
    assert await ask(rig, structs.replace(wire(origin, b"", "/a.png?b"), method="GET")) == b"hello"
    assert got == [b"GET /a.png?b HTTP/1.1\r\nhost: provider.test\r\n\r\n"]


async def test_a_large_body_arrives(rig: Any, wire: Any, read_request: Any) -> None:
    """Images in a prompt make megabytes; the answer comes when all is read."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%8d" % len(body))
        await reader.read()

    origin = await rig.provider(script)
    assert int(await ask(rig, wire(origin, b"x" * 5_000_000))) == 5_000_000


async def test_connections_are_used_again(rig: Any, wire: Any, says: Any) -> None:
    """A TLS handshake per request would cost more than the request."""
    origin = await rig.provider(says(OK))
    for _ in range(5):
        assert await ask(rig, wire(origin)) == b"hello"
    pool = rig.client.pools[origin]
    assert (rig.accepted, pool.open, pool.idle) == (1, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        OK + b"x",
        OK + OK,
    ],
)
async def test_connections_that_are_not_used_again(rig: Any, wire: Any, says: Any, answer: bytes) -> None:
    """Said to close, or with bytes after the end that would be the next tenant's answer."""
    origin = await rig.provider(says(answer))
    for _ in range(3):
        assert await ask(rig, wire(origin)) == b"hello"
        await rig.until(lambda: rig.client.pools[origin].open == 0)
    assert rig.accepted == 3


async def test_a_body_that_ends_with_the_connection(rig: Any, wire: Any, says: Any) -> None:
    """The last resort of HTTP/1.0."""
    origin = await rig.provider(says(b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo", close=True))
    assert await ask(rig, wire(origin)) == b"hello"


async def test_unsolicited_bytes_on_an_idle_connection_drop_it(rig: Any, wire: Any, read_request: Any) -> None:
    """A provider that talks out of turn (408, goodbye, a stray answer) must not answer the next request with it."""
    turn = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        if rig.accepted == 1:
            await turn.wait()
            writer.write(b"HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nlate")
        await reader.read()

    origin = await rig.provider(script)
    assert await ask(rig, wire(origin)) == b"hello"
    turn.set()
    await rig.until(lambda: rig.client.pools[origin].open == 0)
    assert await ask(rig, wire(origin)) == b"hello"
    assert rig.accepted == 2


async def test_an_early_answer_does_not_keep_the_connection(rig: Any, wire: Any) -> None:
    """The rest of the request is still on its way: what comes next on that connection is anybody's guess."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await asyncio.sleep(5)

    origin = await rig.provider(script)
    answer = await rig.client.send(wire(origin, b"x" * 20_000_000))
    assert (answer.status, await answer.read()) == (413, b"big")
    pool = rig.client.pools[origin]
    assert pool.idle == 0


# deaths -----------------------------------------------------------------------------------------------------------------


async def test_a_reused_connection_that_died_is_tried_again_once(rig: Any, wire: Any, read_request: Any) -> None:
    """docs/faults.md B8: the provider closed as we sent; nobody did anything wrong and nobody should notice."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = rig.accepted
        asked.append((await read_request(reader))[1])
        writer.write(OK)
        if number == 1:
            asked.append((await read_request(reader))[1])
            return
        await reader.read()

    origin = await rig.provider(script)
    assert await ask(rig, wire(origin, b"1")) == b"hello"
    assert await ask(rig, wire(origin, b"2")) == b"hello"
    assert (asked, rig.accepted) == ([b"1", b"2", b"2"], 2)


async def test_a_fresh_connection_that_dies_is_an_error(rig: Any, wire: Any, read_request: Any) -> None:
    """A POST costs money: what may have been done is not done again behind the caller's back."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await read_request(reader))[1])

    origin = await rig.provider(script)
    error = await refused_by(rig, wire(origin))
    assert (error.kind, len(asked), rig.accepted) == (Kind.UPSTREAM_BROKEN, 1, 1)
    assert rig.client.pools[origin].open == 0


async def test_a_reused_connection_that_began_to_answer_is_not_tried_again(rig: Any, wire: Any, read_request: Any) -> None:
    """One byte of an answer means the provider is at work, and charges."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"H")

    origin = await rig.provider(script)
    assert await ask(rig, wire(origin)) == b"hello"
    assert (await refused_by(rig, wire(origin))).kind is Kind.UPSTREAM_BROKEN
    assert rig.accepted == 1


async def test_both_tries_may_die(rig: Any, wire: Any, read_request: Any) -> None:
    """One silent retry, not two."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = rig.accepted
        await read_request(reader)
        if number == 1:
            writer.write(OK)
            await read_request(reader)

    origin = await rig.provider(script)
    assert await ask(rig, wire(origin)) == b"hello"
    assert (await refused_by(rig, wire(origin))).kind is Kind.UPSTREAM_BROKEN
    assert rig.accepted == 2


async def test_one_that_closed_while_idle_is_not_used(rig: Any, wire: Any, says: Any) -> None:
    """Providers close idle connections after seconds; the next request goes out on a new one, once."""
    origin = await rig.provider(says(OK, close=True))
    for count in range(1, 4):
        assert await ask(rig, wire(origin)) == b"hello"
        await rig.until(lambda: rig.client.pools[origin].open == 0)
        assert rig.accepted == count


async def test_connections_to_places_that_are_no_more_are_closed(rig: Any, wire: Any, says: Any) -> None:
    """A provider that was taken out of the configuration sees us go; the others keep what is warm."""
    origins = [await rig.provider(says(OK)) for _ in range(2)]
    for origin in origins:
        await ask(rig, wire(origin))
    pools = [rig.client.pools[origin] for origin in origins]
    rig.client.keep([origins[1]])
    assert [pool.idle for pool in pools] == [0, 1]
    assert list(rig.client.pools) == origins[1:], "what is no more must not be told of for ever"
    await rig.until(lambda: [pool.open for pool in pools] == [0, 1])
    assert await ask(rig, wire(origins[0])) == b"hello", "a request that began before goes on to be served"


async def test_idle_connections_are_closed_when_old(rig: Any, wire: Any, says: Any) -> None:
    """Load balancers forget silent connections; a request on a forgotten one hangs."""
    origin = structs.replace(await rig.provider(says(OK)), keep_idle=0.05)
    assert await ask(rig, wire(origin)) == b"hello"
    assert rig.client.pools[origin].idle == 1
    await rig.until(lambda: rig.client.pools[origin].open == 0)
    assert rig.client.pools[origin].idle == 0


# deadlines --------------------------------------------------------------------------------------------------------------


def slow(read_request: Any, *pieces: bytes, gap: float) -> Any:
    """A provider that waits `gap` seconds before each piece, then for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            await asyncio.sleep(gap)
            writer.write(piece)
        await reader.read()

    return script


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "gap", "deadlines", "words"),
    [
        ([], 0.0, {"first_byte": 0.2}, "begin"),
        ([HEAD], 0.0, {"first_byte": 0.2}, "begin"),
        ([HEAD + b"a"], 0.0, {"idle": 0.2}, "middle"),
        ([HEAD + b"a", b"b", b"c"], 0.1, {"idle": 0.3}, "middle"),
        ([HEAD] + [b"a"] * 50, 0.05, {"total": 0.4, "idle": 0.3}, "finish"),
    ],
)
async def test_deadlines(rig: Any, wire: Any, read_request: Any, pieces: Any, gap: Any, deadlines: Any, words: str) -> None:
    """docs/faults.md B1, B2: each phase ends in time, says which it was, and closes the provider's connection."""
    origin = await rig.provider(slow(read_request, *pieces, gap=gap))
    begun = rig.loop.time()
    error = await refused_by(rig, wire(origin, **deadlines))
    took = rig.loop.time() - begun
    assert (error.kind, error.status) == (Kind.UPSTREAM_TIMEOUT, 504)
    assert words in error.message
    assert took < len(pieces) * gap + min(deadlines.values()) + 0.5
    await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_idle_is_noticed_in_time_behind_a_long_first_byte(rig: Any, wire: Any, read_request: Any) -> None:
    """A thinking model may take a minute to begin; once it began, a minute of silence is not to be waited for twice."""
    origin = await rig.provider(slow(read_request, HEAD + b"a", gap=0.05))
    begun = rig.loop.time()
    error = await refused_by(rig, wire(origin, first_byte=60.0, idle=0.2))
    assert "middle" in error.message
    assert rig.loop.time() - begun < 1.0


async def test_idle_rests_while_we_do_not_read(rig: Any, wire: Any, read_request: Any) -> None:
    """A slow client must not make the provider look stalled; once it reads again, the clock runs again."""
    pieces = [HEAD + b"a"]
    origin = await rig.provider(slow(read_request, *pieces, gap=0.0))
    answer = await rig.client.send(wire(origin, idle=0.2))
    answer.pause()
    await asyncio.sleep(0.6)
    answer.resume()
    begun = rig.loop.time()
    with pytest.raises(GatewayError):
        await answer.read()
    assert 0.15 < rig.loop.time() - begun < 0.6


async def test_pausing_stops_the_provider(rig: Any, wire: Any, read_request: Any) -> None:
    """docs/faults.md A4: what a slow client does not take stays with the provider, not with us."""
    written = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    origin = await rig.provider(script)
    answer = await rig.client.send(wire(origin, limit=1 << 30))
    answer.pause()
    await asyncio.sleep(0.3)
    stood = written
    await asyncio.sleep(0.2)
    assert stood == written < 50_000_000
    held = sum(map(len, answer._pieces))
    assert held < 1_000_000
    answer.resume()
    assert len(await answer.read()) == 100_000_000


# bounds -----------------------------------------------------------------------------------------------------------------


async def test_one_stuck_provider_does_not_hold_the_others(rig: Any, wire: Any, says: Any, read_request: Any) -> None:
    """docs/faults.md B10: each origin has its own bound; who finds it full waits briefly and is told when to come back."""
    stuck = structs.replace(await rig.provider(slow(read_request, gap=0)), max_connections=3, max_waiting=2, pool_wait=0.2)
    good = await rig.provider(says(OK))
    tasks = [asyncio.ensure_future(rig.client.send(wire(stuck))) for _ in range(10)]
    for _ in range(20):
        assert await ask(rig, wire(good)) == b"hello"
    await asyncio.wait(tasks[3:])
    for task in tasks[3:]:
        error = task.exception()
        assert isinstance(error, GatewayError)
        assert (error.kind, error.status, error.retry_after) == (Kind.OVERLOADED, 503, 1.0)
    for task in tasks[:3]:
        assert not task.done()
        task.cancel()
    await asyncio.wait(tasks[:3])
    await rig.until(lambda: rig.client.pools[stuck].open == 0)


async def test_a_waiting_request_gets_the_connection_that_comes_free(rig: Any, wire: Any, says: Any) -> None:
    """At the bound, work goes on over what there is."""
    origin = structs.replace(await rig.provider(says(OK)), max_connections=2)
    bodies = await asyncio.gather(*(ask(rig, wire(origin)) for _ in range(50)))
    assert bodies == [b"hello"] * 50
    assert rig.accepted == 2
    assert rig.client.pools[origin].waiting == 0


async def test_an_answer_over_its_bound_is_refused(rig: Any, wire: Any, says: Any) -> None:
    """docs/faults.md B12: an endless answer ends."""
    origin = await rig.provider(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000))
    error = await refused_by(rig, wire(origin, limit=200_000))
    assert error.kind is Kind.UPSTREAM_PROTOCOL
    assert "200000" in error.message


async def test_pools_nobody_uses_are_forgotten(rig: Any, wire: Any, says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and base URLs change over months of uptime; pools must not pile up."""
    monkeypatch.setattr("trunkline.edge.client._MAX_POOLS", 2)
    origin = await rig.provider(says(OK))
    for wait in (1.0, 2.0, 3.0, 4.0):
        one = structs.replace(origin, pool_wait=wait)
        assert await ask(rig, wire(one)) == b"hello"
        pool = rig.client.pools[one]
        pool.shed()
        await rig.until(lambda pool=pool: pool.open == 0)
    assert len(rig.client.pools) <= 2


async def test_a_pool_that_was_replaced_is_forgotten(rig: Any, wire: Any, says: Any) -> None:
    """A reload with other bounds makes another pool: what is told of the provider must not be the sum of both for ever."""
    origin = structs.replace(await rig.provider(says(OK)), provider="p")
    other = structs.replace(origin, provider="q")
    for wait in (1.0, 2.0, 3.0):
        one = structs.replace(origin, pool_wait=wait)
        for place in (one, other):
            assert await ask(rig, wire(place)) == b"hello"
        pool = rig.client.pools[one]
        pool.shed()
        await rig.until(lambda pool=pool: pool.open == 0)
    assert sorted(told.provider for told in rig.client.pools_told()) == ["p", "q"]


async def test_close_lets_go_of_idle_connections_only(rig: Any, wire: Any, read_request: Any) -> None:
    """At the end of a drain nothing may be left open, and nothing cut that still runs."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
            await asyncio.sleep(0.1)
            writer.write(b"lo")
        await reader.read()

    origin = await rig.provider(script)
    answer = await rig.client.send(wire(origin))
    pool = rig.client.pools[origin]
    rig.client.close()
    assert await answer.read() == b"hello"
    rig.client.close()
    await rig.until(lambda: pool.open == 0)


# desync -----------------------------------------------------------------------------------------------------------------


async def test_cancelled_at_any_point_nobody_gets_anothers_answer(rig: Any, wire: Any, read_request: Any) -> None:
    """docs/faults.md B9: each answer carries its own request's nonce, after 400 seeded cancellations at every stage."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dice = random.Random(rig.accepted)
        while True:
            _, nonce = await read_request(reader)
            whole = nonce * 20
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(whole), 40):
                if dice.random() < 0.5:
                    await asyncio.sleep(dice.random() * 0.001)
                piece = whole[at : at + 40]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")

    origin = structs.replace(await rig.provider(script), max_connections=4)
    dice = random.Random(20260)
    whole = cancelled = 0
    for round_ in range(400):
        nonce = b"<%08d>" % round_
        task = asyncio.ensure_future(ask(rig, wire(origin, nonce)))
        other = asyncio.ensure_future(ask(rig, wire(origin, b"[%08d]" % round_)))
        if dice.random() < 0.7:
            for _ in range(dice.randrange(6)):
                await asyncio.sleep(0)
            if dice.random() < 0.5:
                await asyncio.sleep(dice.random() * 0.006)
            task.cancel()
        assert await other == b"[%08d]" % round_ * 20
        try:
            assert await task == nonce * 20
            whole += 1
        except asyncio.CancelledError:
            cancelled += 1
    assert whole > 50
    assert cancelled > 50
    pool = rig.client.pools[origin]
    await rig.until(lambda: pool.open == pool.idle)
    assert pool.open <= 4


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_while_connecting_leaves_no_room_taken(rig: Any, wire: Any, says: Any, steps: int) -> None:
    """A connection that nobody waits for any more must give its place back, however far it had come."""
    origin = structs.replace(await rig.provider(says(OK)), max_connections=1)
    task = asyncio.ensure_future(ask(rig, wire(origin)))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await ask(rig, wire(origin)) == b"hello"
    assert rig.client.pools[origin].open == 1


async def test_the_body_may_be_taken_late(rig: Any, wire: Any, says: Any) -> None:
    """What arrives before anybody asks is kept, and the connection is free as soon as it is all there."""
    origin = await rig.provider(says(OK))
    answer = await rig.client.send(wire(origin))
    await rig.until(lambda: rig.client.pools[origin].idle == 1)
    assert await ask(rig, wire(origin)) == b"hello"
    assert await answer.read() == b"hello"


async def test_a_connection_the_provider_closes_at_once(rig: Any, wire: Any) -> None:
    """A full provider accepts and hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    origin = await rig.provider(script)
    error = await refused_by(rig, wire(origin))
    assert error.kind in {Kind.UPSTREAM_BROKEN, Kind.UPSTREAM_UNREACHABLE}
    await rig.until(lambda: rig.client.pools[origin].open == 0)


# adapting ---------------------------------------------------------------------------------------------------------------


async def test_two_providers_at_one_place_share_no_pool(rig: Any, wire: Any, read_request: Any) -> None:
    """docs/faults.md B10: two accounts behind one address; the stuck one's requests take no connection of the other's."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        if body == b"ask":
            writer.write(OK)
        await reader.read()

    place = await rig.provider(script, max_connections=2, pool_wait=0.05)
    stuck, good = (structs.replace(place, provider=name) for name in ("stuck", "good"))
    tasks = [asyncio.ensure_future(rig.client.send(wire(stuck, b"hang"))) for _ in range(5)]
    assert await ask(rig, wire(good, b"ask")) == b"hello"
    await asyncio.wait(tasks[2:])
    assert {told.provider: (told.busy, told.rejected) for told in rig.client.pools_told()} == {"stuck": (2, 3), "good": (0, 0)}
    for task in tasks:
        task.cancel()
    await rig.until(lambda: rig.client.pools[stuck].open == 0)


@pytest.mark.parametrize("sign", [b"503 Busy", b"504 Late", b"529 Overloaded", b"late", b"429 Limit", b"500 Broken", b"200 OK"])
async def test_what_narrows_a_provider(rig: Any, wire: Any, read_request: Any, sign: bytes) -> None:
    """Overload does; a limit on our account, or a fault in one request, is no reason to let everybody wait."""
    there = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if sign != b"late":
            await there.wait()
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 5\r\n\r\nhello" % sign)
        await reader.read()

    origin = await rig.provider(script)
    deadline = 0.05 if sign == b"late" else 10.0
    tasks = [asyncio.ensure_future(ask(rig, wire(origin, first_byte=deadline))) for _ in range(30)]
    await rig.until(lambda: rig.accepted == 30)
    there.set()
    await asyncio.wait(tasks)
    (told,) = rig.client.pools_told()
    assert told.asking == 0
    assert (told.limit < 30) is (sign not in {b"429 Limit", b"500 Broken", b"200 OK"})


async def test_an_overloaded_provider_is_asked_less_and_then_more_again(
    rig: Any, wire: Any, read_request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses what is more than 20 at once: soon it is asked so many and no more, and nobody is refused for long."""
    monkeypatch.setattr("trunkline.edge.width._APART", 0.02)
    running, limit = 0, 20

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running
        while True:
            await read_request(reader)
            running += 1
            over = running > limit
            await asyncio.sleep(0.005)
            running -= 1
            writer.write(OK.replace(b"200 OK", b"503 Busy") if over else OK)

    origin = await rig.provider(script, pool_wait=10.0, min_connections=2)
    statuses: list[int] = []

    async def client(rounds: int) -> None:
        for _ in range(rounds):
            answer = await rig.client.send(wire(origin))
            await answer.read()
            statuses.append(answer.status)

    await asyncio.gather(*(client(30) for _ in range(100)))
    narrowed = rig.client.pools_told()[0].limit
    assert narrowed < 40
    assert statuses[-1000:].count(503) < statuses[:1000].count(503) / 2
    limit, statuses[:] = 1000, []
    await asyncio.gather(*(client(30) for _ in range(100)))
    assert rig.client.pools_told()[0].limit > narrowed
    assert statuses.count(503) == 0
    assert rig.client.pools_told()[0].asking == 0


async def test_long_streams_do_not_keep_others_out(rig: Any, wire: Any, read_request: Any) -> None:
    """A hundred streams that run, and then trouble: the pool narrows for new requests, and still has places for them."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            if body != b"hang":
                writer.write(OK if body == b"ask" else b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    origin = await rig.provider(script, pool_wait=5.0)
    streams = [await rig.client.send(wire(origin, b"stream")) for _ in range(100)]
    hanging = (rig.client.send(wire(origin, b"hang", first_byte=0.02)) for _ in range(30))
    await asyncio.gather(*hanging, return_exceptions=True)
    (told,) = rig.client.pools_told()
    assert told.limit < 30 < 100 <= told.busy
    assert await asyncio.gather(*(ask(rig, wire(origin, b"ask")) for _ in range(50))) == [b"hello"] * 50
    for stream in streams:
        stream.close()


async def test_a_provider_that_moved_is_found(rig: Any, wire: Any, says: Any) -> None:
    """docs/faults.md B13: connections that are open stay; the next one goes where the name leads then."""
    answers = [["127.0.0.9"], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    client = Client(rig.loop, rig.sweep, resolve)
    origin = structs.replace(await rig.provider(says(OK)), host="moving.example")
    with pytest.raises(GatewayError) as refused:
        await client.send(wire(origin))
    assert refused.value.kind is Kind.UPSTREAM_UNREACHABLE
    client._names._names["moving.example"].until -= 1.0  # the second between two look-ups passes
    assert await (await client.send(wire(origin))).read() == b"hello"
    client.close()
