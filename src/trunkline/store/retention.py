"""Rows that are old enough to go. The sums keep what they added for ever, so that totals and budgets stay as they were."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, select, text

from trunkline.store import rollup
from trunkline.store.engine import Store
from trunkline.store.sums import PRUNED
from trunkline.store.tables import usage

BATCH = 500
"""Rows of one transaction: a few milliseconds, so that nobody waits for it."""

_DELETION = "DELETE FROM usage WHERE id IN (SELECT id FROM usage WHERE started_ns < :before ORDER BY started_ns LIMIT :limit{})"
_SQLITE = text(_DELETION.format(""))
_POSTGRES = text(_DELETION.format(" FOR UPDATE SKIP LOCKED"))
"""Several gateways may do this at once, and none waits for another."""


class Pruner:
    """Deletes what is too old, a step at a time: true where there is more to do."""

    def __init__(self, store: Store, keep: Callable[[], int | None], now: Callable[[], int]) -> None:
        """`keep`: seconds for which rows are kept, None for ever; `now`: nanoseconds since the epoch."""
        self.deleted = 0
        """Rows so far. May be read from any thread."""
        self._store = store
        self._keep = keep
        self._now = now

    def __call__(self) -> bool:
        """One step. Raises StoreError."""
        seconds = self._keep()
        if seconds is None:
            return False
        gone = prune(self._store, self._now() - seconds * 1_000_000_000)
        self.deleted += gone
        return gone == BATCH


def prune(store: Store, before_ns: int, limit: int = BATCH) -> int:
    """Delete the oldest rows of requests started before then, `limit` at most: whole quarters of an hour in the end.

    How many went; when they are fewer than `limit`, no more are left (or another process deletes them). Raises StoreError.
    """
    slot = _slot(before_ns)
    with store.begin() as connection:
        rollup.mark(connection, PRUNED, slot)
        statement = _POSTGRES if store.dialect == "postgresql" else _SQLITE
        return connection.execute(statement, {"before": slot * rollup.QUARTER_NS, "limit": limit}).rowcount


def count(store: Store, before_ns: int) -> int:
    """How many rows `prune` would delete."""
    with store.read() as connection:
        return _count(connection, _slot(before_ns) * rollup.QUARTER_NS)


def _count(connection: Connection, before_ns: int) -> int:
    return connection.scalar(select(func.count()).select_from(usage).where(usage.c.started_ns < before_ns)) or 0


def _slot(before_ns: int) -> int:
    """The quarter up to which rows go: one that is partly gone could not be told exactly."""
    return max(before_ns, 0) // rollup.QUARTER_NS
