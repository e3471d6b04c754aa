"""The sums that are kept: how they follow the rows, on every kind of database."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from records import START_NS, opened, settled
from trunkline.ledger.record import row
from trunkline.store import rollup, sums, usage
from trunkline.store.tables import COUNTS, days, meta, quarters
from trunkline.store.tables import usage as rows_table

QUARTER = rollup.QUARTER_NS
FIRST = START_NS // QUARTER
MOST = 2**63 - 1


def _at(n, slot, **changes):
    return row(settled(opened(n, started_ns=START_NS + slot * QUARTER))) | changes


def _folded(store):
    with store.read() as connection:
        return (connection.scalar(select(meta.c.value).where(meta.c.name == rollup.FOLDED)) or 0) - FIRST


def _requests(store, table):
    with store.read() as connection:
        found = connection.execute(select(table.c.slot, table.c.requests).where(table.c.group_id == rollup.EVERYTHING))
        return dict(map(tuple, found))


def test_days_are_made_of_quarters_some_way_behind(store):
    """What is written all the time is the quarter alone; a day holds each quarter once, however it got there."""
    usage.insert(store, [_at(1, 0)])
    assert _folded(store) == -4
    assert _requests(store, days) == {}
    usage.insert(store, [_at(2, 3)])
    assert _requests(store, days) == {}
    usage.insert(store, [_at(3, 7)])
    assert _folded(store) == 3
    assert _requests(store, days) == {FIRST // 96: 1}
    usage.insert(store, [_at(4, 1), _at(5, 2), _at(6, -96), _at(7, 5)])
    assert _requests(store, days) == {FIRST // 96: 3, FIRST // 96 - 1: 1}
    assert _requests(store, quarters) == {FIRST + slot: 1 for slot in (0, 1, 2, 3, 5, 7, -96)}
    assert sums.totals(store, "key", None, None)[0].requests == 7


def test_a_long_time_is_folded_piece_by_piece(store):
    """A store of months that was never folded must not be done in one long transaction."""
    usage.insert(store, [_at(n, n) for n in range(100)])
    assert _folded(store) == 95
    assert sum(_requests(store, days).values()) == 95


def test_folding_again_changes_nothing(store):
    """Several gateways may find at once that it is time."""
    usage.insert(store, [_at(n, n) for n in range(20)])
    before = _requests(store, days)
    rollup.fold(store, FIRST + 19)
    rollup.fold(store, FIRST)
    assert _requests(store, days) == before
    assert _folded(store) == 15


def test_who_folds_waits_for_nobody(store):
    """While another adds, folding is put off: both would else count a row for neither or twice."""
    usage.insert(store, [_at(n, n) for n in range(7)])
    before = _folded(store)
    if store.dialect == "sqlite":
        return
    with store.begin() as other:
        rollup.lock(other)
        rollup.fold(store, FIRST + 50)
        assert _folded(store) == before
    rollup.fold(store, FIRST + 50)
    assert _folded(store) == 46


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 10**12)), min_size=1, max_size=10))
def test_corrected_rows_are_corrected_sums(store, changes):
    """New prices for old requests: rows and sums agree afterwards, in quarters and in days."""
    with store.begin() as connection:
        for table in (rows_table, quarters, days, meta):
            connection.execute(table.delete())
    before = [_at(n, slot, cost_nano=5 if n % 2 else None) for n, (slot, _) in enumerate(changes)]
    usage.insert(store, before)
    after = [one | {"cost_nano": cost} for one, (_, cost) in zip(before, changes, strict=True)]
    with store.begin() as connection:
        rollup.correct(connection, before, after)
        for one in after:
            connection.execute(update(rows_table).where(rows_table.c.id == one["id"]).values(cost_nano=one["cost_nano"]))
    (total,) = sums.totals(store, "key", None, None)
    assert total.cost_nano == sum(one["cost_nano"] or 0 for one in after)
    assert total.unpriced == sum(one["cost_nano"] is None for one in after)
    assert total.requests == len(after)
    assert sums.totals(store, "day", None, None)[0].requests > 0


def test_a_correction_never_goes_below_nothing(store):
    """Of a sum that stayed at the greatest number not all can be taken back; what is left is no debt."""
    rows = [_at(n, 0, cost_nano=MOST) for n in range(3)]
    usage.insert(store, rows)
    with store.begin() as connection:
        rollup.correct(connection, rows, [one | {"cost_nano": 1} for one in rows])
    assert sums.totals(store, "key", None, None)[0].cost_nano == 0


def test_a_mark_never_goes_back(store):
    """What is folded stays folded, and what may be gone may be gone."""
    for value, kept in ((5, 5), (9, 9), (7, 9)):
        with store.begin() as connection:
            rollup.mark(connection, "x", value)
        with store.read() as connection:
            assert connection.scalar(select(meta.c.value).where(meta.c.name == "x")) == kept


def test_what_rows_add():
    """The counts in their order, by group and all together."""
    one = _at(1, 0, cache_write_5m_tokens=2, cache_write_1h_tokens=3, reasoning_tokens=4, images=5, reported_nano=6)
    gathered = rollup.Gathered([one, _at(2, 1, key="b", outcome="error", cost_nano=None)])
    mine, theirs = (rollup.group_id(names) for names in gathered.names.values())
    first = [1, 0, 0, 10, 4, 5, 20, 4, 5, 1500, 6]
    second = [1, 1, 1, 10, 4, 0, 20, 0, 0, 0, 0]
    expected = {(FIRST, mine): first, (FIRST, 0): first, (FIRST + 1, theirs): second, (FIRST + 1, 0): second}
    assert gathered.quarters == expected
    assert len(COUNTS) == len(first)
    assert gathered.newest() == FIRST + 1
    assert gathered.days(FIRST + 1) == {(FIRST // 96, mine): first, (FIRST // 96, 0): first}


@pytest.mark.parametrize("count", [0, 200_000])
def test_what_is_remembered_is_bounded(store, count):
    """A client that makes up models' names must not fill the memory."""
    usage.insert(store, [_at(1, 0)])
    rollup.known_groups(store).update(range(count))
    assert len(rollup.known_groups(store)) == (0 if count else 1)
