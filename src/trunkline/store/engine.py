"""The open store: one transaction at a time, on SQLite or PostgreSQL. How each of them is opened belongs in its own module.

A store that is foreign, damaged, newer, or gone in part is refused with words; it is never replaced by an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine

from trunkline.store.errors import explained
from trunkline.store.place import DATABASE
from trunkline.store.sqlite import PATIENCE_SECONDS, open_sqlite
from trunkline.store.transaction import reading
from trunkline.store.url import StoreUrl

Dialect = Literal["sqlite", "postgresql"]

DEADLINE_SECONDS = 60.0
"""How long a database server may take for one answer, unless the caller says otherwise."""


class Store:
    """An open database. Safe to use from several threads."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._place = place
        self.dialect: Dialect = "postgresql" if engine.dialect.name == "postgresql" else "sqlite"
        """For what the two do differently."""

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that writes: committed at the end, rolled back on an exception. Raises StoreError for the database's
        own.

        On SQLite it is the only one that writes from its first statement on. On PostgreSQL others may write meanwhile (READ
        COMMITTED): lock the rows that must not change (`with_for_update`), or write conditionally.
        """
        with explained(self._place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads, and sees one state of the whole store. It keeps nobody from writing."""
        with explained(self._place), self._reading.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; the last one of a SQLite database folds its write-ahead log back into the file."""
        self._engine.dispose()


def open_store(
    data: Path,
    url: StoreUrl | None = None,
    *,
    create: bool = True,
    check: bool = True,
    patience: float = PATIENCE_SECONDS,
    deadline: float = DEADLINE_SECONDS,
) -> Store:
    """Open the store, on the server at `url` or else in the data directory, made and brought up to date where need be.

    `create` false makes nothing: without a database it is an error. `check` false leaves out the search for damage, for a
    command beside a running gateway. `patience` is how many seconds a statement waits for a lock of SQLite, `deadline` how many
    a server may take for an answer; a gateway wants little of both, because its writer syncs nothing while it waits. Several
    processes may call this at once: one works, the others wait. Raises StoreError.
    """
    if url is None:
        return Store(open_sqlite(data, create=create, check=check, patience=patience), str(data / DATABASE))
    from trunkline.store.postgres import open_postgres, told  # noqa: PLC0415 - only where there is one

    return Store(open_postgres(url, create=create, deadline=deadline), told(url))
