"""Moving records into the store: whatever the store or the process does, each settled request is stored exactly once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import opened, settled
from trunkline.ledger import writer as module
from trunkline.ledger.journal import Journal
from trunkline.ledger.record import row
from trunkline.ledger.segment import segments
from trunkline.ledger.writer import BATCH, Writer
from trunkline.store import usage
from trunkline.store.engine import open_store
from trunkline.store.place import DATABASE

INTERVAL = 0.002


class Shelf:
    """A store in memory that counts what it is given, and can be told to refuse."""

    def __init__(self):
        self.rows = {}
        self.batches = []
        self.refusals = 0
        self.saved = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def save(self, rows):
        """Take the rows, each id once, or refuse them all."""
        if not self.open.is_set():
            self.refusals += 1
            raise OSError("locked")
        self.batches.append(len(rows))
        for made in rows:
            self.rows.setdefault(made["id"], made)
        self.saved.set()


@pytest.fixture
def running(tmp_path):
    """Starts writers; all are stopped at the end."""
    made = []

    def start(shelf, directory=None, told=None, **kwargs):
        journal = Journal(directory or tmp_path / "journal", **kwargs)
        heard = told if told is not None else []
        writer = Writer(journal, shelf.save, report=lambda *what: heard.append(what), interval=INTERVAL)
        writer.start()
        made.append(writer)
        return journal, writer

    yield start
    for writer in made:
        writer.flush(5)


def _until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def test_what_settles_is_stored_and_its_segment_deleted(running):
    """The plain way: nothing is left to replay after a clean stop."""
    shelf = Shelf()
    journal, writer = running(shelf)
    for n in range(10):
        journal.settle(journal.open(opened(n)), settled(n))
    assert writer.flush(5)
    assert list(shelf.rows.values()) == [row(settled(n)) for n in range(10)]
    assert segments(journal.directory) == []
    assert (writer.stored, writer.failures, journal.stats().backlog) == (10, 0, 0)


def test_a_sleeping_writer_wakes_for_each_record(running):
    """A quiet gateway still stores within the interval, and does not spin meanwhile."""
    shelf = Shelf()
    journal, _ = running(shelf)
    for n in range(4):
        _until(lambda: journal.idle)
        journal.settle(journal.open(opened(n)), settled(n))
        _until(lambda expected=n + 1: len(shelf.rows) == expected)


def test_a_chore_is_done_step_by_step_where_nothing_waits(tmp_path, monkeypatch):
    """Old records are deleted by the same thread: no record waits for more than a step, and an idle one does not spin."""
    monkeypatch.setattr(module, "CHORE_SECONDS", 0.2)
    shelf, steps, journal = Shelf(), [], Journal(tmp_path / "journal")
    shelf.open.clear()

    def chore():
        steps.append(len(shelf.rows))
        if len(steps) == 2:
            journal.settle(journal.open(opened(5)), settled(5))
        if len(steps) == 5:
            raise OSError("gone")
        return len(steps) % 3 > 0

    told = []
    journal.settle(journal.open(opened(1)), settled(1))
    writer = Writer(journal, shelf.save, report=lambda *what: told.append(what), interval=INTERVAL, pace=0.0, chore=chore)
    writer.start()
    _until(lambda: shelf.refusals > 1)
    assert steps == []
    shelf.open.set()
    _until(lambda: len(steps) == 3)
    assert steps == [1, 1, 2]
    began = time.monotonic()
    _until(lambda: len(steps) == 7)
    assert time.monotonic() - began > 0.3, "an hour's rest after the third step, and after the failed fifth"
    assert any("tried again in an hour" in message for message, _ in told)
    assert writer.flush(5)


def test_few_that_follow_many_wait_for_company(tmp_path):
    """A commit costs the same for one row as for a hundred: on the disk at once, in the store soon, or with a full batch."""

    class Busy(Shelf):
        def save(self, rows):
            super().save(rows)
            n = len(self.rows)
            if n < 220:  # traffic goes on meanwhile
                journal.settle(journal.open(opened(n)), settled(n))

    shelf, journal = Busy(), Journal(tmp_path / "journal")
    writer = Writer(journal, shelf.save, report=lambda *_: None, interval=0.3, pace=60.0)
    for n in range(200):
        journal.settle(journal.open(opened(n)), settled(n))
    writer.start()
    _until(lambda: shelf.batches == [200])
    _until(lambda: [segment.synced for segment in writer._segments] == [segment.size for segment in writer._segments])
    _until(lambda: journal.stats().backlog == 1)
    assert shelf.batches == [200]
    for n in range(300, 300 + BATCH):
        journal.settle(journal.open(opened(n)), settled(n))
    _until(lambda: journal.stats().backlog == 1)
    assert shelf.batches == [200, BATCH]
    began = time.monotonic()
    assert writer.flush(30)
    assert time.monotonic() - began < 10, "the end waits for no company"
    assert shelf.batches == [200, BATCH, 1]
    assert segments(journal.directory) == []


def test_a_single_one_waits_for_no_company(running):
    """Where there is little traffic, whoever looks at the accounts finds a request at once."""
    shelf = Shelf()
    journal, _ = running(shelf)
    for n in range(3):
        began = time.monotonic()
        journal.settle(journal.open(opened(n)), settled(n))
        _until(lambda expected=n + 1: len(shelf.rows) == expected)
    assert time.monotonic() - began < module.SAVE_SECONDS


def test_commits_are_bounded(running):
    """A batch that never ends would hold the database's lock and the interpreter's."""
    shelf = Shelf()
    shelf.open.clear()
    journal, writer = running(shelf)
    for n in range(2 * BATCH + 5):
        journal.settle(journal.open(opened(n)), settled(n))
    shelf.open.set()
    assert writer.flush(10)
    assert max(shelf.batches) <= BATCH
    assert len(shelf.rows) == 2 * BATCH + 5


def test_a_store_that_refuses_loses_nothing_and_is_reported_once(running):
    """A locked or full database delays the accounts; it neither stops traffic nor floods the log."""
    shelf, told = Shelf(), []
    shelf.open.clear()
    journal, writer = running(shelf, told=told)
    journal.settle(journal.open(opened(1)), settled(1))
    _until(lambda: shelf.refusals >= 3)
    journal.settle(journal.open(opened(2)), settled(2))
    shelf.open.set()
    assert writer.flush(5)
    assert list(shelf.rows) == [row(settled(n))["id"] for n in (1, 2)]
    assert writer.failures == shelf.refusals
    assert [message for message, _ in told] == [
        "the store does not take the ledger's records; they wait",
        "the store takes the ledger's records again",
    ]


def test_the_batch_in_hand_still_waits(running):
    """An operator who reads a backlog of 0 while the store refuses believes that the accounts are complete."""
    shelf = Shelf()
    shelf.open.clear()
    journal, writer = running(shelf)
    for n in range(120):
        journal.settle(journal.open(opened(n)), settled(n))
    _until(lambda: not journal.pending and shelf.refusals)
    assert journal.stats().backlog == 120
    shelf.open.set()
    assert writer.flush(5)
    assert journal.stats().backlog == 0


def test_more_than_memory_holds_comes_back_from_the_files(running):
    """Hours without a store: memory stays bounded, and everything arrives in the end, across rotated segments."""
    shelf = Shelf()
    shelf.open.clear()
    journal, writer = running(shelf, backlog=5, segment_bytes=2000)
    for n in range(100):
        journal.settle(journal.open(opened(n)), settled(n))
        assert len(journal.pending) <= 5
    assert journal.stats().backlog == 100
    shelf.open.set()
    _until(lambda: len(shelf.rows) == 100)
    assert writer.flush(5)
    assert segments(journal.directory) == []
    assert journal.stats().backlog == 0


def test_a_stop_with_the_store_away_leaves_the_journal(running):
    """The next start takes up what a stop could not store; nothing doubled."""
    shelf = Shelf()
    journal, writer = running(shelf)
    journal.settle(journal.open(opened(1)), settled(1))
    _until(lambda: shelf.rows)
    shelf.open.clear()
    journal.settle(journal.open(opened(2)), settled(2))
    assert not writer.flush(0.05)
    shelf.open.set()
    _, again = running(shelf, journal.directory)
    assert again.flush(5)
    assert list(shelf.rows) == [row(settled(n))["id"] for n in (1, 2)]
    assert segments(journal.directory) == []


def test_replay_gives_way_to_what_comes_now(running, tmp_path):
    """A start with a long journal behind it accounts for new requests meanwhile."""
    old = Journal(tmp_path / "journal")
    for n in range(3 * BATCH):
        old.settle(old.open(opened(n)), settled(n))
    os.close(old.created[0].fd)
    shelf = Shelf()
    shelf.open.clear()
    journal, writer = running(shelf)
    _until(lambda: shelf.refusals)
    journal.settle(journal.open(opened(9999)), settled(9999))
    shelf.open.set()
    assert writer.flush(10)
    assert len(shelf.rows) == 3 * BATCH + 1
    assert list(shelf.rows).index(f"{9999:032d}") <= BATCH
    assert writer.stored == 3 * BATCH + 1


def test_openings_are_synced_and_kept_until_they_settle(running):
    """A request that runs for an hour keeps its segment; its opening is on the disk."""
    shelf = Shelf()
    journal, writer = running(shelf, segment_bytes=500)
    long = journal.open(opened(0))
    for n in range(1, 30):
        journal.settle(journal.open(opened(n)), settled(n))
    _until(lambda: len(shelf.rows) == 29 and long.synced == long.size and len(segments(journal.directory)) <= 2)
    assert long.path.exists()
    journal.settle(long, settled(0))
    assert writer.flush(5)
    assert segments(journal.directory) == []


def test_a_disk_that_cannot_sync_is_asked_again(running, monkeypatch):
    """EIO from fsync is counted, and does not end the writer."""
    shelf = Shelf()
    sync = os.fsync
    failing = threading.Event()
    failing.set()

    def fsync(fd):
        if failing.is_set():
            raise OSError(5, "EIO")
        sync(fd)

    monkeypatch.setattr(module.os, "fsync", fsync)
    journal, writer = running(shelf)
    ticket = journal.open(opened(1))
    _until(lambda: writer.sync_failures >= 2)
    failing.clear()
    _until(lambda: ticket.synced == ticket.size)
    journal.settle(ticket, settled(1))
    assert writer.flush(5)
    assert len(shelf.rows) == 1


def test_a_spilled_segment_that_cannot_be_read_waits_for_the_next_start(running):
    """What cannot be read back is neither deleted nor a reason to stop."""
    shelf, told = Shelf(), []
    shelf.open.clear()
    journal, writer = running(shelf, told=told, backlog=1)
    for n in range(5):
        journal.settle(journal.open(opened(n)), settled(n))
    ((_, path),) = segments(journal.directory)
    path.rename(path.with_suffix(".away"))
    shelf.open.set()
    _until(lambda: any("could not be read" in message for message, _ in told))
    path.with_suffix(".away").rename(path)
    writer.flush(5)
    _, again = running(shelf, journal.directory)
    assert again.flush(5)
    assert len(shelf.rows) == 5


def test_a_locked_database_delays_the_accounts_only(tmp_path):
    """Another program's exclusive lock: requests settle meanwhile, and all are stored when it is gone."""
    store = open_store(tmp_path, patience=0.01)
    journal = Journal(tmp_path / "journal")
    writer = Writer(journal, partial(usage.insert, store), report=lambda *_: None, interval=INTERVAL)
    writer.start()
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for n in range(50):
        journal.settle(journal.open(opened(n)), settled(n))
    _until(lambda: writer.failures >= 2)
    ticket = journal.open(opened(50))
    _until(lambda: ticket.synced == ticket.size)
    journal.settle(ticket, settled(50))
    other.execute("ROLLBACK")
    other.close()
    assert writer.flush(10)
    assert len(list(usage.export(store, None, None))) == 51
    store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["settle", "open", "refuse", "allow", "pause"]), max_size=60), st.integers(1, 5))
