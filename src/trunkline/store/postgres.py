"""A store on a PostgreSQL server: its connections with their deadlines, and the lock under which it is made and migrated."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.pool import NullPool

from trunkline.store.errors import StoreError, explained, state
from trunkline.store.migrate import upgrade
from trunkline.store.schema import create_tables, look
from trunkline.store.transaction import is_reading, reading
from trunkline.store.url import StoreUrl

UPGRADE_SECONDS = 900.0
"""The same while tables are made or changed, or another process does that."""
_SHARE_LOCK = 0.5
_SHARE_STATEMENT = 0.8
"""Of the deadline: the server should say that it gives up before we do, so that the connection is kept."""
_LOCK_SECONDS = 5.0
"""At most: whoever waits for a lock should hear soon that there is one."""
_CONNECTIONS = 2
_MORE_CONNECTIONS = 3
"""For a while, where many threads ask at once."""
_GUARD = 0x54524E4B
"""`TRNK`: the advisory lock of who makes or changes the tables."""
_OVER = {"57P01", "57P02", "57P03", "25006"}
"""The server goes, or is a standby now: the next connection may meet another one.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def open_postgres(url: StoreUrl, *, create: bool, deadline: float) -> Engine:
    """The engine for a database whose tables are the newest, made or brought up to date where need be. Raises StoreError.

    `create` false makes nothing where there is nothing. `deadline`: seconds for any one answer of the server. Several
    processes may call this at once, on several machines: one works, the others wait for it.
    """
    engine = _engine(
        url,
        deadline,
        min(deadline * _SHARE_LOCK, _LOCK_SECONDS),
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=deadline,
        pool_pre_ping=True,
    )
    place = told(url)
    try:
        with explained(place), reading(engine).begin() as connection:
            _look_at(connection, place)
            found = look(connection, place, empty_is_fine=create)
        if found != "current":
            _bring_up(url, place)
    except BaseException:
        engine.dispose()
        raise
    return engine


def told(url: StoreUrl) -> str:
    """The database in messages."""
    return f"PostgreSQL {url}"


def _look_at(connection: Connection, place: str) -> None:
    """Refuse what would fail later, and only sometimes."""
    encoding, schema = connection.execute(text("SELECT current_setting('server_encoding'), current_schema()")).one()
    if encoding != "UTF8":
        remedy = "Make one that can hold every text: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        raise StoreError(f"The database {place} has the encoding {encoding}.", remedy)
    if schema is None:
        remedy = "Grant it: GRANT USAGE, CREATE ON SCHEMA public TO …"
        raise StoreError(f"The user of the database {place} may not use any schema of it.", remedy)


def _bring_up(url: StoreUrl, place: str) -> None:
    """In one transaction, so that there is never half of it, and under a lock that ends with it."""
    engine = _engine(url, UPGRADE_SECONDS, UPGRADE_SECONDS, poolclass=NullPool)
    try:
        with explained(place), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:guard)"), {"guard": _GUARD})
            found = look(connection, place, empty_is_fine=True)  # another may have done it meanwhile
            if found == "empty":
                create_tables(connection)
            elif found == "old":
                upgrade(connection)
    finally:
        engine.dispose()


def _engine(url: StoreUrl, deadline: float, lock: float, **pool: Any) -> Engine:
    """`lock`: seconds that a transaction waits for another's lock. `pool`: what becomes of connections."""
    from trunkline.store.postgres_dial import dial  # noqa: PLC0415 - the driver is loaded only where it is used

    engine = create_engine("postgresql+pg8000://", creator=lambda: dial(url, deadline), hide_parameters=True, **pool)
    # At each transaction, not each connection: a pooler such as PgBouncer gives a connection to many.
    bounds = (
        f"SET LOCAL lock_timeout = {int(lock * 1000)}; SET LOCAL statement_timeout = {int(deadline * _SHARE_STATEMENT * 1000)}"
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        one_state = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; " if is_reading(connection) else ""
        connection.exec_driver_sql(one_state + bounds)

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        if state(context.original_exception) in _OVER:
            context.is_disconnect = True

    return engine
