"""What the kinds of database do differently inside a transaction: how one that only reads begins, and inserting what may be
there already.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

_READING = "trunkline_reading"


def reading(engine: Engine) -> Engine:
    """The same engine, for transactions that only read and see one state of the whole store."""
    return engine.execution_options(**{_READING: True})


def is_reading(connection: Connection) -> bool:
    """Whether this one's transactions only read."""
    return bool(connection.get_execution_options().get(_READING))


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what becomes of a row that is there already: `on_conflict_do_nothing`, `on_conflict_do_update`."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
