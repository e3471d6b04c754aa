"""Clocks that tests set, and local meters that count by them."""

from __future__ import annotations

from harness.meters import Ledger, Told
from trunkline.meters.books import Books
from trunkline.meters.local import Local
from trunkline.meters.meter import Claim, Hold, Refused
from trunkline.meters.rule import Rules

SECOND = 1_000_000_000
BORN = 1_790_000_000 * SECOND
"""A Monday's forenoon, UTC: 2026-09-21T14:13:20."""


class Clock:
    """A monotonic clock and a wall clock, which may be set."""

    def __init__(self) -> None:
        self.mono = 1000 * SECOND
        self.set = 0
        """How far the wall clock was set since the beginning."""

    def __call__(self) -> int:
        """The monotonic clock."""
        return self.mono

    @property
    def wall(self) -> int:
        """The wall clock."""
        return BORN + self.mono - 1000 * SECOND + self.set

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.mono += round(seconds * SECOND)


class Counting:
    """Local meters, their clock, their ledger, what they told."""

    def __init__(self) -> None:
        self.clock, self.ledger, self.told = Clock(), Ledger(), Told()
        self.meters = Local(self.ledger, self.told.crossed, Books(self.clock, BORN))

    async def ask(self, *rules: Rules, tokens: int = 0, nano: int = 0) -> Hold | Refused:
        """One request that begins now."""
        return await self.meters.reserve(Claim(rules, tokens, nano, self.clock.wall))

    async def granted(self, count: int, *rules: Rules, tokens: int = 0, nano: int = 0) -> int:
        """How many of so many are let in."""
        answers = [await self.ask(*rules, tokens=tokens, nano=nano) for _ in range(count)]
        return sum(not isinstance(one, Refused) for one in answers)
