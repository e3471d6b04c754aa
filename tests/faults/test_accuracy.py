"""A short run of `accuracy.run`: the books say what providers served, whatever became of requests, clients and processes."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable

import pytest

from accuracy.answers import Truth, recorded
from accuracy.run import accuracy


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", ["first", secrets.token_hex(3)], ids=["fixed", "random"])
def test_what_is_booked_is_what_was_served(seed: str, record_property: Callable[[str, object], None]) -> None:
    """Money hangs on it: to the token and the nano-dollar, over crashes, in rows, totals and budgets."""
    record_property("seed", seed)
    report = accuracy(seed, 600, kills=1)
    sys.stdout.write(report.table() + "\n")
    assert report.wrong == [], report.table()
    assert (report.duplicates, report.kills) == (0, 1)
    assert report.booked["exact"] == report.served["exact"]
    assert report.classes["exact"] > 400, report.table()


def test_the_other_side_s_arithmetic() -> None:
    """What the books are compared with must itself be right: each part once, rounded once, half up."""
    assert Truth(1000, 100).nano == 1_234_500 + 987_654
    assert Truth(1, 0).nano == 1_235, "1,234.5"
    assert Truth(10, 0, cache_read=4, cache_write_1h=3).nano == (3 * 1_234_500 + 4 * 123_450 + 3 * 2_469_000 + 500) // 1000
    assert Truth(50, 50, images=2).nano == 80_000_000


def test_recorded_answers_take_part() -> None:
    """Where recordings are at hand, what providers really said is counted too."""
    if not (found := [*recorded("chat"), *recorded("messages")]):
        pytest.skip("no recordings")
    assert len(found) > 10
    assert {bool(one.frames) for one in found} == {True, False}
