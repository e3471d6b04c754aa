"""Failed keys per address: bounded answers, bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.failures import Failures


def test_a_minute_has_so_many_answers() -> None:
    """After the allowed failures an address is told how long to wait; a minute later it is answered again."""
    failures = Failures(per_minute=2)
    assert [failures.add("a", now) for now in (100.0, 101.0, 102.5, 159.5)] == [0.0, 0.0, 57.5, 0.5]
    assert [failures.add("a", now) for now in (160.0, 161.0, 162.0)] == [0.0, 0.0, 58.0]


def test_addresses_do_not_share() -> None:
    """One that guesses costs no other its answer."""
    failures = Failures(per_minute=1)
    assert [failures.add(address, 1.0) for address in ("a", "b", "a", "b")] == [0.0, 0.0, 60.0, 60.0]


def test_a_full_table_forgets_what_has_passed() -> None:
    """A flood of addresses grows nothing; whose window still runs is kept where there is room."""
    failures = Failures(per_minute=1, max_addresses=2)
    failures.add("old", 0.0)
    failures.add("new", 50.0)
    assert failures.add("third", 70.0) == 0.0
    assert failures.add("new", 70.0) == 40.0
    assert failures.add("fourth", 71.0) == 0.0, "none has passed: all are forgotten"
    assert failures.add("new", 72.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 30))), st.integers(1, 4), st.integers(1, 4))
def test_bounded_whatever_comes(steps: list[tuple[str, float]], per_minute: int, most: int) -> None:
    """At most so many addresses are remembered; the wait is within a minute; the first failure is always answered."""
    failures, now, seen = Failures(per_minute, most), 0.0, set[str]()
    for address, passed in steps:
        now += passed
        wait = failures.add(address, now)
        assert 0.0 <= wait <= 60.0
        assert address in seen or wait == 0.0
        seen.add(address)
        assert len(failures._windows) <= most
