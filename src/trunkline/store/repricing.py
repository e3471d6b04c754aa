"""Costs of stored rows put right, with the sums that are kept of them. What a row should cost belongs in `ledger`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update

from trunkline.store import rollup
from trunkline.store.engine import Store
from trunkline.store.tables import usage

AT_ONCE = 500
"""Rows of one transaction: a gateway waits for no longer than that takes."""


def renew(store: Store, ids: Sequence[str], price: Callable[[Mapping[str, Any]], tuple[int, str] | None]) -> int:
    """Give rows another cost and price version, in one transaction. Returns how many were changed. Raises StoreError.

    `price` is asked of each row as it is now; None: it stays. So a second run changes nothing, and two at once no row twice.
    """
    before: list[Mapping[str, Any]] = []
    after: list[Mapping[str, Any]] = []
    with store.begin() as connection:
        rollup.lock(connection)
        wanted = select(usage).where(usage.c.id.in_(ids)).order_by(usage.c.id).with_for_update()
        for row in [dict(found) for found in connection.execute(wanted).mappings()]:
            new = price(row)
            if new is not None and new[0] != row["cost_nano"]:
                before.append(row)
                after.append({**row, "cost_nano": min(new[0], rollup.MOST), "price_version": new[1]})
        if after:
            changed = update(usage).where(usage.c.id == bindparam("ident"))
            told = [{"ident": row["id"], "cost": row["cost_nano"], "version": row["price_version"]} for row in after]
            connection.execute(changed.values(cost_nano=bindparam("cost"), price_version=bindparam("version")), told)
            rollup.correct(connection, before, after)
    return len(after)
