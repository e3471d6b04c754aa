"""Alerts as stored: put down once, taken by one process for each try, settled. What one says and to whom belongs in `alerts`.

Several processes and machines may put down and take at the same time: the id says what an alert is about, and whoever takes
one says how often it was tried before. All times are nanoseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, func, select, update

from trunkline.store.engine import Store
from trunkline.store.tables import alerts
from trunkline.store.transaction import insert

NEVER = (1 << 63) - 1
"""Of an alert that was given up: when it is tried next."""
LASTING = "-"
"""With it ends the id of an alert about something that never ends, which is therefore never forgotten."""


class StoredAlert(msgspec.Struct, frozen=True):
    """One, as it stands."""

    id: str
    made_ns: int
    body: str
    """JSON, as it is sent."""
    tries: int
    next_ns: int
    delivered_ns: int | None


def add(store: Store, told: Iterable[tuple[str, str]], now_ns: int) -> None:
    """Put some down, as (id, body), to be sent at once; those that are there already, sent or not, stay as they are."""
    rows = [{"id": ident, "made_ns": now_ns, "body": body, "tries": 0, "next_ns": now_ns} for ident, body in told]
    with store.begin() as connection:
        connection.execute(insert(connection, alerts).on_conflict_do_nothing(), rows)


def due(store: Store, now_ns: int, most: int) -> list[StoredAlert]:
    """Those to be tried now: before others those that were tried less often, so that no new one waits for what nobody takes."""
    wanted = select(alerts).where(alerts.c.delivered_ns.is_(None), alerts.c.next_ns <= now_ns)
    with store.read() as connection:
        return [StoredAlert(*row) for row in connection.execute(wanted.order_by(alerts.c.tries, alerts.c.next_ns).limit(most))]


def waiting(store: Store) -> int:
    """How many are still to be delivered."""
    wanted = select(func.count()).where(alerts.c.delivered_ns.is_(None), alerts.c.next_ns < NEVER)
    with store.read() as connection:
        return connection.execute(wanted).scalar_one()


def take(store: Store, alert: StoredAlert, next_ns: int) -> bool:
    """Try it: nobody else does before `next_ns`, when it is due again unless it was settled. False: somebody was quicker."""
    same = alerts.c.id == alert.id, alerts.c.tries == alert.tries, alerts.c.delivered_ns.is_(None)
    with store.begin() as connection:
        taken = connection.execute(update(alerts).where(*same).values(tries=alert.tries + 1, next_ns=next_ns))
        return taken.rowcount > 0


def settle(store: Store, ident: str, delivered_ns: int | None) -> None:
    """It was delivered, or (None) is given up."""
    how = {"next_ns": NEVER} if delivered_ns is None else {"delivered_ns": delivered_ns}
    with store.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == ident).values(**how))


def forget(store: Store, before_ns: int) -> int:
    """Delete those made before, which were delivered or given up; how many. Those that must last stay."""
    over = alerts.c.delivered_ns.is_not(None) | (alerts.c.next_ns == NEVER)
    old = alerts.c.made_ns < before_ns, over, ~alerts.c.id.endswith(LASTING, autoescape=True)
    with store.begin() as connection:
        return connection.execute(delete(alerts).where(*old)).rowcount


def listing(store: Store, most: int) -> list[StoredAlert]:
    """The latest, newest first."""
    wanted = select(alerts).order_by(alerts.c.made_ns.desc(), alerts.c.id).limit(most)
    with store.read() as connection:
        return [StoredAlert(*row) for row in connection.execute(wanted)]
