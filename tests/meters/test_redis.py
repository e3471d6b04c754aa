"""Meters that several processes share, by a real Redis: exact while it answers, careful while it does not."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.meters import DOLLAR, Ledger, Told, beat, claim, granted, make, several, until
from harness.redis import Redis
from harness.shim import Shim
from trunkline.meters.meter import Refused
from trunkline.meters.redis import Shared
from trunkline.meters.rule import Rule, Rules

PATIENT = 5.0
"""Seconds to wait for Redis where a test is not about waiting: other tests may be using the machine."""


@pytest.fixture(autouse=True)
def _clean(redis: Redis) -> None:
    redis.run("FLUSHALL")


def limit(**amounts: int) -> Rules:
    """The rules of a key `k`; money in whole dollars a day."""
    made = [Rule("key:k", what, amount) for what, amount in amounts.items() if what != "money"]  # type: ignore[arg-type]
    if "money" in amounts:
        made.append(Rule("key:k", "money", amounts["money"] * DOLLAR, "day"))
    return Rules(tuple(made))


async def every(meters: list[Shared], count: int, rules: Rules, **of: Any) -> list[Any]:
    """So many requests at once, dealt out."""
    return list(await asyncio.gather(*(meters[number % len(meters)].reserve(claim(rules, **of)) for number in range(count))))


def held(redis: Redis) -> dict[str, str]:
    """What Redis thinks is held by those who are alive."""
    found, alive = {}, set(redis.run("ZRANGE", "trunkline:alive", 0, -1))
    for key, value in redis.keys().items():
        if isinstance(value, dict):
            found |= {f"{key} {name}": count for name, count in value.items() if name.removeprefix("r:") in alive}
    return found


def spent(redis: Redis) -> int:
    """What Redis thinks was spent of the one budget there is."""
    (found,) = [value for key, value in redis.keys().items() if "/money/" in key]
    return int(found["b"]) + int(found["s"])


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_hard_budget_admits_exactly_what_it_has(redis: Redis, processes: int) -> None:
    """Two hundred parallel requests on a budget for ten: more would spend money that nobody granted."""

    async def main() -> None:
        ledger = Ledger()
        async with several(processes, redis.url, ledger, timeout=PATIENT) as meters:
            rules = limit(money=10)
            answers = await every(meters, 200, rules, nano=DOLLAR)
            assert len(granted(answers)) == 10
            assert {one.reserved for one in answers if isinstance(one, Refused)} == {True}
            for number, one in enumerate(answers):
                if not isinstance(one, Refused):
                    meters[number % processes].settle(one, 0, DOLLAR // 2)
            await until(lambda: not held(redis))
            answers = await every(meters, 200, rules, nano=DOLLAR)
            assert len(granted(answers)) == 5
            assert sum(one.fallbacks for one in meters) == 0

    uvloop.run(main())


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_limits_are_exact_across_processes(redis: Redis, processes: int) -> None:
    """A limit of sixty a minute is sixty for all processes together, and the refused are told when."""

    async def main() -> None:
        async with several(processes, redis.url, Ledger(), timeout=PATIENT) as meters:
            answers = await every(meters, 150, limit(requests=60))
            assert len(granted(answers)) in {60, 61}, "one more where a second has passed"
            waits = [one.retry_after for one in answers if isinstance(one, Refused)]
            assert all(0 < wait <= 1.0 for wait in waits), waits
            assert all(one.requests is not None and one.requests.limit == 60 for one in answers)

            answers = await every(meters, 100, limit(concurrent=7))
            assert len(granted(answers)) == 7
            for number, one in enumerate(answers):
                if not isinstance(one, Refused):
                    meters[number % processes].settle(one, 0, 0)
            await until(lambda: not held(redis))
            assert len(granted(await every(meters, 100, limit(concurrent=7)))) == 7

            answers = await every(meters, 50, limit(tokens=10_000), tokens=1000)
            assert len(granted(answers)) == 10
            for number, one in enumerate(answers):
                if not isinstance(one, Refused):
                    meters[number % processes].settle(one, 100, 0)
            await until(lambda: not any(one.unsent() for one in meters))
            await asyncio.sleep(0.02)
            assert len(granted(await every(meters, 50, limit(tokens=10_000), tokens=1000))) == 9

    uvloop.run(main())


def test_budgets_that_nobody_knows_begin_together(redis: Redis) -> None:
    """A day, a week and a month begin in the same moment: the first request after midnight must not be refused for that."""

    async def main() -> None:
        ledger = Ledger()
        async with several(2, redis.url, ledger, timeout=PATIENT) as meters:
            rules = Rules(tuple(Rule("key:k", "money", 9 * DOLLAR, period) for period in ("day", "week", "month", "total")))
            assert len(granted(await every(meters, 4, rules, nano=DOLLAR))) == 4
            assert sum(one.fallbacks for one in meters) == 0

    uvloop.run(main())


def test_what_others_held_does_not_count_for_ever(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose places others had is passed over without being asked: so nobody would hear that they are free."""
    monkeypatch.setattr("trunkline.meters.redis._FRESH_NS", 200_000_000)

    async def main() -> None:
        async with several(2, redis.url, Ledger(), timeout=PATIENT) as meters:
            rules = limit(concurrent=3)
            holds = await every(meters[:1], 3, rules)
            assert isinstance((await every(meters[1:], 1, rules))[0], Refused)
            assert meters[1].wait(rules, 0) > 0
            for one in holds:
                meters[0].settle(one, 0, 0)
            await until(lambda: meters[1].wait(rules, 0) == 0)

    uvloop.run(main())


