"""Old rows go, on every kind of database."""

from __future__ import annotations

from records import START_NS, opened, settled
from trunkline.ledger.record import row
from trunkline.store import retention, rollup, usage

QUARTER = rollup.QUARTER_NS


def _insert(store, count):
    usage.insert(store, [row(settled(opened(n, started_ns=START_NS + n * QUARTER // 2))) for n in range(count)])


def test_the_oldest_go_in_small_pieces(store):
    """One statement for months of rows would lock the store and eat memory."""
    _insert(store, 10)
    before = START_NS + 4 * QUARTER
    assert retention.count(store, before) == 8
    assert [retention.prune(store, before, 3) for _ in range(4)] == [3, 3, 2, 0]
    assert retention.count(store, before) == 0
    assert [int(one["id"]) for one in usage.export(store, None, None)] == [8, 9]


def test_a_quarter_goes_as_a_whole(store):
    """One that is gone in part could not be summed by rows any more."""
    _insert(store, 4)
    assert retention.count(store, START_NS + 2 * QUARTER - 1) == 2
    assert retention.prune(store, START_NS + 2 * QUARTER - 1) == 2


def test_nothing_is_older_than_all_time(store):
    """A span of a thousand years begins before there were any."""
    _insert(store, 4)
    assert retention.prune(store, -5) == 0
    assert retention.count(store, -5) == 0


def test_a_pruner_deletes_step_by_step_until_there_is_no_more(store, monkeypatch):
    """The thread that stores records does it beside: it must come back after each piece."""
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention.prune, "__defaults__", (3,))
    _insert(store, 10)
    keep = [None]
    pruner = retention.Pruner(store, lambda: keep[0], lambda: START_NS + 5 * QUARTER)
    assert pruner() is False
    keep[0] = 900
    assert [pruner() for _ in range(4)] == [True, True, False, False]
    assert pruner.deleted == 8
    assert [int(one["id"]) for one in usage.export(store, None, None)] == [8, 9]
