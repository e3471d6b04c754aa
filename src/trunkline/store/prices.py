"""Prices of one's own as stored: set, removed, listed. What one says, and which counts, belongs in `config` and `ledger`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select

from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.generation import count_up
from trunkline.store.tables import prices

SAME = ("provider", "model", "from")
"""What says of two prices that the later takes the other's place."""


class StoredPrice(msgspec.Struct, frozen=True):
    """One, as it was set."""

    id: int
    settings: dict[str, Any]
    """What a file may say of one."""
    created_ns: int
    """Nanoseconds since the epoch."""


def put(store: Store, settings: Mapping[str, Any], now_ns: int) -> tuple[int, int]:
    """Set a price, in the place of one for the same model, provider and beginning. Returns its id and the new generation."""
    with store.begin() as connection:
        same = [
            row.id
            for row in connection.execute(select(prices.c.id, prices.c.settings))
            if all(row.settings.get(name) == settings.get(name) for name in SAME)
        ]
        connection.execute(delete(prices).where(prices.c.id.in_(same)))
        added = connection.execute(prices.insert().returning(prices.c.id), {"settings": dict(settings), "created_ns": now_ns})
        return int(added.scalar_one()), count_up(connection)


def remove(store: Store, ident: int) -> int:
    """Forget a price. Returns the new generation. Raises StoreError where there is none with this id."""
    with store.begin() as connection:
        if connection.execute(delete(prices).where(prices.c.id == ident)).rowcount == 0:
            remedy = "`trunkline prices list` shows them; those in the configuration file are removed there."
            raise StoreError(f"There is no stored price {ident}.", remedy)
        return count_up(connection)


def listing(store: Store) -> list[StoredPrice]:
    """All of them, in the order in which they were set."""
    wanted = select(prices.c.id, prices.c.settings, prices.c.created_ns).order_by(prices.c.id)
    with store.read() as connection:
        return [StoredPrice(ident, settings, created) for ident, settings, created in connection.execute(wanted)]
