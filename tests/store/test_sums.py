"""Totals: whatever is asked, they are the sums of the rows, on every kind of database."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger.record import row
from trunkline.store import retention, rollup, sums, usage
from trunkline.store.sums import View
from trunkline.store.tables import GROUP, metadata

DAY = 86_400_000_000_000
QUARTER = rollup.QUARTER_NS
MOST = 2**63 - 1
BERLIN = ZoneInfo("Europe/Berlin")
_SPAN = 40 * DAY
_COUNTS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens", "images")


def _empty(store):
    with store.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    rollup.known_groups(store).clear()


def _slots(store):
    with store.read() as connection:
        return sorted({slot for (slot,) in connection.exec_driver_sql("SELECT slot FROM usage_days")})


_ROW = st.fixed_dictionaries(
    {
        "started_ns": st.one_of(st.integers(0, _SPAN), st.integers(0, 400).map(lambda n: n * QUARTER)).map(START_NS.__add__),
        "key": st.sampled_from(["a", "b", ""]),
        "team": st.sampled_from(["red", ""]),
        "model": st.sampled_from(["m1", "m2"]),
        "outcome": st.sampled_from(["ok", "interrupted", "client_cancelled"]),
        "basis": st.sampled_from(["reported", "none"]),
        "cost_nano": st.none() | st.integers(0, 2**45),
        "reported_nano": st.none() | st.integers(0, 2**45),
        "cache_write_5m_tokens": st.integers(0, 5),
        "cache_write_1h_tokens": st.integers(0, 5),
        **{name: st.integers(0, 2**40) for name in _COUNTS},
    }
)
_BOUND = st.none() | st.one_of(
    st.integers(-DAY, _SPAN + DAY), st.integers(0, 400).map(lambda n: n * QUARTER), st.integers(0, 42).map(lambda n: n * DAY)
).map(START_NS.__add__)


def _expected(rows, name):
    """The same sums, in the plainest words."""
    found = {}
    for one in rows:
        total = found.setdefault(name(one), sums.Total(name(one)))
        total.requests += 1
        total.failed += one["outcome"] != "ok"
        total.unpriced += one["cost_nano"] is None and one["basis"] != "none"
        for column in _COUNTS:
            setattr(total, column, getattr(total, column) + one[column])
        total.cache_write_tokens += one["cache_write_5m_tokens"] + one["cache_write_1h_tokens"]
        total.cost_nano += one["cost_nano"] or 0
        total.reported_nano += one["reported_nano"] or 0
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(_ROW, st.sampled_from(["stored", "journal", "both"])), max_size=30),
    _BOUND,
    _BOUND,
    st.dictionaries(st.sampled_from(["key", "team", "model"]), st.sampled_from(["a", "red", "m1", ""]), max_size=2),
    st.sampled_from(["day", "hour", "key", "team", "model"]),
    st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Kathmandu")]),
)
def test_totals_are_the_sums_of_the_rows(store, made, since, until, only, by, zone):
    """Stored or in the journal or both, folded or not, within any bounds, in any zone: each request counts exactly once."""
    _empty(store)
    rows = [(row(settled(n)) | changes, where) for n, (changes, where) in enumerate(made)]
    for piece in (rows[:10], rows[10:]):
        usage.insert(store, [one for one, where in piece if where != "journal"])
    unstored = [one for one, where in rows if where != "stored"]
    wanted = [
        one
        for one, _ in rows
        if (since is None or one["started_ns"] >= since)
        and (until is None or one["started_ns"] < until)
        and all(one[name] == value for name, value in only.items())
    ]

    def name(one):
        when = datetime.fromtimestamp(one["started_ns"] // 10**9, zone)
        if by == "day":
            return when.date().isoformat()
        return when.replace(minute=0, second=0).isoformat(timespec="minutes") if by == "hour" else one[by]

    found = sums.totals(store, by, since, until, unstored, View(only, zone))
    assert {total.name: total for total in found} == _expected(wanted, name)
    assert len(found) == len({total.name for total in found})
    for key in ("a", "b"):
        cost = sum(one["cost_nano"] or 0 for one in wanted if one["key"] == key)
        assert sums.spent(store, "key", key, since, until, unstored) == cost or only


def test_every_way_to_group(store):
    """What `trunkline usage --by` offers, largest cost first."""
    rows = [row(settled(n)) | dict.fromkeys(GROUP, f"x{n % 3}") for n in range(5)]
    usage.insert(store, rows)
    for by in GROUP:
        found = sums.totals(store, by, None, None)
        assert [(total.name, total.requests) for total in found] == [("x0", 2), ("x1", 2), ("x2", 1)]


def test_totals_by_day_are_in_order_and_in_the_zone(store):
    """Midnight in Berlin is an hour before that of UTC: the request belongs to the next day there."""
    late = START_NS - DAY // 48
    usage.insert(store, [row(settled(opened(1, started_ns=late))), row(settled(opened(2, started_ns=START_NS + DAY)))])
    assert [total.name for total in sums.totals(store, "day", None, None)] == ["2025-12-31", "2026-01-02"]
    berlin = sums.totals(store, "day", None, None, (), View(zone=BERLIN))
    assert [total.name for total in berlin] == ["2026-01-01", "2026-01-02"]
    hours = sums.totals(store, "hour", None, START_NS, (), View(zone=ZoneInfo("Asia/Kathmandu")))
    assert [total.name for total in hours] == ["2026-01-01T05:00+05:45"]


def test_an_hour_that_comes_twice_stands_twice(store):
    """In autumn one hour is lived through twice; the first of them comes first."""
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * 10**9
    usage.insert(store, [row(settled(opened(n, started_ns=first + n * DAY // 24))) for n in range(2)])
    found = sums.totals(store, "hour", None, None, (), View(zone=BERLIN))
    assert [total.name for total in found] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]


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
    (total,) = sums.totals(store, "key", None, None, rows)
    assert (total.requests, total.unpriced) == (4, 2)


@pytest.mark.parametrize("by", ["key", "day"])
@pytest.mark.parametrize("since", [None, START_NS + 1])
def test_sums_of_absurd_numbers_are_whole_and_no_error(store, by, since):
    """Providers may claim anything, many times over: no float, no error, and nobody else's sums are touched."""
    usage.insert(store, [row(settled(opened(n, key=f"k{n}"), usage=Usage(input=MOST), cost_nano=MOST)) for n in range(1, 6)])
    usage.insert(store, [row(settled(opened(9, key="good"), cost_nano=7))])
    found = sums.totals(store, by, since, START_NS + 3 * DAY + 5)
    assert all(type(total.cost_nano) is int for total in found)
    if by == "key":
        assert {total.name: total.cost_nano for total in found} == {f"k{n}": MOST for n in range(1, 6)} | {"good": 7}
    else:
        assert found[0].input_tokens >= MOST


