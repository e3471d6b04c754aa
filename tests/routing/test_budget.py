"""Second tries and second targets: enough for a bad moment, too few to bring anything down, or to cost more than agreed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.budget import Budget, of_hedges, of_target


def spent(budget: Budget) -> int:
    """How many there are at once."""
    tries = 0
    while budget.may():
        budget.spend()
        tries += 1
    return tries


def test_a_target_with_little_traffic_has_some() -> None:
    """The first request of the day would not be tried again."""
    assert spent(of_target()) == 10


def test_ten_first_tries_pay_for_a_second_one() -> None:
    """Retries would multiply the load of a provider that is already down."""
    budget = of_target()
    spent(budget)
    for _ in range(9):
        budget.asked()
    assert not budget.may()
    budget.asked()
    assert spent(budget) == 1
    for _ in range(300):
        budget.asked()
    assert spent(budget) == 30


def test_not_all_of_a_calm_day_is_saved_up() -> None:
    """A million good requests would pay for a storm of a hundred thousand more."""
    for budget, most in ((of_target(), 100), (of_hedges(0.5), 10)):
        budget.asked(10_000)
        assert spent(budget) == most


@given(st.floats(0, 1), st.integers(0, 3), st.lists(st.booleans(), max_size=400))
def test_no_more_than_the_share(share: float, start: int, further: list[bool]) -> None:
    """Whatever the order, what is added to the load, and to the bill, has a bound from the first request on."""
    budget, made = Budget(share, start, 5), 0
    for number, wanted in enumerate(further, 1):
        budget.asked()
        if wanted and budget.may():
            budget.spend()
            made += 1
        assert made <= start + share * number + 0.001


def test_nothing_is_lost_to_rounding() -> None:
    """A twentieth of all is one in twenty, also after many."""
    budget, made = of_hedges(0.05), []
    for number in range(1, 2001):
        budget.asked()
        if budget.may():
            budget.spend()
            made.append(number)
    assert made == list(range(20, 2001, 20))
