"""Moves settlements into the store: one daemon thread that syncs the journal, saves in batches, and deletes what is done with.

What the store is does not matter here: it is given as `save`, which takes rows and raises where it cannot. Whatever it
raises, the rows stay and are tried again; saving a row twice must change nothing. Appending belongs in `journal`, reading
what an earlier process left in `replay`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from trunkline.ledger.journal import Journal, Pending
from trunkline.ledger.record import Row, Settle, row
from trunkline.ledger.replay import Replay, Report
from trunkline.ledger.segment import Segment, scan

BATCH = 1000
"""Rows of one commit."""
INTERVAL_SECONDS = 0.05
"""Records wait this long for company before they are synced."""
SAVE_SECONDS = 0.25
"""At the most for company before a commit, unless a batch is full: as many intervals as the last one had rows, since one of
many rows costs less than several of few.
"""
MAX_BACKOFF_SECONDS = 2.0

CHORE_SECONDS = 3600.0
"""After so long a chore that was done is begun again."""

Save = Callable[[Sequence[Row]], None]
"""Stores rows, all or none; one whose id is already there is passed over. Raises anything where it cannot."""


class Writer:
    """The reading end of the journal. `start` once, `flush` once; counts may be read from any thread."""

    def __init__(
        self,
        journal: Journal,
        save: Save,
        *,
        report: Report,
        interval: float = INTERVAL_SECONDS,
        pace: float = SAVE_SECONDS,
        chore: Callable[[], bool] | None = None,
    ) -> None:
        """`report` is told of trouble and its end, as (message, detail), from the writer's thread; it must not block.

        `chore`: what else that thread may do where the store keeps up, in short steps: true where there is more to do.
        """
        self.stored = 0
        """Rows the store took, those it had already and those of earlier processes too."""
        self.failures = 0
        """Attempts the store refused."""
        self.sync_failures = 0
        """Times the disk could not sync a segment; it is asked again."""
        self.replay = Replay(journal.inherited, BATCH, report)
        self._journal = journal
        self._save = save
        self._report = report
        self._interval = interval
        self._pace = pace
        self._chore = chore
        self._chore_at = 0.0
        self._segments: list[Segment] = []
        self._sources: list[Iterator[list[Row]]] = [self._from_memory(), iter(self.replay), self._from_files()]
        self._rows: list[Row] = []
        self._backoff = 0.0
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._deadline = 0.0
        self._drained = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Start moving records; first those that earlier processes left."""
        self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Store what is owed, sync and close; for a clean stop, when no more records come.

        True when the store has taken everything within `seconds`; what it has not stays in the journal for the next start.
        """
        self._deadline = time.monotonic() + seconds
        self._stop.set()
        self._journal.awake.set()
        self._thread.join(seconds + self._interval)
        return self._drained and not self._thread.is_alive()

    def _run(self) -> None:
        self._work()
        while not self._stop.is_set():
            self._do_chore()
            if self._calm():
                self._doze()
            self._stop.wait(self._interval)
            self._work()
        self._drained = False  # a settlement may have come after the last look
        while not self._drained and time.monotonic() < self._deadline:
            self._retry_at = 0.0
            self._work()
            if not self._drained:
                time.sleep(self._interval)
        self._journal.close()
        self._sync()
        self._retire()

    def _calm(self) -> bool:
        """Whether everything is stored and synced, so that only a new record brings work."""
        journal = self._journal
        settled = self._drained and not journal.pending and not journal.created
        return settled and all(segment.synced == segment.size and not segment.owed for segment in self._segments)

    def _doze(self) -> None:
        """Wait for a record. The journal looks at `idle` after each append, so one that comes between the looks is seen."""
        self._journal.idle = True
        if self._calm() and not self._stop.is_set():
            self._journal.awake.wait(None if self._chore is None else max(0.0, self._chore_at - time.monotonic()))
        self._journal.idle = False
        self._journal.awake.clear()

    def _do_chore(self) -> None:
        """One step, where the store keeps up; the next comes after the records that came meanwhile."""
        if self._chore is None or not self._drained or time.monotonic() < self._chore_at:
            return
        more = False
        try:
            more = self._chore()
        except Exception as error:  # noqa: BLE001 - it must not end the thread
            self._report("what is done beside storing records failed; it is tried again in an hour", repr(error))
        self._chore_at = time.monotonic() + (0.0 if more else CHORE_SECONDS)

    def _work(self) -> None:
        """Sync, save what there is until the store refuses, delete what is done with."""
        self._sync()
        next_sync = time.monotonic() + self._interval
        while self._save_batch():
            if time.monotonic() >= next_sync:
                self._sync()
                next_sync = time.monotonic() + self._interval
        self._retire()

    def _save_batch(self) -> bool:
        """Save one batch. False when there is none, or the store will not take it now."""
        self._rows = self._rows or self._next_rows()
        self._drained = not self._rows
        if self._drained or time.monotonic() < self._retry_at:
            return False
        try:
            self._save(self._rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows stay and are tried again
            if not self._backoff:
                self._report("the store does not take the ledger's records; they wait", repr(error))
            self.failures += 1
            self._backoff = min(max(self._interval, self._backoff * 2), MAX_BACKOFF_SECONDS)
            self._retry_at = time.monotonic() + self._backoff
            return False
        if self._backoff:
            self._report("the store takes the ledger's records again", "")
        self.stored += len(self._rows)
        self._rows = []
        self._backoff = 0.0
        return True

    def _next_rows(self) -> list[Row]:
        """Rows of the first source that has any. Asking again tells a source that its last ones are stored."""
        for source in self._sources:
            if rows := next(source, []):
                return rows
        return []

    def _from_memory(self) -> Iterator[list[Row]]:
        """Settlements as they come; an empty list when none waits, or few that came soon after the last ones."""
        pending = self._journal.pending
        save_at = 0.0
        while True:
            now, count = time.monotonic(), min(BATCH, len(pending))
            if now < save_at and count < BATCH and not self._stop.is_set():
                yield []
                continue
            batch: list[Pending] = [pending.popleft() for _ in range(count)]
            save_at = now + min(self._pace, self._interval * count)
            yield [row(record) for record, _, _ in batch]
            for _, opened, settled in batch:
                opened.done += 1
                settled.done += 1
            self._journal.stored += len(batch)

    def _from_files(self) -> Iterator[list[Row]]:
        """Settlements that did not fit into memory, read back from the segments; an empty list when there is none."""
        while True:
            segment = next((segment for segment in self._segments if segment.owed), None)
            if segment is None:
                yield []
                continue
            with self._journal.spill:
                owed, start = segment.owed, segment.spilled_at
                segment.owed = {}
            try:
                data = segment.path.read_bytes()
            except OSError as error:
                self._report("a journal segment could not be read; the next start will", repr(error))
                continue
            settlements = [record for _, record in scan(data, start) if isinstance(record, Settle)]
            for first in range(0, len(settlements), BATCH):
                yield [row(record) for record in settlements[first : first + BATCH]]
            for other, count in owed.items():
                other.done += count
            self._journal.stored += sum(owed.values()) // 2

    def _sync(self) -> None:
        """Bring to the disk what was appended since the last time."""
        while self._journal.created:
            self._segments.append(self._journal.created.popleft())
        for segment in self._segments:
            size = segment.size
            if segment.synced == size:
                continue
            try:
                os.fsync(segment.fd)
            except OSError:
                self.sync_failures += 1
            else:
                segment.synced = size

    def _retire(self) -> None:
        """Let go of the segments that get no more records, and delete those whose requests are all in the store."""
        kept = []
        for segment in self._segments:
            finished = segment.closed and segment.done == segment.written
            if segment.closed and segment.fd >= 0 and (finished or segment.synced == segment.size):
                os.close(segment.fd)
                segment.fd = -1
            if finished:
                with contextlib.suppress(OSError):
                    segment.path.unlink()
            else:
                kept.append(segment)
        self._segments = kept
