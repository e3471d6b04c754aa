"""What counters are called in Redis, and what it says of them."""

from __future__ import annotations

import asyncio

from harness.counting import BORN, Clock
from harness.meters import Ledger, Told
from trunkline.meters.books import Books
from trunkline.meters.exact import Exact, Names, kept_ms
from trunkline.meters.meter import Claim
from trunkline.meters.rule import Rule, Rules
from trunkline.meters.windows import FOREVER, window

DAY = 86_400
RULES = Rules(
    (
        Rule("key:k", "money", 500, "day"),
        Rule("key:k", "concurrent", 3),
        Rule("key:k", "tokens", 1000),
        Rule("key:k", "requests", 60),
        Rule("key:k", "money", 900, "month", hard=False),
    )
)


def test_the_question_of_a_request() -> None:
    """Keys and amounts stand side by side, whatever the order of the rules; a new day has a new key, the old one's stays."""

    async def main() -> None:
        clock = Clock()
        exact = Exact(Ledger(), Told().crossed, Books(clock, BORN), Names("t:", "me"))
        one = exact.wired(RULES)
        await exact.turn(one, Claim((RULES,), 0, 0, clock.wall))
        assert one.keys == (
            b"t:key:k/requests",
            b"t:key:k/tokens",
            b"t:key:k/concurrent",
            b"t:key:k/money/day/UTC/1789948800",
            b"t:key:k/money/month/UTC/1788220800",
        )
        assert one.args == (b"r", 60, b"t", 1000, b"s", 3, b"m", 500, b"m", -1)
        clock.sleep(DAY)
        await exact.turn(one, Claim((RULES,), 0, 0, clock.wall))
        assert one.keys[3:] == (b"t:key:k/money/day/UTC/1790035200", b"t:key:k/money/month/UTC/1788220800")
        one.mirror(iter([2_000_000, 30_000_000, 2]), clock())
        assert not one.fits(501, clock())
        assert one.fits(500, clock())
        one.mirror(iter([0, 0, 3]), clock())
        assert exact.wait(RULES, 1) == 1.0

    asyncio.run(main())


def test_names_are_nobody_elses() -> None:
    """Two processes, and two lives of one, must never be taken for each other."""
    one, other = Names("t:", "a1"), Names("t:", "b2")
    assert len({one.fresh(1), one.fresh(2), other.fresh(1), one.batch, other.batch}) == 5
    assert one.alive == other.alive == b"t:alive"


def test_how_long_redis_keeps_a_budget() -> None:
    """Some days longer than its window, so that late requests settle; not for ever where it has no end."""
    books = Books(Clock(), BORN)
    today = books.open(Rule("key:k", "money", 5, "day"), window("day", "UTC", BORN))
    assert 3 * DAY * 1000 < kept_ms(today, BORN) < 4 * DAY * 1000
    assert kept_ms(today, BORN + 9 * DAY * 1_000_000_000) == 3 * DAY * 1000
    assert kept_ms(books.open(Rule("key:k", "money", 5), FOREVER), BORN) == 400 * DAY * 1000
