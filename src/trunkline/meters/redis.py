"""Meters that several processes share: Redis decides, one script for each request; every process knows what it holds itself.

Where Redis does not answer in time, a process has its `share` of everything. What was spent before Redis knew of a budget is in
the ledger, which is asked then. The protocol: docs/decisions/024-shared-meters.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from importlib.resources import files
from itertools import count
from typing import Any, Literal, NamedTuple

from trunkline.meters.books import Books
from trunkline.meters.budgets import Budgets
from trunkline.meters.counters import AGAIN, Purses, longest, requests_room, short, tokens_room
from trunkline.meters.debts import Debts
from trunkline.meters.exact import Exact, Names, Wired
from trunkline.meters.gauges import Purse
from trunkline.meters.link import Link, RedisError, Word, pack
from trunkline.meters.local import LocalHold
from trunkline.meters.meter import Claim, Crossed, Hold, Refused, Spent
from trunkline.meters.rule import Rules
from trunkline.meters.share import Share
from trunkline.meters.url import RedisSettings
from trunkline.meters.wire import BEAT, Entry, Wire

_SCRIPTS = ("hello", "beat", "decide", "settle", "seed")
_MINUTE_US = 60_000_000
_FRESH_NS = 1_000_000_000
"""How long what was heard of limits is good enough to ask nobody."""
_TRIES = 3
"""Times a request asks again, since a budget had to be begun first."""

Report = Callable[[Literal["info", "warning"], str, str], None]
"""Told (level, message, reason) when the state changes."""


class Machine(NamedTuple):
    """What a process has of its surroundings."""

    ident: str
    """Its name among all that share one Redis: of this run, not of the place."""
    dice: Callable[[], float]
    report: Report


class SharedHold(LocalHold):
    """What one request holds that Redis granted."""

    __slots__ = ()


class Question(NamedTuple):
    """What Redis is asked for a request."""

    claim: Claim
    parts: list[Wired]
    purses: Purses
    """Of the windows in which it began."""
    keys: tuple[bytes, ...]
    args: tuple[bytes | int, ...]

    def purse(self, place: int) -> Purse:
        """The budget of a place among the keys, counted from 0."""
        budgets = iter(self.purses)
        for one in self.parts:
            limits = len(one.requests) + len(one.tokens) + len(one.slots)
            for number in range(limits, limits + len(one.money)):
                purse, _, _ = next(budgets)
                if number == place:
                    return purse
            place -= limits + len(one.money)
        raise RedisError("it does not answer what it was asked")


class Shared:
    """The meters of one of several processes."""

    def __init__(self, settings: RedisSettings, spent: Spent, crossed: Crossed, books: Books, machine: Machine) -> None:
        """Begins to connect, and waits for nothing. Must be called where a loop runs."""
        self.fallbacks = 0
        """Requests decided without Redis."""
        self.books = books
        self.share = Share(spent, crossed, books)
        self._names = Names(settings.prefix, machine.ident)
        self._exact = Exact(spent, crossed, books, self._names)
        self._debts = Debts(self._names, books.wall)
        self._machine = machine
        self._numbers = count(1)
        self._name = b""
        self._before: tuple[bytes, ...] = ()
        """The names under which Redis still knows what this process holds."""
        self._epoch = b""
        self._heard = 0
        self._alone = True
        self._shared: bool | None = None
        self._warned = False
        self._scripts: dict[str, bytes] = {}
        self.wire = Wire(settings.url, settings.timeout, machine.dice, self)
        self._budgets = Budgets(self.wire, self._debts, self._names, books, spent)
        self.wire.start()

    # what a request asks for -------------------------------------------------------------------------------------------

    async def reserve(self, claim: Claim) -> Hold | Refused:
        """As `Meters.reserve`. Waits for Redis as long as its timeout says, and for the ledger where a budget is begun."""
        question = await self._question(claim)
        if not question.keys:
            return self._exact.take(claim, question.parts, question.purses)
        until = self.wire.now() + self.wire.timeout
        for _ in range(_TRIES):
            if not self.wire.up and not await self.wire.settled(until):
                break
            answer = await self._decision(question)
            if isinstance(answer, Purse):
                begun = await self._budgets.seeded([answer, *(purse for purse, _, _ in question.purses if not purse.seed)])
                if not begun and self.wire.up:
                    unknown = next((rule for purse, _, rule in question.purses if rule.hard and not purse.seed), None)
                    if unknown and claim.nano:
                        return Refused(unknown, AGAIN, unknown=True)
                    break
                until = self.wire.now() + self.wire.timeout
            elif answer is not None:
                return answer
            elif self.wire.up or self.wire.tried.is_set():
                break
        return await self._without(claim)

    def wait(self, rules: Rules, tokens: int) -> float:
        """As `Meters.wait`, by what was last heard."""
        if not self.wire.up:
            return self.share.wait(rules, tokens)
        # What others held a while ago they may hold no more, and who is never asked never tells: then a request asks.
        return self._exact.wait(rules, tokens) if self.books.mono() - self._exact.wired(rules).heard < _FRESH_NS else 0.0

    def settle(self, hold: Hold, tokens: int, nano: int) -> None:
        """As `Meters.settle`."""
        assert isinstance(hold, LocalHold)  # noqa: S101 - what `reserve` gave
        debts, reserved, shared = self._debts, hold.tokens_reserved, isinstance(hold, SharedHold)
        for one in hold.parts:
            one.give(reserved, tokens)
            if shared and tokens != reserved and isinstance(one, Wired):
                for key, amount in one.stream:
                    debts.refund(key, (reserved - tokens) * _MINUTE_US / amount)
            for slots, _, _ in one.slots:
                debts.slots(slots)
        for purse, _, _ in hold.purses:
            purse.reserved -= hold.nano
            if nano or hold.nano:
                self._paid(purse, nano)
        if debts:
            self.wire.soon()

    def _paid(self, purse: Purse, nano: int) -> None:
        before = purse.spent
        purse.spent += nano
        purse.unsent += nano
        self._debts.purse(purse)
        if not self.wire.up:  # else it is told by whoever is the one that crosses a mark
            self.share.tell(purse.rule, purse, before, purse.spent)

    async def _without(self, claim: Claim) -> Hold | Refused:
        """By this process's own share."""
        self.fallbacks += 1
        if not self._alone:
            self._alone = True
            self.share.begin()
        got = await self.share.reserve(claim)
        if isinstance(got, LocalHold):
            for one in got.parts:
                for slots, _, _ in one.slots:
                    self._debts.slots(slots)
            for purse, _, _ in got.purses:
                self._debts.purse(purse)
            self.wire.soon()
        return got

    # deciding ----------------------------------------------------------------------------------------------------------

    async def _question(self, claim: Claim) -> Question:
        """Never waits: a budget may be asked for by its name, whatever was spent of it."""
        started, parts = claim.started_ns, []
        purses: Purses = ()
        keys: tuple[bytes, ...] = ()
        args: tuple[bytes | int, ...] = ()
        for rules in claim.rules:
            one = self._exact.wired(rules)
            if not one.begin <= started < one.end:
                await self._exact.turn(one, claim)
            purses, keys, args = purses + one.purses, keys + one.keys, args + one.args
            parts.append(one)
        return Question(claim, parts, purses, keys, args)

    async def _decision(self, question: Question) -> SharedHold | Refused | Purse | None:
        """What Redis says; the budget that it does not know; None where it cannot tell."""
        names, claim, keys = self._names, question.claim, question.keys
        head = (b"EVALSHA", self._scripts["decide"], len(keys) + 2, names.alive, names.young)
        command = pack((*head, *keys, self._name, claim.tokens, claim.nano, *question.args))
        waiting: asyncio.Future[Any]

        def take(reply: Any) -> SharedHold | Refused | Purse | None:
            return self._decided(question, reply, wanted=not waiting.done())

        waiting = self.wire.ask(command, take)
        try:
            answer: SharedHold | Refused | Purse | None = await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and isinstance(waiting.result(), SharedHold):
                self.settle(waiting.result(), 0, 0)
            raise
        return answer

    def _decided(self, question: Question, reply: Any, *, wanted: bool) -> SharedHold | Refused | Purse | None:
        word, claim, purses = reply[0], question.claim, question.purses
        if word not in {b"ok", b"no"}:
            return self._undecided(question, word, reply)
        now, told, of = self.books.mono(), iter(reply), iter(purses)
        _, self.share.processes = next(told), next(told)
        for one in question.parts:
            one.mirror(told, now)
            looked, one.looked = one.looked, True
            for _ in one.money:
                purse, _, rule = next(of)
                self._budgets.use(purse, told, now)
                if not looked:  # whoever passed a mark may have died before anybody was told
                    self.share.tell(rule, purse, 0, purse.spent)
                    one.looked = one.looked and bool(purse.seed)
        self._alone = False
        if word == b"no":
            return _refusal(question, now)
        lost = next((purse for purse, _, _ in purses if not purse.seed), None)
        if lost is not None or not wanted:
            self._take_back(question)
            return lost
        for one in question.parts:
            for slots, _, _ in one.slots:
                slots.busy += 1
        for purse, _, _ in purses:
            purse.reserved += claim.nano
        hold = SharedHold(claim, question.parts, purses)
        hold.requests, hold.tokens = requests_room(question.parts, now), tokens_room(question.parts, now)
        return hold

    def _undecided(self, question: Question, word: bytes, reply: Any) -> Purse | None:
        if word == b"young":
            return None
        if word == b"unknown":
            unknown = question.purse(reply[1])
            self._budgets.missed(unknown)
            return unknown
        raise RedisError("it does not know this process any more")

    def _take_back(self, question: Question) -> None:
        """Granted to somebody who does not wait any more: what is held is told as it is, what was taken is given back."""
        for one in question.parts:
            for key, amount in one.flows:
                self._debts.refund(key, _MINUTE_US / amount)
            for key, amount in one.stream:
                self._debts.refund(key, question.claim.tokens * _MINUTE_US / amount)
            for slots, _, _ in one.slots:
                self._debts.slots(slots)
        for purse, _, _ in question.purses:
            self._debts.purse(purse)

    # what is told ------------------------------------------------------------------------------------------------------

    def settlement(self) -> Entry | None:
        """As `Talk.settlement`."""
        if not self._debts and not self._before:
            return None
        before = () if self._debts.many else self._before
        words: list[Word] = [b"EVALSHA", self._scripts["settle"], *self._debts.words(self._name, b" ".join(before))]
        return Entry(pack(tuple(words)), self.wire.now(), lambda reply: self._told(reply, before), None)

    def more(self) -> bool:
        """As `Talk.more`."""
        return self._debts.many

    def _told(self, reply: list[bytes], before: tuple[bytes, ...]) -> None:
        self._before = self._before[len(before) :]
        known, *spent = reply
        for purse, added, after in self._debts.acknowledge(spent):
            if self._budgets.settled(purse, after):
                self.share.tell(purse.rule, purse, int(after) - added, int(after))
        if known != b"1":
            raise RedisError("it does not know this process any more")

    # the connection ----------------------------------------------------------------------------------------------------

    async def greet(self, link: Link) -> None:
        """As `Talk.greet`: begin under a new name, and owe everything that is held."""
        texts = [files(__package__).joinpath("scripts", f"{name}.lua").read_bytes() for name in _SCRIPTS]
        shas = await link.ask(*[("SCRIPT", "LOAD", text) for text in texts])
        self._scripts = dict(zip(_SCRIPTS, shas, strict=True))
        self._budgets.script = self._scripts["seed"]
        names, old = self._names, self._name
        name = names.fresh(next(self._numbers))
        fresh = int(bool(old) and self.books.mono() - self._heard < BEAT * 4e9)
        keys = (names.alive, names.epoch, names.young, names.batch)
        words = (b"EVALSHA", self._scripts["hello"], len(keys), *keys, old, name, self._epoch, fresh, name)
        ((epoch, live, last),) = await link.ask(words)
        if (self._epoch and epoch != self._epoch) or int(last) < self._debts.acknowledged:
            self._begin_anew(self.books.purses.values())
        elif old and not fresh:  # who began meanwhile took from the ledger what this process could not tell
            self._begin_anew(purse for purse in self.books.purses.values() if purse.unsent)
        self._name, self._before = name, (*self._before, old) if old else ()
        self._epoch, self._heard, self._alone = epoch, self.books.mono(), False
        self.share.processes = max(live, self.share.processes) if fresh else live
        self._debts.forget_refunds()
        for slots in self.books.slots.values():
            if slots.busy:
                self._debts.slots(slots)
        for purse in self.books.purses.values():
            if purse.reserved or purse.unsent:
                self._debts.purse(purse)
        await self._look_at_policy(link)
        self._change(True, "")

    def _begin_anew(self, purses: Iterable[Purse]) -> None:
        """What is to be told of them is not added to what Redis has: the ledger says how much they are together."""
        self._debts.forget_batch()
        for purse in purses:
            purse.seed = b""

    async def _look_at_policy(self, link: Link) -> None:
        try:
            (told,) = await link.ask(("INFO", "memory"))
        except RedisError:
            return  # not allowed: then whoever runs it knows
        policy = bytes(told).partition(b"maxmemory_policy:")[2].partition(b"\r")[0].decode()
        if policy not in {"", "noeviction"} and not self._warned:
            self._warned = True
            message = "Redis may forget limits and budgets where its memory is full: set maxmemory-policy noeviction"
            self._machine.report("warning", message, policy)

    def beat(self) -> None:
        """As `Talk.beat`."""
        hot = self._budgets.hot()
        keys = (self._names.alive, *(self._names.purse(purse) for purse in hot))

        def take(reply: list[Any]) -> None:
            if not reply[0]:
                raise RedisError("it does not know this process any more")
            self.share.processes, self._heard = reply[0], self.books.mono()
            self._budgets.informed(hot, iter(reply[1:]))

        self.wire.ask(pack((b"EVALSHA", self._scripts["beat"], len(keys), *keys, self._name)), take)

    def lost(self, reason: str) -> None:
        """As `Talk.lost`."""
        if not self._alone:
            self._alone = True
            self.share.begin()
        self._change(False, reason)

    def _change(self, shared: bool, reason: str) -> None:
        """Tell of a new state, once."""
        if shared is not self._shared:
            self._shared = shared
            message = (
                "limits are shared through Redis" if shared else "Redis cannot be used: each process has its share of limits"
            )
            self._machine.report("info" if shared else "warning", message, reason)

    def unsent(self) -> int:
        """Counters of which something is to be told, or is not known to have been heard."""
        return self._debts.unsent

    async def close(self) -> None:
        """Tell what is owed, and leave."""
        await self.wire.close(pack((b"ZREM", self._names.alive, self._name)))


def _refusal(question: Question, now: int) -> Refused:
    """Of those who refuse the one that takes longest, as their mirrors say."""
    claim, parts, purses = question.claim, question.parts, question.purses
    refusals = [refused for one in parts for refused in one.refusals(claim.tokens, now)]
    for purse, amount, rule in purses:
        if claim.nano and purse.spent - purse.unsent + purse.others + purse.reserved + claim.nano > amount:
            refusals.append(short(rule, purse, claim))
    if not refusals:  # what was in the way ended while the answer came
        refusals = [Refused(rule, AGAIN) for one in parts for _, _, rule in one.slots]
        refusals += [Refused(rule, AGAIN, reserved=True) for _, _, rule in purses if rule.hard]
    return longest(refusals)._replace(requests=requests_room(parts, now), tokens=tokens_room(parts, now))
