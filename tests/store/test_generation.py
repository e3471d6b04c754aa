"""The number that gateways follow."""

from __future__ import annotations

from trunkline.store import keys, prices
from trunkline.store.generation import count_up


def test_it_goes_up_by_one(store) -> None:
    """A gateway that acknowledged a number must never be taken for one that knows a later change."""
    with store.begin() as connection:
        assert [count_up(connection) for _ in range(3)] == [1, 2, 3]


def test_keys_and_prices_share_it(store) -> None:
    """One acknowledgement is for both, so one counter must be."""
    _, first = keys.create(store, "ci", None, 1)
    _, second = prices.put(store, {"model": "m", "input": "1"}, 2)
    assert (first, second, keys.live(store)[0]) == (1, 2, 2)
