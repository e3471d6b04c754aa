"""Budgets that begin, are lost, and begin again: what the ledger has counts, and nothing twice."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from harness.meters import DOLLAR, Ledger, claim, granted, several, until
from harness.redis import Redis
from trunkline.meters.meter import Refused
from trunkline.meters.redis import Shared
from trunkline.meters.rule import Rule, Rules

RULES = Rules((Rule("key:k", "money", 100 * DOLLAR, "month"),))


@pytest.fixture(autouse=True)
def _clean(redis: Redis) -> None:
    redis.run("FLUSHALL")


async def spend(meters: Shared, ledger: Ledger, dollars: int) -> None:
    """One request, booked as the house books it: in the meters and in the ledger in one step."""
    got = await meters.reserve(claim(RULES, nano=DOLLAR))
    assert not isinstance(got, Refused)
    meters.settle(got, 0, dollars * DOLLAR)
    ledger.spent["key:k"] += dollars * DOLLAR


def spent(redis: Redis) -> int:
    (key,) = redis.run("KEYS", "*/money/*")
    return sum(map(int, redis.run("HMGET", key, "b", "s"))) // DOLLAR


@pytest.mark.parametrize("lost", ["FLUSHALL", "DEL"])
def test_a_budget_that_redis_lost_begins_with_the_ledger(redis: Redis, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emptied, or one key evicted: three processes go on from what was really spent, whoever of them is first; never less."""
    monkeypatch.setattr("trunkline.meters.share._CAUTION_NS", 0)

    async def main() -> None:
        ledger = Ledger()
        async with several(3, redis.url, ledger, timeout=5.0) as meters:
            for number, one in enumerate(meters):
                await spend(one, ledger, number + 1)
            await until(lambda: not any(one.unsent() for one in meters))
            for _ in range(3):
                redis.run(*([lost] if lost == "FLUSHALL" else [lost, *redis.run("KEYS", "*/money/*")]))
                for one in meters:
                    await spend(one, ledger, 2)
                    redis.run("DEL", "trunkline:young")
                await until(lambda: not any(one.unsent() for one in meters))
                for one in meters:
                    await spend(one, ledger, 1)
                await until(lambda: not any(one.unsent() or one.wire._flight for one in meters))
                await until(lambda: spent(redis) >= ledger.spent["key:k"] // DOLLAR)
                assert spent(redis) <= ledger.spent["key:k"] // DOLLAR + 3, "what was kept back while others looked"
                ledger.spent["key:k"] = spent(redis) * DOLLAR

    uvloop.run(main())


def test_a_replica_that_missed_the_last_words_is_raised(redis: Redis) -> None:
    """After a failover what was acknowledged last may be gone: the number of the batch tells, and the ledger mends it."""

    async def main() -> None:
        ledger = Ledger()
        async with several(1, redis.url, ledger, timeout=5.0) as (meters,):
            await spend(meters, ledger, 5)
            await until(lambda: not meters.unsent() and not meters.wire._flight)
            (key,) = redis.run("KEYS", "*/money/*")
            (batch,) = redis.run("KEYS", "*batch*")
            redis.run("HSET", key, "s", 0)
            redis.run("SET", batch, 0)
            redis.run("CLIENT", "KILL", "TYPE", "normal")
            await spend(meters, ledger, 1)
            await until(lambda: spent(redis) == 6)

    uvloop.run(main())


def test_a_process_knows_what_others_spend(redis: Redis) -> None:
    """Once a second, of budgets that it uses itself: that is what it goes on with where Redis is lost."""

    async def main() -> None:
        ledger = Ledger()
        async with several(2, redis.url, ledger, timeout=5.0) as (one, other):
            await spend(one, ledger, 1)
            await spend(other, ledger, 7)
            got = await other.reserve(claim(RULES, nano=3 * DOLLAR))
            assert granted([got])
            await until(lambda: not other.unsent())
            heard = one._heard
            await until(lambda: one._heard != heard)
            (purse,) = one.books.purses.values()
            assert (purse.spent, purse.others) == (8 * DOLLAR, 3 * DOLLAR)
            other.settle(got, 0, 0)  # type: ignore[arg-type]

    uvloop.run(main())


def test_a_ledger_that_fails_while_redis_forgets(redis: Redis) -> None:
    """Neither knows: nobody spends; when the ledger is back, the next one who asks begins the budget."""

    async def main() -> None:
        ledger = Ledger()
        async with several(1, redis.url, ledger, timeout=5.0) as (meters,):
            await spend(meters, ledger, 5)
            await until(lambda: not meters.unsent())
            ledger.fails = True
            redis.run("DEL", *redis.run("KEYS", "*/money/*"))
            got = await meters.reserve(claim(RULES, nano=DOLLAR))
            assert isinstance(got, Refused)
            assert got.unknown
            ledger.fails = False
            await spend(meters, ledger, 1)
            await until(lambda: spent(redis) == 6)
            await asyncio.sleep(0)

    uvloop.run(main())
