"""Second tries of a target that fails: enough for a bad moment, too few to bring it down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.budget import FLOOR, MOST, PRICE, Budget


def spent(budget: Budget) -> int:
    """How many second tries there are at once."""
    tries = 0
    while budget.may():
        budget.spend()
        tries += 1
    return tries


def test_a_target_with_little_traffic_has_some() -> None:
    """The first request of the day would not be tried again."""
    assert spent(Budget()) == FLOOR


def test_ten_first_tries_pay_for_a_second_one() -> None:
    """Retries would multiply the load of a provider that is already down."""
    budget = Budget()
    spent(budget)
    for _ in range(PRICE - 1):
        budget.asked()
    assert not budget.may()
    budget.asked()
    assert spent(budget) == 1
    for _ in range(300):
        budget.asked()
    assert spent(budget) == 30


def test_not_all_of_a_calm_day_is_saved_up() -> None:
    """A million good requests would pay for a storm of a hundred thousand retries."""
    budget = Budget()
    for _ in range(100_000):
        budget.asked()
    assert spent(budget) == MOST


@given(st.lists(st.booleans(), max_size=2000))
def test_never_more_than_a_tenth_and_the_floor(firsts: list[bool]) -> None:
    """Whatever the order, what is added to the load has a bound."""
    budget, asked, again = Budget(), 0, 0
    for first in firsts:
        if first:
            budget.asked()
            asked += 1
        elif budget.may():
            budget.spend()
            again += 1
        assert again <= FLOOR + asked / PRICE
