"""The open store of a test, on each kind of database that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from records import settled
from trunkline.ledger.record import row
from trunkline.store import keys, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.url import parse


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open, empty store; a test that takes it runs twice, on SQLite and on PostgreSQL (`store.dialect` says which).

    On PostgreSQL it is a database of its own on the session's one server (`postgres`, in tests/conftest.py); where none is
    installed, that half is skipped by name. Write such tests against `store` alone: no `sqlite3`, no file names. What is about
    one of the two asks for `open_store(tmp_path)` (SQLite) or for `postgres_url`. One half: `-k sqlite`, `-k postgresql`.
    """
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = parse(server.url(server.fresh()))
    opened = open_store(tmp_path, url)
    yield opened
    opened.close()
    if url is not None:
        server.drop(url.database)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A data directory with 3 keys and 200 records, cleanly closed."""
    made = open_store(tmp_path / "data")
    for name in ("a", "b", "c"):
        keys.create(made, name, {"models": ["gpt-4.1"]}, 1)
    usage.insert(made, [row(settled(n)) for n in range(200)])
    made.close()
    return tmp_path / "data"
