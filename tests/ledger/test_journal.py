"""Appending: what is in the file after each call, and what happens when the disk will not take it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from records import opened, settled
from trunkline.canon.usage import Usage
from trunkline.ledger import journal as module
from trunkline.ledger.journal import NOWHERE, RETRY_SECONDS, Journal
from trunkline.ledger.segment import scan, segment_path, segments


@pytest.fixture
def journals():
    """Makes journals whose files are closed at the end."""
    made: list[Journal] = []

    def make(*args, **kwargs):
        made.append(Journal(*args, **kwargs))
        return made[-1]

    yield make
    for journal in made:
        for segment in journal.created:
            if segment.fd >= 0:
                os.close(segment.fd)


def _read(directory):
    return [record for _, path in segments(directory) for _, record in scan(path.read_bytes())]


def test_a_record_is_in_the_file_when_the_call_returns(tmp_path, journals):
    """A process killed right after must not have lost it."""
    journal = journals(tmp_path / "journal")
    ticket = journal.open(opened(1))
    assert _read(tmp_path / "journal") == [opened(1)]
    journal.settle(ticket, settled(1))
    assert _read(tmp_path / "journal") == [opened(1), settled(1)]
    assert list(journal.pending) == [(settled(1), ticket, ticket)]
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert ticket.path.stat().st_mode & 0o777 == 0o600


def test_each_record_is_one_write(tmp_path, journals, monkeypatch):
    """Two writes would let a kill leave half a record, and cost twice."""
    sizes = []
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
    journal = journals(tmp_path)
    ticket = journal.open(opened(1))
    journal.settle(ticket, settled(1))
    assert len(sizes) == 2
    assert sum(sizes) == ticket.size == ticket.path.stat().st_size


def test_segments_rotate_by_size(tmp_path, journals):
    """One file that only grows could never be deleted."""
    journal = journals(tmp_path, segment_bytes=1000)
    for n in range(20):
        journal.settle(journal.open(opened(n)), settled(n))
    assert len(segments(tmp_path)) == len(journal.created) > 5
    assert all(segment.closed for segment in list(journal.created)[:-1])
    assert _read(tmp_path) == [made for n in range(20) for made in (opened(n), settled(n))]


def test_a_new_journal_goes_on_after_the_old_segments(tmp_path, journals):
    """A restart must not write into, or over, what is still to be replayed."""
    first = journals(tmp_path)
    first.open(opened(1))
    second = journals(tmp_path)
    assert second.inherited == [path for _, path in segments(tmp_path)]
    second.open(opened(2))
    assert len(segments(tmp_path)) == 2
    assert _read(tmp_path) == [opened(1), opened(2)]


def test_hostile_values_are_written_tamed(tmp_path, journals):
    """A lone surrogate, an endless number or a megabyte of text from a provider must neither raise nor be lost."""
    journal = journals(tmp_path)
    ticket = journal.open(opened(1, model="\ud800"))
    journal.settle(ticket, settled(1, usage=Usage(input=10**30)))
    huge = settled(2)
    journal.settle(journal.open(opened(2)), type(huge)(huge.opened, "ok", 200, raw_usage="x" * 2_000_000))
    assert [type(record).__name__ for record in _read(tmp_path)] == ["Open", "Settle", "Open", "Settle"]
    assert [pending[0] for pending in journal.pending] == [record for record in _read(tmp_path) if hasattr(record, "opened")]


def test_a_failing_disk_costs_no_settlement_and_recovers(tmp_path, journals, monkeypatch):
    """A full disk must not stop traffic; settlements go through memory, and writing resumes without a restart."""
    now = [100.0]
    journal = journals(tmp_path, monotonic=lambda: now[0])
    first = journal.open(opened(1))
    write = os.write

    def full(fd, data):
        write(fd, data[:5])  # what a disk with five bytes left does
        return 5

    monkeypatch.setattr(module.os, "write", full)
    journal.settle(first, settled(1))
    for n in (2, 3):
        ticket = journal.open(opened(n))
        assert ticket is NOWHERE
        journal.settle(ticket, settled(n))
    assert [pending[0] for pending in journal.pending] == [settled(1), settled(2), settled(3)]
    stats = journal.stats()
    assert (stats.healthy, stats.appended, stats.failed, stats.lost, stats.backlog) == (False, 1, 5, 0, 3)
    assert journal.can_accept()
    monkeypatch.setattr(module.os, "write", write)
    assert journal.open(opened(4)) is NOWHERE  # the disk is not asked for each record
    now[0] += RETRY_SECONDS
    journal.open(opened(5))
    assert journal.stats().healthy
    assert _read(tmp_path) == [opened(1), opened(5)]


def test_a_disk_error_costs_no_settlement(tmp_path, journals, monkeypatch):
    """EIO on a write is no reason to fail a request."""

    def broken(fd, data):
        raise OSError(5, "EIO")

    journal = journals(tmp_path)
    ticket = journal.open(opened(1))
    monkeypatch.setattr(module.os, "write", broken)
    journal.settle(ticket, settled(1))
    assert [pending[0] for pending in journal.pending] == [settled(1)]
    assert journal.stats().failed == 1


def test_a_directory_that_cannot_be_written_recovers(tmp_path, journals):
    """The operator mends the mount; the gateway goes on."""
    now = [0.0]
    directory = tmp_path / "journal"
    journal = journals(directory, monotonic=lambda: now[0])
    directory.rmdir()
    assert journal.open(opened(1)) is NOWHERE
    directory.mkdir()
    now[0] += RETRY_SECONDS
    journal.open(opened(2))
    assert _read(directory) == [opened(2)]


def test_memory_is_bounded_and_the_file_is_the_queue(tmp_path, journals):
    """With the store down for hours, memory must not grow; the file holds what memory does not."""
    journal = journals(tmp_path, backlog=3)
    tickets = [journal.open(opened(n)) for n in range(5)]
    for n, ticket in enumerate(tickets):
        journal.settle(ticket, settled(n))
    (segment,) = journal.created
    assert [pending[0] for pending in journal.pending] == [settled(n) for n in range(3)]
    assert segment.owed == {segment: 4}
    assert [record for _, record in scan(segment.path.read_bytes(), segment.spilled_at)] == [settled(3), settled(4)]
    assert journal.stats().backlog == 5
    assert journal.can_accept()


def test_refuses_only_when_neither_disk_nor_memory_takes_more(tmp_path, journals):
    """With `ledger.required`, a request that could not be accounted for must not be accepted; any other must."""
    directory = tmp_path / "journal"
    journal = journals(directory, backlog=2)
    directory.rmdir()
    for n in range(5):
        assert journal.can_accept() is (n < 2)
        journal.settle(journal.open(opened(n)), settled(n))
    stats = journal.stats()
    assert (stats.backlog, stats.lost) == (4, 1)  # what was accepted before may still settle


def test_a_file_size_limit_costs_nothing_that_is_settled(tmp_path):
    """A quota on file size (EFBIG) makes smaller segments, not fewer records."""
    script = """
        import resource, sys
        from pathlib import Path
        from records import opened, settled
        from trunkline.ledger.journal import Journal
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
        journal = Journal(Path(sys.argv[1]))
        for n in range(50):
            journal.settle(journal.open(opened(n)), settled(n))
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        print(journal.stats().healthy, journal.stats().failed, len(journal.pending))
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "0", "50"]
    assert _read(tmp_path) == [made for n in range(50) for made in (opened(n), settled(n))]
    assert all(path.stat().st_size <= 5000 for _, path in segments(tmp_path))