def test_what_a_process_spent_alone_counts_after_its_end(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It spent while it could not reach Redis, and was restarted: Redis never heard of that, the ledger did."""
    monkeypatch.setattr("trunkline.meters.share._CAUTION_NS", 0)

    async def main() -> None:
        ledger, rules = Ledger(), limit(money=10)
        with Shim(("127.0.0.1", redis.port)) as shim:
            async with several(1, f"redis://127.0.0.1:{shim.port}", ledger, timeout=PATIENT) as (gone,):
                for lost in (False, True):
                    if lost:
                        shim.refuse = True
                        shim.reset_all()
                        await until(lambda: not gone.wire.up)
                    for hold in granted(await every([gone], 3, rules, nano=DOLLAR)):
                        gone.settle(hold, 0, DOLLAR)
                        ledger.spent["key:k"] += DOLLAR
                    if not lost:
                        await until(lambda: spent(redis) == 3 * DOLLAR)
        assert (ledger.spent["key:k"], spent(redis)) == (6 * DOLLAR, 3 * DOLLAR)
        async with several(1, redis.url, ledger, timeout=PATIENT) as (after,):
            assert len(granted(await every([after], 20, rules, nano=DOLLAR))) == 4
            assert spent(redis) == 6 * DOLLAR

    uvloop.run(main())


def test_all_counters_take_a_request_or_none_does(redis: Redis) -> None:
    """A request that one limit refuses must cost nothing of the others."""

    async def main() -> None:
        async with several(2, redis.url, Ledger(), timeout=PATIENT) as meters:
            await every(meters, 30, limit(requests=100, tokens=10_000, concurrent=3, money=100), tokens=10, nano=DOLLAR)
            assert sorted(held(redis).values(), key=int) in (["1", "2", str(DOLLAR), str(2 * DOLLAR)], ["3", str(3 * DOLLAR)])
            (left,) = granted(await every(meters, 1, limit(requests=100)))
            assert left.requests is not None
            assert left.requests.remaining >= 96

    uvloop.run(main())


def test_claims_of_two_sets_of_rules(redis: Redis) -> None:
    """A key's budget and its model's: the one that is unknown is begun, and both count."""

    async def main() -> None:
        ledger = Ledger()
        ledger.spent["model:m"] = 5 * DOLLAR
        async with several(1, redis.url, ledger, timeout=PATIENT) as (meters,):
            own, model = (
                limit(requests=5, money=9),
                Rules((Rule("model:m", "concurrent", 9), Rule("model:m", "money", 7 * DOLLAR))),
            )
            one = claim(own, nano=DOLLAR)
            both = type(one)((own, model), 0, DOLLAR, one.started_ns)
            answers = [await meters.reserve(both) for _ in range(3)]
            assert len(granted(answers)) == 2
            assert isinstance(answers[2], Refused)
            assert answers[2].rule.holder == "model:m"
            assert ledger.reads == 2

    uvloop.run(main())


# other processes --------------------------------------------------------------------------------------------------------


def _process(work: Callable[[Connection, str], Coroutine[Any, Any, None]], url: str) -> tuple[Any, Connection]:
    """Another process of the operating system that does `work`."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()

    def main() -> None:
        try:
            uvloop.run(work(theirs, url))
            theirs.send("done")
        finally:
            os._exit(0)

    process = fork.Process(target=main)
    process.start()
    return process, ours


async def _race(line: Connection, url: str) -> None:
    """Everything at once, told when to begin; then what was granted, all settled."""
    async with several(1, url, Ledger(), timeout=PATIENT) as meters:
        line.send("ready")
        await asyncio.to_thread(line.recv)
        answers = await every(meters, 50, limit(money=10, concurrent=30, requests=1000), nano=DOLLAR)
        line.send((len(granted(answers)), meters[0].fallbacks))
        await asyncio.to_thread(line.recv)
        for one in granted(answers):
            meters[0].settle(one, 0, DOLLAR)


def test_processes_of_the_operating_system(redis: Redis) -> None:
    """Four of them, two hundred requests, a budget for ten; and nothing stays behind."""
    made = [_process(_race, redis.url) for _ in range(4)]
    for _, line in made:
        assert line.recv() == "ready"
    for _, line in made:
        line.send("go")
    counted = [line.recv() for _, line in made]
    assert sum(count for count, _ in counted) == 10, counted
    assert sum(fallbacks for _, fallbacks in counted) == 0
    for _, line in made:
        line.send("end")
    for process, line in made:
        assert line.recv() == "done"
        process.join(10)
    assert held(redis) == {}
    assert spent(redis) == 10 * DOLLAR


async def _hold(line: Connection, url: str) -> None:
    async with several(1, url, Ledger(), timeout=PATIENT) as meters:
        answers = await every(meters, 4, limit(money=10, concurrent=6), nano=2 * DOLLAR)
        line.send(len(granted(answers)))
        await asyncio.sleep(60)


def test_what_a_killed_process_held_comes_back_with_its_lease(redis: Redis) -> None:
    """A worker that was killed must not hold a budget for ever."""
    process, line = _process(_hold, redis.url)
    assert line.recv() == 4
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)

    async def main() -> None:
        async with several(1, redis.url, Ledger(), timeout=PATIENT) as meters:
            assert len(granted(await every(meters, 9, limit(money=10, concurrent=6), nano=DOLLAR))) == 2
            age(redis)
            answers = await every(meters, 9, limit(money=10, concurrent=6), nano=DOLLAR)
            assert len(granted(answers)) == 4, "six at once, of which two run already"
            assert len({name.split()[1].removeprefix("r:") for name in held(redis)}) == 1

    uvloop.run(main())


