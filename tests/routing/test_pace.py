"""How fast a target has been lately."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.pace import ENOUGH, HALF_LIFE, PENALTY, RECENT, Mean, Pace


def test_what_was_never_measured_is_thought_quickest() -> None:
    """A new target would never be tried."""
    quick = Mean()
    quick.add(0.0, 1e6)
    assert Mean().rank < quick.rank
    assert (Mean().value, Pace().p95()) == (0.0, None)


def test_what_is_a_half_life_old_weighs_half() -> None:
    """A provider that became slow an hour ago would still be sent everything."""
    mean = Mean()
    mean.add(4.0, 100.0)
    mean.add(1.0, 100.0 + HALF_LIFE)
    assert mean.value == pytest.approx((4.0 / 2 + 1.0) / 1.5)
    mean.add(1.0, 100.0 + 20 * HALF_LIFE)
    assert mean.value == pytest.approx(1.0, abs=1e-4)


def test_many_in_one_moment_all_count() -> None:
    """A thousand requests a second would be judged by the first of them."""
    mean = Mean()
    for seconds in (1.0, 2.0, 6.0):
        mean.add(seconds, 100.0)
    mean.add(3.0, 99.9)  # threads of the same moment may read the clock in another order
    assert mean.value == pytest.approx(3.0)


def test_one_that_is_not_heard_of_is_tried_again() -> None:
    """A target that was slow once would never be asked again."""
    slow, quick = Mean(), Mean()
    slow.add(8.0, 100.0)
    for half_lives, order in ((2.9, 1), (3.1, -1)):
        quick.add(1.0, 100.0 + half_lives * HALF_LIFE)
        assert (slow.rank - quick.rank) * order > 0


@pytest.mark.parametrize(
    ("known", "took", "expected"),
    [(None, 0.01, PENALTY), (1.0, 0.01, (1.0 + PENALTY) / 2), (30.0, 0.01, 30.0), (1.0, 60.0, 30.5)],
)
def test_one_that_fails_fast_is_not_fast(known: float | None, took: float, expected: float) -> None:
    """A provider that refuses within a millisecond would draw all traffic."""
    pace = Pace()
    if known:
        pace.first_token.add(known, 100.0)
        pace.answer.add(known, 100.0)
    pace.failed(took, 100.0)
    assert pace.first_token.value == pace.answer.value == pytest.approx(expected)


def test_when_a_first_token_is_late() -> None:
    """Hedging would begin on every request, or on none."""
    pace = Pace()
    for _ in range(ENOUGH - 1):
        pace.first(0.3)
    assert pace.p95() is None, "too few to tell"
    for _ in range(200 - ENOUGH + 1):
        pace.first(0.3)
    for _ in range(9):
        pace.first(5.0)
    found = pace.p95()
    assert found is not None
    assert 0.3 <= found <= 0.3 * 1.19
    for _ in range(9):
        pace.first(5.0)
    found = pace.p95()
    assert found is not None
    assert 5.0 <= found <= 5.0 * 1.19


def test_old_first_tokens_are_forgotten() -> None:
    """A provider that became faster would be hedged too late for the rest of the day."""
    pace = Pace()
    for _ in range(5000):
        pace.first(9.0)
    for _ in range(5 * RECENT):
        pace.first(0.1)
    found = pace.p95()
    assert found is not None
    assert found < 0.13


@pytest.mark.parametrize(("seconds", "bound"), [(0.0, 0.02), (1e-9, 0.02), (1e9, 700.0)])
def test_times_out_of_all_reason(seconds: float, bound: float) -> None:
    """A clock that jumps would end in an exception on the way of an answer."""
    pace = Pace()
    for _ in range(ENOUGH):
        pace.first(seconds)
    found = pace.p95()
    assert found is not None
    assert found <= bound


@given(st.lists(st.floats(0.0, 600.0), min_size=ENOUGH, max_size=RECENT - 1))
def test_at_most_one_in_twenty_is_later(times: list[float]) -> None:
    """The bound that hedging may spend rests on it."""
    pace = Pace()
    for seconds in times:
        pace.first(seconds)
    found = pace.p95()
    assert found is not None
    assert sum(seconds > found * (1 + 1e-9) for seconds in times) <= len(times) * 0.05


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e4), st.floats(-1, 1e5)), max_size=60))
def test_a_mean_is_always_a_time(events: list[tuple[bool, float, float]]) -> None:
    """A number that is none would break the order of all targets."""
    pace, now, most = Pace(), 0.0, PENALTY
    for failed, seconds, later in events:
        now, most = now + later, max(most, seconds)
        if failed:
            pace.failed(seconds, now)
        else:
            pace.answer.add(seconds, now)
        assert isfinite(pace.answer.rank)
        assert 0 <= pace.answer.value <= most * (1 + 1e-9)


def test_half_of_the_first_tokens_came_within_the_median() -> None:
    """An operator sees what is usual, from the first answer on."""
    pace = Pace()
    assert pace.median() is None
    for seconds in (0.1, 0.2, 9.0):
        pace.first(seconds)
    found = pace.median()
    assert found is not None
    assert 0.2 <= found <= 0.2 * 1.2
