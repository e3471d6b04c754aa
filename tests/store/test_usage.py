"""The accounts row by row: each request once, whatever it claims, on every kind of database."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger.record import row
from trunkline.store import rollup, sums, usage
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.place import DATABASE
from trunkline.store.tables import metadata

QUARTER = rollup.QUARTER_NS
MOST = 2**63 - 1


def _rows(*numbers):
    return [row(settled(n)) for n in numbers]


def _ids(rows):
    return [int(made["id"]) for made in rows]


def _sums(store):
    with store.read() as connection:
        tables = ("usage_quarters", "usage_days")
        return [sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}"))) for table in tables]


def _of(n, **changes):
    """A row of request `n` with other values in its columns."""
    return row(settled(n)) | changes


def test_inserting_twice_changes_nothing(store):
    """A replay after a crash hands in rows that are there already: they would be paid twice."""
    usage.insert(store, _rows(0, 1, 2))
    before = _sums(store)
    usage.insert(store, _rows(0, 1, 2))
    assert _sums(store) == before
    usage.insert(store, [row(settled(n, cost_nano=999_999)) for n in range(5)])
    rows = list(usage.export(store, None, None))
    assert _ids(rows) == [0, 1, 2, 3, 4]
    assert rows[0] == row(settled(0))
    assert rows[4] == row(settled(4, cost_nano=999_999))
    assert sums.totals(store, "key", None, None)[0].cost_nano == 3 * 1_500 + 2 * 999_999


def test_nothing_is_nothing(store):
    """An empty batch must not open a transaction that could fail."""
    usage.insert(store, [])
    assert list(usage.export(store, None, None)) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=5))
def test_overlapping_pieces_make_each_row_once(store, pieces):
    """Whatever a replay hands in again, in whatever pieces: the sums are those of the rows, each once."""
    with store.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    rollup.known_groups(store).clear()
    for piece in pieces:
        usage.insert(store, [row(settled(opened(n, key=f"k{n % 3}", started_ns=START_NS + n * QUARTER))) for n in piece])
    numbers = {n for piece in pieces for n in piece}
    assert set(_ids(usage.export(store, None, None))) == numbers
    found = {total.name: total.requests for total in sums.totals(store, "key", None, None)}
    assert found == {f"k{k}": count for k in range(3) if (count := sum(n % 3 == k for n in numbers))}
    assert sum(total.requests for total in sums.totals(store, "day", None, None)) == len(numbers)


def test_numbers_beyond_the_column_are_cut_not_refused(store):
    """A provider that claims 2**64 tokens must not stop the books of everybody else."""
    usage.insert(store, [_of(1), _of(2, input_tokens=2**64 - 1, attempts=2**40, duration_us=2**70, reported_nano=2**64)])
    assert [made["input_tokens"] for made in usage.export(store, None, None)] == [10, MOST]
    (total,) = sums.totals(store, "key", None, None)
    assert (total.input_tokens, total.reported_nano) == (MOST, MOST)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\x01\x1f", "é\U0001f600", "\\u0000", "x" * 100_000])
def test_no_text_stops_the_books(store, text):
    """Clients choose models' names and providers their words; PostgreSQL takes no NUL, and no encoding a lone surrogate."""
    usage.insert(store, [_of(1, model=text, raw_usage=text, error=text), _of(2)])
    kept = usage.find(store, f"{1:032d}")["model"]
    assert len(kept) == len(text)
    assert sorted(total.name for total in sums.totals(store, "model", None, None)) == sorted([kept, "gpt-4.1"])


def test_what_is_wrong_with_the_store_is_not_taken_for_an_unfit_row(store):
    """A second try with other values would hide why the first failed."""
    with pytest.raises(StoreError):
        usage.insert(store, [_of(1, key=None)])
    usage.insert(store, [_of(1)])
    assert _ids(usage.export(store, None, None)) == [1]


def test_a_group_is_known_only_after_its_commit(store):
    """Sums whose names were rolled back would be nobody's."""
    with pytest.raises(StoreError):
        usage.insert(store, [_of(1, key="new"), _of(2, key=None)])
    usage.insert(store, [_of(1, key="new")])
    assert [total.name for total in sums.totals(store, "key", None, None)] == ["new"]


