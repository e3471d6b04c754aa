"""The arithmetic of one request and its counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.meters.counters import AGAIN, Counters, crossed, longest, requests_room, tokens_room
from trunkline.meters.gauges import MINUTE, Bucket, Slots
from trunkline.meters.meter import Refused
from trunkline.meters.rule import Rule


def counters(amount: int) -> Counters:
    made = Counters()
    rule = Rule("key:k", "requests", amount)
    made.requests = ((Bucket(), MINUTE // amount, amount, rule),)
    made.tokens = ((Bucket(), amount, Rule("key:k", "tokens", amount)),)
    made.slots = ((Slots("key:k/concurrent"), amount, Rule("key:k", "concurrent", amount)),)
    return made


@given(
    amount=st.integers(1, 100_000),
    steps=st.lists(st.tuples(st.integers(0, MINUTE), st.integers(0, 200_000), st.integers(0, 200_000)), max_size=30),
)
def test_fitting_refusing_and_telling_agree(amount: int, steps: list[tuple[int, int, int]]) -> None:
    """Who fits is refused by nobody, who does not fit is refused by somebody, with a time after which he does."""
    one, now = counters(amount), 10 * MINUTE
    for gap, tokens, used in steps:
        now += gap
        refusals = list(one.refusals(tokens, now))
        assert one.fits(tokens, now) == (not refusals)
        if refusals:
            wait = longest(refusals).retry_after
            assert wait is not None
            assert wait > 0
            times = [refused.retry_after or 0.0 for refused in refusals if refused.rule.what != "concurrent"]
            if times:
                assert one.fits(tokens, now + round(max(times) * 1e9) + 1000)  # a float of months is not told to the nanosecond
            continue
        one.take(tokens, now)
        for room in (requests_room([one], now), tokens_room([one], now)):
            assert room is not None
            assert 0 <= room.remaining <= amount
            assert room.reset >= 0
        one.give(tokens, used)
    assert one.slots[0][0].busy == 0


def test_the_least_of_several_is_told() -> None:
    """Clients hear of the limit that they will meet first."""
    wide, narrow = counters(1000), counters(10)
    now = MINUTE
    for one in (wide, narrow):
        one.take(5, now)
    assert requests_room([wide, narrow], now).limit == 10  # type: ignore[union-attr]
    assert tokens_room([narrow, wide], now).remaining == 5  # type: ignore[union-attr]
    assert requests_room([Counters()], now) is None
    assert tokens_room([], now) is None


def test_never_takes_longest() -> None:
    """Of a limit that heals in a second and a budget that does not heal, the second is told."""
    rule = Rule("key:k", "money", 5)
    soon, never = Refused(rule, AGAIN), Refused(rule, None)
    assert longest([soon, never, soon]) is never
    assert longest([soon]) is soon


@pytest.mark.parametrize(
    ("before", "after", "found"), [(0, 4, []), (0, 5, [50]), (5, 6, []), (4, 10, [50, 80, 100]), (10, 20, []), (7, 8, [80])]
)
def test_marks_that_lie_between(before: int, after: int, found: list[int]) -> None:
    """Each mark once: not again by the next request, and not left out by one that crosses two."""
    assert crossed(Rule("key:k", "money", 10, alert_at=(50, 80, 100)), before, after) == found
