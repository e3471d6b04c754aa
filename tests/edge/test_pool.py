"""Connections as a count, a stack and a queue."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import msgspec
import pytest
from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin
from trunkline.edge.pool import Pool, Room


class Fake:
    """A connection as far as the pool cares."""

    def __init__(self) -> None:
        self.open = True

    def usable(self) -> bool:
        """Open."""
        return self.open

    def drop(self) -> None:
        """Not open any more."""
        self.open = False


def make(bound: int = 2, waiting: int = 2, wait: float = 5.0, least: int = 8) -> Pool[Fake]:
    """A pool of fakes."""

    async def connect() -> Fake:
        await asyncio.sleep(0)
        return Fake()

    origin = Origin(
        "http", "h", 1, provider="p", min_connections=least, max_connections=bound, max_waiting=waiting, pool_wait=wait
    )
    return Pool(origin, connect, Room(1000))


async def fresh(pool: Pool[Fake]) -> Fake:
    """A connection whose answer has begun."""
    connection = await pool.fresh(Deadlines())
    pool.answered()
    return connection


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_last_used_is_taken_first() -> None:
    """So that idle ones age and close, instead of all being kept warm by turns."""
    pool = make()
    first, second = await fresh(pool), await fresh(pool)
    pool.give_back(first)
    pool.give_back(second)
    assert (pool.idle, pool.take(), pool.take(), pool.take()) == (2, second, first, None)


async def test_one_that_closed_while_idle_is_not_given_out() -> None:
    """A request on a dead connection is a request lost."""
    pool = make()
    first, second = await fresh(pool), await fresh(pool)
    pool.give_back(first)
    pool.give_back(second)
    second.open = False
    assert pool.take() is first
    assert pool.take() is None


async def test_never_more_than_the_bound() -> None:
    """docs/faults.md B10: a provider's limit on connections is its own; the rest waits, in order."""
    pool = make()
    held = [await fresh(pool), await fresh(pool)]
    one, two = asyncio.ensure_future(fresh(pool)), asyncio.ensure_future(fresh(pool))
    await settle()
    assert (pool.open, pool.waiting) == (2, 2)
    pool.give_back(held[0])
    assert await one is held[0]
    assert not two.done()
    pool.lost(held[1])
    assert await two not in held
    assert (pool.open, pool.waiting) == (2, 0)


async def test_too_many_waiting_is_refused_at_once() -> None:
    """A queue without bound answers nobody; a client that knows tries again later."""
    pool = make(bound=1, waiting=1)
    await fresh(pool)
    waits = asyncio.ensure_future(fresh(pool))
    await settle()
    with pytest.raises(GatewayError) as refused:
        await fresh(pool)
    assert (refused.value.kind, refused.value.status, refused.value.retry_after) == (Kind.OVERLOADED, 503, 1.0)
    waits.cancel()
    await settle()
    assert pool.waiting == 0


async def test_waiting_too_long_is_refused() -> None:
    """A stuck provider must not hold clients for ever."""
    pool = make(bound=1, wait=0.05)
    held = await fresh(pool)
    with pytest.raises(GatewayError) as refused:
        await fresh(pool)
    assert refused.value.kind is Kind.OVERLOADED
    assert pool.waiting == 0
    pool.give_back(held)
    assert pool.idle == 1


async def test_who_is_cancelled_while_waiting_gets_nothing() -> None:
    """A connection handed to nobody would be lost to the pool for ever."""
    pool = make(bound=1)
    held = await fresh(pool)
    gone, stays = asyncio.ensure_future(fresh(pool)), asyncio.ensure_future(fresh(pool))
    await settle()
    gone.cancel()
    pool.give_back(held)
    assert await stays is held
    assert gone.cancelled()


@pytest.mark.parametrize("closed", [False, True])
async def test_cancelled_in_the_tick_of_the_hand_over(closed: bool) -> None:
    """What was handed over goes to the next, or back: connection or room alike."""
    pool = make(bound=1)
    held = await fresh(pool)
    gone = asyncio.ensure_future(fresh(pool))
    await settle()
    if closed:
        pool.lost(held)
    else:
        pool.give_back(held)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (pool.open, pool.idle, pool.waiting) == ((0, 0, 0) if closed else (1, 1, 0))


