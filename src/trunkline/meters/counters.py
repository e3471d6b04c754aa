"""The counters of one set of rules, side by side: whether a claim fits into all of them, taking it, what a refusal says.

Pure arithmetic on what is handed in. Where counters are kept, and what was spent before, belongs in `local`.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.meters.gauges import MINUTE, Bucket, Purse, Slots
from trunkline.meters.meter import Claim, Refused, Room
from trunkline.meters.rule import Rule

AGAIN = 1.0
"""Seconds after which to ask again who was refused for what others hold: nobody knows when they are done."""
ENDLESS = 2**62
"""An amount that refuses nobody."""
_SECOND = 1_000_000_000

Purses = tuple[tuple[Purse, int, Rule], ...]
"""Budgets and how much may be spent of each, which is endless where it is a soft one."""


class Counters:
    """The counters of one set of rules. What stands beside each is what a request needs of its rule."""

    __slots__ = ("begin", "end", "money", "purses", "requests", "slots", "tokens")

    def __init__(self) -> None:
        self.requests: tuple[tuple[Bucket, int, int, Rule], ...] = ()
        """(bucket, nanoseconds that one request takes, amount, rule)"""
        self.tokens: tuple[tuple[Bucket, int, Rule], ...] = ()
        self.slots: tuple[tuple[Slots, int, Rule], ...] = ()
        self.money: tuple[Rule, ...] = ()
        self.purses: Purses = ()
        """Those of `money`, for requests that begin in [begin, end): all their windows have that in common."""
        self.begin, self.end = 0, ENDLESS

    def fits(self, tokens: int, now: int) -> bool:
        """Whether one more request with so many tokens may begin, money aside. Into what is full everything fits."""
        limit = now + MINUTE
        for bucket, each, _, _ in self.requests:
            if bucket.full_at > now and bucket.full_at + each > limit:
                return False
        for bucket, amount, _ in self.tokens:
            if bucket.full_at > now and bucket.full_at + min(tokens, amount) * MINUTE // amount > limit:
                return False
        for slots, amount, _ in self.slots:  # noqa: SIM110 - a generator costs more than all three loops
            if slots.busy + slots.others >= amount:
                return False
        return True

    def take(self, tokens: int, now: int) -> None:
        """Count one more."""
        for bucket, each, _, _ in self.requests:
            bucket.full_at = (bucket.full_at if bucket.full_at > now else now) + each  # noqa: FURB136 - a call costs more
        for bucket, amount, _ in self.tokens:
            bucket.full_at = (bucket.full_at if bucket.full_at > now else now) + tokens * MINUTE // amount  # noqa: FURB136 - a call costs more
        for slots, _, _ in self.slots:
            slots.busy += 1

    def give(self, reserved: int, used: int) -> None:
        """One is over that had reserved so many tokens and used so many."""
        for bucket, amount, _ in self.tokens:
            bucket.full_at += used * MINUTE // amount - reserved * MINUTE // amount
        for slots, _, _ in self.slots:
            slots.busy -= 1

    def refusals(self, tokens: int, now: int) -> Iterable[Refused]:
        """What each says that a request does not fit into, money aside."""
        for bucket, each, _, rule in self.requests:
            if (wait := bucket.full_at + each - now - MINUTE) > 0:
                yield Refused(rule, wait / _SECOND)
        for bucket, amount, rule in self.tokens:
            if (wait := bucket.full_at + min(tokens, amount) * MINUTE // amount - now - MINUTE) > 0:
                yield Refused(rule, wait / _SECOND)
        for slots, amount, rule in self.slots:
            if slots.busy + slots.others >= amount:
                yield Refused(rule, AGAIN)


def too_dear(purses: Purses, claim: Claim) -> Iterable[Refused]:
    """What each budget says that has not enough left."""
    for purse, amount, rule in purses:
        if purse.spent + purse.others + purse.reserved + claim.nano > amount:
            yield short(rule, purse, claim)


def short(rule: Rule, purse: Purse, claim: Claim) -> Refused:
    """A budget that has not enough left."""
    if purse.spent + claim.nano <= rule.amount:
        return Refused(rule, AGAIN, reserved=True)
    if rule.period == "total" or claim.nano > rule.amount:
        return Refused(rule, None)
    return Refused(rule, (purse.window.end - claim.started_ns) / _SECOND)


def longest(refusals: Iterable[Refused]) -> Refused:
    """The one that takes longest."""
    return max(refusals, key=lambda one: (one.retry_after is None, one.retry_after or 0.0))


def requests_room(parts: Iterable[Counters], now: int) -> Room | None:
    """Of the limits of requests the one with the least left."""
    found, least = None, ENDLESS
    for one in parts:
        for bucket, each, amount, _ in one.requests:
            taken = bucket.full_at - now
            left = (MINUTE - taken) // each if taken > 0 else amount
            if left < least:
                least, found = left, Room(amount, left if left > 0 else 0, taken / _SECOND if taken > 0 else 0.0)  # noqa: FURB136 - a call costs more
    return found


def tokens_room(parts: Iterable[Counters], now: int) -> Room | None:
    """The same of tokens."""
    found, least = None, ENDLESS
    for one in parts:
        for bucket, amount, _ in one.tokens:
            taken = bucket.full_at - now
            left = (MINUTE - taken) * amount // MINUTE if taken > 0 else amount
            if left < least:
                least, found = left, Room(amount, left if left > 0 else 0, taken / _SECOND if taken > 0 else 0.0)  # noqa: FURB136 - a call costs more
    return found


def crossed(rule: Rule, before: int, after: int) -> Iterable[int]:
    """The marks of a budget that lie between: per cent."""
    return [mark for mark in rule.alert_at if before * 100 < mark * rule.amount <= after * 100]
