"""What one of several processes lets through while it cannot ask what the others do: its share.

Rate limits and requests at once stay open: each process has its part of them. Money stays closed: nothing is spent where
nothing was ever known, nor in the first seconds, since the others may go on and spend it all; where that lasts, each process
may spend its part of what was left when the others were last heard of.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from trunkline.meters.books import Books
from trunkline.meters.counters import ENDLESS, Counters, Purses
from trunkline.meters.gauges import Purse
from trunkline.meters.local import Local, LocalHold
from trunkline.meters.meter import Claim, Crossed, Refused, Spent
from trunkline.meters.rule import Rule
from trunkline.meters.windows import Window

_FRESH_NS = 1_000_000_000
"""What was known so long before the others were lost is still true."""
_CAUTION_NS = 3_000_000_000
"""Until an outage has lasted so long, it may be this process's alone."""


class Share(Local):
    """The meters of a process that is alone for a while."""

    def __init__(self, spent: Spent, crossed: Crossed, books: Books) -> None:
        super().__init__(spent, crossed, books)
        self.processes = 0
        """How many share, when that was last known; 0 where it never was."""
        self._began = 0
        self._bases: dict[Purse, int] = {}
        """What was spent or reserved of purses when this process began to be alone with them."""

    def begin(self) -> None:
        """From now on the others cannot be asked."""
        self._began = self.books.mono()
        self._bases.clear()
        self._counters.clear()
        self._alike.clear()

    @override
    def take(self, claim: Claim, parts: Sequence[Counters], purses: Purses) -> LocalHold | Refused:
        for one in parts:
            for slots, _, _ in one.slots:
                slots.others = 0  # they have their own part
        return super().take(claim, parts, purses)

    @override
    def part_of(self, rule: Rule) -> int:
        return max(rule.amount // max(self.processes, 1), 1)

    @override
    def allowed(self, rule: Rule, purse: Purse) -> int:
        if not rule.hard:
            return ENDLESS
        base = self._bases.setdefault(purse, purse.spent + purse.reserved) + purse.others
        return base + max(rule.amount - base, 0) // max(self.processes, 1)

    @override
    async def purse(self, rule: Rule, there: Window, at_ns: int) -> Purse | None:
        """Where nothing was heard of it just before, the ledger is asked; else what was last known counts."""
        if not self.processes or (self.processes > 1 and self.books.mono() - self._began < _CAUTION_NS):
            return None
        key = (rule.ident, there.begin)
        found = self.books.purses.get(key)
        if found is None or found.seen is None or found.seen < self._began - _FRESH_NS:
            await self.read(rule, there)
            found = self.books.purses.get(key)
        if found is None or found.seen is None:
            return None
        self.tell(rule, found, 0, found.spent)
        return found

    @override
    def learn(self, purse: Purse, spent: int) -> None:
        purse.spent = max(purse.spent, spent)
        purse.seen = self.books.mono()
