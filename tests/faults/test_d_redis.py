"""D7 and D8: Redis down, slow, emptied, taken over, talking nonsense, under the traffic of real gateways that share limits.

What is exact while Redis answers is in tests/meters/test_redis.py; here it is what clients see when it does not.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from harness.client import Reply
from harness.gateway import KEY, Gateway, Make, settings
from harness.invariants import eventually
from harness.redis import Redis
from harness.shim import Shim
from harness.upstream import Upstream

PRICED = "gpt-4.1"
CANARY = "redis-canary-password-0123456789"
LIMITED, POOR, BUSY = ("tl-canary-" + name * 6 for name in ("limited", "poor-key", "busy-key"))
BUDGET = 10


@pytest.fixture(autouse=True)
def _clean(redis: Redis, upstream: Upstream) -> None:
    redis.run("FLUSHALL")
    upstream.clear()


def _config(upstream: Upstream, url: str, **server: Any) -> dict[str, Any]:
    """Keys with a limit, a budget for ten requests of an answer that costs ten cents, and slots."""
    written = settings(upstream.url, server=server)
    written["models"][PRICED] = {"targets": [f"lab/{PRICED}"], "timeouts": written["models"]["patient"]["timeouts"]}
    written["prices"] = [{"provider": "lab", "model": PRICED, "request": "0.1"}]
    written["keys"] = [
        {"name": "tester", "secret": KEY, "limits": {"rpm": 1_000_000}},
        {"name": "limited", "secret": LIMITED, "limits": {"rpm": 60}},
        {"name": "poor", "secret": POOR, "budgets": [{"usd": f"{BUDGET / 10}", "per": "month"}]},
        {"name": "busy", "secret": BUSY, "limits": {"concurrent": 6}},
    ]
    return {**written, "redis": {"url": url, "timeout": "20ms"}}


def _ask(gateway: Gateway, key: str = KEY, model: str = "m", **fields: Any) -> tuple[Reply, float]:
    begun = time.perf_counter()
    reply = gateway.chat(key=key, model=model, **fields)
    return reply, time.perf_counter() - begun


def _many(gateways: list[Gateway], count: int, **of: Any) -> Counter[int]:
    """So many requests at once, dealt out: how often each status came."""
    with ThreadPoolExecutor(32) as pool:
        return Counter(pool.map(lambda number: _ask(gateways[number % len(gateways)], **of)[0].status, range(count)))


def _metric(gateway: Gateway, name: str) -> float:
    page = gateway.get("/metrics", admin=True).body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"trunkline_meters_{name}"))


def _shared(gateway: Gateway, workers: int = 1) -> Callable[[], bool]:
    return lambda: _metric(gateway, "shared") == workers


@pytest.fixture
def shim(redis: Redis) -> Iterator[Shim]:
    with Shim(("127.0.0.1", redis.port)) as running:
        yield running


@pytest.mark.parametrize("workers", [1, 2])
def test_d8_a_budget_for_ten_admits_ten(upstream: Upstream, redis: Redis, make_gateway: Make, workers: int) -> None:
    """Two hundred parallel requests, one and two processes: ten are let in, and ten is what was spent."""
    config = _config(upstream, redis.url, **({"workers": workers} if workers > 1 else {}))
    config["redis"]["timeout"] = "1s"  # the machine may be busy with other tests
    gateway = make_gateway(config)
    eventually(_shared(gateway, workers), "shared through Redis")
    statuses = _many([gateway], 200, key=POOR, model=PRICED)
    assert statuses[200] == BUDGET, statuses
    assert set(statuses) <= {200, 402, 429}
    assert _many([gateway], 20, key=POOR, model=PRICED) == {402: 20}
    eventually(lambda: sum(map(int, redis.run("HMGET", _budget(redis), "b", "s"))) == BUDGET * 10**8, "all is told")


def _budget(redis: Redis) -> str:
    (key,) = redis.run("KEYS", "*/money/*")
    return str(key)


def test_two_gateways_share_limits(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Two machines with one Redis: sixty a minute are sixty for both, and six at once are six."""
    gateways = [make_gateway(_config(upstream, redis.url)) for _ in range(2)]
    for one in gateways:
        eventually(_shared(one), "shared through Redis")
    begun = time.monotonic()
    statuses = _many(gateways, 150, key=LIMITED)
    assert 60 <= statuses[200] <= 61 + (time.monotonic() - begun), statuses
    refused, _ = _ask(gateways[0], LIMITED)
    if refused.status == 429:
        assert refused.header("retry-after") == "1"
    streams = [gateways[number % 2].stream(key=BUSY, model="patient", mock="hold_at=1;frames=3") for number in range(6)]
    assert [one.status for one in streams] == [200] * 6
    assert _ask(gateways[0], BUSY)[0].status == _ask(gateways[1], BUSY)[0].status == 429
    upstream.release()
    for one in streams:
        one.rest()
        one.close()
    eventually(lambda: _ask(gateways[0], BUSY)[0].status == 200, "the slots are free")


