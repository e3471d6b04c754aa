"""Opening the store: SQLite in the data directory, checked, and of this program's version.

A store that is foreign, damaged, newer, or gone in part is refused with words; it is never replaced by an empty one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from trunkline.store.errors import StoreError, corrupt, explained
from trunkline.store.migrate import upgrade
from trunkline.store.migrations import REVISIONS
from trunkline.store.place import DATABASE, make_private
from trunkline.store.tables import metadata

APPLICATION_ID = 0x54524E4B
"""`TRNK`, in the header of our SQLite files."""
SMALL_BYTES = 16 * 1024 * 1024
"""A database up to this size is checked at every opening; a larger one only after an unclean stop."""
PATIENCE_SECONDS = 1.0
"""How long a statement waits for another process, unless the caller says otherwise."""

_GUARD = "store.lock"
"""Held while the store is opened. It says so when the database was made, so that a lost one is noticed."""
_VERSION_TABLE = """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"""


class Store:
    """An open database. Safe to use from several threads."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on an exception. Raises StoreError for the database's own."""
        with explained(self._place), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; the last one of a SQLite database folds its write-ahead log back into the file."""
        self._engine.dispose()


def open_store(data: Path, *, create: bool = True, check: bool = True, patience: float = PATIENCE_SECONDS) -> Store:
    """Open the store of a data directory, made and brought up to date where need be. Raises StoreError.

    `create` false makes nothing: without a database it is an error. `check` false leaves out the search for damage, for a
    command beside a running gateway. `patience` is how many seconds a statement waits for a lock; a gateway wants little,
    because its writer syncs nothing while it waits. Several processes may call this at once: one works, the others wait.
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
        store = _open_file(path, check, patience)
        with contextlib.suppress(OSError):  # a full disk; the next opening says it
            os.pwrite(guard, b"The database was made.\n", 0)
        return store
    finally:
        os.close(guard)


def _open_file(path: Path, check: bool, patience: float) -> Store:
    unclean = _is_filled(_log(path))
    if not path.exists():
        _look_for_remains(path)
        _create_file(path)
    _look_at_header(path)
    engine = _sqlite(path, patience)
    try:
        with explained(path), engine.begin() as connection:
            if check and (unclean or path.stat().st_size <= SMALL_BYTES):
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if found != "ok":
                    raise corrupt(path, str(found))
            _bring_up(connection, path)
    except StoreError:
        engine.dispose()
        raise
    return Store(engine, str(path))


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _look_for_remains(path: Path) -> None:
    """Refuse to begin anew where a database was lost: its keys and accounts would be gone in silence."""
    for sign in (_log(path), path.with_name(_GUARD)):
        if _is_filled(sign):
            raise corrupt(path, f"the file is gone, but {sign.name} shows that it was there (remove that too to begin anew)")


def _look_at_header(path: Path) -> None:
    """Refuse what SQLite would take for an empty database, or for somebody else's, before it writes to it.

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
        raise _foreign(path)


def _create_file(path: Path) -> None:
    """Make the whole database under another name first, so that whatever stands at its own name is whole."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        engine = _sqlite(fresh, PATIENCE_SECONDS)
        try:
            with explained(fresh), engine.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                _create_tables(connection)
        finally:
            engine.dispose()
        fresh.rename(path)
    except OSError as error:
        raise StoreError(f"The database {path} cannot be made: {error.strerror}.", "See that the disk has room.") from error


def _sqlite(path: Path, patience: float) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": patience})

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
        connection.exec_driver_sql("BEGIN")

    return engine


def _create_tables(connection: Connection) -> None:
    """The newest tables at once; the tests hold them equal to what the migrations make."""
    metadata.create_all(connection)
    connection.exec_driver_sql(_VERSION_TABLE)
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": REVISIONS[-1]})


def _bring_up(connection: Connection, path: Path) -> None:
    if not inspect(connection).has_table("alembic_version"):
        raise _foreign(path)
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision is None:
        raise _foreign(path)
    if revision not in REVISIONS:
        remedy = "Install the newer version again, or restore a backup made by this one."
        raise StoreError(f"The database {path} was made by a newer version of Trunkline (schema {revision!r}).", remedy)
    if revision != REVISIONS[-1]:
        upgrade(connection)


def _foreign(path: Path) -> StoreError:
    remedy = "Choose another data directory with --data or TRUNKLINE_DATA, or restore a backup."
    return StoreError(f"The database {path} is not one of Trunkline, or its header is damaged.", remedy)
