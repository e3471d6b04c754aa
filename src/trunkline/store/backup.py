"""Copies of a SQLite store: made while a gateway uses it, put back where none does. A server has its own programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from trunkline.store.errors import StoreError, corrupt, explained
from trunkline.store.lock import DataLock
from trunkline.store.place import DATABASE
from trunkline.store.schema import look
from trunkline.store.sqlite import look_at_header, make_engine, search_for_damage
from trunkline.store.transaction import reading

_PAGES = 1024
"""Copied at a time, between two tellings of how far it is."""
_PATIENCE = 5.0
_FRESH = ".unfinished"
_OLD = ".old"
_BESIDE = ("", "-wal", "-shm")
"""The database, and what SQLite keeps beside it."""

Progress = Callable[[int, int], None]
"""Told how many pages of how many are copied."""


def back_up(data: Path, target: Path, progress: Progress, *, force: bool = False) -> int:
    """Copy the database of a data directory, as it is at one moment, into one file for its owner only. Returns its bytes.

    Nobody who uses the store waits for it. The file at `target` is whole or not there; with `force` it may replace another.
    What the journal holds and the store has not yet is not in it. Raises StoreError.
    """
    source = data / DATABASE
    if not source.exists():
        remedy = "Name another with --data or TRUNKLINE_DATA."
        raise StoreError(f"There is no database in the data directory {data}.", remedy)
    look_at_header(source)
    target = Path(os.path.realpath(target))  # what a link leads to is written, and not the link replaced
    if _is_own(data, target) or (target.exists() and not target.is_file()):
        remedy = "Name a file of its own for it."
        raise StoreError(f"A copy cannot be put in the place of {target}, which is no copy.", remedy)
    if target.exists() and not force:
        raise StoreError(f"There is a file {target} already.", "Choose another name, or replace it with --force.")
    with _arriving(target) as fresh:
        with _told(source), closing(_connect(source)) as here, closing(_connect(fresh)) as there:
            here.execute("BEGIN")  # one moment for all steps: else each commit of the gateway would make it begin anew
            here.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            here.backup(there, pages=_PAGES, progress=lambda _status, left, total: progress(total - left, total))
            there.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
        _examine(fresh)
        return fresh.stat().st_size


def restore(data: Path, source: Path, *, force: bool = False) -> Path | None:
    """Put a copy into a data directory that no gateway uses. Returns where a database went that was there; None where none was.

    Nothing changes unless the copy is sound and of this version or an older one, which the next start brings up to date. A
    database that is there is only replaced with `force`, and kept beside it. Raises StoreError.
    """
    if not source.is_file():
        raise StoreError(f"There is no file {source}.", "Name one that `trunkline backup` made.")
    if os.path.realpath(source) == os.path.realpath(_beside(data / DATABASE, _FRESH)):
        raise StoreError(f"The file {source} was left by a start or a copy that broke off.", "Name another, or move it first.")
    look_at_header(source)
    if (log := _beside(source, "-wal")).exists() and log.stat().st_size:
        remedy = (
            "Use a file that `trunkline backup` made; or put both into a data directory, as trunkline.db and trunkline.db-wal."
        )
        raise StoreError(f"The file {source} is only a part: what was written last is in {log.name}.", remedy)
    lock = DataLock.acquire(data)
    try:
        place = data / DATABASE
        if place.exists() and not force:
            remedy = "Choose another with --data; or replace it with --force: it is kept as trunkline.db.old."
            raise StoreError(f"There is a database in the data directory {data} already.", remedy)
        there = place.exists()
        with _arriving(place, before=lambda: _set_aside(place)) as fresh:
            shutil.copyfile(source, fresh)
            _examine(fresh)
        return _beside(place, _OLD) if there else None
    finally:
        lock.release()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)


def _is_own(data: Path, path: Path) -> bool:
    """Whether a real path is the database of this data directory, or one of the files beside it."""
    return path.parent == Path(os.path.realpath(data)) and path.name.startswith(DATABASE)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


@contextmanager
def _arriving(target: Path, before: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """A new file that gets its name when it is whole and on the disk, right after `before`; and that goes where it is not."""
    fresh = _beside(target, _FRESH)
    folder = -1
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
        _take(folder, target)
        _remove(fresh)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            yield fresh
            _sync(fresh)
            before()
            fresh.rename(target)
            _sync(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(fresh)
            raise
    except OSError as error:
        remedy = "See that its folder exists and may be written, and that the disk has room."
        raise StoreError(f"The file {target} cannot be made: {error.strerror}.", remedy) from error
    finally:
        if folder >= 0:
            os.close(folder)


def _take(folder: int, target: Path) -> None:
    """One copy at a time: another would take its unfinished file for one left behind. Network disks may have no such lock."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"Another copy is being made in {target.parent}.", "Try again when it is done.") from None
    except OSError:
        pass


def _remove(path: Path) -> None:
    for ending in _BESIDE:
        _beside(path, ending).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _set_aside(place: Path) -> None:
    """The log first: with a database that is not its own it would be taken for one that is. Without a database nothing is kept:
    what was set aside before may be all there is.
    """
    if not place.exists():
        for ending in _BESIDE[1:]:
            _beside(place, ending).unlink(missing_ok=True)
        return
    old = _beside(place, _OLD)
    _remove(old)
    for ending in reversed(_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            _beside(place, ending).rename(_beside(old, ending))


def _examine(path: Path) -> None:
    """Read all of it. Raises StoreError where it is damaged, newer, or none of ours."""
    look_at_header(path)
    engine = make_engine(path, _PATIENCE)
    try:
        with explained(path), reading(engine).begin() as connection:
            search_for_damage(connection, path)
            look(connection, str(path), empty_is_fine=False)
    finally:
        engine.dispose()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite says while it copies, in our words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise corrupt(path, str(error)) from error
        remedy = "See that the disk has room, and that nobody holds the database locked."
        raise StoreError(f"The database {path} cannot be copied: {str(error).rstrip('.')}.", remedy) from error
