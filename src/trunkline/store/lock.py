"""One gateway per data directory, and how it is told that the keys changed.

The lock is an `flock`, gone with the process that holds it however it ends. Its file holds the process id; `keys.loaded`
holds the process id and the generation of keys that process works with.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from trunkline.store.errors import StoreError
from trunkline.store.place import make_private

_LOCK = "trunkline.lock"
_LOADED = "keys.loaded"
_LOOK_SECONDS = 0.01
_LOOKS = 20
"""Tries at the lock: someone who only looks whether it is held holds it for a moment."""
_SIGNAL_SECONDS = 1.0


class DataLock:
    """The right to be the gateway of a data directory, held until released or the process ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, data: Path) -> DataLock:
        """Take it. Raises StoreError when another gateway holds it, or the directory cannot be written."""
        try:
            make_private(data)
            fd = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            remedy = "Choose another with --data or TRUNKLINE_DATA, or make it writable."
            raise StoreError(f"The data directory {data} cannot be used: {error.strerror}.", remedy) from error
        if not _take(fd):
            process = _number(os.pread(fd, 32, 0)) or "unknown"
            os.close(fd)
            remedy = "Stop it first, or give this one a data directory of its own with --data or TRUNKLINE_DATA."
            raise StoreError(f"Another gateway (process {process}) uses the data directory {data}.", remedy)
        with contextlib.suppress(OSError):  # a full disk; without a process id in the file nobody signals us
            os.ftruncate(fd, 0)
            # Of an earlier process, which in a container had our id: with it we would be signalled before we listen.
            (data / _LOADED).unlink(missing_ok=True)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return cls(fd)

    def release(self) -> None:
        """Give it back."""
        os.close(self._fd)


def _take(fd: int) -> bool:
    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def holder(data: Path) -> int | None:
    """Process id of the gateway that runs on this data directory; None when none does, 0 when it has not said yet."""
    try:
        fd = os.open(data / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(os.pread(fd, 32, 0))
    else:
        return None
    finally:
        os.close(fd)


def acknowledge(data: Path, generation: int) -> None:
    """Say that this process works with the keys of `generation`. Call it first when a SIGHUP will be heard. Raises OSError."""
    fresh = data / f"{_LOADED}.new"
    fresh.touch(0o600)
    fresh.write_text(f"{os.getpid()} {generation}\n", encoding="ascii")
    fresh.replace(data / _LOADED)


def notify(data: Path, generation: int, seconds: float = 5.0) -> bool:
    """Make a running gateway work with the keys of `generation`, or newer. True when it says so, or when none runs.

    A gateway that has not acknowledged anything yet is still starting: it will read the keys by itself, and a signal could
    end it, so it only is waited for.
    """
    end = time.monotonic() + seconds
    signal_at = 0.0
    while (process := holder(data)) is not None:
        loaded_by, loaded = _loaded(data)
        if loaded_by == process and process:
            if loaded >= generation:
                return True
            if time.monotonic() >= signal_at:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGHUP)
                signal_at = time.monotonic() + _SIGNAL_SECONDS
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _loaded(data: Path) -> tuple[int, int]:
    try:
        process, _, generation = (data / _LOADED).read_bytes().partition(b" ")
    except OSError:
        return 0, -1
    return _number(process), _number(generation)


def _number(text: bytes) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0
