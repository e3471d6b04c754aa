"""Meters as a gateway has them, with a ledger in memory that knows what was really spent."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from trunkline.meters.books import Books
from trunkline.meters.meter import Claim, Hold, Refused
from trunkline.meters.redis import Machine, Shared
from trunkline.meters.rule import Rule, Rules
from trunkline.meters.url import RedisSettings, parse
from trunkline.meters.windows import Window

DOLLAR = 1_000_000_000
"""Nano-dollars."""


class Ledger:
    """What everybody spent, by holder; every request in it, whoever made it."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.reads = 0
        self.fails = False
        self.slow = 0.0

    async def __call__(self, holder: str, _window: Window) -> int:
        """As `meters.meter.Spent`."""
        self.reads += 1
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.fails:
            raise OSError("the store is gone")
        return self.spent[holder]


class Told:
    """What meters reported."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str, str]] = []
        self.marks: list[tuple[str, int, int]] = []

    def report(self, level: str, message: str, reason: str) -> None:
        """As `meters.redis.Report`."""
        self.states.append((level, message, reason))

    def crossed(self, rule: Rule, _window: Window, mark: int, nano: int) -> None:
        """As `meters.meter.Crossed`."""
        self.marks.append((rule.ident, mark, nano))


def make(url: str, ledger: Ledger, told: Told | None = None, *, timeout: float = 0.02, prefix: str = "trunkline:") -> Shared:
    """The meters of a process; a loop must run."""
    told = told or Told()
    machine = Machine(f"{random.getrandbits(48):012x}", random.random, told.report)
    books = Books(time.monotonic_ns, time.time_ns())
    return Shared(RedisSettings(parse(url), timeout, prefix), ledger, told.crossed, books, machine)


@contextlib.asynccontextmanager
async def several(
    count: int, url: str, ledger: Ledger, told: Told | None = None, **settings: Any
) -> AsyncIterator[list[Shared]]:
    """The meters of so many processes, connected."""
    made = [make(url, ledger, told, **settings) for _ in range(count)]
    try:
        for one in made:
            await until(lambda one=one: one.wire.up)
        await beat(made)
        yield made
    finally:
        for one in made:
            await one.close()


async def beat(meters: list[Shared]) -> None:
    """Let every process hear of the others what it hears every second."""
    for one in meters:
        heard = one._heard
        one.beat()
        await until(lambda one=one, heard=heard: one._heard != heard or not one.wire.up)


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for something that is seen by looking."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.002)


def claim(rules: Rules, *, tokens: int = 0, nano: int = 0, at: int | None = None) -> Claim:
    """What a request asks for that begins now."""
    return Claim((rules,), tokens, nano, time.time_ns() if at is None else at)


def granted(answers: list[Hold | Refused]) -> list[Hold]:
    """Those that may begin."""
    return [one for one in answers if not isinstance(one, Refused)]
