"""Meters of one process: exact, in memory. What budgets had spent before this process began is read from the ledger, once.

What stands between two awaits is one step of the loop's thread, so parallel requests cannot both take what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from trunkline.meters.books import Books
from trunkline.meters.counters import (
    AGAIN,
    ENDLESS,
    Counters,
    Purses,
    crossed,
    longest,
    requests_room,
    tokens_room,
    too_dear,
)
from trunkline.meters.gauges import MINUTE, Purse
from trunkline.meters.meter import Claim, Crossed, Hold, Refused, Room, Spent
from trunkline.meters.rule import Rule, Rules
from trunkline.meters.windows import Window, window

PATIENCE = 2.0
"""Seconds the ledger may take to tell what was spent."""
MAX_RULES = 50_000
"""Sets of rules whose counters are at hand; a reload makes new ones."""
_STEP_NS = 60_000_000_000
"""More than that a clock does not drift from the other: it was set."""
_Each = TypeVar("_Each")


class LocalHold:
    """What one request holds."""

    __slots__ = ("nano", "parts", "purses", "requests", "tokens", "tokens_reserved")

    def __init__(self, claim: Claim, parts: Sequence[Counters], purses: Purses) -> None:
        self.parts = parts
        self.purses = purses
        self.tokens_reserved = claim.tokens
        self.nano = claim.nano
        self.requests: Room | None = None
        self.tokens: Room | None = None


class Local:
    """The meters of a process that shares them with nobody."""

    def __init__(self, spent: Spent, crossed: Crossed, books: Books) -> None:
        self.books = books
        self._spent = spent
        self._crossed = crossed
        self._mono = books.mono
        self._born_ns = books.wall()
        self._counters: dict[Rules, Counters] = {}
        self._alike: dict[object, object] = {}
        """What stands in `Counters` for one rule: keys of one team share the team's."""
        self._reading: dict[tuple[str, int], asyncio.Future[None]] = {}
        books.forgetting += (self._counters.clear, self._alike.clear)

    async def reserve(self, claim: Claim) -> Hold | Refused:
        """As `Meters.reserve`. Waits only for the first request of a budget's window, whose past is read."""
        started, parts = claim.started_ns, []
        purses: Purses = ()
        for rules in claim.rules:
            one = self._counters.get(rules) or self.counters(rules)
            if one.begin <= started < one.end:
                mine = one.purses
            else:
                turned = await self.turn(one, claim)
                if isinstance(turned, Rule):
                    return Refused(turned, AGAIN, unknown=True)
                mine = turned
            purses = purses + mine if purses else mine
            parts.append(one)
        return self.take(claim, parts, purses)

    def take(self, claim: Claim, parts: Sequence[Counters], purses: Purses) -> LocalHold | Refused:
        """Count a request whose counters were found, unless one of them refuses."""
        now, tokens, nano = self._mono(), claim.tokens, claim.nano
        for one in parts:
            if not one.fits(tokens, now):
                return self._refusal(claim, parts, purses, now)
        if nano:
            for purse, amount, _ in purses:
                if purse.spent + purse.others + purse.reserved + nano > amount:
                    return self._refusal(claim, parts, purses, now)
            for purse, _, _ in purses:
                purse.reserved += nano
        for one in parts:
            one.take(tokens, now)
        hold = LocalHold(claim, parts, purses)
        hold.requests, hold.tokens = requests_room(parts, now), tokens_room(parts, now)
        return hold

    def wait(self, rules: Rules, tokens: int) -> float:
        """As `Meters.wait`."""
        one, now = self._counters.get(rules) or self.counters(rules), self._mono()
        return 0.0 if one.fits(tokens, now) else longest(one.refusals(tokens, now)).retry_after or 0.0

    def _refusal(self, claim: Claim, parts: Sequence[Counters], purses: Purses, now: int) -> Refused:
        """Of those who refuse the one that takes longest, and what is left of the others."""
        refusals = [refused for one in parts for refused in one.refusals(claim.tokens, now)]
        if claim.nano:
            refusals += too_dear(purses, claim)
        return longest(refusals)._replace(requests=requests_room(parts, now), tokens=tokens_room(parts, now))

    def settle(self, hold: Hold, tokens: int, nano: int) -> None:
        """As `Meters.settle`."""
        assert isinstance(hold, LocalHold)  # noqa: S101 - what `reserve` gave
        for one in hold.parts:
            one.give(hold.tokens_reserved, tokens)
        for purse, _, rule in hold.purses:
            purse.reserved -= hold.nano
            if nano:
                before = purse.spent
                purse.spent += nano
                if rule.alert_at:
                    self.tell(rule, purse, before, purse.spent)

    async def close(self) -> None:
        """As `Meters.close`."""

    def tell(self, rule: Rule, purse: Purse, before: int, after: int) -> None:
        """Tell of the marks that a budget crossed."""
        for mark in crossed(rule, before, after):
            self._crossed(rule, purse.window, mark, after)

    def counters(self, rules: Rules) -> Counters:
        """The counters of a set of rules: those of the same holder go on where a reload changes an amount."""
        found = self._counters.get(rules)
        if found is None:
            if len(self._counters) >= MAX_RULES:
                self.books.sweep()
            found = self._counters[rules] = self.made(rules)
        return found

    def made(self, rules: Rules) -> Counters:
        """Counters for a set of rules, of which none are known."""
        made, books = self.blank(), self.books
        made.requests = self._shared(
            (books.bucket(rule.ident), MINUTE // (amount := self.part_of(rule)), amount, rule) for rule in rules.of("requests")
        )
        made.tokens = self._shared((books.bucket(rule.ident), self.part_of(rule), rule) for rule in rules.of("tokens"))
        made.slots = self._shared((books.slot(rule.ident), self.part_of(rule), rule) for rule in rules.of("concurrent"))
        made.money = tuple(rules.of("money"))
        if made.money:
            made.end = 0  # no window yet
        return made

    def _shared(self, each: Iterable[_Each]) -> tuple[_Each, ...]:
        return tuple(cast("_Each", self._alike.setdefault(one, one)) for one in each)

    def blank(self) -> Counters:
        """Counters of nothing."""
        return Counters()

    def part_of(self, rule: Rule) -> int:
        """How much of a limit is this process's."""
        return rule.amount

    def allowed(self, rule: Rule, purse: Purse) -> int:  # noqa: ARG002 - whoever shares it looks into it
        """How far a budget's purse may be filled by this process."""
        return rule.amount if rule.hard else ENDLESS

    async def turn(self, one: Counters, claim: Claim) -> Purses | Rule:
        """The purses of the windows that a request begins in; the rule that refuses it where the past of one is unknown."""
        found, begin, end, whole = [], 0, ENDLESS, True
        for rule in one.money:
            there = window(rule.period, rule.zone, claim.started_ns)
            purse = await self.purse(rule, there, claim.started_ns)
            if purse is not None:
                begin, end = max(begin, there.begin), min(end, there.end)
                found.append((purse, self.allowed(rule, purse), rule))
            elif rule.hard and claim.nano:
                return rule
            else:
                whole = False
        purses = self._shared(found)
        if whole:
            one.purses, one.begin, one.end = purses, begin, end
        return purses

    async def purse(self, rule: Rule, there: Window, at_ns: int) -> Purse | None:
        """The money of a window; None where its past cannot be told."""
        key = (rule.ident, there.begin)
        found = self.books.purses.get(key)
        if found is None and self._saw_begin(there, at_ns):
            return self.books.open(rule, there)
        if found is None:
            await self.read(rule, there)
            found = self.books.purses.get(key)
        if found is not None:
            self.tell(rule, found, 0, found.spent)  # whoever passed a mark may have died before anybody was told
        return found

    def _saw_begin(self, there: Window, at_ns: int) -> bool:
        """A window that began in our time, unless the clock was set since: then it may have begun in another's."""
        return there.begin >= self._born_ns and at_ns - self.books.wall() < _STEP_NS

    async def read(self, rule: Rule, there: Window) -> None:
        """Have what was spent in a window read from the ledger: once, however many wait, and whoever of them gives up."""
        key = (rule.ident, there.begin)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.ensure_future(self._read(rule, there))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(reading)
        except TimeoutError:
            return

    async def _read(self, rule: Rule, there: Window) -> None:
        key = (rule.ident, there.begin)
        try:
            spent = await self._spent(rule.holder, there)
        except Exception:  # noqa: BLE001 - whatever it is, what was spent is not known, and who asked says so
            return
        finally:
            del self._reading[key]
        purse = self.books.purses.get(key) or self.books.open(rule, there)
        self.learn(purse, spent)

    def learn(self, purse: Purse, spent: int) -> None:
        """What the ledger says of a purse."""
        purse.spent = spent
