"""The counters at their whole amounts, and what they are called in Redis: what a decision is asked with, and its answer read.

Asking belongs in `redis`. What is shared is only mirrored here: a process decides nothing by these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from trunkline.meters.books import Books
from trunkline.meters.counters import Counters, Purses
from trunkline.meters.gauges import Purse, Slots
from trunkline.meters.local import Local
from trunkline.meters.meter import Claim, Crossed, Spent
from trunkline.meters.rule import Rule, Rules
from trunkline.meters.windows import Window

ANY = -1
"""An amount that refuses nobody, as the scripts know it."""
_DAY_MS = 86_400_000
_KEPT_MS = 3 * _DAY_MS
_LONGEST_MS = 400 * _DAY_MS


class Names:
    """How everything is called in Redis."""

    def __init__(self, prefix: str, process: str) -> None:
        self._prefix = prefix
        self._process = process
        self.alive = self.of("alive")
        self.epoch = self.of("epoch")
        self.young = self.of("young")
        self.batch = self.of(f"batch:{process}")

    def of(self, name: str) -> bytes:
        """The key of a bucket, or of anything."""
        return f"{self._prefix}{name}".encode()

    def fresh(self, number: int) -> bytes:
        """A name that nobody else has."""
        return f"{self._process}.{number}".encode()

    def slots(self, slots: Slots) -> bytes:
        """The key of requests at once."""
        slots.key = slots.key or self.of(slots.ident)
        return slots.key

    def purse(self, purse: Purse) -> bytes:
        """The key of a budget's window."""
        purse.key = purse.key or self.of(f"{purse.rule.ident}/{purse.window.begin // 1_000_000_000}")
        return purse.key


class Wired(Counters):
    """The counters of one set of rules, with their names."""

    __slots__ = ("_names", "_static", "args", "flows", "heard", "keys", "looked", "stream")

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names
        self._static: tuple[tuple[bytes, ...], tuple[bytes | int, ...]] = ((), ())
        self.keys: tuple[bytes, ...] = ()
        """Of all, in this order: requests, tokens, slots, purses."""
        self.args: tuple[bytes | int, ...] = ()
        """Of each its kind and its amount."""
        self.flows: tuple[tuple[bytes, int], ...] = ()
        """Of requests: the key and the amount."""
        self.stream: tuple[tuple[bytes, int], ...] = ()
        """The same of tokens."""
        self.heard = 0
        """When Redis said last how these are: a monotonic clock's nanoseconds."""
        self.looked = False
        """The marks were told that budgets had passed before they were asked for by these rules."""

    def bind(self) -> None:
        """Take the names of what does not change with the time."""
        of = self._names.of
        self.flows = tuple((of(rule.ident), amount) for _, _, amount, rule in self.requests)
        self.stream = tuple((of(rule.ident), amount) for _, amount, rule in self.tokens)
        slots = tuple((of(one.ident), amount) for one, amount, _ in self.slots)
        kinds = [(b"r", one) for one in self.flows] + [(b"t", one) for one in self.stream] + [(b"s", one) for one in slots]
        self.keys = tuple(key for _, (key, _) in kinds)
        self.args = tuple(word for kind, (_, amount) in kinds for word in (kind, amount))
        self._static = self.keys, self.args

    def turned(self) -> None:
        """Take those of the purses."""
        keys, args = self._static
        self.looked = False
        self.keys = keys + tuple(self._names.purse(purse) for purse, _, _ in self.purses)
        self.args = args + tuple(
            word for _, amount, rule in self.purses for word in (b"m", amount if rule.hard else ANY)
        )  # fmt: skip

    def mirror(self, told: Iterator[Any], now: int) -> None:
        """Take over what Redis says of these, budgets aside."""
        self.heard = now
        for bucket, _, _, _ in self.requests:
            bucket.full_at = now + next(told) * 1000
        for bucket, _, _ in self.tokens:
            bucket.full_at = now + next(told) * 1000
        for slots, _, _ in self.slots:
            slots.others = next(told)


class Exact(Local):
    """All counters of a process at their whole amounts."""

    def __init__(self, spent: Spent, crossed: Crossed, books: Books, names: Names) -> None:
        super().__init__(spent, crossed, books)
        self._names = names

    def wired(self, rules: Rules) -> Wired:
        """The counters of a set of rules."""
        one = self._counters.get(rules) or self.counters(rules)
        assert isinstance(one, Wired)  # noqa: S101 - what `blank` makes
        return one

    @override
    async def turn(self, one: Counters, claim: Claim) -> Purses | Rule:
        """Never waits."""
        found = await super().turn(one, claim)
        assert isinstance(one, Wired)  # noqa: S101 - what `blank` makes
        one.turned()
        return found

    @override
    def blank(self) -> Wired:
        return Wired(self._names)

    @override
    def made(self, rules: Rules) -> Counters:
        made = super().made(rules)
        assert isinstance(made, Wired)  # noqa: S101 - what `blank` makes
        made.bind()
        return made

    @override
    async def purse(self, rule: Rule, there: Window, at_ns: int) -> Purse:
        """Whatever was spent of it, Redis knows, or asks for it."""
        found = self.books.purses.get((rule.ident, there.begin)) or self.books.open(rule, there)
        found.rule = rule
        return found


def kept_ms(purse: Purse, wall_ns: int) -> int:
    """How long Redis keeps a budget's window: some days longer than it lasts."""
    return min(max(purse.window.end - wall_ns, 0) // 1_000_000 + _KEPT_MS, _LONGEST_MS)
