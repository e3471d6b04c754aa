"""What a store can fail with, told to the operator: what is wrong, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from typing_extensions import override

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

RECOVER = (
    "Restore a backup of it; or save what can be read with `sqlite3 trunkline.db .recover | sqlite3 recovered.db` and put "
    "that in its place. It is not replaced by an empty one, because keys and accounts would be gone."
)


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
    """Turn what SQLAlchemy raises inside into a `StoreError`, told apart by SQLite's result code."""
    try:
        yield
    except (UnicodeDecodeError, JSONDecodeError) as error:  # of a stored text, or of SQLite's own message about one
        raise corrupt(place, f"a text in it cannot be read ({error})") from error
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code in _CORRUPT:
            raise corrupt(place, str(error.orig)) from error
        if code in _BUSY:
            raise StoreError(f"The database {place} is locked by another process.", "Try again when it is done.") from error
        remedy = "See that the disk has room and that the file may be written."
        raise StoreError(f"The database {place} cannot be used: {str(error.orig).rstrip('.')}.", remedy) from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"The database {place} cannot be used: {error}.", "This is a fault of Trunkline; report it."
        ) from error
