"""What Redis knows of budgets, and what it has to be told of them first: where one begins, or was lost, the ledger is asked.

Every budget's window has a seed, a name for the beginning from which all processes count together. A process that meets another
seed than its own knows that what it told before may be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from typing import Any, NamedTuple

from trunkline.meters.books import Books
from trunkline.meters.debts import Debts
from trunkline.meters.exact import Names, kept_ms
from trunkline.meters.gauges import Purse
from trunkline.meters.link import pack
from trunkline.meters.local import PATIENCE
from trunkline.meters.meter import Spent
from trunkline.meters.wire import Wire

_HOT_NS = 600 * 1_000_000_000
_HOT = 200
"""Budgets of whose state a process keeps itself informed: those it used within the last ten minutes."""

_SETTLED = 0.01
"""Seconds after which Redis was told by everybody of what the ledger had."""
_LEDGER = 1.0
"""Seconds the ledger may take where Redis knows enough to go on without it."""


class Found(NamedTuple):
    """What Redis has of a budget."""

    before: int
    since: int
    seed: bytes
    mine: bool
    """This process began it just now."""

    @property
    def total(self) -> int:
        """Nano-dollars that were spent."""
        return self.before + self.since


class Budgets:
    """The budgets of one process, as Redis has them."""

    def __init__(self, wire: Wire, debts: Debts, names: Names, books: Books, spent: Spent) -> None:
        self.script = b""
        """The name of `seed.lua`."""
        self._wire = wire
        self._debts = debts
        self._names = names
        self._books = books
        self._spent = spent
        self._numbers = count(1)
        self._used: dict[Purse, int] = {}
        """Budgets and when they were used last, in that order."""
        self._missed: set[Purse] = set()
        """Those that Redis lost though it kept the rest: others may not have noticed."""
        self._seeding: dict[Purse, asyncio.Future[None]] = {}

    def use(self, purse: Purse, told: Iterator[Any], now: int) -> None:
        """A decision was made by it. `told`: what was spent, what others reserved, the seed."""
        self._used.pop(purse, None)
        self._used[purse] = now
        self._hear(purse, int(next(told)), int(next(told)), next(told), now)

    def _hear(self, purse: Purse, spent: int, others: int, seed: bytes, now: int) -> None:
        purse.others = others
        if seed != purse.seed and purse.seen is not None:
            # What this process told may be lost, and what it did not tell is missing there: first the ledger is asked.
            purse.seed, purse.spent = b"", max(purse.spent, spent + purse.unsent)
            self.repair(purse)
            return
        if purse.seen is None:
            self.repair(purse)
            return
        purse.seed, purse.spent, purse.seen = seed, spent + purse.unsent, now

    def hot(self) -> list[Purse]:
        """Those of whose state a process keeps itself informed."""
        now = self._books.mono()
        self._used = {purse: used for purse, used in self._used.items() if now - used < _HOT_NS}
        for purse in self._used:
            if purse.unsent and not purse.seed:
                self.repair(purse)
        return list(islice(reversed(self._used), _HOT))

    def informed(self, hot: list[Purse], told: Iterator[Any]) -> None:
        """What Redis says of these."""
        for purse in hot:
            spent, others, seed = next(told), int(next(told)), next(told)
            if seed:
                self._hear(purse, int(spent), others, seed, self._books.mono())

    def settled(self, purse: Purse, after: bytes) -> bool:
        """What was spent when something was added; False where Redis counts from another seed."""
        if after:
            purse.spent, purse.seen = int(after) + purse.unsent, self._books.mono()
        elif purse.unsent or purse.seed:
            self.missed(purse)
            self.repair(purse)
        return bool(after)

    def missed(self, purse: Purse) -> None:
        """Redis does not know it, or not from where this process counted."""
        if purse.seed:
            self._missed.add(purse)
        purse.seed = b""

    async def seeded(self, purses: list[Purse]) -> bool:
        """Have budgets begun, or begun again: once, however many wait. Whether that was possible."""
        await asyncio.wait([self.repair(purse) for purse in purses], timeout=PATIENCE)
        return all(purse.seed for purse in purses)

    def repair(self, purse: Purse) -> asyncio.Future[None]:
        """The same, without waiting."""
        seeding = self._seeding.get(purse)
        if seeding is None:
            seeding = self._seeding[purse] = asyncio.ensure_future(self._seed(purse))
        return seeding

    async def _seed(self, purse: Purse) -> None:
        """Tell Redis what the ledger says, where nobody did; where this process counted already, raise what is there to it."""
        try:
            if purse.seen is None:
                await self._begin(purse)
            else:
                await self._raise(purse)
        except Exception:  # noqa: BLE001 - whatever it is, what was spent is not known, and who asked says so
            return
        finally:
            del self._seeding[purse]

    async def _begin(self, purse: Purse) -> None:
        """A budget that this process never met. Where Redis has less than the ledger, somebody spent while he could not tell
        Redis, and may have died since: it is raised, less what was added while the ledger was read.
        """
        spent = None
        with suppress(Exception):  # then what Redis has is good enough, if it has anything
            async with asyncio.timeout(_LEDGER):
                spent = await self._spent(purse.rule.holder, purse.window)
        found = await self._tell(purse, spent)
        if found is not None and spent is not None and found.total < spent:
            await asyncio.sleep(_SETTLED)
            found = await self._tell(purse, None)
            if found is not None and found.total < spent:
                found = await self._tell(purse, spent - found.since, raising=True)
        if found is not None and found.seed:
            self._know(purse, found, 0)

    def _know(self, purse: Purse, found: Found | None, booked: int) -> None:
        """What Redis has counts from now on; `booked`: what the ledger had of what was still to be told."""
        if found is not None:
            self._missed.discard(purse)
            purse.unsent -= booked
            purse.spent, purse.seed, purse.seen = found.total + purse.unsent, found.seed, self._books.mono()
            self._debts.purse(purse)
            self._wire.soon()

    async def _raise(self, purse: Purse) -> None:
        """What Redis has may be too little: what was spent before its seed is what the ledger says, less what was added since.

        That is so if nobody told anything while the ledger was read, and a little longer: it is tried for some times. What
        somebody else keeps to himself meanwhile, as he does the same, may then count twice: rather too much than too little.
        """
        known = purse.spent
        for last in (False, False, True):
            first, booked = await self._tell(purse, None), purse.unsent
            spent = max(await self._spent(purse.rule.holder, purse.window), known)
            if first is None or not first.seed:
                first = await self._tell(purse, spent, young=purse in self._missed)
                if first is None or first.mine:
                    return self._know(purse, first, booked)
                continue  # somebody else was quicker
            await asyncio.sleep(_SETTLED)
            then = await self._tell(purse, None)
            if last or then is None or (then.since, then.seed) == (first.since, first.seed):
                found = then and await self._tell(purse, spent - first.since, raising=True)
                return self._know(purse, found, booked)
        return None

    async def _tell(self, purse: Purse, before: int | None, *, raising: bool = False, young: bool = False) -> Found | None:
        """What Redis has, after it was told what was spent before; None where it does not answer.

        `young`: where it has nothing it lost something, and others have still to say what they hold.
        """
        mine, keep = self._names.fresh(next(self._numbers)), kept_ms(purse, self._books.wall())
        told = b"" if before is None else before
        words = (b"EVALSHA", self.script, 1, self._names.purse(purse), told, mine, int(raising), keep, int(young))
        reply = await self._wire.ask(pack(words), lambda reply: reply)
        if reply is None or (raising and not reply[2]):
            return None
        spent, since, seed = reply
        return Found(int(spent or 0), int(since or 0), seed or b"", mine=seed == mine)
