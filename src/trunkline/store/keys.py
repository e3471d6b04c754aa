"""Client keys as stored: made, changed, rotated, revoked, loaded. Who may do what with one belongs in `policy`.

A key is 256 random bits; only its SHA-256 is stored, so it can be shown only when it is made. Whoever writes one has checked
its settings; every change raises the generation in the same transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update

from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.generation import NAME as GENERATION
from trunkline.store.generation import count_up
from trunkline.store.holders import StoredHolder, everybody, mapping
from trunkline.store.tables import keys, meta
from trunkline.store.transaction import insert

MAX_NAME = 64


class LiveKey(msgspec.Struct, frozen=True):
    """A key that was not revoked."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes."""
    settings: dict[str, Any]
    """What a file may say of one, besides its name, secret and end."""
    expires_ns: int | None = None
    """Nanoseconds since the epoch."""
    previous: bytes | None = None
    """Digest of what the key was before it was rotated,"""
    previous_until_ns: int = 0
    """and until when that opens too."""


class StoredKey(msgspec.Struct, frozen=True):
    """A key for showing. Times are nanoseconds since the epoch."""

    name: str
    settings: dict[str, Any]
    created_ns: int
    revoked_ns: int | None = None
    expires_ns: int | None = None
    previous_until_ns: int | None = None
    """Until when what it was before opens too."""


class Edit(msgspec.Struct, frozen=True):
    """What a key is to be from now on."""

    settings: Mapping[str, Any]
    expires_ns: int | None


def create(
    store: Store, name: str, settings: Mapping[str, Any] | None, now_ns: int, expires_ns: int | None = None
) -> tuple[str, int]:
    """Make a key. Returns it, for the only time, and the new generation. Raises StoreError when the name is taken or unfit."""
    key, digest = _made()
    return key, adopt(store, [(name, digest)], settings or {}, now_ns, expires_ns)


def adopt(
    store: Store, found: Sequence[tuple[str, bytes]], settings: Mapping[str, Any], now_ns: int, expires_ns: int | None = None
) -> int:
    """Take in keys that exist, by (name, SHA-256), all or none. Returns the new generation. Raises StoreError where a name is
    taken or unfit, or a key is known already: revoked ones are never taken in again.
    """
    rest = {"settings": dict(settings), "created_ns": now_ns, "expires_ns": expires_ns}
    with store.begin() as connection:
        known = _Known(connection)
        for name, digest in found:
            known.add(_fit(name), digest)
        rows = [{"name": name, "digest": digest, **rest} for name, digest in found]
        added = connection.execute(insert(connection, keys).on_conflict_do_nothing().returning(keys.c.id), rows).all()
        if len(added) < len(rows):
            raise StoreError("Somebody else made such a key at this moment.", "Look at `trunkline keys list`.")
        return count_up(connection)


def change(store: Store, name: str, edit: Callable[[StoredKey], Edit]) -> int:
    """Make of a valid key what `edit` says. Returns the new generation. Raises StoreError where there is none, and whatever
    `edit` raises; then nothing is changed.
    """
    with store.begin() as connection:
        row = _locked(connection, name)
        made = edit(_shown(row))
        values = {"settings": dict(made.settings), "models": None, "expires_ns": made.expires_ns}
        connection.execute(update(keys).where(keys.c.id == row.id).values(**values))
        return count_up(connection)


def rotate(store: Store, name: str, now_ns: int, until_ns: int) -> tuple[str, int]:
    """Give a valid key another secret; the one it had opens up to `until_ns`, and those before that no more.

    Returns the secret, for the only time, and the new generation. Raises StoreError where there is none.
    """
    key, digest = _made()
    with store.begin() as connection:
        row = _locked(connection, name)
        kept = (row.digest, until_ns) if until_ns > now_ns else (None, None)
        values = {"digest": digest, "previous_digest": kept[0], "previous_until_ns": kept[1]}
        connection.execute(update(keys).where(keys.c.id == row.id).values(**values))
        return key, count_up(connection)


