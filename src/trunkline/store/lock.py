"""One gateway per data directory, and how it is told that the keys or the configuration changed.

The lock is an `flock`, gone with the last process that holds it however that ends; of several processes the supervisor took
it, and its workers have it too. Its file holds the process id of whom to signal; `crew` says who its workers are. `keys.loaded`
holds a process id and the generation of keys that process works with, `config.read` what became of the configuration when it
was last read; workers have one of each, such as `keys.loaded.2`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from trunkline.store.errors import StoreError
from trunkline.store.place import make_private

_LOCK = "trunkline.lock"
_CREW = "crew"
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
            for path in (path for name in (_CREW, _LOADED, _READ) for path in (data / name, *data.glob(f"{name}.[0-9]*"))):
                path.unlink(missing_ok=True)
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


class Hand(msgspec.Struct, frozen=True):
    """One of several workers."""

    worker: int
    process: int | None
    """None while there is none: it ended, and is to be replaced."""
    deaths: int = 0
    """How often it was replaced."""
    failing: bool = False
    """It ends again and again."""


class Crew(msgspec.Struct, frozen=True):
    """Who serves under a supervisor."""

    process: int
    """The supervisor's."""
    hands: tuple[Hand, ...] = ()


def muster(data: Path, hands: Sequence[Hand]) -> None:
    """Say who this process's workers are, before a new one begins. Raises OSError."""
    for hand in hands:
        if hand.process is None:
            for name in (_LOADED, _READ):
                (data / f"{name}.{hand.worker}").unlink(missing_ok=True)
    _write(data, _CREW, msgspec.json.encode(Crew(os.getpid(), tuple(hands))))


def crew(data: Path) -> Crew:
    """Who serves a data directory under a supervisor; nobody where there is none."""
    try:
        return msgspec.json.decode((data / _CREW).read_bytes(), type=Crew)
    except (OSError, msgspec.MsgspecError):
        return Crew(0)


def acknowledge(data: Path, generation: int, worker: int | None = None) -> None:
    """Say that this process works with the keys of `generation`. Call it first when a SIGHUP will be heard. Raises OSError."""
    _write(data, _file(_LOADED, worker), f"{os.getpid()} {generation}\n".encode("ascii"))


def notify(data: Path, generation: int, seconds: float = 5.0) -> bool:
    """Make a running gateway work with the keys of `generation`, or newer. True when all of its processes say so, or when none
    runs.
    """

    def answered(process: int, worker: int | None) -> bool:
        loaded_by, loaded = _loaded(data, worker)
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


def tell(data: Path, verdict: Verdict, worker: int | None = None) -> None:
    """Say what became of the configuration. Raises OSError."""
    _write(data, _file(_READ, worker), msgspec.json.encode(msgspec.structs.replace(verdict, process=os.getpid())))


def ask(data: Path, seconds: float = 10.0) -> Verdict | None:
    """Make a running gateway read its configuration again, and return what became of it: of a reading that began after this
    call, in each of its processes. None where one does not say in time, or none runs.

    Where processes differ, because the file changed between their readings, the worst counts.
    """
    asked, found = time.monotonic_ns(), dict[int, Verdict]()

    def answered(process: int, worker: int | None) -> bool:
        read = _verdict(data, worker)
        if read is not None and read.process == process and read.began_ns >= asked:
            found[process] = read
        return process in found

    whole = _until(data, answered, seconds)
    return max(found.values(), key=lambda one: _WORSE.index(one.result)) if whole and found else None


_WORSE = ("unchanged", "applied", "refused")


def _until(data: Path, answered: Callable[[int, int | None], bool], seconds: float) -> bool:
    """Signal the gateway of a data directory until all of its processes have answered. True when they have, or when none runs.

    A process that has not acknowledged anything yet is still starting: it will read all by itself, and a signal could end it,
    so it only is waited for.
    """
    end = time.monotonic() + seconds
    signal_at = 0.0
    while (process := holder(data)) is not None:
        hands = _hands(data, process) if process else []
        started = [hand for hand in hands if _loaded(data, hand[1])[0] == hand[0]]
        waiting = [hand for hand in started if not answered(*hand)]
        if hands and started == hands and not waiting:
            return True
        if waiting and time.monotonic() >= signal_at:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGHUP)
            signal_at = time.monotonic() + _SIGNAL_SECONDS
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _hands(data: Path, process: int) -> list[tuple[int, int | None]]:
    """Who must answer where `process` holds the lock: its workers, or it alone. One that is not there need not."""
    found = crew(data)
    if found.process != process:
        return [(process, None)]
    return [(hand.process, hand.worker) for hand in found.hands if hand.process is not None]


def _file(name: str, worker: int | None) -> str:
    return name if worker is None else f"{name}.{worker}"


def _write(data: Path, name: str, content: bytes) -> None:
    """In one step: whoever reads it sees all of it."""
    fresh = data / f"{name}.new"
    fresh.touch(0o600)
    fresh.write_bytes(content)
    fresh.replace(data / name)


def _verdict(data: Path, worker: int | None) -> Verdict | None:
    try:
        return msgspec.json.decode((data / _file(_READ, worker)).read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None


def _loaded(data: Path, worker: int | None) -> tuple[int, int]:
    try:
        process, _, generation = (data / _file(_LOADED, worker)).read_bytes().partition(b" ")
    except OSError:
        return 0, -1
    return _number(process), _number(generation)


def _number(text: bytes) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0