def test_any_order_of_events_stores_each_settled_request_once(running, tmp_path_factory, events, backlog):
    """Locks, pauses and bursts in any order: after a stop and a start, exactly one row for each request."""
    shelf = Shelf()
    directory = tmp_path_factory.mktemp("journal")
    journal, writer = running(shelf, directory, backlog=backlog, segment_bytes=1500)
    waiting = []
    for n, event in enumerate(events):
        match event:
            case "open":
                waiting.append((n, journal.open(opened(n))))
            case "settle" if waiting:
                m, ticket = waiting.pop(0)
                journal.settle(ticket, settled(m))
            case "refuse":
                shelf.open.clear()
            case "allow":
                shelf.open.set()
            case "pause":
                time.sleep(INTERVAL)
    writer.flush(0.05)
    shelf.open.set()
    _, again = running(shelf, directory)
    assert again.flush(5)
    outcomes = {made["id"]: made["outcome"] for made in shelf.rows.values()}
    left = {f"{n:032d}" for n, _ in waiting}
    every = {f"{n:032d}" for n, event in enumerate(events) if event == "open"}
    assert outcomes == {one: "interrupted" if one in left else "ok" for one in every}
    assert segments(directory) == []


CHILD = """
    import sys
    from pathlib import Path
    from records import opened, settled
    from trunkline.ledger.journal import Journal
    from trunkline.ledger.writer import Writer
    from trunkline.store import usage
    from trunkline.store.engine import open_store
    data, first = Path(sys.argv[1]), int(sys.argv[2])
    store = open_store(data)
    journal = Journal(data / "journal", segment_bytes=20_000)
    writer = Writer(journal, lambda rows: usage.insert(store, rows), report=print, interval=0.002)
    writer.start()
    for n in range(first, first + 1_000_000):
        ticket = journal.open(opened(n))
        journal.settle(ticket, settled(n))
        print(n, flush=True)
"""


def test_kill_at_any_moment_loses_no_settled_record_and_doubles_none(tmp_path):
    """The promise itself: 20 rounds of kill -9 under load, then one replay; every settled request has its one row."""
    dice = random.Random(7)
    settled_ids = set()
    for round_ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-B", "-c", textwrap.dedent(CHILD), str(tmp_path), str(round_ * 1_000_000)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [child.stdout.readline()]
        end = time.monotonic() + dice.uniform(0, 0.05)
        while time.monotonic() < end:
            lines.append(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        settled_ids |= {int(line) for line in lines if line.endswith("\n")}
    store = open_store(tmp_path)
    writer = Writer(Journal(tmp_path / "journal"), lambda rows: usage.insert(store, rows), report=print)
    writer.start()
    assert writer.flush(30)
    rows = list(usage.export(store, None, None))
    store.close()
    ids = [int(made["id"]) for made in rows]
    assert len(ids) == len(set(ids))
    assert len(settled_ids) > 200
    assert settled_ids <= {int(made["id"]) for made in rows if made["outcome"] == "ok"}
    assert len(ids) <= len(settled_ids) + 20  # at most the one that was in flight, each time
    assert segments(tmp_path / "journal") == []
