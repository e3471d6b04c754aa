"""Inserts that pass over what is there, for both databases."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.store.insert import insert
from trunkline.store.tables import meta


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_it_is_spelled_for_the_database(dialect):
    """A record replayed into either database must not be doubled."""
    statement = insert(dialect, meta).on_conflict_do_nothing(index_elements=[meta.c.name])
    assert "ON CONFLICT (name) DO NOTHING" in str(statement.compile(dialect=dialect))