def age(redis: Redis) -> None:
    """Ten seconds pass for those who are not there: all but the youngest name."""
    names = redis.run("ZRANGE", "trunkline:alive", 0, -1, "WITHSCORES")
    for name, score in list(zip(names[::2], names[1::2], strict=True))[:-1]:
        redis.run("ZADD", "trunkline:alive", str(float(score) - 11e6), name)


def test_a_process_that_stood_still_tells_again_what_it_holds(redis: Redis) -> None:
    """It was taken for dead, and its slots were given to others; what it still holds must count again."""

    async def main() -> None:
        async with several(2, redis.url, Ledger(), timeout=PATIENT) as meters:
            rules = limit(concurrent=6)
            first = await every(meters[:1], 4, rules)
            redis.run("ZADD", "trunkline:alive", "0", meters[0]._name.decode())
            before = meters[0].fallbacks
            await every(meters[:1], 1, limit(requests=1000))  # it hears that it is not known
            await until(lambda: meters[0].wire.up and not meters[0].unsent())
            assert meters[0].fallbacks == before, "it asks again"
            assert len(granted(await every(meters[1:], 9, rules))) == 2
            for one in granted(first):
                meters[0].settle(one, 0, 0)
            await until(lambda: sum(int(count) for count in held(redis).values()) == 2)

    uvloop.run(main())


# faults -----------------------------------------------------------------------------------------------------------------


