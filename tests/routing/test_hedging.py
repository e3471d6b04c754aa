"""The share of requests that may be asked twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.hedging import MOST, PRICE, Hedging


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=400))
def test_no_more_than_the_share(share: float, slow: list[bool]) -> None:
    """Hedges are paid for by requests that were made, from the first one on: their cost is bounded whatever happens."""
    hedging, spent = Hedging(share), 0
    for number, is_slow in enumerate(slow, 1):
        hedging.asked()
        if is_slow and hedging.may():
            hedging.spend()
            spent += 1
        assert spent <= share * number + 0.001


def test_nothing_is_lost_to_rounding() -> None:
    """A twentieth of all is one in twenty, also after many."""
    hedging, spent = Hedging(0.05), []
    for number in range(1, 2001):
        hedging.asked()
        if hedging.may():
            hedging.spend()
            spent.append(number)
    assert spent == list(range(20, 2001, 20))


def test_little_is_saved_up() -> None:
    """A calm day does not pay for asking everything twice on a bad one."""
    hedging, spent = Hedging(0.5), 0
    for _ in range(1000):
        hedging.asked()
    while hedging.may():
        hedging.spend()
        spent += 1
    assert spent == MOST // PRICE
