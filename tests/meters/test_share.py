"""What one of several processes lets through while it is alone."""

from __future__ import annotations

import asyncio

import pytest

from harness.counting import BORN, Clock
from harness.meters import DOLLAR, Ledger, Told
from trunkline.meters.books import Books
from trunkline.meters.meter import Claim, Refused
from trunkline.meters.rule import Rule, Rules
from trunkline.meters.share import Share

KEY = Rules((Rule("key:k", "money", 12 * DOLLAR, "day"),))


class Alone:
    """A process that is alone, among so many."""

    def __init__(self, processes: int) -> None:
        self.clock, self.ledger, self.told = Clock(), Ledger(), Told()
        self.share = Share(self.ledger, self.told.crossed, Books(self.clock, BORN))
        self.share.processes = processes

    async def granted(self, count: int, *rules: Rules, nano: int = 0) -> int:
        """How many of so many are let in."""
        answers = [await self.share.reserve(Claim(rules, 0, nano, self.clock.wall)) for _ in range(count)]
        return sum(not isinstance(one, Refused) for one in answers)


@pytest.mark.parametrize(("processes", "part"), [(0, 10), (1, 10), (3, 3), (10, 1), (50, 1)])
def test_everybody_has_his_part_of_a_limit_and_at_least_one(processes: int, part: int) -> None:
    """A limit for ten is ten for all together, also while nobody can ask; and nobody is shut out."""
    alone = Alone(processes)
    for what in ("requests", "concurrent"):
        rules = Rules((Rule("key:k", what, 10),))  # type: ignore[arg-type]
        assert asyncio.run(alone.granted(20, rules)) == part


def test_the_others_slots_are_theirs() -> None:
    """What others had when they were last heard of lies in their part, not in ours."""
    alone = Alone(2)
    alone.share.books.slot("key:k/concurrent").others = 9
    assert asyncio.run(alone.granted(20, Rules((Rule("key:k", "concurrent", 10),)))) == 5


def test_money_is_a_part_of_what_was_left() -> None:
    """Twelve, of which two are spent, one is ours and three are others': six are left, two for each of three."""

    async def main() -> None:
        alone = Alone(3)
        purse = alone.share.books.open(KEY.rules[0], (await _window(alone)))
        purse.spent, purse.reserved, purse.others, purse.seen = 2 * DOLLAR, DOLLAR, 3 * DOLLAR, alone.clock()
        alone.share.begin()
        assert await alone.granted(9, KEY, nano=DOLLAR) == 0, "at first it may be us alone who do not hear"
        alone.clock.sleep(2.9)
        assert await alone.granted(9, KEY, nano=DOLLAR) == 0
        assert await alone.granted(9, KEY) == 9, "what costs nothing is not held up"
        alone.clock.sleep(0.2)
        team = Rules((KEY.rules[0], Rule("team:t", "requests", 1000)))
        assert await alone.granted(9, KEY, nano=DOLLAR) == 2
        assert await alone.granted(9, team, nano=DOLLAR) == 0, "another set with the same budget has no part of its own"
        assert alone.ledger.reads == 0
        soft = Rules((Rule("key:k", "money", 12 * DOLLAR, "day", hard=False),))
        assert await alone.granted(9, soft, nano=DOLLAR) == 9

    asyncio.run(main())


async def _window(alone: Alone):  # type: ignore[no-untyped-def]
    from trunkline.meters.windows import window  # noqa: PLC0415

    return window("day", "UTC", alone.clock.wall)


def test_what_was_not_heard_of_lately_is_asked_of_the_ledger() -> None:
    """Others may have spent since: the larger of both counts; where the ledger cannot tell, what was last known does."""

    async def main() -> None:
        for fails, spent, left in ((False, 10, 2), (False, 4, 6), (True, 0, 6)):
            alone = Alone(1)
            purse = alone.share.books.open(KEY.rules[0], (await _window(alone)))
            purse.spent, purse.seen = 6 * DOLLAR, alone.clock()
            alone.clock.sleep(5)
            alone.share.begin()
            alone.ledger.fails, alone.ledger.spent["key:k"] = fails, spent * DOLLAR
            assert await alone.granted(20, KEY, nano=DOLLAR) == left
            assert alone.ledger.reads <= 1 or fails

    asyncio.run(main())


def test_marks_that_were_passed_before_are_told() -> None:
    """A process that begins while Redis is away would keep to itself what the one before it had no time to tell."""

    async def main() -> None:
        alone = Alone(1)
        alone.ledger.spent["key:k"] = 9 * DOLLAR
        alone.share.begin()
        rules = Rules((Rule("key:k", "money", 12 * DOLLAR, "day", alert_at=(50, 80)),))
        assert await alone.granted(2, rules, nano=DOLLAR) == 2
        assert [mark for _, mark, _ in alone.told.marks] == [50]

    asyncio.run(main())


def test_money_of_which_nothing_was_ever_known_is_not_spent() -> None:
    """Where nobody was ever heard of, the ledger may know half of it; a process that heard of others may ask it."""

    async def main() -> None:
        alone = Alone(0)
        got = await alone.share.reserve(Claim((KEY,), 0, DOLLAR, alone.clock.wall))
        assert isinstance(got, Refused)
        assert got.unknown
        assert alone.ledger.reads == 0
        alone = Alone(2)
        alone.share.begin()
        alone.clock.sleep(4)
        alone.ledger.spent["key:k"] = 8 * DOLLAR
        assert await alone.granted(20, KEY, nano=DOLLAR) == 2
        alone = Alone(2)
        alone.ledger.fails = True
        alone.share.begin()
        alone.clock.sleep(4)
        assert await alone.granted(20, KEY, nano=DOLLAR) == 0

    asyncio.run(main())
