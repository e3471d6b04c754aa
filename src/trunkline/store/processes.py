"""Who works with a store that machines share: each process says every second that it lives and which keys it works with.

So it hears of changes made elsewhere, and whoever changes something can wait until all have it. Only on PostgreSQL: a SQLite
store is one machine's, whose processes are told by files and signals (`lock`).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable

from sqlalchemy import BigInteger, ColumnElement, delete, literal_column, select

from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.generation import NAME
from trunkline.store.tables import meta, processes
from trunkline.store.transaction import insert

PERIOD = 1.0
"""Seconds between two signs of life."""
GONE_NS = 5_000_000_000
"""After so long without one a process need not be waited for."""
_FORGOTTEN_NS = 3_600_000_000_000
_LOOK = 0.05

_NOW: ColumnElement[int] = literal_column("(extract(epoch from clock_timestamp()) * 1000000000)::bigint", BigInteger)
"""By the server's clock, nanoseconds since the epoch: those of the machines may differ."""


class Presence:
    """Says that this process lives, and hears of changes: in a thread of its own, so that a slow server holds up no request."""

    def __init__(self, store: Store, version: str, reload: Callable[[], None], report: Callable[[str, str], None]) -> None:
        """`reload`: reads the keys again; called from the thread, and may raise. `report` is told of trouble that is not the
        server's, as (message, detail).
        """
        self._store = store
        self._version = version
        self._reload = reload
        self._report = report
        self._ident = uuid.uuid4().hex
        self._generation = 0
        self._troubled = False
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def loaded(self, generation: int) -> None:
        """This process works with these keys from now on; say so at once."""
        self._generation, self._troubled = generation, False
        self._awake.set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, seconds: float = 2.0) -> None:
        """Say goodbye, if the server takes it in so many seconds."""
        self._stop.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.clear()
            try:
                if self._beat() != self._generation:
                    self._reload()
                    continue
            except StoreError:
                pass  # it is down: the ledger's writer says so, and the keys stay as they are
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end that changes are heard of
                if not self._troubled:
                    self._report("a change of the keys could not be followed; it is tried again", repr(error))
                self._troubled = True
            self._awake.wait(PERIOD)
        with contextlib.suppress(StoreError), self._store.begin() as connection:
            connection.execute(delete(processes).where(processes.c.id == self._ident))

    def _beat(self) -> int:
        """One sign of life. Returns the generation of keys in the store."""
        row = {"host": os.uname().nodename, "pid": os.getpid(), "version": self._version, "generation": self._generation}
        with self._store.begin() as connection:
            first = insert(connection, processes).values(id=self._ident, seen_ns=_NOW, **row)
            said = first.on_conflict_do_update(index_elements=[processes.c.id], set_={**row, "seen_ns": _NOW})
            connection.execute(said)
            connection.execute(delete(processes).where(processes.c.seen_ns < _NOW - _FORGOTTEN_NS))
            return connection.execute(select(meta.c.value).where(meta.c.name == NAME)).scalar() or 0


def wait(store: Store, generation: int, seconds: float = 5.0) -> list[str]:
    """Wait until every process that was alive just now works with the keys of `generation`, or newer. Returns those that do
    not, as `host (process 7)`; none on SQLite. Raises StoreError.
    """
    if store.dialect != "postgresql":
        return []
    with store.read() as connection:
        alive_ns = connection.execute(select(_NOW)).scalar_one() - GONE_NS  # as of now: who falls silent meanwhile is named
    late = processes.c.generation < generation, processes.c.seen_ns > alive_ns
    wanted = select(processes.c.host, processes.c.pid).where(*late).order_by(processes.c.host, processes.c.pid)
    end = time.monotonic() + seconds
    while True:
        with store.read() as connection:
            found = [f"{host} (process {pid})" for host, pid in connection.execute(wanted)]
        if not found or time.monotonic() >= end:
            return found
        time.sleep(_LOOK)
