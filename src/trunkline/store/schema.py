"""Whether a database holds the tables of this version, and how it comes to: made at once where it is empty, else migrated.

The same on every kind of database; what keeps several processes from doing it at once belongs to each kind.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, inspect, text

from trunkline.store.errors import StoreError, corrupt
from trunkline.store.migrations import REVISIONS
from trunkline.store.tables import metadata

_VERSION_TABLE = """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"""
_FIRST_TABLES = frozenset({"alembic_version", "usage", "keys", "meta"})
"""There since the first revision."""


State = Literal["empty", "old", "current"]


def look(connection: Connection, place: str, *, empty_is_fine: bool) -> State:
    """What it holds. Raises StoreError for one that is newer, damaged, somebody else's, or empty where that is not fine."""
    found = set(inspect(connection).get_table_names())
    if not found and empty_is_fine:
        return "empty"
    revision = _revision(connection, found)
    if revision is None:
        remedy = "Give Trunkline one of its own, with --data, TRUNKLINE_DATA or store.url; or restore a backup."
        what = "is not one of Trunkline, or it is damaged" if found else "is empty: no gateway has used it yet"
        raise StoreError(f"The database {place} {what}.", remedy)
    if revision not in REVISIONS:
        remedy = "Install the newer version again, or restore a backup made by this one."
        raise StoreError(f"The database {place} was made by a newer version of Trunkline (schema {revision!r}).", remedy)
    if revision != REVISIONS[-1]:
        return "old"
    if missing := sorted(metadata.tables.keys() - found):
        raise corrupt(place, f"it lacks the table {missing[0]}")
    return "current"


def create_tables(connection: Connection) -> None:
    """The newest tables at once; the tests hold them equal to what the migrations make."""
    metadata.create_all(connection)
    connection.exec_driver_sql(_VERSION_TABLE)
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": REVISIONS[-1]})


def _revision(connection: Connection, found: set[str]) -> str | None:
    """None where it is none of ours."""
    if not found >= _FIRST_TABLES:
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if revision is None else str(revision)
