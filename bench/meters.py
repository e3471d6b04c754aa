"""What a decision of the meters costs: in memory, and through Redis. Inside of one process. See docs/benchmarks.md."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop

from processes import BenchError
from report import Row
from rows import Bench
from trunkline.meters.books import Books
from trunkline.meters.local import Local
from trunkline.meters.meter import Claim, Meters, Refused
from trunkline.meters.redis import Machine, Shared
from trunkline.meters.rule import Rule, Rules, What
from trunkline.meters.url import RedisSettings, parse
from trunkline.meters.windows import Window

_BATCH = 2000
_KEYS = 10_000
_GOALS = {1: None, 3: 3.0, 12: 7.0}
"""Microseconds, by the number of rules."""
_WHATS: tuple[What, ...] = ("requests", "tokens", "money", "concurrent")


async def _nothing(_holder: str, _window: Window) -> int:
    return 0


def _rules(key: int, count: int) -> Rules:
    holders = ("key", "team", "organisation")
    found = [Rule(f"{holder}:{key}", what, 10**12, "month") for holder in holders for what in _WHATS]
    return Rules(tuple(found[:count]))


async def _requests(meters: Meters, sets: list[Rules], count: int, first: int = 0) -> None:
    started = time.time_ns()
    for at in range(first, first + count):
        got = await meters.reserve(Claim((sets[at % len(sets)],), 100, 1000, started))
        if isinstance(got, Refused):
            raise BenchError(f"refused: {got}")
        meters.settle(got, 50, 500)


def _local(keys: int, rules: int, rounds: int) -> list[float]:
    """Microseconds of CPU per request, round by round."""
    meters = Local(_nothing, lambda *_: None, Books(time.monotonic_ns, time.time_ns()))
    sets = [_rules(key, rules) for key in range(keys)]
    random.Random(7).shuffle(sets)

    async def main() -> list[float]:
        await _requests(meters, sets, keys)
        await _requests(meters, sets, keys)
        found = []
        for number in range(rounds):
            begun = time.thread_time()
            await _requests(meters, sets, _BATCH, number * _BATCH)
            found.append((time.thread_time() - begun) / _BATCH * 1e6)
        return found

    return asyncio.run(main())


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        raise BenchError("redis-server is not installed: scripts/install-servers")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _redis(url: str, at_once: int, rounds: int) -> tuple[list[float], list[float]]:
    """Microseconds per request with three rules, of this process's CPU and of the clock, so many requests at once."""
    sets = [_rules(key, 3) for key in range(100)]

    async def main() -> tuple[list[float], list[float]]:
        machine = Machine(f"bench{at_once}", random.random, lambda *_: None)
        settings = RedisSettings(parse(url), 1.0, f"{at_once}:")
        meters = Shared(settings, _nothing, lambda *_: None, Books(time.monotonic_ns, time.time_ns()), machine)
        while not meters.wire.up:  # noqa: ASYNC110 - it begins
            await asyncio.sleep(0.01)
        await _requests(meters, sets, len(sets))
        cpu, clock = [], []
        for _ in range(rounds):
            begun, started = time.thread_time(), time.perf_counter()
            await asyncio.gather(*(_requests(meters, sets, _BATCH // at_once, number) for number in range(at_once)))
            done = _BATCH // at_once * at_once
            cpu.append((time.thread_time() - begun) / done * 1e6)
            clock.append((time.perf_counter() - started) / done * 1e6)
        if meters.fallbacks:
            raise BenchError("Redis did not answer in time")
        await meters.close()
        return cpu, clock

    return uvloop.run(main())


def meters(bench: Bench) -> list[Row]:
    """Reserve and settle of one request."""
    rounds = 5 if bench.quick else 15
    rows = [
        Row("meters", f"{count} rule{'s' * (count > 1)} of one key", "us/request", _local(1, count, rounds), target=goal)
        for count, goal in _GOALS.items()
    ]
    one, many = _local(100, 12, rounds), _local(_KEYS, 12, rounds)
    rows.append(Row("meters", "12 rules, 10,000 keys taking turns, against 100", "us/request", many, one))
    with _server(bench.place()) as url:
        for at_once in (1, 64):
            cpu, clock = _redis(url, at_once, rounds)
            note = f"{median(clock):,.0f} us of the clock each"
            rows.append(Row("meters", f"3 rules through Redis, {at_once} at once", "us CPU", cpu, note=note))
    return rows


METERS: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "meters": ("Time of one decision of the meters, in the process", "", meters),
}
"""As `rows.SECTIONS`."""
