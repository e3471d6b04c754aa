"""What differs between the kinds of database inside a transaction."""

from __future__ import annotations

from sqlalchemy import select

from trunkline.store.tables import meta
from trunkline.store.transaction import insert


def test_what_is_there_already_can_be_passed_over_or_changed(store):
    """A replay after a crash hands in again what is there, and the generation of keys counts on."""
    with store.begin() as connection:
        for value in (1, 2):
            row = insert(connection, meta).values(name="kept", value=value)
            connection.execute(row.on_conflict_do_nothing(index_elements=[meta.c.name]))
            row = insert(connection, meta).values(name="counted", value=1)
            wanted = row.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": meta.c.value + 1})
            assert connection.execute(wanted.returning(meta.c.value)).scalar_one() == value
        found = {row.name: row.value for row in connection.execute(select(meta.c.name, meta.c.value))}
    assert found == {"kept": 1, "counted": 2}