def test_every_page_of_an_export_follows_the_one_before(store, monkeypatch):
    """Several rows of one instant, a page's end between them: none twice, none missing."""
    monkeypatch.setattr(usage, "PAGE", 3)
    usage.insert(store, [_of(n, started_ns=START_NS + n // 5) for n in range(17)])
    unstored = [_of(n, started_ns=START_NS + n // 5) for n in (3, 17, 18)]
    assert _ids(usage.export(store, None, None, unstored)) == list(range(19))
    assert _ids(usage.export(store, START_NS + 1, START_NS + 3, unstored)) == list(range(5, 15))


def test_a_row_that_is_stored_during_an_export_comes_once(store):
    """A gateway runs beside an auditor's export."""
    usage.insert(store, _rows(0))
    told = usage.export(store, None, None, _rows(1))
    first = next(told)
    usage.insert(store, _rows(1))
    assert _ids([first, *told]) == [0, 1]


def test_the_newest_rows(store):
    """What just happened, of everything or of one key, stored or not."""
    rows = [row(settled(opened(n, key=f"k{n % 2}", model=f"m{n % 3}"))) for n in range(20)]
    usage.insert(store, rows[:15])
    assert _ids(usage.latest(store, {}, 3, rows)) == [19, 18, 17]
    assert _ids(usage.latest(store, {}, 3)) == [14, 13, 12]
    assert _ids(usage.latest(store, {"key": "k1"}, 3, rows[15:])) == [19, 17, 15]
    assert _ids(usage.latest(store, {"model": "m0"}, 2, rows[14:])) == [18, 15]
    assert _ids(usage.latest(store, {"model": "m0", "key": "k0"}, 9)) == [12, 6, 0]
    assert usage.latest(store, {"model": "none"}, 9) == []
    assert usage.latest(store, {"key": "none"}, 9) == []


def test_the_newest_of_what_is_rare(store, monkeypatch):
    """A model that nobody asked for since last week is found by the sums, not by reading the whole table."""
    monkeypatch.setattr(usage, "_NEAR", 2)
    rows = [row(settled(opened(n, model=f"m{n % 7}", started_ns=START_NS + n * QUARTER // 2))) for n in range(60)]
    usage.insert(store, rows)
    assert _ids(usage.latest(store, {"model": "m1"}, 3)) == [57, 50, 43]
    assert _ids(usage.latest(store, {"model": "m1"}, 99)) == [57, 50, 43, 36, 29, 22, 15, 8, 1]


def test_one_request_is_found(store):
    """Support asks about a single answer."""
    usage.insert(store, _rows(0, 1, 2))
    assert usage.find(store, f"{1:032d}") == row(settled(1))
    assert usage.find(store, "x") is None


def test_every_column_comes_back_as_it_went_in(store):
    """An account that forgets whom it was for is none."""
    opening = msgspec.structs.replace(opened(1), user="ann", team="search", organisation="acme", tags="a,b", stream=True)
    whole = Usage(1, 2, 3, 4, 5, 6, 7, 8, 9, basis="estimated")
    one = row(msgspec.structs.replace(settled(opening, usage=whole), reported_nano=77, trail='{"a":1}', cost_nano=None))
    usage.insert(store, [one])
    assert list(usage.export(store, None, None)) == [one]


def test_many_unstored_rows_are_looked_up_in_pieces(store):
    """A journal of a long outage is larger than one statement may be."""
    usage.insert(store, _rows(*range(0, 3000, 2)))
    (total,) = sums.totals(store, "key", None, None, (row(settled(n)) for n in range(3000)))
    assert total.requests == 3000


def test_many_may_add_and_fold_at_once(store):
    """Several processes share a store and hand in the same rows too: none is lost, none counts twice, in quarters or days."""
    rows = [_of(n, key=f"k{n % 5}", started_ns=START_NS + n * QUARTER // 7) for n in range(400)]

    def work(part):
        mine = rows[part * 80 :] + rows[: part * 80]
        for first in range(0, 400, 20):
            for _ in range(100):
                with contextlib.suppress(StoreError):  # locked, or a deadlock of two who store the same: asked again
                    usage.insert(store, mine[first : first + 20])
                    break

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert len(list(usage.export(store, None, None))) == 400
    assert {total.name: total.requests for total in sums.totals(store, "key", None, None)} == {f"k{n}": 80 for n in range(5)}
    by_quarters = sums.totals(store, "day", None, None, (), sums.View(zone=ZoneInfo("Etc/UTC")))
    assert sums.totals(store, "day", None, None) == by_quarters


def test_a_locked_database_refuses_and_recovers(tmp_path):
    """The writer keeps the rows and tries again; a lock of another program passes."""
    store = open_store(tmp_path, patience=0.01)
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        usage.insert(store, _rows(1))
    other.execute("ROLLBACK")
    other.close()
    usage.insert(store, _rows(1))
    assert len(list(usage.export(store, None, None))) == 1
    store.close()


def test_a_full_database_takes_all_or_nothing_and_recovers(tmp_path):
    """A full disk must not leave half a batch, and needs no restart once there is room."""
    store = open_store(tmp_path)
    rows = _rows(*range(2000))
    with store.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match=r"full.*room"):
        usage.insert(store, rows)
    assert list(usage.export(store, None, None)) == []
    assert _sums(store) == [[], []]
    with store.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    usage.insert(store, rows)
    assert sums.totals(store, "key", None, None)[0].requests == 2000
    store.close()
