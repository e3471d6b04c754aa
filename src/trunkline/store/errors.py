"""What a store can fail with, told to the operator: what is wrong, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from typing_extensions import override

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

RECOVER = (
    "Restore a backup of it; or save what can be read with `sqlite3 trunkline.db .recover | sqlite3 recovered.db` and put "
    "that in its place. It is not replaced by an empty one, because keys and accounts would be gone."
)
_AGAIN = "Try again when it is done."
_GO = "See that the server runs, and that the way to it is open."
_SIGN_IN = "Correct the user and the password in store.url, or let that user in (pg_hba.conf)."
_WORDS = {
    "23": ("refuses what it is given", "This is a fault of Trunkline; report it."),
    "25006": ("cannot be written: it is a standby, or was made read-only", "Name the primary in store.url."),
    "28": ("does not let its user in", _SIGN_IN),
    "3D000": ("does not exist", "Make it: CREATE DATABASE … ENCODING 'UTF8'; or name another in store.url."),
    "3F000": ("has no schema that its user may use", "Grant it: GRANT USAGE, CREATE ON SCHEMA public TO …"),
    "40": ("was asked for the same by two at once", "Try again."),
    "42501": ("is not its user's to use so", "Grant it: GRANT USAGE, CREATE ON SCHEMA public TO … (or make it their own)."),
    "53100": ("has no room: its disk is full", "Make room on the server's disk."),
    "53300": ("has too many connections", "Raise max_connections there, or end some; each gateway takes up to five."),
    "53": ("lacks resources", "See its log, and what else runs there."),
    "55P03": ("is locked by another process", _AGAIN),
    "57014": ("took too long", "See what else it does; try again when it has less to do."),
    "57P": ("is being shut down, or not yet up", "Try again in a moment."),
    "XX001": ("is damaged", "Restore a backup of it (see the server's log)."),
    "XX002": ("is damaged", "Restore a backup of it, or rebuild its indexes: REINDEX DATABASE (see the server's log)."),
}
"""PostgreSQL's states, by their beginnings: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


class StoreError(Exception):
    """The store cannot be used. `str` gives the message and the remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    @override
    def __str__(self) -> str:
        """Both, in one line."""
        return f"{self.message} {self.remedy}"


def corrupt(place: Path | str, what: str) -> StoreError:
    """A database that is damaged."""
    return StoreError(f"The database {place} is damaged: {what}.", RECOVER)


@contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Turn what SQLAlchemy raises inside into a `StoreError`, told apart by SQLite's result code or PostgreSQL's state."""
    try:
        yield
    except (UnicodeDecodeError, JSONDecodeError) as error:  # of a stored text, or of SQLite's own message about one
        raise corrupt(place, f"a text in it cannot be read ({error})") from error
    except DBAPIError as error:
        raise _told(place, error) from error
    except PoolTimeoutError as error:
        message = f"The database {place} cannot be used: every connection to it is busy."
        raise StoreError(message, "See why it is slow; try again when it has less to do.") from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"The database {place} cannot be used: {error}.", "This is a fault of Trunkline; report it."
        ) from error


def state(error: BaseException | None) -> str:
    """PostgreSQL's five letters for what happened; empty where the error is none of its."""
    told = error.args[0] if error is not None and error.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""


def _told(place: Path | str, error: DBAPIError) -> StoreError:
    cause = error.orig
    if code := state(cause):
        return _of_postgres(place, code, cause)
    if error.connection_invalidated or "network error" in str(cause):
        return StoreError(f"The connection to the database {place} broke.", _GO)
    code_of_sqlite = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code_of_sqlite in _CORRUPT:
        return corrupt(place, str(cause))
    if code_of_sqlite in _BUSY:
        return StoreError(f"The database {place} is locked by another process.", _AGAIN)
    remedy = "See that the disk has room and that the file may be written."
    return StoreError(f"The database {place} cannot be used: {str(cause).rstrip('.')}.", remedy)


def _of_postgres(place: Path | str, code: str, error: BaseException | None) -> StoreError:
    """In our words, with the server's own behind them. They name users and tables, and never a password."""
    said = str(error.args[0].get("M", "")) if error is not None else ""
    for length in (5, 3, 2):
        if words := _WORDS.get(code[:length]):
            return StoreError(f"The database {place} {words[0]} ({said}).", words[1])
    return StoreError(f"The database {place} cannot be used: {said} ({code}).", "See the server's log.")
