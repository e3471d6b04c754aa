"""How much to think, in words and in tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.effort import ORDER, budget_of, effort_of, nearest


def test_every_word_has_more_tokens_than_the_one_before_and_is_found_again() -> None:
    """A conversation that goes from one dialect to another and back must not think less each time."""
    budgets = [budget_of(effort) for effort in ORDER]
    assert budgets == sorted(set(budgets))
    assert [effort_of(budget) for budget in budgets] == list(ORDER)
    assert budget_of("a word of tomorrow") == budget_of("medium")


@given(st.integers(0, 10**9))
def test_any_budget_has_a_word(budget: int) -> None:
    """Its tokens are not fewer than what was asked for, where there is such a word."""
    effort = effort_of(budget)
    assert budget_of(effort) >= budget or effort == ORDER[-1]


@pytest.mark.parametrize(
    ("effort", "taken", "found"),
    [
        ("high", (), "high"),
        ("high", ("low", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("minimal", ("low", "high"), "low"),
        ("max", ("low", "high"), "high"),
        ("new", ("low", "high"), "low"),
        ("new", ("low", "new"), "new"),
        ("high", ("default",), "default"),
    ],
)
def test_the_nearest_word_is_not_above_what_was_asked(effort: str, taken: tuple[str, ...], found: str) -> None:
    """A word that a model does not take is a 400; more thought than asked for is a bill."""
    assert nearest(effort, taken) == found