async def test_a_connection_that_fails_to_open_gives_its_room_back() -> None:
    """Otherwise a provider that was down for a minute would stay unreachable until restart."""

    async def connect() -> Fake:
        raise GatewayError(Kind.UPSTREAM_UNREACHABLE, "no")

    pool: Pool[Fake] = Pool(Origin("http", "h", 1, max_connections=1), connect, Room(1000))
    for _ in range(3):
        with pytest.raises(GatewayError):
            await fresh(pool)
    assert pool.open == 0


async def test_one_that_closes_while_idle_leaves() -> None:
    """Its room is free again, and it is never given out."""
    pool = make(bound=1)
    held = await fresh(pool)
    pool.give_back(held)
    pool.lost(held)
    assert (pool.open, pool.idle) == (0, 0)


async def test_a_waiter_that_was_refused_is_skipped() -> None:
    """Handing a connection to a request that already got its 503 would lose it."""
    pool = make(bound=1)
    held = await fresh(pool)
    gone, stays = asyncio.ensure_future(fresh(pool)), asyncio.ensure_future(fresh(pool))
    await settle()
    waiter = pool._waiting[0]
    waiter.cancel()
    pool.lost(held)
    assert isinstance(await stays, Fake)
    await settle()
    assert gone.cancelled()
    held = stays.result()
    again = asyncio.ensure_future(fresh(pool))
    await settle()
    pool._waiting[0].cancel()
    pool.give_back(held)
    assert pool.idle == 1
    await settle()
    assert again.cancelled()


# places among the unanswered --------------------------------------------------------------------------------------------


def narrow(pool: Pool[Fake], asking: int) -> None:
    """Let it believe that `asking` unanswered requests were too many."""
    for _ in range(4):
        pool.width.ill(asking, 0.0, 0.0)


async def test_a_narrowed_pool_lets_requests_wait_for_a_place() -> None:
    """An overloaded provider gets fewer unanswered requests, and each place that comes free goes to whoever waits longest."""
    pool = make(bound=20, waiting=10, least=1)
    narrow(pool, 3)
    assert pool.width.now == 2
    held = [await pool.fresh(Deadlines()) for _ in range(2)]
    assert pool.take() is None
    one, two = (asyncio.ensure_future(pool.fresh(Deadlines())) for _ in range(2))
    await settle()
    assert (pool.open, pool.asking, pool.waiting) == (2, 2, 2)
    pool.give_back(held[0])
    await settle()
    assert (pool.idle, pool.waiting) == (1, 2), "a place is missing, not a connection"
    pool.answered()
    assert await one is held[0]
    assert (pool.take(), two.done()) == (None, False)
    pool.answered()
    assert await two not in held
    assert (pool.open, pool.asking, pool.waiting) == (3, 2, 0)


async def test_streams_that_run_need_no_place() -> None:
    """Hundreds of long streams on a provider that had a bad moment do not keep the next ones out."""
    pool = make(bound=200, least=1)
    narrow(pool, 3)
    streams = [await fresh(pool) for _ in range(100)]
    assert (pool.open, pool.asking, pool.waiting, len(set(streams))) == (100, 0, 0, 100)


async def test_nobody_overtakes() -> None:
    """A connection that comes free in the tick in which a new request arrives is the first waiter's."""
    pool = make(bound=1)
    held = await fresh(pool)
    first = asyncio.ensure_future(fresh(pool))
    await settle()
    pool.give_back(held)
    late = asyncio.ensure_future(fresh(pool))
    assert pool.take() is None
    assert await first is held
    assert not late.done()
    pool.give_back(held)
    assert await late is held


async def test_waiting_ends_with_the_requests_own_deadline() -> None:
    """A client that has half a second left is told then, not when the pool would give up; and told that it is our fault."""
    pool = make(bound=1, wait=30.0)
    await fresh(pool)
    with pytest.raises(GatewayError) as refused:
        await pool.fresh(Deadlines(total=0.02))
    assert (refused.value.kind, refused.value.retry_after, pool.rejected, pool.waiting) == (Kind.OVERLOADED, 1.0, 1, 0)