@contextmanager
def _traffic(gateway: Gateway) -> Iterator[list[tuple[int, float]]]:
    """Four clients that ask all the time: status and seconds of each request."""
    seen: list[tuple[int, float]] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            reply, seconds = _ask(gateway)
            seen.append((reply.status, seconds))
            time.sleep(0.005)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        yield seen
    finally:
        stop.set()
        for one in threads:
            one.join()


FAULTS = ["refuse", "blackhole", "slow", "frozen", "readonly", "flush", "scripts", "kill", "memory"]


@pytest.mark.parametrize("fault", FAULTS)
def test_d7_redis_fails_under_traffic(upstream: Upstream, redis: Redis, shim: Shim, make_gateway: Make, fault: str) -> None:
    """Whatever happens to Redis, every request is answered, none waits for it, and it is used again when it is well."""
    gateway = make_gateway(_config(upstream, f"redis://127.0.0.1:{shim.port}"))
    eventually(_shared(gateway), "shared through Redis")
    with _traffic(gateway) as seen:
        time.sleep(0.3)
        mend = _break(redis, shim, fault)
        since = len(seen)
        time.sleep(1.0)
        during = seen[since:]
        mend()
        eventually(_shared(gateway), "shared through Redis")
        fallbacks = _metric(gateway, "fallbacks_total")
        time.sleep(0.2)
        assert _metric(gateway, "fallbacks_total") - fallbacks <= 4
    assert {status for status, _ in seen} == {200}
    assert len(during) > 50
    usual = sorted(seconds for _, seconds in seen[:since])
    late = sorted(seconds for _, seconds in during)
    assert late[int(len(late) * 0.99)] < max(usual[-1], 0.02) + 0.1, "nobody waits for it"
    assert late[len(late) // 2] < usual[len(usual) // 2] * 3 + 0.01
    states = [
        line for line in gateway.logs() if "through Redis" in line.get("event", "") or "Redis cannot" in line.get("event", "")
    ]
    assert len(states) <= 5, "told once each time"


def _break(redis: Redis, shim: Shim, fault: str) -> Callable[[], None]:
    """Let something happen to Redis; what makes it well again."""
    if fault in {"refuse", "blackhole", "slow"}:
        shim.refuse, shim.blackhole, shim.delay = fault == "refuse", fault == "blackhole", 2.0 if fault == "slow" else 0.0
        if fault == "refuse":
            shim.reset_all()
        return lambda: _open(shim)
    if fault == "frozen":
        assert redis.process is not None
        process = redis.process.pid
        os.kill(process, signal.SIGSTOP)
        return lambda: os.kill(process, signal.SIGCONT)
    if fault == "kill":
        redis.stop()
        return lambda: (redis.start(), None)[1]
    words: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
        "readonly": (("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE")),
        "memory": (("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)),
        "flush": (("FLUSHALL",), ("PING",)),
        "scripts": (("SCRIPT", "FLUSH"), ("PING",)),
    }
    redis.run(*words[fault][0])
    return lambda: redis.run(*words[fault][1])


def _open(shim: Shim) -> None:
    shim.refuse = shim.blackhole = False
    shim.delay = 0.0
    shim.reset_all()


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "flush", "kill"])
def test_d7_money_is_never_spent_beyond_the_budget(
    upstream: Upstream, redis: Redis, shim: Shim, make_gateway: Make, fault: str
) -> None:
    """Four of ten were spent when it happened: no more than six are let in while it lasts, and none too many after it."""
    gateway = make_gateway(_config(upstream, f"redis://127.0.0.1:{shim.port}", workers=2))
    eventually(_shared(gateway, 2), "shared through Redis")
    assert _many([gateway], 4, key=POOR, model=PRICED) == {200: 4}
    time.sleep(1.2)  # every worker hears what the other spent once a second
    mend = _break(redis, shim, fault)
    during = _many([gateway], 60, key=POOR, model=PRICED)
    if fault != "flush":
        time.sleep(3.5)  # by then it is an outage, and each worker has its share
        during += _many([gateway], 60, key=POOR, model=PRICED)
        assert during[200] > 0, during
    assert during[200] <= BUDGET - 4, during
    assert set(during) <= {200, 402, 429, 503}
    mend()
    eventually(_shared(gateway, 2), "shared through Redis")
    eventually(lambda: not redis.run("EXISTS", "trunkline:young"), "all told what they hold", 10)
    after: Counter[int] = Counter()
    while (turn := _many([gateway], 30, key=POOR, model=PRICED))[503] or turn[200]:
        after += turn
    assert 4 + during[200] + after[200] == BUDGET, (during, after)
    assert _metric(gateway, "unsent") == 0


