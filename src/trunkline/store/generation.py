"""The number of the store's state that gateways follow: it goes up with each change to keys or prices.

Whoever changes something of that raises it in the same transaction, so that a gateway can say which state it works with.
"""

from __future__ import annotations

from sqlalchemy import Connection

from trunkline.store.tables import meta
from trunkline.store.transaction import insert

NAME = "keys_generation"
"""In the table `meta`."""


def count_up(connection: Connection) -> int:
    """One more. Returns it."""
    first = insert(connection, meta).values(name=NAME, value=1)
    counted = first.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": meta.c.value + 1})
    return int(connection.execute(counted.returning(meta.c.value)).scalar_one())