def revoke(store: Store, name: str, now_ns: int) -> int:
    """Make the key of this name invalid from now on. Returns the new generation. Raises StoreError when there is none."""
    with store.begin() as connection:
        row = _locked(connection, name)
        connection.execute(update(keys).where(keys.c.id == row.id).values(revoked_ns=now_ns))
        return count_up(connection)


def listing(store: Store) -> list[StoredKey]:
    """Every key there ever was, oldest first."""
    with store.read() as connection:
        return [_shown(row) for row in connection.execute(select(keys).order_by(keys.c.id))]


def live(store: Store) -> tuple[int, list[LiveKey]]:
    """The keys not revoked, and the generation they belong to, as one consistent reading."""
    generation, found, _ = everyone(store)
    return generation, found


def everyone(store: Store) -> tuple[int, list[LiveKey], list[StoredHolder]]:
    """As `live`, with all users, teams and organisations."""
    columns = ("name", "digest", "settings", "models", "expires_ns", "previous_digest", "previous_until_ns")
    wanted = select(*(keys.c[name] for name in columns)).where(keys.c.revoked_ns.is_(None)).order_by(keys.c.id)
    with store.read() as connection:
        generation = connection.execute(select(meta.c.value).where(meta.c.name == GENERATION)).scalar()
        found = [
            LiveKey(name, digest, _settings(settings, models), expires, previous, until or 0)
            for name, digest, settings, models, expires, previous, until in connection.execute(wanted)
        ]
        return generation or 0, found, everybody(connection)


def _made() -> tuple[str, bytes]:
    key = f"tl-{secrets.token_urlsafe(32)}"
    return key, hashlib.sha256(key.encode("ascii")).digest()


def _fit(name: str) -> str:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= MAX_NAME:
        raise StoreError(f"{name!r} is no name for a key.", f"Use 1 to {MAX_NAME} printable characters.")
    return name


class _Known:
    """The names that are taken, and every secret there ever was, by its digest."""

    def __init__(self, connection: Connection) -> None:
        self._names: set[str] = set()
        self._secrets: dict[bytes, tuple[str, str]] = {}
        columns = keys.c.name, keys.c.digest, keys.c.previous_digest, keys.c.revoked_ns
        for name, digest, previous, revoked in connection.execute(select(*columns)):
            self._names |= {name} if revoked is None else set()
            self._secrets |= {
                secret: (name, "known" if revoked is None else "revoked") for secret in (digest, previous) if secret
            }

    def add(self, name: str, digest: bytes) -> None:
        """One more. Raises StoreError where a key has the name, or has or had the secret."""
        if digest in self._secrets:
            other, state = self._secrets[digest]
            raise StoreError(f"The secret of {name!r} is {state} already, as that of the key {other!r}.", "Leave it out.")
        if name in self._names:
            raise StoreError(f"There is a key named {name!r} already.", "Choose another name, or revoke that one first.")
        self._names.add(name)
        self._secrets[digest] = name, "known"


def _locked(connection: Connection, name: str) -> Row[Any]:
    """The valid key of this name, which nobody else changes meanwhile. Raises StoreError."""
    wanted = select(keys).where(keys.c.name == _fit(name), keys.c.revoked_ns.is_(None)).with_for_update()
    row = connection.execute(wanted).first()
    if row is None:
        remedy = "`trunkline keys list` shows them; keys in the configuration file are changed there."
        raise StoreError(f"There is no valid key named {name!r}.", remedy)
    return row


def _shown(row: Row[Any]) -> StoredKey:
    settings = _settings(row.settings, row.models)
    return StoredKey(row.name, settings, row.created_ns, row.revoked_ns, row.expires_ns, row.previous_until_ns)


def _settings(settings: Any, models: Iterable[str] | None) -> dict[str, Any]:
    """With the models that an older version kept beside them."""
    found = mapping(settings)
    return found if models is None else {"models": list(models), **found}