@pytest.mark.parametrize(("deadlines", "narrows"), [(Deadlines(connect=0.02), True), (Deadlines(total=0.02), False)])
async def test_connecting_ends_with_its_deadline(deadlines: Deadlines, narrows: bool) -> None:
    """A provider that takes no connection is told as such, its room is free again; a hurried request tells nothing of it."""

    async def connect() -> Fake:
        await asyncio.sleep(30)
        raise AssertionError

    pool: Pool[Fake] = Pool(Origin("http", "h", 1), connect, Room(1000))
    for error in await asyncio.gather(*(pool.fresh(deadlines) for _ in range(30)), return_exceptions=True):
        assert isinstance(error, GatewayError)
        assert error.kind is Kind.UPSTREAM_TIMEOUT
    assert (pool.open, pool.opening, pool.asking) == (0, 0, 0)
    assert (pool.width.now < 30) is narrows


@pytest.mark.parametrize(
    ("kind", "narrows"), [(Kind.UPSTREAM_UNREACHABLE, True), (Kind.UPSTREAM_TIMEOUT, True), (Kind.UPSTREAM_TLS, False)]
)
async def test_connections_that_cannot_be_had_narrow_it(kind: Kind, narrows: bool) -> None:
    """A full backlog looks like this. A bad certificate does not."""

    async def connect() -> Fake:
        await asyncio.sleep(0)
        raise GatewayError(kind, "no")

    pool: Pool[Fake] = Pool(Origin("http", "h", 1), connect, Room(1000))
    await asyncio.gather(*(pool.fresh(Deadlines()) for _ in range(50)), return_exceptions=True)
    assert (pool.width.now < 50) is narrows
    assert (pool.open, pool.opening, pool.asking) == (0, 0, 0)


async def test_no_herd_of_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage a provider meets so many new connections at a time and no more; everybody is served."""
    monkeypatch.setattr("trunkline.edge.pool._AT_ONCE", 3)
    under_way = most = 0

    async def connect() -> Fake:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return Fake()

    pool: Pool[Fake] = Pool(Origin("http", "h", 1), connect, Room(1000))
    made = await asyncio.gather(*(fresh(pool) for _ in range(40)))
    assert (most, len(set(made)), pool.open, pool.opening) == (3, 40, 40, 0)


async def opening(pool: Pool[Fake], count: int, deadlines: Deadlines) -> list[Fake | BaseException]:
    """So many new connections, wanted at once."""
    return await asyncio.gather(*(pool.fresh(deadlines) for _ in range(count)), return_exceptions=True)


async def test_who_waits_for_its_turn_has_all_its_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold start with many requests to a provider that is far away: it is slow, and takes every connection in time."""
    monkeypatch.setattr("trunkline.edge.pool._AT_ONCE", 2)

    async def connect() -> Fake:
        await asyncio.sleep(0.12)
        return Fake()

    pool: Pool[Fake] = Pool(Origin("http", "h", 1), connect, Room(1000))
    made = await opening(pool, 4, Deadlines(connect=0.2))
    assert (len(set(made)), pool.open, pool.opening, pool.width.uneasy) == (4, 4, 0, False)
    assert all(isinstance(one, Fake) for one in made)


