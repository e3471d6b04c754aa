"""Client keys as stored: made, listed, revoked, loaded. Who may do what with one belongs in `policy`.

A key is 256 random bits; only its SHA-256 is stored, so it can be shown only when it is made.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError

from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.tables import keys, meta

MAX_NAME = 64
_GENERATION = "keys_generation"


class LiveKey(msgspec.Struct, frozen=True):
    """A key that is valid now."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes."""
    models: tuple[str, ...] | None
    """Model names it may ask for; None means all."""


class StoredKey(msgspec.Struct, frozen=True):
    """A key for showing. Times are nanoseconds since the epoch."""

    name: str
    models: tuple[str, ...] | None
    created_ns: int
    revoked_ns: int | None


def create(store: Store, name: str, models: Sequence[str] | None, now_ns: int) -> tuple[str, int]:
    """Make a key. Returns it, for the only time, and the new generation. Raises StoreError when the name is taken or unfit."""
    _look_at(name)
    key = f"tl-{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode("ascii")).digest()
    row = {"name": name, "digest": digest, "models": None if models is None else list(models), "created_ns": now_ns}
    with store.begin() as connection:
        try:
            connection.execute(keys.insert(), row)
        except IntegrityError as error:
            raise StoreError(
                f"There is a key named {name!r} already.", "Choose another name, or revoke that one first."
            ) from error
        return key, _count_up(connection)


def revoke(store: Store, name: str, now_ns: int) -> int:
    """Make the key of this name invalid from now on. Returns the new generation. Raises StoreError when there is none."""
    _look_at(name)
    with store.begin() as connection:
        live = keys.c.name == name, keys.c.revoked_ns.is_(None)
        if connection.execute(update(keys).where(*live).values(revoked_ns=now_ns)).rowcount == 0:
            remedy = "`trunkline keys list` shows them; keys in the configuration file are revoked there."
            raise StoreError(f"There is no valid key named {name!r}.", remedy)
        return _count_up(connection)


def listing(store: Store) -> list[StoredKey]:
    """Every key there ever was, oldest first."""
    wanted = select(keys.c.name, keys.c.models, keys.c.created_ns, keys.c.revoked_ns).order_by(keys.c.id)
    with store.begin() as connection:
        return [
            StoredKey(name, _models(models), created, revoked) for name, models, created, revoked in connection.execute(wanted)
        ]


def live(store: Store) -> tuple[int, list[LiveKey]]:
    """The keys valid now, and the generation they belong to, as one consistent reading."""
    wanted = select(keys.c.name, keys.c.digest, keys.c.models).where(keys.c.revoked_ns.is_(None)).order_by(keys.c.id)
    with store.begin() as connection:
        generation = connection.execute(select(meta.c.value).where(meta.c.name == _GENERATION)).scalar()
        found = [LiveKey(name, digest, _models(models)) for name, digest, models in connection.execute(wanted)]
    return generation or 0, found


def _look_at(name: str) -> None:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= MAX_NAME:
        raise StoreError(f"{name!r} is no name for a key.", f"Use 1 to {MAX_NAME} printable characters.")


def _models(models: list[str] | None) -> tuple[str, ...] | None:
    return None if models is None else tuple(models)


def _count_up(connection: Connection) -> int:
    """Every change of the keys raises the generation in the same transaction, so that a gateway can say which it works with."""
    first = insert(meta).values(name=_GENERATION, value=1)
    counted = first.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": meta.c.value + 1})
    return int(connection.execute(counted.returning(meta.c.value)).scalar_one())
