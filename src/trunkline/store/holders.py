"""Users, teams and organisations as stored: made, changed, removed, listed. What one says, and for whom, belongs in `config`.

Whoever writes one has checked its settings; every change raises the generation in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, delete, select, update

from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.generation import count_up
from trunkline.store.tables import holders, keys
from trunkline.store.transaction import insert

Kind = Literal["user", "team", "organisation"]


class StoredHolder(msgspec.Struct, frozen=True):
    """One of them."""

    kind: Kind
    name: str
    settings: dict[str, Any]
    """What a file may say of one."""
    created_ns: int
    """Nanoseconds since the epoch."""


def create(store: Store, kind: Kind, name: str, settings: Mapping[str, Any], now_ns: int) -> int:
    """Keep a new one. Returns the new generation. Raises StoreError where the name is taken."""
    row = {"kind": kind, "name": name, "settings": dict(settings), "created_ns": now_ns}
    with store.begin() as connection:
        if connection.execute(insert(connection, holders).on_conflict_do_nothing(), row).rowcount == 0:
            remedy = f"Choose another name, or change it: trunkline {kind}s update."
            raise StoreError(f"There is {_one(kind)} {name!r} already.", remedy)
        return count_up(connection)


def change(store: Store, kind: Kind, name: str, edit: Callable[[dict[str, Any]], Mapping[str, Any]]) -> int:
    """Give one the settings that `edit` makes of those it has. Returns the new generation. Raises StoreError where there is
    none, and whatever `edit` raises; then nothing is changed.
    """
    here = holders.c.kind == kind, holders.c.name == name
    with store.begin() as connection:
        found = connection.execute(select(holders.c.settings).where(*here).with_for_update()).scalar()
        if found is None:
            raise _missing(kind, name)
        connection.execute(update(holders).where(*here).values(settings=dict(edit(found))))
        return count_up(connection)


def remove(store: Store, kind: Kind, name: str) -> int:
    """Forget one. Returns the new generation. Raises StoreError where there is none, or while something belongs to it."""
    with store.begin() as connection:
        gone = delete(holders).where(holders.c.kind == kind, holders.c.name == name)
        if connection.execute(gone).rowcount == 0:
            raise _missing(kind, name)
        if belonging := _belonging(connection, kind, name):
            shown = ", ".join(belonging[:5]) + (f" and {len(belonging) - 5} more" if len(belonging) > 5 else "")
            remedy = "Put them elsewhere first, or revoke and remove them."
            raise StoreError(f"To the {kind} {name!r} still belong: {shown}.", remedy)
        return count_up(connection)


def listing(store: Store) -> list[StoredHolder]:
    """All of them, by kind and name."""
    with store.read() as connection:
        return everybody(connection)


def everybody(connection: Connection) -> list[StoredHolder]:
    """As `listing`, as part of a transaction."""
    wanted = select(holders.c.kind, holders.c.name, holders.c.settings, holders.c.created_ns)
    rows = connection.execute(wanted.order_by(holders.c.kind, holders.c.name))
    return [StoredHolder(kind, name, mapping(settings), created) for kind, name, settings, created in rows]


def mapping(settings: Any) -> dict[str, Any]:
    """Settings as they are stored; what is none becomes one that nobody takes for settings."""
    return settings if isinstance(settings, dict) else {"settings": settings}


def _belonging(connection: Connection, kind: Kind, name: str) -> list[str]:
    """Valid keys and others that name it."""
    valid = select(keys.c.name, keys.c.settings).where(keys.c.revoked_ns.is_(None)).order_by(keys.c.id)
    found = [f"the key {row.name}" for row in connection.execute(valid) if mapping(row.settings).get(kind) == name]
    return found + [f"the {one.kind} {one.name}" for one in everybody(connection) if one.settings.get(kind) == name]


def _missing(kind: Kind, name: str) -> StoreError:
    remedy = f"`trunkline {kind}s list` shows them; those of the configuration file are changed there."
    return StoreError(f"The store has no {kind} {name!r}.", remedy)


def _one(kind: Kind) -> str:
    return f"an {kind}" if kind == "organisation" else f"a {kind}"
