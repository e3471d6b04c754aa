"""What an earlier process left in its journal, as rows for the store: its settlements, and rows for what it never settled.

Asked for the next rows, the ones before are stored; so nothing is deleted before everything is. Damage never stops it. A
segment that cannot be read may hold the settlement of what the others opened: then nothing is called interrupted, nothing
is deleted, and the next start reads all of them again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from trunkline.ledger.record import Open, Row, interrupted, row
from trunkline.ledger.segment import scan

Report = Callable[[str, str], None]
"""Told of trouble and its end, as (message, detail)."""


class Replay:
    """One pass over old segments, oldest first."""

    def __init__(self, paths: Sequence[Path], batch: int, report: Report) -> None:
        self.interrupted = 0
        """Requests that were opened and never settled. May be read from any thread."""
        self._paths = paths
        self._batch = batch
        self._report = report
        self._unsettled: dict[str, Open] = {}

    def __iter__(self) -> Iterator[list[Row]]:
        """Rows in batches, none empty."""
        aside: list[Path] = []
        read: list[Path] = []
        for path in self._paths:
            try:
                data = path.read_bytes()
            except OSError as error:
                self._report("a journal segment could not be read; the next start will read all of them again", repr(error))
                continue
            sound = yield from self._segment(data)
            (read if sound == len(data) else aside).append(path)
        if len(read) + len(aside) < len(self._paths):
            return
        left = [row(interrupted(opened)) for opened in self._unsettled.values()]
        self.interrupted = len(left)
        for first in range(0, len(left), self._batch):
            yield left[first : first + self._batch]
        for path in aside:
            self._report("a journal segment is damaged; what could be read is stored, the file is set aside", path.name)
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".corrupt"))
        for path in read:
            with contextlib.suppress(OSError):
                path.unlink()

    def _segment(self, data: bytes) -> Generator[list[Row], None, int]:
        """The settlements of one segment; returns the offset up to which it could be read."""
        rows: list[Row] = []
        sound = 0
        for end, record in scan(data):
            sound = end
            if isinstance(record, Open):
                self._unsettled[record.id] = record
                continue
            self._unsettled.pop(record.opened.id, None)
            rows.append(row(record))
            if len(rows) == self._batch:
                yield rows
                rows = []
        if rows:
            yield rows
        return sound
