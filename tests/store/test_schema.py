"""What a database holds, told apart before anything is done to it; the same on each kind."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from trunkline.store.errors import StoreError
from trunkline.store.migrations import REVISIONS
from trunkline.store.schema import create_tables, look
from trunkline.store.tables import metadata


def _look(store, **options):
    with store.read() as connection:
        return look(connection, "x", **{"empty_is_fine": False, **options})


def _do(store, *statements):
    with store.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_what_was_made_is_current(store):
    """The usual start does nothing."""
    assert _look(store) == "current"


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_older_one_is_told(store, revision):
    """It is brought up to date, not refused."""
    _do(store, f"UPDATE alembic_version SET version_num = '{revision}'", "DROP TABLE holders")
    assert _look(store) == "old"


def test_a_newer_one_is_refused_with_the_remedy(store):
    """An older program must not write what a newer one keeps its books in."""
    _do(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer version.*9999.*newer version again, or restore a backup"):
        _look(store)


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_one_that_lost_a_table_is_refused(store, table):
    """Half a store would fail at the first request that needs the other half."""
    _do(store, f'DROP TABLE "{table}"')
    with pytest.raises(StoreError, match=f"lacks the table {table}|not one of Trunkline"):
        _look(store)


@pytest.mark.parametrize("harm", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_somebody_elses_is_refused(store, harm):
    """Its tables are not ours to change."""
    _do(store, harm)
    with pytest.raises(StoreError, match=r"not one of Trunkline.*--data, TRUNKLINE_DATA or store.url"):
        _look(store, empty_is_fine=True)


def test_an_empty_one_is_fine_only_where_a_store_is_made(store):
    """Who only looks makes nothing, and a file that was ours and is empty was emptied."""
    with store.begin() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert _look(store, empty_is_fine=True) == "empty"
    with pytest.raises(StoreError, match="is empty: no gateway has used it yet"):
        _look(store)
    with store.begin() as connection:
        create_tables(connection)
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    assert _look(store) == "current"
