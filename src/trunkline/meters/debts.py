"""What a process owes to tell: what its requests used and cost, each once, and what it holds now.

What was used is told in numbered batches: one that is not acknowledged is told again under its number, and counts once. What
is held is told as it is now, so nothing that was lost on the way stays.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.meters.exact import Names, kept_ms
from trunkline.meters.gauges import Purse, Slots
from trunkline.meters.link import Word

_MOST = 500
"""Counters told at once: a script that runs long makes everybody wait."""
_WEEK_MS = 7 * 86_400_000


class Batch(msgspec.Struct):
    """What is told once."""

    number: int
    refunds: dict[bytes, float]
    """Of buckets: microseconds to add, which are less than nothing where less was used than reserved."""
    money: dict[Purse, int]
    """Nano-dollars to add."""


class Debts:
    """All that is to be told."""

    def __init__(self, names: Names, wall: Callable[[], int]) -> None:
        self.acknowledged = 0
        """The number of the last batch that was."""
        self._names = names
        self._wall = wall
        self._slots: dict[Slots, None] = {}
        self._purses: dict[Purse, None] = {}
        self._refunds: dict[bytes, float] = {}
        self._number = 0
        self._batch: Batch | None = None
        self._told_slots: list[Slots] = []
        self._told: dict[Purse, bytes] = {}
        """Of which it was told last, and by which seed."""

    def __bool__(self) -> bool:
        return bool(self._slots or self._purses or self._refunds or self._batch)

    def __len__(self) -> int:
        return len(self._slots) + len(self._purses)

    @property
    def unsent(self) -> int:
        """Counters of which nobody has said yet that he heard it."""
        batch = self._batch
        told = 0 if batch is None else len(self._told_slots) + len(self._told) + len(batch.refunds)
        return len(self) + len(self._refunds) + told

    @property
    def many(self) -> bool:
        """More than can be told at once."""
        return len(self) > _MOST

    def slots(self, slots: Slots) -> None:
        """Others may not know how many of these are busy."""
        self._slots[slots] = None

    def purse(self, purse: Purse) -> None:
        """Others may not know what of it is reserved or spent."""
        self._purses[purse] = None

    def refund(self, key: bytes, microseconds: float) -> None:
        """A bucket is to be given back so much."""
        self._refunds[key] = self._refunds.get(key, 0.0) - microseconds

    def forget_refunds(self) -> None:
        """Buckets heal by themselves."""
        self._refunds.clear()

    def forget_batch(self) -> None:
        """What it says is in the ledger, which is asked instead."""
        self._batch = None

    def words(self, name: bytes, before: bytes) -> list[Word]:
        """What `settle.lua` is called with: how many keys, keys, arguments. `before`: names of ours that count no more."""
        purses = list(self._purses)[:_MOST]
        if self._batch is None:
            self._number += 1
            money = {purse: purse.unsent for purse in purses if purse.unsent and purse.seed}
            self._batch, self._refunds = Batch(self._number, self._refunds, money), {}
        batch, names, wall = self._batch, self._names, self._wall()
        self._told_slots = list(self._slots)[:_MOST]
        self._told = {purse: purse.seed for purse in {**batch.money, **dict.fromkeys(purses)}}
        keys: list[Word] = [names.alive, names.batch, *batch.refunds]
        words: list[Word] = [name, batch.number, before]
        for microseconds in batch.refunds.values():
            words += (b"t", f"{microseconds:.3f}", 0, b"", 0)
        for slots in self._told_slots:
            keys.append(names.slots(slots))
            words += (b"s", 0, slots.busy, b"", _WEEK_MS)
        for purse in self._told:
            keys.append(names.purse(purse))
            added = batch.money.get(purse, 0)
            held = purse.reserved + purse.unsent - added  # what was spent and cannot be added now is held until it can be
            words += (b"m", added, held, purse.seed, kept_ms(purse, wall))
        self._purses = {purse: None for purse in self._purses if purse not in batch.money and purse not in self._told}
        for slots in self._told_slots:
            del self._slots[slots]
        return [len(keys), *keys, *words]

    def acknowledge(self, spent: list[bytes]) -> list[tuple[Purse, int, bytes]]:
        """It was told. Of each purse what was added, and what Redis says was spent then: nothing where it counts from another
        seed, and what was to be added is still to be told. Those that were begun meanwhile were told by no seed: of them
        nothing is learnt.
        """
        batch, self._batch = self._batch, None
        assert batch is not None  # noqa: S101 - it is what was told
        self.acknowledged = batch.number
        found = []
        for (purse, seed), after in zip(self._told.items(), spent, strict=True):
            added = batch.money.get(purse, 0) if after else 0
            purse.unsent -= added
            if purse.unsent and purse.seed:
                self._purses[purse] = None
            if after or purse.seed in {b"", seed}:
                found.append((purse, added, after))
        return found
