"""Costs of stored rows put right, and the sums with them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.ledger.record import row
from trunkline.store import rollup, sums, usage
from trunkline.store.repricing import renew

QUARTER = rollup.QUARTER_NS


def stored(store, costs, *, apart=QUARTER):
    rows = [row(settled(opened(n, started_ns=START_NS + n * apart), cost_nano=cost)) for n, cost in enumerate(costs)]
    usage.insert(store, rows)
    return [one["id"] for one in rows]


def total(store):
    (found,) = sums.totals(store, "model", None, None)
    return found.requests, found.cost_nano, found.unpriced


def test_rows_and_sums_change_together(store) -> None:
    """A total that is not that of its rows is a bill that nobody can explain; folded days too."""
    ids = stored(store, [None if n % 3 == 0 else n for n in range(200)])
    before = total(store)
    assert renew(store, ids, lambda _: (1000, "new")) == 200
    assert total(store) == (before[0], 200_000, 0)
    assert {(one["cost_nano"], one["price_version"]) for one in usage.export(store, None, None)} == {(1000, "new")}
    rows = [found.cost_nano for found in sums.totals(store, "day", None, None)]
    assert sum(rows) == 200_000
    assert len(rows) > 2


def test_a_second_time_changes_nothing(store) -> None:
    """It can be broken off and begun again; two at once charge nothing twice."""
    ids = stored(store, [5, 6, 7])
    assert renew(store, ids, lambda _: (6, "new")) == 2
    assert renew(store, ids, lambda _: (6, "newer")) == 0
    assert [one["price_version"] for one in usage.export(store, None, None)] == ["new", "test 1", "new"]


def test_a_row_may_stay(store) -> None:
    """What nobody has a price for keeps the one it has."""
    ids = stored(store, [5, 6])
    assert renew(store, [*ids, "gone"], lambda found: None if found["id"] == ids[0] else (9, "new")) == 1
    assert total(store) == (2, 14, 0)


def test_a_failure_in_between_leaves_all_as_it_was(store) -> None:
    """Half of a batch would be in the rows and not in the sums."""
    ids = stored(store, [5, 6])

    def price(found):
        if found["id"] == ids[1]:
            raise RuntimeError
        return 9, "new"

    with pytest.raises(RuntimeError):
        renew(store, ids, price)
    assert total(store) == (2, 11, 0)
    assert [one["cost_nano"] for one in usage.export(store, None, None)] == [5, 6]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | st.integers(0, 2**40), st.none() | st.integers(0, 2**40)), min_size=1, max_size=20))
def test_totals_are_the_sums_of_the_rows(store, changes) -> None:
    """Whatever becomes of each row."""
    with store.begin() as connection:
        for table in ("usage", "usage_quarters", "usage_days"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    ids = stored(store, [old for old, _ in changes])
    new = dict(zip(ids, (new for _, new in changes), strict=True))
    renew(store, ids, lambda found: None if new[found["id"]] is None else (new[found["id"]], "new"))
    costs = [one["cost_nano"] for one in usage.export(store, None, None)]
    assert total(store) == (len(changes), sum(filter(None, costs)), costs.count(None))
