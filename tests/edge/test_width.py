"""How wide a provider's door is: left open while it does well, narrowed by overload, widened step by step."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.edge.width import Width


def fail(width: Width, count: int, asking: int, now: float) -> None:
    """Failures of requests that began just now."""
    for _ in range(count):
        width.ill(asking, now, now)


def narrowed(asking: int = 200, most: int = 512) -> Width:
    """One that was narrowed at the time 0."""
    width = Width(8, most)
    fail(width, 4, asking, 0.0)
    assert width.now < asking
    return width


def test_it_starts_as_wide_as_it_may_be() -> None:
    """Nobody's healthy provider is slowed by what this does."""
    width = Width(8, 512)
    assert (width.now, width.uneasy) == (512, False)


def test_the_first_narrowing_is_from_what_is_in_use() -> None:
    """From a bound that nobody uses, a dozen steps would change nothing."""
    width = Width(8, 512)
    fail(width, 3, 200, 0.0)
    assert (width.now, width.uneasy) == (512, True)
    fail(width, 1, 200, 0.0)
    assert width.now == 140


def test_a_few_failures_among_many_answers_are_accidents() -> None:
    """A hundred clients must not be made to wait for a 503 now and then."""
    width = Width(8, 512)
    for at in range(2000):
        (width.ill if at % 20 == 0 else width.well)(200, at / 100, at / 100)
    assert width.now == 512


@pytest.mark.parametrize("asking", [1, 7, 8])
def test_few_requests_are_never_the_cause(asking: int) -> None:
    """A provider that is down under little load is not overloaded by us: when it is back, all may come."""
    width = Width(8, 512)
    fail(width, 100, asking, 0.0)
    assert width.now == 512


def test_never_below_the_least() -> None:
    """Somebody must find out that it is back."""
    width = narrowed()
    for second in range(1, 60):
        fail(width, 10, 500, float(second))
    assert width.now == 8
    fail(width, 10, 500, 60.0)
    assert width.now == 8


def test_once_a_round_trip() -> None:
    """A hundred requests that time out together are one sign, not a hundred."""
    width = narrowed()
    assert width.now == 140
    for _ in range(500):
        width.ill(139, -1.0, 10.0)
    assert width.now == 140
    fail(width, 4, 139, 10.0)
    assert width.now == 97


def test_once_a_second() -> None:
    """Refusals come by the thousand a second."""
    width = narrowed()
    fail(width, 1000, 139, 0.9)
    assert width.now == 140
    fail(width, 1, 139, 1.0)
    assert width.now == 97


def test_wider_only_while_it_is_used_to_its_bound() -> None:
    """What is not used proves nothing; one step a second, and a round trip, while it is."""
    width = narrowed()
    width.well(139, 1.0, 2.0)
    assert width.now == 140
    width.well(140, 0.5, 0.9)
    assert width.now == 140
    width.well(140, 1.0, 2.0)
    assert width.now == 156
    width.well(156, 1.9, 4.0)
    assert width.now == 156
    width.well(156, 2.0, 4.0)
    assert width.now == 172


def test_not_wider_while_a_tenth_fails() -> None:
    """At its limit, one more step is only more failures."""
    width = narrowed()
    fail(width, 2, 140, 1.0)
    width.well(140, 1.0, 2.0)
    assert width.now == 140
    for _ in range(3):
        width.well(140, 2.0, 3.0)
    assert width.now == 156


def test_never_above_the_most() -> None:
    """The bound on connections holds."""
    width = narrowed(asking=100, most=100)
    for second in range(2, 50):
        width.well(100, float(second), float(second))
    assert width.now == 100


def test_small_pools_grow_too() -> None:
    """A step is at least one."""
    width = Width(1, 10)
    fail(width, 4, 10, 0.0)
    assert width.now == 7
    width.well(7, 1.0, 1.0)
    assert width.now == 8


def test_a_minute_of_good_answers_is_forgiveness() -> None:
    """A bad moment at noon must not slow the evening; but silence alone proves nothing."""
    width = narrowed()
    width.well(1, 1000.0, 1000.0)
    assert (width.now, width.uneasy) == (140, True)
    width.well(1, 1030.0, 1030.0)
    fail(width, 1, 1, 1031.0)
    width.well(1, 1061.0, 1061.0)
    width.well(1, 1120.0, 1120.0)
    assert width.now == 140
    width.well(1, 1121.0, 1121.0)
    assert (width.now, width.uneasy) == (512, False)


def test_late_answers_of_before_count_as_calm_only() -> None:
    """A request that began before the change says nothing of the new width, but that the provider lives."""
    width = narrowed()
    fail(width, 3, 140, 1.0)
    for _ in range(100):
        width.well(140, -1.0, 1.0)
    fail(width, 1, 140, 1.0)
    assert width.now == 98


@given(
    least=st.integers(1, 20),
    more=st.integers(0, 600),
    events=st.lists(st.tuples(st.booleans(), st.integers(1, 700), st.floats(0, 30), st.floats(0, 5)), max_size=200),
)
def test_always_between_its_bounds(least: int, more: int, events: list[tuple[bool, int, float, float]]) -> None:
    """Whatever comes in whatever order: one step at a time, never out of bounds, and quiet only at its widest."""
    width, now, changed = Width(least, least + more), 0.0, -math.inf
    for good, asking, took, later in events:
        now += later
        before = width.now
        (width.well if good else width.ill)(asking, now - took, now)
        assert least <= width.now <= least + more
        assert width.uneasy or width.now == least + more
        if width.now != before and width.uneasy:
            assert now - changed >= 1.0
            assert width.now > before if good else width.now < before
            changed = now


@pytest.mark.parametrize("capacity", [20, 100, 300])
def test_it_finds_what_a_provider_can_take(capacity: int) -> None:
    """A provider that refuses what is above its capacity, under clients that want 500 at once: mostly served, mostly used."""
    dice, width, refused, served = random.Random(1), Width(8, 512), 0, 0
    for tick in range(6000):  # a tenth of a second each; an answer takes one tick
        now = tick / 10
        asked = min(500, width.now)
        for place in sorted(range(asked), key=lambda _: dice.random()):
            if place < capacity:
                width.well(asked, now, now + 0.1)
            else:
                width.ill(asked, now, now + 0.1)
        if tick > 3000:
            served += min(asked, capacity)
            refused += max(0, asked - capacity)
    assert served > 0.7 * capacity * 2999
    assert refused < 0.2 * served