async def test_who_gets_no_turn_in_time_tells_nothing_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was never asked: the client is told that we are busy, and only those who did ask make the pool narrower."""
    monkeypatch.setattr("trunkline.edge.pool._AT_ONCE", 1)

    async def connect() -> Fake:
        await asyncio.sleep(30)
        raise AssertionError

    pool: Pool[Fake] = Pool(Origin("http", "h", 1), connect, Room(1000))
    errors = await opening(pool, 9, Deadlines(connect=0.05))
    kinds = Counter(error.kind for error in errors if isinstance(error, GatewayError))
    assert kinds.total() == 9
    assert kinds[Kind.OVERLOADED] >= 7
    assert kinds[Kind.UPSTREAM_TIMEOUT] >= 1
    assert (pool.open, pool.opening, pool.asking) == (0, 0, 0)
    assert pool.width.now == 512


@pytest.mark.parametrize("steps", range(8))
async def test_cancelled_at_each_step(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Waiting for a place, for its turn, for the connection: whoever leaves there leaves nothing taken."""
    monkeypatch.setattr("trunkline.edge.pool._AT_ONCE", 1)
    pool = make(bound=2, waiting=9)
    tasks = [asyncio.ensure_future(pool.fresh(Deadlines())) for _ in range(4)]
    for _ in range(steps):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            pool.answered()
            pool.lost(task.result())
    assert (pool.open, pool.opening, pool.asking, pool.waiting) == (0, 0, 0, 0)
    assert isinstance(await fresh(pool), Fake)


# descriptors ------------------------------------------------------------------------------------------------------------


class Bound(Fake):
    """A connection that tells its pool when it is closed, as a real one does, a little later."""

    pool: Pool[Bound]

    @override
    def drop(self) -> None:
        super().drop()
        asyncio.get_running_loop().call_soon(self.pool.lost, self)


def sharing(room: Room, count: int, wait: float = 5.0) -> list[Pool[Bound]]:
    """Pools that share a bound."""
    pools: list[Pool[Bound]] = []
    for at in range(count):

        async def connect(at: int = at) -> Bound:
            connection = Bound()
            connection.pool = pools[at]
            return connection

        pools.append(Pool(Origin("http", "h", at, pool_wait=wait), connect, room))
    return pools


async def fill(pool: Pool[Bound]) -> int:
    """Connections it gets before one is refused."""
    for count in range(1000):
        try:
            await pool.fresh(Deadlines())
        except GatewayError:
            return count
        pool.answered()
    raise AssertionError


async def test_stuck_providers_leave_descriptors_to_the_others() -> None:
    """docs/faults.md B10: each of them takes a share of what is left, so that the tenth provider still gets its own."""
    room = Room(100)
    pools = sharing(room, 4, wait=0.01)
    shares = [await fill(pool) for pool in pools]
    assert shares == [80, 16, 4, 1]
    assert room.taken == sum(shares)


async def test_idle_connections_make_way() -> None:
    """What one provider keeps for later must not keep another from being asked now."""
    room = Room(10)
    hoard, busy = sharing(room, 2)
    kept = [await hoard.fresh(Deadlines()) for _ in range(8)]
    for connection in kept:
        hoard.answered()
        hoard.give_back(connection)
    got = [await busy.fresh(Deadlines()) for _ in range(6)]
    assert len(set(got)) == 6
    assert (busy.open, room.taken) == (6, busy.open + hoard.open)
    assert room.taken <= 10
    assert not kept[0].usable()
    assert hoard.take() is kept[-1], "the one used last is closed last"


async def test_one_is_closed_for_one() -> None:
    """Each would cost another provider a handshake, and its next client the time for it."""
    room = Room(10)
    hoard, busy = sharing(room, 2)
    for connection in [await hoard.fresh(Deadlines()) for _ in range(8)]:
        hoard.answered()
        hoard.give_back(connection)
    for _ in range(3):
        await busy.fresh(Deadlines())
        busy.answered()
    await settle()
    assert (hoard.open, busy.open) == (7, 3)


async def test_what_becomes_idle_makes_way_too() -> None:
    """Who waits for a descriptor would go on waiting while another provider's connections stand about."""
    room = Room(10)
    hoard, busy = sharing(room, 2, wait=0.2)
    held = [await hoard.fresh(Deadlines()) for _ in range(8)]
    for _ in range(2):
        await busy.fresh(Deadlines())
    waiting = asyncio.ensure_future(busy.fresh(Deadlines()))
    await settle()
    assert (busy.waiting, room.taken) == (1, 10)
    for connection in held:
        hoard.give_back(connection)
    assert isinstance(await waiting, Bound)
    assert (hoard.open, hoard.idle, busy.open) == (7, 7, 3)


