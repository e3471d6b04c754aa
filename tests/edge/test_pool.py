"""Connections as a count, a stack and a queue."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin
from trunkline.edge.pool import Pool


class Fake:
    """A connection as far as the pool cares."""

    def __init__(self) -> None:
        self.open = True

    def usable(self) -> bool:
        """Open."""
        return self.open


def make(bound: int = 2, waiting: int = 2, wait: float = 5.0) -> Pool[Fake]:
    """A pool of fakes."""

    async def connect() -> Fake:
        await asyncio.sleep(0)
        return Fake()

    return Pool(Origin("http", "h", 1, max_connections=bound, max_waiting=waiting, pool_wait=wait), connect)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_last_used_is_taken_first() -> None:
    """So that idle ones age and close, instead of all being kept warm by turns."""
    pool = make()
    first, second = await pool.fresh(), await pool.fresh()
    pool.give_back(first)
    pool.give_back(second)
    assert (pool.idle, pool.take(), pool.take(), pool.take()) == (2, second, first, None)


async def test_one_that_closed_while_idle_is_not_given_out() -> None:
    """A request on a dead connection is a request lost."""
    pool = make()
    first, second = await pool.fresh(), await pool.fresh()
    pool.give_back(first)
    pool.give_back(second)
    second.open = False
    assert pool.take() is first
    assert pool.take() is None


async def test_never_more_than_the_bound() -> None:
    """docs/faults.md B10: a provider's limit on connections is its own; the rest waits, in order."""
    pool = make()
    held = [await pool.fresh(), await pool.fresh()]
    one, two = asyncio.ensure_future(pool.fresh()), asyncio.ensure_future(pool.fresh())
    await settle()
    assert (pool.open, pool.waiting) == (2, 2)
    pool.give_back(held[0])
    assert await one is held[0]
    assert not two.done()
    pool.lost(held[1])
    fresh = await two
    assert fresh not in held
    assert (pool.open, pool.waiting) == (2, 0)


async def test_too_many_waiting_is_refused_at_once() -> None:
    """A queue without bound answers nobody; a client that knows tries again later."""
    pool = make(bound=1, waiting=1)
    await pool.fresh()
    waits = asyncio.ensure_future(pool.fresh())
    await settle()
    with pytest.raises(GatewayError) as refused:
        await pool.fresh()
    assert (refused.value.kind, refused.value.status, refused.value.retry_after) == (Kind.OVERLOADED, 503, 1.0)
    waits.cancel()
    await settle()
    assert pool.waiting == 0


async def test_waiting_too_long_is_refused() -> None:
    """A stuck provider must not hold clients for ever."""
    pool = make(bound=1, wait=0.05)
    held = await pool.fresh()
    with pytest.raises(GatewayError) as refused:
        await pool.fresh()
    assert refused.value.kind is Kind.OVERLOADED
    assert pool.waiting == 0
    pool.give_back(held)
    assert pool.idle == 1


async def test_who_is_cancelled_while_waiting_gets_nothing() -> None:
    """A connection handed to nobody would be lost to the pool for ever."""
    pool = make(bound=1)
    held = await pool.fresh()
    gone, stays = asyncio.ensure_future(pool.fresh()), asyncio.ensure_future(pool.fresh())
    await settle()
    gone.cancel()
    pool.give_back(held)
    assert await stays is held
    assert gone.cancelled()


@pytest.mark.parametrize("closed", [False, True])
async def test_cancelled_in_the_tick_of_the_hand_over(closed: bool) -> None:
    """What was handed over goes to the next, or back: connection or room alike."""
    pool = make(bound=1)
    held = await pool.fresh()
    gone = asyncio.ensure_future(pool.fresh())
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

    pool: Pool[Fake] = Pool(Origin("http", "h", 1, max_connections=1), connect)
    for _ in range(3):
        with pytest.raises(GatewayError):
            await pool.fresh()
    assert pool.open == 0


async def test_one_that_closes_while_idle_leaves() -> None:
    """Its room is free again, and it is never given out."""
    pool = make(bound=1)
    held = await pool.fresh()
    pool.give_back(held)
    pool.lost(held)
    assert (pool.open, pool.idle) == (0, 0)


async def test_a_waiter_that_was_refused_is_skipped() -> None:
    """Handing a connection to a request that already got its 503 would lose it."""
    pool = make(bound=1)
    held = await pool.fresh()
    gone, stays = asyncio.ensure_future(pool.fresh()), asyncio.ensure_future(pool.fresh())
    await settle()
    waiter = pool._waiting[0]
    waiter.cancel()
    pool.lost(held)
    assert isinstance(await stays, Fake)
    await settle()
    assert gone.cancelled()
    held = stays.result()
    again = asyncio.ensure_future(pool.fresh())
    await settle()
    pool._waiting[0].cancel()
    pool.give_back(held)
    assert pool.idle == 1
    await settle()
    assert again.cancelled()
