"""The supervisor's lines in the log: without a thread, because whoever forks must have none, and without ever waiting.

A line that cannot be written at once waits for the next time; when too many wait, the oldest goes.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections import deque
from contextlib import suppress

from trunkline.telemetry.lines import RANKS, EventLine, Level, Value
from trunkline.telemetry.log import Style, form, stdout_fd
from trunkline.telemetry.mask import Mask

_MOST = 1000
"""Lines that wait."""
_LAST_WORDS = 1.0
"""Seconds to get the last ones out."""
_TICK = 0.01


class Herald:
    """Says what happens to all of several processes."""

    def __init__(self, style: Style, level: Level, secrets: tuple[bytes, ...], turn: int) -> None:
        """`turn`: as for `Beside`."""
        self._fd = stdout_fd()
        self._form = form(self._fd, style, Mask(frozenset(secrets)))
        self._rank = RANKS[level]
        self._turn = turn
        self._waiting: deque[bytes] = deque(maxlen=_MOST)

    def say(self, level: Level, message: str, **fields: Value) -> None:
        """Log something. `message` is fixed text; what varies goes into `fields`."""
        if RANKS[level] >= self._rank:
            self._waiting.append(self._form.event(EventLine(time.time_ns(), level, message, fields)))
            self.flush()

    def forget(self) -> None:
        """What waits is another process's to say: a child's first step."""
        self._waiting.clear()

    def flush(self) -> None:
        """Write what waits, as far as that is possible at once."""
        if not self._waiting or self._fd is None:
            return
        try:
            fcntl.lockf(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        try:
            # One line is less than a pipe takes at once where it takes anything (PIPE_BUF, pipe(7)).
            while self._waiting and select.select([], [self._fd], [], 0)[1]:
                line = self._waiting.popleft()
                with suppress(OSError):
                    os.write(self._fd, line)
        finally:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        end = time.monotonic() + _LAST_WORDS
        while self._waiting and self._fd is not None and time.monotonic() < end:
            self.flush()
            time.sleep(_TICK)