def test_d7_a_start_without_redis(upstream: Upstream, redis: Redis, shim: Shim, make_gateway: Make) -> None:
    """It starts, serves, spends no money that it knows nothing of, and says so in the caller's words; then Redis comes."""
    shim.refuse = True
    gateway = make_gateway(_config(upstream, f"redis://127.0.0.1:{shim.port}"))
    assert _ask(gateway)[0].status == 200
    reply, _ = _ask(gateway, POOR, PRICED)
    assert reply.status == 503
    assert reply.error["code"] == "budget_unknown"
    assert reply.header("retry-after") == "1"
    shim.refuse = False
    eventually(_shared(gateway), "shared through Redis")
    assert _ask(gateway, POOR, PRICED)[0].status == 200


def test_d8_what_a_killed_gateway_held_comes_back(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """A kill -9 with six streams open: another gateway has their slots within the lease of ten seconds."""
    first, second = (make_gateway(_config(upstream, redis.url)) for _ in range(2))
    for one in (first, second):
        eventually(_shared(one), "shared through Redis")
    streams = [first.stream(key=BUSY, model="patient", mock="hold_at=1;frames=3") for _ in range(6)]
    assert _ask(second, BUSY)[0].status == 429
    first.kill()
    begun = time.monotonic()
    eventually(lambda: _ask(second, BUSY)[0].status == 200, "the lease ends", 15)
    assert 5 < time.monotonic() - begun < 13
    upstream.release()
    for one in streams:
        one.close()


def test_the_password_is_never_shown(upstream: Upstream, make_gateway: Make) -> None:
    """Wrong, right, or with nobody there: it is in no log, no metric, no message."""
    with Redis("--requirepass", CANARY) as server:
        gateway = make_gateway(_config(upstream, f"redis://:{CANARY}@127.0.0.1:{server.port}/3"))
        eventually(_shared(gateway), "shared through Redis")
        assert _ask(gateway)[0].status == 200
        wrong = make_gateway(_config(upstream, f"redis://:x{CANARY}@127.0.0.1:{server.port}/3"))
        wrong.wait_log(lambda line: "Redis cannot be used" in line.get("event", ""))
        assert "WRONGPASS" in wrong.output() or "invalid" in wrong.output()
        for one in (gateway, wrong):
            page = one.get("/metrics", admin=True).body.decode()
            one.stop()
            assert CANARY not in one.output() + page
