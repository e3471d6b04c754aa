"""The accounts: each request once, and sums that are the sums of their rows."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger.record import row
from trunkline.store import usage
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.place import DATABASE

DAY = 86_400_000_000_000
MOST = 2**63 - 1


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path)
    yield made
    made.close()


def _ids(rows):
    return [int(made["id"]) for made in rows]


def test_inserting_twice_changes_nothing(store):
    """A replay after a crash hands in rows that are there already."""
    usage.insert(store, [row(settled(n)) for n in range(3)])
    usage.insert(store, [row(settled(n, cost_nano=999_999)) for n in range(5)])
    rows = list(usage.export(store, None, None))
    assert _ids(rows) == [0, 1, 2, 3, 4]
    assert rows[0] == row(settled(0))
    assert rows[4] == row(settled(4, cost_nano=999_999))


def test_numbers_beyond_the_column_are_cut_not_refused(store):
    """A provider that claims 2**64 tokens must not stop the books of everybody else."""
    usage.insert(store, [row(settled(1)), row(settled(2, usage=Usage(input=2**64 - 1, basis="reported")))])
    assert [made["input_tokens"] for made in usage.export(store, None, None)] == [10, MOST]


def test_totals_cannot_overflow(store):
    """Sums of hostile numbers are still exact, and never an error."""
    for n in range(5):
        usage.insert(store, [row(settled(n, usage=Usage(input=MOST, output=MOST), cost_nano=MOST))])
    (total,) = usage.totals(store, "key", None, None)
    assert (total.input_tokens, total.output_tokens, total.cost_nano) == (5 * MOST, 5 * MOST, 5 * MOST)


def test_totals_by_each_of_the_four(store):
    """What `trunkline usage` shows."""
    made = [
        settled(opened(1, key="a", model="m1", provider="p1"), cost_nano=5),
        settled(opened(2, key="a", model="m2", provider="p2"), cost_nano=None),
        settled(opened(3, key="b", model="m1", provider="p1", started_ns=START_NS + DAY), cost_nano=7),
        settled(opened(4, key="b", model="m1", provider="p1", started_ns=START_NS - 1), cost_nano=1),
    ]
    usage.insert(store, [row(one) for one in made])

    def told(by):
        return [(total.name, total.requests, total.unpriced, total.cost_nano) for total in usage.totals(store, by, None, None)]

    assert told("day") == [("2025-12-31", 1, 0, 1), ("2026-01-01", 2, 1, 5), ("2026-01-02", 1, 0, 7)]
    assert told("key") == [("b", 2, 0, 8), ("a", 2, 1, 5)]
    assert told("model") == [("m1", 3, 0, 13), ("m2", 1, 1, 0)]
    assert told("provider") == [("p1", 3, 0, 13), ("p2", 1, 1, 0)]
    (first, *_) = usage.totals(store, "model", None, None)
    assert (first.input_tokens, first.cache_read_tokens, first.output_tokens) == (30, 12, 60)


@pytest.mark.parametrize("stored", [True, False])
def test_what_used_nothing_is_not_unpriced(store, stored):
    """A provider that was down would fill the totals with requests of unknown cost, though it took no cent."""
    rows = [
        row(settled(1, cost_nano=None, usage=Usage(input=5, basis="reported"))),
        row(settled(2, cost_nano=None, usage=Usage(input=5, basis="estimated"))),
        row(settled(3, cost_nano=None, usage=Usage())),
        row(settled(4, cost_nano=0, usage=Usage(input=5, basis="reported"))),
    ]
    usage.insert(store, rows if stored else [])
    (total,) = usage.totals(store, "key", None, None, rows)
    assert (total.requests, total.unpriced) == (4, 2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * DAY),
            st.sampled_from(["a", "b", "[red]", ""]),
            st.none() | st.integers(0, MOST),
            st.integers(0, MOST),
            st.sampled_from(["stored", "journal", "both"]),
        ),
        max_size=20,
    ),
    st.none() | st.integers(0, 3 * DAY),
    st.none() | st.integers(0, 3 * DAY),
)
def test_totals_are_the_sums_of_the_rows(tmp_path_factory, made, since, until):
    """Stored or still in the journal or both, within any bounds: each request counts exactly once."""
    store = open_store(tmp_path_factory.mktemp("data"))
    since_ns, until_ns = (None if bound is None else START_NS + bound for bound in (since, until))
    rows, unstored, expected = [], [], {}
    for n, (offset, key, cost, tokens, where) in enumerate(made):
        one = row(settled(opened(n, key=key, started_ns=START_NS + offset), cost_nano=cost, usage=Usage(input=tokens)))
        if where != "journal":
            rows.append(one)
        if where != "stored":
            unstored.append(one)
        if (since is None or offset >= since) and (until is None or offset < until):
            requests, tokens_before, cost_before = expected.get(key, (0, 0, 0))
            expected[key] = (requests + 1, tokens_before + tokens, cost_before + (cost or 0))
    usage.insert(store, rows)
    found = usage.totals(store, "key", since_ns, until_ns, unstored)
    assert {total.name: (total.requests, total.input_tokens, total.cost_nano) for total in found} == expected
    days = usage.totals(store, "day", since_ns, until_ns, unstored)
    assert sum(total.cost_nano for total in days) == sum(total.cost_nano for total in found)
    exported = list(usage.export(store, since_ns, until_ns, unstored))
    assert len(exported) == sum(total.requests for total in found)
    assert [one["started_ns"] for one in exported] == sorted(one["started_ns"] for one in exported)
    store.close()


def test_many_unstored_rows_are_looked_up_in_pieces(store):
    """A journal of a long outage is larger than one statement may be."""
    usage.insert(store, [row(settled(n)) for n in range(0, 3000, 2)])
    (total,) = usage.totals(store, "key", None, None, (row(settled(n)) for n in range(3000)))
    assert total.requests == 3000


def test_a_locked_database_refuses_and_recovers(tmp_path):
    """The writer keeps the rows and tries again; a lock of another program passes."""
    store = open_store(tmp_path, patience=0.01)
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        usage.insert(store, [row(settled(1))])
    other.execute("ROLLBACK")
    other.close()
    usage.insert(store, [row(settled(1))])
    assert len(list(usage.export(store, None, None))) == 1
    store.close()


def test_a_full_database_takes_all_or_nothing_and_recovers(store):
    """A full disk must not leave half a batch, and needs no restart once there is room."""
    rows = [row(settled(n)) for n in range(2000)]
    with store.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match=r"full.*room"):
        usage.insert(store, rows)
    assert list(usage.export(store, None, None)) == []
    with store.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    usage.insert(store, rows)
    assert len(list(usage.export(store, None, None))) == 2000


def test_one_request_is_found(tmp_path):
    """Support asks about a single answer."""
    store = open_store(tmp_path)
    usage.insert(store, [row(settled(n)) for n in range(3)])
    assert usage.find(store, f"{1:032d}") == row(settled(1))
    assert usage.find(store, "x") is None
    store.close()