def test_a_flush_loses_no_money(redis: Redis) -> None:
    """Whoever empties Redis must not hand out the budget a second time: neither what was spent nor what is reserved."""

    async def main() -> None:
        ledger = Ledger()
        async with several(2, redis.url, ledger, timeout=PATIENT) as meters:
            rules = limit(money=10, concurrent=100)
            answers = await every(meters, 8, rules, nano=DOLLAR)
            for number, one in enumerate(answers[:4]):
                meters[number % 2].settle(one, 0, DOLLAR)
                ledger.spent["key:k"] += DOLLAR
            await until(lambda: not any(one.unsent() for one in meters))
            redis.run("FLUSHALL")
            answers = await every(meters, 30, rules, nano=DOLLAR)
            assert len(granted(answers)) == 0, "nobody knows yet what the other holds"
            await until(lambda: all(one.wire.up and not one.unsent() for one in meters))
            await _trusted(redis, meters, rules)
            answers += await every(meters, 30, rules, nano=DOLLAR)
            assert len(granted(answers)) == 2
            assert sum(int(count) for name, count in held(redis).items() if "money" in name) == 6 * DOLLAR
            assert sum(int(count) for name, count in held(redis).items() if "concurrent" in name) == 6

    uvloop.run(main())


def test_scripts_that_are_gone_are_loaded_again(redis: Redis) -> None:
    """After `SCRIPT FLUSH`, or on a server that took over, Redis knows no script."""

    async def main() -> None:
        async with several(1, redis.url, Ledger(), timeout=PATIENT) as meters:
            await every(meters, 1, limit(requests=5))
            redis.run("SCRIPT", "FLUSH")
            await every(meters, 1, limit(requests=5))
            await until(lambda: meters[0].wire.up)
            fallbacks = meters[0].fallbacks
            assert fallbacks == 0, "it asks again"
            (one,) = await every(meters, 1, limit(requests=5))
            assert meters[0].fallbacks == fallbacks
            assert one.requests.remaining <= 3

    uvloop.run(main())


