"""A store in a SQLite file of the data directory: made whole, looked at before it is used, never replaced by an empty one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from trunkline.store.errors import StoreError, corrupt, explained
from trunkline.store.migrate import upgrade
from trunkline.store.place import DATABASE, make_private
from trunkline.store.schema import create_tables, look
from trunkline.store.transaction import is_reading, reading

APPLICATION_ID = 0x54524E4B
"""`TRNK`, in the header of our SQLite files."""
SMALL_BYTES = 16 * 1024 * 1024
"""A database up to this size is checked at every opening; a larger one only after an unclean stop."""
PATIENCE_SECONDS = 1.0
"""How long a statement waits for another process, unless the caller says otherwise."""

_GUARD = "store.lock"
"""Held while the store is opened. It says so when the database was made, so that a lost one is noticed."""


def open_sqlite(data: Path, *, create: bool, check: bool, patience: float) -> Engine:
    """The engine for the database of a data directory, whose tables are the newest. Raises StoreError.

    `create` false makes nothing: without a database it is an error. `check` false leaves out the search for damage. `patience`:
    seconds that a statement waits for a lock. Several processes may call this at once: one works, the others wait.
    """
    path = data / DATABASE
    if not create and not path.exists():
        _look_for_remains(path)
        raise StoreError(f"No gateway has used the data directory {data} yet.", "Name another with --data or TRUNKLINE_DATA.")
    try:
        make_private(data)
        guard = os.open(data / _GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        remedy = "Choose another with --data or TRUNKLINE_DATA, or make it writable."
        raise StoreError(f"The data directory {data} cannot be used: {error.strerror}.", remedy) from error
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        engine = _open_file(path, check, patience)
        with contextlib.suppress(OSError):  # a full disk; the next opening says it
            os.pwrite(guard, b"The database was made.\n", 0)
        return engine
    finally:
        os.close(guard)


def _open_file(path: Path, check: bool, patience: float) -> Engine:
    unclean = _is_filled(_log(path))
    if not path.exists():
        _look_for_remains(path)
        _create_file(path)
    look_at_header(path)
    engine = make_engine(path, patience)
    try:
        with explained(path), reading(engine).begin() as connection:
            if check and (unclean or path.stat().st_size <= SMALL_BYTES):
                search_for_damage(connection, path)
            found = look(connection, str(path), empty_is_fine=False)
        if found == "old":
            with explained(path), engine.begin() as connection:
                upgrade(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _look_for_remains(path: Path) -> None:
    """Refuse to begin anew where a database was lost: its keys and accounts would be gone in silence."""
    for sign in (_log(path), path.with_name(_GUARD)):
        if _is_filled(sign):
            raise corrupt(path, f"the file is gone, but {sign.name} shows that it was there (remove that too to begin anew)")


def look_at_header(path: Path) -> None:
    """Refuse what SQLite would take for an empty database, or for somebody else's, before it writes to it. Raises StoreError.

    The form of the header: https://www.sqlite.org/fileformat2.html#the_database_header.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreError(f"The database {path} cannot be read: {error.strerror}.", "Make it readable.") from error
    if len(header) < 100:
        raise corrupt(path, f"it is only {len(header)} bytes long")
    if not header.startswith(b"SQLite format 3\0") or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        remedy = "Choose another data directory with --data or TRUNKLINE_DATA, or restore a backup."
        raise StoreError(f"The database {path} is not one of Trunkline, or its header is damaged.", remedy)


def search_for_damage(connection: Connection, path: Path) -> None:
    """Read the whole database. Raises StoreError where it is damaged."""
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise corrupt(path, str(found))


def _create_file(path: Path) -> None:
    """Make the whole database under another name first, so that whatever stands at its own name is whole."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        engine = make_engine(fresh, PATIENCE_SECONDS)
        try:
            with explained(fresh), engine.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                create_tables(connection)
        finally:
            engine.dispose()
        fresh.rename(path)
    except OSError as error:
        raise StoreError(f"The database {path} cannot be made: {error.strerror}.", "See that the disk has room.") from error


def make_engine(path: Path, patience: float) -> Engine:
    """Connections to a file that is one of ours."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": patience}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions late, and not for reads
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL and not NORMAL: the journal deletes what is committed here, so a commit must outlast a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA cell_size_check = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # At once: who reads first and writes then would be refused when another has written in between.
        connection.exec_driver_sql("BEGIN" if is_reading(connection) else "BEGIN IMMEDIATE")

    return engine
