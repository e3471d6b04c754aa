"""Prices of one's own in the store."""

from __future__ import annotations

import pytest

from trunkline.store import prices
from trunkline.store.errors import StoreError
from trunkline.store.prices import StoredPrice


def test_set_list_remove(store) -> None:
    """What was set is there as it was written, in order, until it is removed; each change can be waited for."""
    first, one = prices.put(store, {"model": "a", "input": "0.1"}, 5)
    second, two = prices.put(store, {"model": "b", "provider": "lab", "input": "1"}, 6)
    assert prices.listing(store) == [
        StoredPrice(first, {"model": "a", "input": "0.1"}, 5),
        StoredPrice(second, {"model": "b", "provider": "lab", "input": "1"}, 6),
    ]
    assert (one, two, prices.remove(store, first)) == (1, 2, 3)
    assert [price.id for price in prices.listing(store)] == [second]


def test_a_price_for_the_same_takes_its_place(store) -> None:
    """Who corrects a price must not have two; another beginning or provider is another price."""
    prices.put(store, {"model": "a", "input": "1"}, 1)
    prices.put(store, {"model": "a", "input": "1", "from": "2026-12-01"}, 2)
    prices.put(store, {"model": "a", "input": "1", "provider": "lab"}, 3)
    prices.put(store, {"model": "a", "output": "9"}, 4)
    assert [price.created_ns for price in prices.listing(store)] == [2, 3, 4]


def test_removing_what_is_not_there(store) -> None:
    """A wrong number must not look like success."""
    with pytest.raises(StoreError, match="no stored price 7"):
        prices.remove(store, 7)