def test_a_waiting_writer_is_woken(tmp_path, journals):
    """A record must not lie unsynced because the writer sleeps."""
    journal = journals(tmp_path)
    journal.open(opened(1))
    assert not journal.awake.is_set()
    journal.idle = True
    ticket = journal.open(opened(2))
    assert journal.awake.is_set()
    journal.awake.clear()
    journal.settle(ticket, settled(2))
    assert journal.awake.is_set()


def test_close_starts_a_new_segment_for_what_still_comes(tmp_path, journals):
    """A request that ends after the last flush is kept for the next start."""
    journal = journals(tmp_path)
    journal.close()
    ticket = journal.open(opened(1))
    journal.close()
    assert ticket.closed
    journal.settle(ticket, settled(1))
    assert len(segments(tmp_path)) == 2


def test_it_takes_over_what_others_left(tmp_path, journals):
    """A restart with fewer processes: somebody must book what the others wrote, and its own numbers go on from its own."""
    for name, numbers in (("own", (4,)), ("left", (7, 9))):
        (tmp_path / name).mkdir()
        for number in numbers:
            segment_path(tmp_path / name, number).touch()
    journal = journals(tmp_path / "own", heir_of=[tmp_path / "left", tmp_path / "absent"])
    assert [(path.parent.name, path.name) for path in journal.inherited] == [
        ("own", segment_path(tmp_path, 4).name),
        ("left", segment_path(tmp_path, 7).name),
        ("left", segment_path(tmp_path, 9).name),
    ]
    journal.open(opened(0))
    assert [number for number, _ in segments(tmp_path / "own")] == [4, 5]
