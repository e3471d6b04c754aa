"""The order of records, whatever is done to the machine's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.pipeline.clock import BELIEVED, Clock

NOON, SECOND, HOUR = 1_760_000_000 * 10**9, 10**9, 3600 * 10**9


@pytest.mark.parametrize(
    ("wall", "told"),
    [
        ([NOON, NOON + SECOND], [NOON, NOON + SECOND]),
        ([NOON, NOON, NOON], [NOON, NOON + 1, NOON + 2]),  # it stands still
        ([NOON, NOON - HOUR, NOON - HOUR + SECOND, NOON + SECOND], [NOON, NOON + 1, NOON + 2, NOON + SECOND]),  # an hour back
        ([NOON, NOON + 24 * HOUR], [NOON, NOON + 24 * HOUR]),  # a day on
        ([NOON + 24 * HOUR, NOON], [NOON + 24 * HOUR, NOON]),  # a day on was wrong
        ([NOON + BELIEVED, NOON], [NOON + BELIEVED, NOON]),
        ([NOON + BELIEVED - 1, NOON], [NOON + BELIEVED - 1, NOON + BELIEVED]),
    ],
)
def test_what_is_told(wall: list[int], told: list[int]) -> None:
    """The wall's time where it can be; else the order, for a while."""
    times = iter(wall)
    clock = Clock(lambda: next(times))
    assert [clock() for _ in wall] == told


@given(st.lists(st.integers(NOON, NOON + BELIEVED - 100), min_size=1, max_size=50))
def test_small_jumps_keep_the_order(wall: list[int]) -> None:
    """Whatever a time server does: no two the same, none before an earlier one, none ahead of all there was."""
    times = iter(wall)
    clock = Clock(lambda: next(times))
    told = [clock() for _ in wall]
    assert told == sorted(set(told))
    assert told[-1] < max(wall) + len(wall)


def test_the_machines_own() -> None:
    """By default it is the wall's."""
    assert Clock()() > NOON