async def test_what_one_pool_lets_go_wakes_who_waits_in_another() -> None:
    """No request waits for a descriptor that is free."""
    room = Room(4)
    one, two = sharing(room, 2)
    held = [await one.fresh(Deadlines()) for _ in range(3)]
    first = await two.fresh(Deadlines())
    waiting = asyncio.ensure_future(two.fresh(Deadlines()))
    await settle()
    assert (two.waiting, room.taken) == (1, 4)
    held[0].drop()
    assert await waiting is not first
    assert (one.open, two.open, room.taken) == (2, 2, 4)
    for connection in (*held[1:], first, waiting.result()):
        connection.drop()
    await settle()
    assert (room.taken, room.pools) == (0, set())


async def test_a_pool_tells_what_it_is_like() -> None:
    """For the metrics and whoever asks for the state."""
    pool = make(bound=3)
    held = [await pool.fresh(Deadlines()) for _ in range(2)]
    pool.answered()
    pool.give_back(held[0])
    opening = asyncio.ensure_future(fresh(pool))
    await asyncio.sleep(0)
    assert msgspec.to_builtins(pool.told()) == {
        "provider": "p", "idle": 1, "busy": 1, "opening": 1, "waiting": 0, "asking": 2, "limit": 3, "most": 3, "rejected": 0,
    }  # fmt: skip
    await opening


async def test_cancelled_with_a_connection_that_closed_meanwhile() -> None:
    """What was handed over and died in the same tick is nobody's."""
    pool = make(bound=1)
    held = await fresh(pool)
    gone = asyncio.ensure_future(fresh(pool))
    await settle()
    pool.give_back(held)
    held.drop()
    pool.lost(held)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (pool.open, pool.idle, pool.asking, pool.waiting) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_nothing_is_lost(seed: int) -> None:
    """Requests come, leave, wait, fail and end in any order, in pools that share descriptors; then all is as it was."""
    dice, room = random.Random(seed), Room(5 + seed)
    pools = sharing(room, 3)
    held: list[tuple[Pool[Bound], Bound, bool]] = []
    tasks: dict[asyncio.Future[Bound], Pool[Bound]] = {}

    async def request(pool: Pool[Bound]) -> Bound:
        return pool.take() or await pool.fresh(Deadlines())

    for _ in range(600):
        what = dice.random()
        if what < 0.4:
            pool = dice.choice(pools)
            tasks[asyncio.ensure_future(request(pool))] = pool
        elif what < 0.5 and tasks:
            dice.choice(list(tasks)).cancel()
        elif held and what < 0.9:
            pool, connection, answered = held.pop(dice.randrange(len(held)))
            if not answered and dice.random() < 0.5:
                pool.answered()
                held.append((pool, connection, True))
                continue
            if not answered:
                pool.answered()
            if dice.random() < 0.7 and connection.usable():
                pool.give_back(connection)
            else:
                connection.drop()
        elif what < 0.93:
            dice.choice(pools).width.ill(40, 0.0, 0.0)
        if dice.random() < 0.7:
            await asyncio.sleep(0)
        for task in [task for task in tasks if task.done()]:
            pool = tasks.pop(task)
            if not task.cancelled() and task.exception() is None:
                held.append((pool, task.result(), False))
        assert room.taken == sum(pool.open for pool in pools) <= room.most + len(pools)
        for pool in pools:
            assert 0 <= pool.asking <= 600
            assert min(pool.open, pool.idle, pool.told().busy) >= 0
    for task in tasks:
        task.cancel()
    await settle()
    for task, pool in tasks.items():
        if not task.cancelled() and task.exception() is None:
            held.append((pool, task.result(), False))
    for pool, connection, answered in held:
        if not answered:
            pool.answered()
        connection.drop()
    await settle()
    for pool in pools:
        while pool.idle:
            pool.shed()
    await settle()
    assert [(pool.open, pool.asking, pool.waiting, pool.opening) for pool in pools] == [(0, 0, 0, 0)] * 3
    assert (room.taken, room.pools) == (0, set())
