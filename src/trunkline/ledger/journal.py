"""Where records go first: appended to a file by the event loop's thread, one `write` each, so a killed process loses none.

Disk trouble stops no request: a record that cannot be written still goes to the writer through memory, and writing is tried
again. Syncing, storing and deleting are the writer's, in its own thread; the two share only the counts of `Segment` and
two queues that each have one thread at either end.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from trunkline.ledger.record import Open, Settle, tame
from trunkline.ledger.segment import MAX_RECORD, Segment, frame, segment_path, segments

SEGMENT_BYTES = 16 * 1024 * 1024
BACKLOG = 100_000
"""Settlements held in memory for the writer. What comes on top waits in the file; what is in no file may take as many again."""
RETRY_SECONDS = 0.1
"""After a failed write, how long until the disk is asked again."""

_Kind = TypeVar("_Kind", Open, Settle)

Ticket = Segment
"""Where an opening was written; handed back when it settles."""
Pending = tuple[Settle, Segment, Segment]
"""A settlement for the writer, where its opening and where itself was written."""
NOWHERE = Segment(Path(), -1)
"""Where a record is that could not be written."""


class Stats(msgspec.Struct, frozen=True):
    """How the journal is doing, for metrics."""

    healthy: bool
    """Whether the last write succeeded."""
    appended: int
    """Records written."""
    failed: int
    """Records that could not be written; their settlements went through memory."""
    lost: int
    """Settlements given up: not written, and memory at its bound. Always 0 where `can_accept` is heeded."""
    backlog: int
    """Settlements not yet in the store."""


class Journal:
    """The writing end. All methods but `stats` belong to the event loop's thread; none blocks on the store."""

    def __init__(
        self,
        directory: Path,
        *,
        heir_of: Iterable[Path] = (),
        segment_bytes: int = SEGMENT_BYTES,
        backlog: int = BACKLOG,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes over `directory` (made if absent). Raises OSError when it cannot be made or read.

        `heir_of`: other directories whose processes are no more, and that nobody else takes over.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        old = segments(directory)
        self.inherited = [path for _, path in old] + [path for other in heir_of for _, path in segments(other)]
        """Segments of earlier processes, which the writer replays."""
        self.pending: deque[Pending] = deque()
        """Settlements for the writer."""
        self.created: deque[Segment] = deque()
        """Segments for the writer to sync and to delete."""
        self.spill = threading.Lock()
        """Guards what the segments owe. Taken only when memory is at its bound."""
        self.awake = threading.Event()
        self.idle = False
        """Set by the writer before it waits for `awake`."""
        self._next = old[-1][0] + 1 if old else 1
        self._limit = segment_bytes
        self._backlog = backlog
        self._monotonic = monotonic
        self._encode = msgspec.msgpack.Encoder().encode
        self._segment: Segment | None = None
        self._retry_at = 0.0
        self._healthy = True
        self._appended = self._failed = self._lost = self._owed = 0
        self.stored = 0
        """Settlements given to the writer that are in the store by now. Changed by the writer."""

    def open(self, record: Open) -> Ticket:
        """Write down that a request was accepted. The ticket belongs to its settlement."""
        ticket, _ = self._append(record)
        if self.idle:
            self.awake.set()
        return ticket

    def settle(self, ticket: Ticket, record: Settle) -> None:
        """Write down how it ended, and hand it to the writer. Exactly once for each ticket."""
        where, record = self._append(record)
        waiting = len(self.pending)
        if waiting < self._backlog or (where is NOWHERE and waiting < 2 * self._backlog):
            self.pending.append((record, ticket, where))
            self._owed += 1
        elif where is NOWHERE:
            self._lost += 1
        else:
            self._leave_in_file(ticket, where)
        if self.idle:
            self.awake.set()

    def can_accept(self) -> bool:
        """False only while records can neither be written nor held: what `ledger.required` asks before a request is opened."""
        return self._healthy or len(self.pending) < self._backlog

    def stats(self) -> Stats:
        """A reading; safe from any thread."""
        return Stats(
            healthy=self._healthy,
            appended=self._appended,
            failed=self._failed,
            lost=self._lost,
            backlog=self._owed - self.stored,
        )

    def close(self) -> None:
        """Take the current segment out of use. A record that still comes gets a new one."""
        segment = self._segment
        self._segment = None
        if segment is not None:
            segment.closed = True

    def _append(self, record: _Kind) -> tuple[Segment, _Kind]:
        """Write one record. Returns where it is, and the record as written: tamed where it could not be written as it came."""
        try:
            payload = self._encode(record)
        except (ValueError, OverflowError):
            payload = b""
        if not 0 < len(payload) <= MAX_RECORD:
            record = tame(record)
            payload = self._encode(record)
        data = frame(payload)
        segment = self._segment
        if segment is None or not self._write(segment, data):
            segment = self._write_anew(data)
        return segment, record

    def _write(self, segment: Segment, data: bytes) -> bool:
        """One write. What a failed or short one left behind is cut off, and the segment is not written again."""
        try:
            written = os.write(segment.fd, data)
        except OSError:
            written = 0
        if written != len(data):
            with contextlib.suppress(OSError):
                os.ftruncate(segment.fd, segment.size)
            self._healthy = False
            self.close()
            return False
        segment.last = segment.size
        segment.size += written
        segment.written += 1
        self._appended += 1
        if segment.size >= self._limit:
            self.close()
        return True

    def _write_anew(self, data: bytes) -> Segment:
        """Write into a new segment: the first, the next, or in place of one that failed. Asks a failing disk only at times."""
        if self._healthy or self._monotonic() >= self._retry_at:
            segment = self._create()
            if segment is not None and self._write(segment, data):
                self._healthy = True
                return segment
            self._healthy = False
            self._retry_at = self._monotonic() + RETRY_SECONDS
        self._failed += 1
        return NOWHERE

    def _create(self) -> Segment | None:
        path = segment_path(self.directory, self._next)
        self._next += 1
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        self._segment = segment = Segment(path, fd)
        self.created.append(segment)
        return segment

    def _leave_in_file(self, ticket: Segment, where: Segment) -> None:
        """Memory is full: the file itself is the queue. Keep only what to count as done when it was read from there."""
        with self.spill:
            if not where.owed:
                where.spilled_at = where.last
            for segment in (ticket, where):
                where.owed[segment] = where.owed.get(segment, 0) + 1
        self._owed += 1
