"""What is owed to be told: once what is added, as it is now what is held."""

from __future__ import annotations

from typing import Any

from harness.counting import BORN, Clock
from trunkline.meters.books import Books
from trunkline.meters.debts import Debts
from trunkline.meters.exact import Names
from trunkline.meters.gauges import Purse
from trunkline.meters.rule import Rule
from trunkline.meters.windows import FOREVER


def begin() -> tuple[Books, Debts, Purse]:
    books = Books(Clock(), BORN)
    purse = books.open(Rule("key:k", "money", 5), FOREVER)
    purse.seed = b"s1"
    return books, Debts(Names("t:", "me"), books.wall), purse


def told(debts: Debts) -> tuple[int, dict[bytes, tuple[Any, ...]]]:
    """The number of the batch, and what is told of each key."""
    count, *words = debts.words(b"me.1", b"me.0")
    keys, (_, number, _, *rest) = words[: int(count)], words[int(count) :]  # type: ignore[arg-type]
    return number, {key: tuple(rest[5 * place : 5 * place + 4]) for place, key in enumerate(keys[2:])}  # type: ignore[return-value,misc]


MONEY = b"t:key:k/money/total/UTC/0"


def test_a_batch_is_told_again_as_it_was_with_what_is_held_now() -> None:
    """A reply that is lost must not count money twice, nor lose it; what is held meanwhile must not be an old number."""
    books, debts, purse = begin()
    slots = books.slot("key:k/concurrent")
    slots.busy, purse.unsent, purse.reserved = 2, 100, 30
    assert not debts
    debts.slots(slots)
    debts.purse(purse)
    debts.refund(b"t:tokens", 5.0)
    debts.refund(b"t:tokens", 0.5)
    assert debts
    assert debts.unsent == 3
    number, first = told(debts)
    assert debts.unsent == 3, "nobody said that he heard it"
    assert first == {
        b"t:tokens": (b"t", "-5.500", 0, b""),
        b"t:key:k/concurrent": (b"s", 0, 2, b""),
        MONEY: (b"m", 100, 30, b"s1"),
    }
    assert first[MONEY][1] == 100
    purse.unsent, purse.reserved = 150, 10
    debts.purse(purse)
    assert told(debts) == (number, {b"t:tokens": (b"t", "-5.500", 0, b""), MONEY: (b"m", 100, 60, b"s1")})
    assert debts.acknowledge([b"100"]) == [(purse, 100, b"100")]
    assert (purse.unsent, debts.acknowledged) == (50, number)
    assert told(debts) == (number + 1, {MONEY: (b"m", 50, 10, b"s1")})
    debts.acknowledge([b"150"])
    assert not debts
    assert debts.unsent == 0


def test_a_budget_that_was_begun_while_it_was_told_is_not_lost() -> None:
    """It was told by no seed, and has one when the answer comes: as a lost one it would refuse everybody for 3 s."""
    _, debts, purse = begin()
    purse.seed = b""
    debts.purse(purse)
    told(debts)
    purse.seed = b"begun"
    assert debts.acknowledge([b""]) == []


def test_what_counts_from_another_seed_is_still_owed() -> None:
    """Redis forgot the budget: what was spent is kept until it is known where to add it, and nobody is asked in circles."""
    _, debts, purse = begin()
    purse.unsent = 100
    debts.purse(purse)
    told(debts)
    purse.seed = b""
    assert debts.acknowledge([b""]) == [(purse, 0, b"")]
    assert (purse.unsent, bool(debts)) == (100, False)
    debts.purse(purse)
    assert told(debts)[1] == {MONEY: (b"m", 0, 100, b"")}, "until then it is held"
    debts.forget_batch()
    debts.refund(b"x", 1.0)
    debts.forget_refunds()
    assert not debts


def test_much_is_told_in_parts() -> None:
    """A script with ten thousand counters would keep everybody waiting."""
    books, debts, _ = begin()
    for number in range(1200):
        slots = books.slot(f"key:{number}/concurrent")
        slots.busy = 1
        debts.slots(slots)
    parts = []
    while debts:
        parts.append((len(debts.words(b"me.1", b"me.0")), debts.many))
        debts.acknowledge([])
    assert [many for _, many in parts] == [True, False, False]
    assert max(words for words, _ in parts) < 4000
