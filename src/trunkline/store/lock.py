"""One gateway per data directory, and how it is told that the keys or the configuration changed.

The lock is an `flock`, gone with the process that holds it however it ends. Its file holds the process id; `keys.loaded`
holds the process id and the generation of keys that process works with, `config.read` what became of the configuration when
it was last read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from trunkline.store.errors import StoreError
from trunkline.store.place import make_private

_LOCK = "trunkline.lock"
_LOADED = "keys.loaded"
_READ = "config.read"
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
            for name in (_LOADED, _READ):
                (data / name).unlink(missing_ok=True)
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
    _write(data, _LOADED, f"{os.getpid()} {generation}\n".encode("ascii"))


def notify(data: Path, generation: int, seconds: float = 5.0) -> bool:
    """Make a running gateway work with the keys of `generation`, or newer. True when it says so, or when none runs."""

    def answered(process: int) -> bool:
        loaded_by, loaded = _loaded(data)
        return loaded_by == process and loaded >= generation

    return _until(data, answered, seconds)


class Verdict(msgspec.Struct, frozen=True):
    """What became of the configuration when it was read again."""

    began_ns: int
    """When it was begun to be read, by the machine's monotonic clock, which all of its processes share."""
    result: str
    """`applied`, `unchanged` or `refused`."""
    lines: tuple[str, ...] = ()
    """What changed, or every mistake, in words."""
    warnings: tuple[str, ...] = ()
    process: int = 0
    """Who read it."""


def tell(data: Path, verdict: Verdict) -> None:
    """Say what became of the configuration. Raises OSError."""
    _write(data, _READ, msgspec.json.encode(msgspec.structs.replace(verdict, process=os.getpid())))


def ask(data: Path, seconds: float = 10.0) -> Verdict | None:
    """Make a running gateway read its configuration again, and return what became of it: of a reading that began after this
    call. None where it does not say in time, or none runs.
    """
    asked, found = time.monotonic_ns(), None

    def answered(process: int) -> bool:
        nonlocal found
        read = _verdict(data)
        if read is not None and read.process == process and read.began_ns >= asked:
            found = read
        return found is not None

    _until(data, answered, seconds)
    return found


def _until(data: Path, answered: Callable[[int], bool], seconds: float) -> bool:
    """Signal the gateway of a data directory until it has answered. True when it has, or when none runs.

    A gateway that has not acknowledged anything yet is still starting: it will read all by itself, and a signal could end it,
    so it only is waited for.
    """
    end = time.monotonic() + seconds
    signal_at = 0.0
    while (process := holder(data)) is not None:
        if process and _loaded(data)[0] == process:
            if answered(process):
                return True
            if time.monotonic() >= signal_at:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGHUP)
                signal_at = time.monotonic() + _SIGNAL_SECONDS
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _write(data: Path, name: str, content: bytes) -> None:
    """In one step: whoever reads it sees all of it."""
    fresh = data / f"{name}.new"
    fresh.touch(0o600)
    fresh.write_bytes(content)
    fresh.replace(data / name)


def _verdict(data: Path) -> Verdict | None:
    try:
        return msgspec.json.decode((data / _READ).read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None


def _loaded(data: Path) -> tuple[int, int]:
    try:
        process, _, generation = (data / _LOADED).read_bytes().partition(b" ")
    except OSError:
        return 0, -1
    return _number(process), _number(generation)


def _number(text: bytes) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0
