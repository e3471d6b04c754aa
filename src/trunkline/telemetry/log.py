"""The log: lines are dropped into a bounded queue and a thread of its own writes them, so that no caller ever waits for a log.

A blocked, slow or closed output costs lines, never requests: what does not fit is counted, and the count is written as soon as
lines flow again. What a line says belongs in `lines`, what it hides in `mask`.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from typing_extensions import override

from trunkline.telemetry.lines import RANKS, EventLine, Form, Json, Level, Pretty, RequestLine, Value
from trunkline.telemetry.mask import Mask

CAPACITY = 10_000
"""Lines that may wait. At about 1 KB each this bounds the memory a blocked output can take to 10 MB."""

_GATHER = 0.01
"""Seconds the thread lets lines gather before it writes: one wake-up and one write for many."""

_BATCH = 16
"""Lines formatted in one go. The thread holds the interpreter meanwhile (some 0.1 ms), which is what a request may wait."""


Style = Literal["auto", "json", "pretty"]


class Beside(NamedTuple):
    """That several processes write to one output."""

    worker: int
    """Which of them this is; its lines say so."""
    turn: int
    """A descriptor that all of them have of one file: whoever has a record lock on it writes. Else a pipe could mix up what is
    longer than it takes at once (`PIPE_BUF`)."""


def form(fd: int | None, style: Style, mask: Mask, worker: int | None = None) -> Form:
    """How lines are written to this output."""
    terminal = fd is not None and os.isatty(fd)
    if style == "pretty" or (style == "auto" and terminal):
        return Pretty(mask, colour=terminal and "NO_COLOR" not in os.environ, worker=worker)
    return Json(mask, worker=worker)


class Log:
    """The process's log. `request` and `event` may be called from any thread and never block. Make it after forking."""

    def __init__(  # noqa: PLR0913 - each is asked for by name
        self,
        fd: int | None,
        *,
        style: Style = "auto",
        level: Level = "info",
        secrets: Iterable[bytes] = (),
        clock: Callable[[], int] = time.time_ns,
        capacity: int = CAPACITY,
        beside: Beside | None = None,
    ) -> None:
        """`fd` is duplicated, so that nothing opened later can take its number; None (or a closed one) writes nowhere.

        `style` auto: pretty on a terminal (in colour, unless NO_COLOR is set), else JSON.
        """
        self._fd = _own(fd)
        self._secrets: frozenset[bytes] = frozenset()
        self._style = style
        self._beside = beside
        self._form: Form
        self._rank: int
        self.configure(level, secrets)
        self._clock = clock
        self._queue: deque[RequestLine | EventLine] = deque()
        self._capacity = capacity
        # Each counter has one writer, so that none needs a lock: callers count what finds no room, the thread the rest.
        self._refused = 0
        self._unwritten = 0
        self._reported = 0
        self._in_hand = 0
        self._idle = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def configure(self, level: Level, secrets: Iterable[bytes]) -> None:
        """Log from `level` on, and mask these secrets, too: those of before may still be said by requests that began then."""
        self._secrets |= frozenset(secrets)
        self._form = form(self._fd, self._style, Mask(self._secrets), None if self._beside is None else self._beside.worker)
        self._rank = RANKS[level]

    @property
    def dropped(self) -> int:
        """Lines lost since the start: the queue was full or the output closed."""
        return self._refused + self._unwritten

    def request(self, line: RequestLine) -> None:
        """Log one request. Under a microsecond while the thread is awake."""
        if len(self._queue) >= self._capacity:
            self._refused += 1
            return
        self._queue.append(line)
        if self._idle:
            self._wake.set()

    def event(self, level: Level, message: str, **fields: Value) -> None:
        """Log anything else. `message` is fixed text; what varies goes into `fields`."""
        if RANKS[level] < self._rank:
            return
        if len(self._queue) >= self._capacity:
            self._refused += 1
            return
        self._queue.append(EventLine(self._clock(), level, message, fields))
        if self._idle:
            self._wake.set()

    def close(self, deadline: float = 1.0) -> int:
        """Write what waits, for at most `deadline` seconds. Returns how many lines were left unwritten."""
        self._closing.set()
        self._wake.set()
        self._thread.join(deadline)
        if not self._thread.is_alive() and self._fd is not None:
            os.close(self._fd)
            self._fd = None
        return len(self._queue) + self._in_hand

    def _run(self) -> None:
        """Write until closed, and then what is left."""
        while True:
            self._idle = True  # before the look at the queue: whoever appends after that look sees it and wakes us
            if not self._queue and not self._closing.is_set():
                self._wake.wait()
            self._idle = False
            self._wake.clear()
            self._closing.wait(_GATHER)
            while self._queue:
                self._write_batch()
            if self._closing.is_set() and not self._queue:
                return

    def _write_batch(self) -> None:
        """Take, format and write a few lines; where that fails they are counted as dropped."""
        self._in_hand = count = min(len(self._queue), _BATCH)
        if not self._write(b"".join([self._format(self._queue.popleft()) for _ in range(count)])):
            self._unwritten += count
        elif (dropped := self.dropped) > self._reported:
            fields = {"count": dropped - self._reported, "total": dropped}
            if self._write(self._form.event(EventLine(self._clock(), "warning", "log lines dropped", fields))):
                self._reported = dropped
        self._in_hand = 0

    def _format(self, line: RequestLine | EventLine) -> bytes:
        try:
            if isinstance(line, EventLine):
                return self._form.event(line)
            return self._form.request(line) if RANKS[line.level] >= self._rank else b""
        except Exception as error:  # noqa: BLE001 - one bad line must not end the thread that writes all others
            fields = {"error": type(error).__name__}
            return self._form.event(EventLine(line.ts_ns, "error", "a log line could not be written", fields))

    def _write(self, data: bytes) -> bool:
        """Write all of `data`, however long that takes. False when the output is closed."""
        if self._fd is None:
            return False
        if self._beside is None:
            return self._write_all(self._fd, data)
        fcntl.lockf(self._beside.turn, fcntl.LOCK_EX)
        try:
            return self._write_all(self._fd, data)
        finally:
            fcntl.lockf(self._beside.turn, fcntl.LOCK_UN)

    def _write_all(self, fd: int, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                select.select((), (fd,), ())
            except OSError:
                return False
        return True


def _own(fd: int | None) -> int | None:
    """A duplicate of `fd` that is ours alone, or None where it is not open."""
    if fd is None:
        return None
    try:
        return os.dup(fd)
    except OSError:
        return None


def stdout_fd() -> int | None:
    """The standard output's descriptor, or None when the process was started without one (1 may be anything then)."""
    stream = sys.__stdout__
    if stream is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        return stream.fileno()
    return None


class StdlibBridge(logging.Handler):
    """Brings what libraries log (SQLAlchemy, asyncio, warnings) into our log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """One event line per record; the traceback, if any, in the field `exception`."""
        try:
            fields: dict[str, Value] = {"logger": record.name, "text": record.getMessage()}
            if record.exc_info is not None and record.exc_info[1] is not None:
                fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        except Exception:  # noqa: BLE001 - a library's bad format string is no reason to fail its caller
            fields = {"logger": record.name, "text": str(record.msg)}
        self._log.event(_level(record.levelno), "library", **fields)


def _level(number: int) -> Level:
    """The standard library's level as ours, rounded down."""
    level: Level = "debug"
    for name, rank in RANKS.items():
        if number >= rank:
            level = name
    return level


def adopt_stdlib(log: Log, level: Level = "warning") -> Callable[[], None]:
    """Send the standard library's logging and warnings from `level` on into `log`. Returns what undoes it."""
    root = logging.getLogger()
    bridge, before = StdlibBridge(log), root.level
    root.addHandler(bridge)
    root.setLevel(RANKS[level])
    logging.captureWarnings(True)

    def undo() -> None:
        logging.captureWarnings(False)
        root.removeHandler(bridge)
        root.setLevel(before)

    return undo