def test_without_redis_everybody_has_his_share(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in mid-run: limits go on as shares of two; money not at first, then with half of what was left; told once."""

    async def main() -> None:
        ledger, told = Ledger(), Told()
        async with several(2, redis.url, ledger, told, timeout=0.2) as meters:
            rules = limit(requests=100, concurrent=1000, money=20)
            settled = await every(meters, 4, rules, nano=DOLLAR)
            for number, one in enumerate(settled):
                meters[number % 2].settle(one, 0, DOLLAR)
                ledger.spent["key:k"] += DOLLAR
            await until(lambda: all(one.wire.up and not one.unsent() for one in meters))
            await beat(meters)
            redis.stop()
            answers = await every(meters, 60, rules, nano=DOLLAR)
            assert all(isinstance(one, Refused) and one.unknown for one in answers)
            monkeypatch.setattr("trunkline.meters.share._CAUTION_NS", 0)
            answers = await every(meters, 60, rules, nano=DOLLAR)
            assert len(granted(answers)) == 16, "twenty, of which four are spent, in two halves"
            answers = await every(meters, 200, limit(requests=100))
            assert 60 <= len(granted(answers)) <= 100
            assert [one[:2] for one in told.states].count(
                ("warning", "Redis cannot be used: each process has its share of limits")
            ) == 2

    try:
        uvloop.run(main())
    finally:
        redis.start()


def test_what_was_settled_meanwhile_is_told(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was away; what was spent then counts once it is back, once, also where it kept what it knew."""
    monkeypatch.setattr("trunkline.meters.share._CAUTION_NS", 0)

    async def main() -> None:
        ledger = Ledger()
        with Shim(("127.0.0.1", redis.port)) as shim:
            async with several(2, f"redis://127.0.0.1:{shim.port}", ledger, timeout=0.2) as meters:
                rules = limit(money=20)
                for one in meters:
                    await every([one], 1, rules, nano=DOLLAR)
                shim.refuse = True
                shim.reset_all()
                await until(lambda: not any(one.wire.up for one in meters))
                answers = await every(meters, 6, rules, nano=DOLLAR)
                assert len(granted(answers)) == 6
                for number, one in enumerate(answers):
                    meters[number % 2].settle(one, 0, DOLLAR)
                    ledger.spent["key:k"] += DOLLAR
                shim.refuse = False
                await until(lambda: all(one.wire.up and not one.unsent() for one in meters))
                assert spent(redis) == 6 * DOLLAR

    uvloop.run(main())


def test_money_is_not_spent_where_nothing_was_ever_known(redis: Redis) -> None:
    """A process that never reached Redis knows nothing of the others: limits are open, hard budgets are not, soft ones are."""

    async def main() -> None:
        with Shim(("127.0.0.1", redis.port)) as shim:
            shim.refuse = True
            meters = make(f"redis://127.0.0.1:{shim.port}", Ledger())
            (got,) = await every([meters], 1, limit(money=5), nano=DOLLAR)
            assert isinstance(got, Refused)
            assert got.unknown
            assert len(granted(await every([meters], 70, limit(requests=60)))) == 60
            soft = Rules((Rule("key:k", "money", DOLLAR, "day", hard=False),))
            assert len(granted(await every([meters], 5, soft, nano=DOLLAR))) == 5
            assert len(granted(await every([meters], 1, limit(money=5)))) == 1, "what costs nothing spends nothing"
            await meters.close()

    uvloop.run(main())


@pytest.mark.parametrize("fault", ["blackhole", "slow", "pause", "sleep", "frozen"])
def test_nobody_waits_longer_than_he_is_to(redis: Redis, fault: str) -> None:
    """Whatever Redis does not do, a request waits twenty milliseconds, once; the next ones do not wait at all."""

    async def main() -> None:
        with Shim(("127.0.0.1", redis.port)) as shim:
            async with several(1, f"redis://127.0.0.1:{shim.port}", Ledger(), timeout=0.02) as meters:
                rules = limit(requests=100_000)
                shim.blackhole = fault == "blackhole"
                shim.delay = 2.0 if fault == "slow" else 0.0
                if fault == "pause":
                    redis.run("CLIENT", "PAUSE", 500, "ALL")
                sleeper = (
                    asyncio.create_task(asyncio.to_thread(redis.run, "DEBUG", "SLEEP", "0.5")) if fault == "sleep" else None
                )
                if fault == "frozen":
                    os.kill(redis.process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
                await asyncio.sleep(0.05)
                waits = []
                for _ in range(50):
                    begun = time.perf_counter()
                    assert granted(await every(meters, 1, rules))
                    waits.append(time.perf_counter() - begun)
                os.kill(redis.process.pid, signal.SIGCONT)  # type: ignore[union-attr]
                if sleeper is not None:
                    await sleeper
                assert meters[0].fallbacks >= 48
                assert sorted(waits)[25] < 0.01, "one waits, and after it nobody"
                assert max(waits) < 0.2
                shim.blackhole, shim.delay = False, 0.0
                shim.reset_all()
                await until(lambda: meters[0].wire.up)

    uvloop.run(main())
    redis.run("CLIENT", "UNPAUSE")


@pytest.mark.parametrize("fault", ["readonly", "memory", "busy"])
def test_a_redis_that_refuses_is_left_alone_until_it_does_not(redis: Redis, fault: str) -> None:
    """A server that is a replica now, is full, or runs somebody's script answers with an error: that is no answer."""

    def begin() -> Any:
        if fault == "readonly":
            return redis.run("REPLICAOF", "127.0.0.1", 1)
        if fault == "memory":
            return redis.run("CONFIG", "SET", "maxmemory", 1)
        redis.run("CONFIG", "SET", "busy-reply-threshold", 5)
        return None

    async def main() -> None:
        told = Told()
        async with several(1, redis.url, Ledger(), told, timeout=1.0) as meters:
            await every(meters, 1, limit(requests=100))
            begin()
            script = None
            if fault == "busy":
                script = asyncio.create_task(asyncio.to_thread(_spin, redis))
                await asyncio.sleep(0.1)
            answers = await every(meters, 20, limit(requests=100))
            assert len(granted(answers)) == 20
            assert meters[0].fallbacks == 20
            assert not meters[0].wire.up
            if script is not None:
                redis.run("SCRIPT", "KILL")
                await script
            redis.run("REPLICAOF", "NO", "ONE")
            redis.run("CONFIG", "SET", "maxmemory", 0)
            await until(lambda: meters[0].wire.up)
            fallbacks = meters[0].fallbacks
            assert granted(await every(meters, 1, limit(requests=100)))
            assert meters[0].fallbacks == fallbacks
            assert [state[0] for state in told.states] == ["info", "warning", "info"]

    uvloop.run(main())


def _spin(redis: Redis) -> None:
    with suppress(Exception):
        redis.run("EVAL", "while true do end", 0)


def test_a_budget_begins_with_what_the_ledger_says(redis: Redis) -> None:
    """Read once, however many wait; where it cannot be read nobody spends; whoever gives up leaves the others alone."""

    async def main() -> None:
        ledger = Ledger()
        ledger.spent["key:k"] = 7 * DOLLAR
        async with several(2, redis.url, ledger, timeout=PATIENT) as meters:
            ledger.fails = True
            answers = await every(meters, 4, limit(money=10), nano=DOLLAR)
            assert all(isinstance(one, Refused) and one.unknown for one in answers)
            ledger.fails, ledger.slow, ledger.reads = False, 0.05, 0
            waiting = [asyncio.create_task(meters[0].reserve(claim(limit(money=10), nano=DOLLAR))) for _ in range(20)]
            await asyncio.sleep(0.02)
            waiting[0].cancel()
            answers = await asyncio.gather(*waiting[1:])
            assert len(granted(answers)) == 3
            assert ledger.reads == 1
            assert len(granted(await every(meters[1:], 5, limit(money=10), nano=DOLLAR))) == 0

    uvloop.run(main())


def test_marks_are_told_once(redis: Redis) -> None:
    """Eighty per cent of a budget are crossed by one request of one process: nobody wants to be told by each."""

    async def main() -> None:
        told = Told()
        async with several(3, redis.url, Ledger(), told, timeout=PATIENT) as meters:
            rules = Rules((Rule("key:k", "money", 10 * DOLLAR, "month", alert_at=(50, 80)),))
            for number in range(10):
                (one,) = await every(meters[number % 3 :][:1], 1, rules, nano=DOLLAR)
                meters[number % 3].settle(one, 0, DOLLAR)
            await until(lambda: not any(one.unsent() for one in meters))
            await asyncio.sleep(0.02)
            assert [(mark, nano) for _, mark, nano in told.marks] == [(50, 5 * DOLLAR), (80, 8 * DOLLAR)]

    uvloop.run(main())


def test_marks_that_a_killed_process_passed_are_told_by_the_next(redis: Redis) -> None:
    """It died before it could tell anybody, and Redis knows all that was spent: nobody would hear that the money is gone."""

    async def main() -> None:
        ledger, rules = Ledger(), Rules((Rule("key:k", "money", 10 * DOLLAR, "month", alert_at=(50, 80)),))
        async with several(1, redis.url, ledger, timeout=PATIENT) as (killed,):
            (hold,) = await every([killed], 1, rules, nano=DOLLAR)
            killed.settle(hold, 0, 6 * DOLLAR)
            ledger.spent["key:k"] += 6 * DOLLAR
            await until(lambda: not killed.unsent())
        for lost in ("", "FLUSHALL"):
            redis.run(*(lost or "PING").split())
            told = Told()
            async with several(1, redis.url, ledger, told, timeout=PATIENT) as (after,):
                await every([after], 1, rules, nano=DOLLAR)
                await every([after], 1, rules, nano=DOLLAR)
                assert [mark for _, mark, _ in told.marks] == [50]
                less = Rules((Rule("key:k", "money", 7 * DOLLAR, "month", alert_at=(50, 80)),))
                await every([after], 1, less, nano=DOLLAR)
                assert [mark for _, mark, _ in told.marks] == [50, 50, 80], "another amount is another budget"

    uvloop.run(main())


def test_a_policy_that_forgets_is_warned_of_once(redis: Redis) -> None:
    """A Redis that evicts keys forgets what was spent; whoever runs it should know."""

    async def main() -> None:
        told = Told()
        async with several(1, redis.url, Ledger(), told):
            redis.run("CLIENT", "KILL", "TYPE", "normal")
            await until(lambda: len([state for state in told.states if state[0] == "info"]) == 2)
        assert [reason for level, message, reason in told.states if "maxmemory-policy" in message] == ["allkeys-lru"]

    redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        uvloop.run(main())
    finally:
        redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_whoever_gives_up_holds_nothing(redis: Redis) -> None:
    """Clients hang up at every moment between the question and its answer."""

    async def main() -> None:
        async with several(2, redis.url, Ledger(), timeout=PATIENT) as meters:
            rules = limit(requests=10_000, tokens=1_000_000, concurrent=50, money=50)
            for turns in range(40):
                tasks = [
                    asyncio.create_task(one.reserve(claim(rules, tokens=10, nano=DOLLAR))) for one in meters for _ in range(3)
                ]
                for _ in range(turns % 8):
                    await asyncio.sleep(0.0002 * (turns % 3))
                for task in tasks:
                    task.cancel()
                for number, got in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
                    if not isinstance(got, BaseException):
                        assert not isinstance(got, Refused)
                        meters[number // 3].settle(got, 10, 0)
            await until(lambda: not held(redis))
            assert all(not slots.busy for one in meters for slots in one.books.slots.values())
            assert all(not purse.reserved for one in meters for purse in one.books.purses.values())
            assert len(granted(await every(meters, 60, rules, tokens=1, nano=DOLLAR))) == 50

    uvloop.run(main())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "settle", "cancel", "reset", "flush", "forget", "tick"]), st.integers(0, 99)
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_in_the_end_nothing_is_reserved_and_everything_is_spent_once(redis: Redis, steps: list[tuple[str, int]]) -> None:
    """Requests, settlements, clients that hang up, broken connections and an emptied Redis, in any order: reservations return
    to zero, what was spent is at least what the ledger says, and that is never more than the budget.
    """
    redis.run("FLUSHALL")
    uvloop.run(_play(redis, steps))


async def _mended(meters: list[Shared]) -> None:
    """Whoever was cut off hears of it, and all are there again: before, one has its share beside what the others know."""
    await beat(meters)
    await until(lambda: all(one.wire.up for one in meters))


async def _trusted(redis: Redis, meters: list[Shared], rules: Rules) -> None:
    """The three seconds after a loss are over, and every process is answered."""
    answered = 0
    while answered < len(meters):
        redis.run("DEL", "trunkline:young")
        for key in redis.run("KEYS", "*/money/*"):
            redis.run("HDEL", key, "y")
        before = sum(one.fallbacks for one in meters)
        await asyncio.gather(*(one.reserve(claim(rules, nano=1000 * DOLLAR)) for one in meters))
        answered = len(meters) if sum(one.fallbacks for one in meters) == before else 0
        await asyncio.sleep(0.005)


async def _play(redis: Redis, steps: list[tuple[str, int]]) -> None:
    ledger = Ledger()
    rules = limit(requests=100_000, tokens=10**9, concurrent=12, money=10)
    async with several(2, redis.url, ledger, timeout=PATIENT) as meters:
        running: list[tuple[Shared, Any]] = []
        for step, number in steps:
            one = meters[number % 2]
            if step == "reserve":
                (got,) = await every([one], 1, rules, tokens=number, nano=DOLLAR)
                if not isinstance(got, Refused):
                    running.append((one, got))
            elif step == "settle" and running:
                who, hold = running.pop(number % len(running))
                who.settle(hold, number, DOLLAR)
                ledger.spent["key:k"] += DOLLAR
            elif step == "cancel":
                task = asyncio.create_task(one.reserve(claim(rules, tokens=number, nano=DOLLAR)))
                await asyncio.sleep(number / 100_000)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    got = await task
                    if not isinstance(got, Refused):
                        running.append((one, got))
            elif step == "reset":
                redis.run("CLIENT", "KILL", "TYPE", "normal")
            elif step == "flush":
                redis.run("FLUSHALL")
            elif step == "forget":
                redis.run("DEL", *(redis.run("KEYS", "*/money/*") or ["none"]))
            else:
                await asyncio.sleep(0.003)
            assert ledger.spent["key:k"] + len(running) * DOLLAR <= 10 * DOLLAR
        for who, hold in running:
            who.settle(hold, 0, DOLLAR)
            ledger.spent["key:k"] += DOLLAR
        await until(lambda: all(one.wire.up and not one.unsent() for one in meters) and not held(redis))
        assert all(not purse.reserved for one in meters for purse in one.books.purses.values())
        await _mended(meters)
        await until(lambda: not any(purse.unsent for one in meters for purse in one.books.purses.values()))
        await until(lambda: all(one.wire.up and not one._budgets._seeding and not one.unsent() for one in meters))
        await _trusted(redis, meters, rules)
        answers = await every(meters, 30, rules, nano=DOLLAR)
        counted = spent(redis)
        assert ledger.spent["key:k"] <= counted <= 2 * ledger.spent["key:k"], "never too little, and nothing more than twice"
        assert len(granted(answers)) == max(10 - counted // DOLLAR, 0)