def test_one_sum_stays_at_the_greatest_number(store):
    """What cannot be held is not turned round into nothing spent."""
    for n in range(3):
        usage.insert(store, [row(settled(n, cost_nano=MOST))])
    (total,) = sums.totals(store, "key", None, None)
    assert (total.requests, total.cost_nano) == (3, MOST)


def test_sums_outlast_their_rows(store):
    """Budgets and bills of a year ago do not shrink because the rows went; bounds there are those of a quarter of an hour."""
    rows = [row(settled(opened(n, started_ns=START_NS + n * QUARTER // 3))) for n in range(12)]
    usage.insert(store, rows)
    assert retention.prune(store, START_NS + 3 * QUARTER) == 9
    (total,) = sums.totals(store, "key", None, None)
    assert (total.requests, total.cost_nano) == (12, 12 * 1500)
    middle = START_NS + QUARTER + 1
    before, after = (sums.totals(store, "key", *bounds)[0].requests for bounds in ((None, middle), (middle, None)))
    assert (before, after) == (3, 9)
    assert sums.spent(store, "key", "laptop", START_NS + 3 * QUARTER + 1, None) == 2 * 1500


def test_only_columns_of_groups_can_be_asked_for(store):
    """A wrong word would else be a budget that nothing is ever spent of."""
    with pytest.raises(ValueError, match="tags"):
        sums.spent(store, "tags", "x", None, None)
