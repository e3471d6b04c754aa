"""What outlives a listener: the data directory with its lock, the store, the journal; log and metrics; what is in force.

Taken before anything listens, and let go of after everything has ended. Serving belongs in `assemble`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trunkline import __version__
from trunkline.config.reload import Source
from trunkline.config.snapshot import Snapshot
from trunkline.ledger.journal import Journal
from trunkline.ledger.writer import Writer
from trunkline.pipeline.exchange import Live
from trunkline.policy.keys import KeyRing, Principal
from trunkline.store import keys, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import DataLock, acknowledge
from trunkline.store.place import JOURNAL, is_private
from trunkline.telemetry.log import Log, stdout_fd
from trunkline.telemetry.metrics import Metrics

_FIRST_KEY = "first"
_PATIENCE = 0.05
"""Seconds the gateway's store waits for a lock: its writer syncs nothing meanwhile, and asks again."""
_FLUSH = 10.0
"""Seconds the store has to take what is owed at the end."""


@dataclass
class House:
    """The parts that outlive a listener."""

    source: Source | None
    """Where the configuration came from; None where it is not to be read again."""
    data: Path
    store: Store
    lock: DataLock
    live: Live
    journal: Journal
    writer: Writer
    log: Log
    metrics: Metrics
    stored: tuple[Principal, ...] = ()
    """The keys in the store, when they were last read."""
    reloading: threading.Lock = field(default_factory=threading.Lock)
    """One reading of the keys at a time: a slow one could bring back a key that a later one saw revoked."""

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.live.snapshot


def open_house(snapshot: Snapshot, data: Path, source: Source | None = None) -> House:
    """Take the data directory and open what is in it. Raises `StoreError`, whose words say what to do.

    `source`: where `snapshot` came from, and may be read again.
    """
    lock = DataLock.acquire(data)
    store = open_store(data, patience=_PATIENCE)
    log = Log(stdout_fd(), style=snapshot.log.format, level=snapshot.log.level, secrets=snapshot.secrets())
    if not is_private(data):
        log.event("warning", "others than its owner may look into the data directory", data=str(data))
    journal = _open_journal(data / JOURNAL)
    writer = Writer(
        journal,
        lambda rows: usage.insert(store, rows),
        report=lambda message, detail: log.event("warning", message, detail=detail),
    )
    metrics = Metrics(__version__)
    metrics.configure(models=[name for name, _ in snapshot.models()], providers=snapshot.providers)
    _watch(metrics, journal, writer, log)
    writer.start()
    return House(source, data, store, lock, Live(snapshot, KeyRing(())), journal, writer, log, metrics)


def _open_journal(directory: Path) -> Journal:
    try:
        return Journal(directory)
    except OSError as error:
        raise StoreError(f"The journal {directory} cannot be used: {error.strerror}.", "See that it may be written.") from error


def first_key(house: House) -> str | None:
    """A key for who starts for the first time, to be shown at once: only its digest is kept. None where there ever was one."""
    if house.snapshot.principals or keys.listing(house.store):
        return None
    return keys.create(house.store, _FIRST_KEY, None, time.time_ns())[0]


def reload_keys(house: House) -> None:
    """Read the keys in the store again, put them in force, and tell who waits for it.

    Raises StoreError: the old keys stay in force.
    """
    with house.reloading:
        generation, rows = keys.live(house.store)
        house.stored = tuple(Principal(row.name, row.digest, _allowed(row.models)) for row in rows)
        house.live.keys = key_ring(house, house.snapshot)
        try:
            acknowledge(house.data, generation)
        except OSError as error:
            message = "the keys are in force, but `trunkline keys` cannot be told so"
            house.log.event("warning", message, reason=str(error))
    warn_of_shared_names(house)


def _allowed(models: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if models is None else frozenset(models)


def key_ring(house: House, snapshot: Snapshot) -> KeyRing:
    """All keys beside this configuration: the store's and its own. Where both have one, the configuration's entry counts."""
    return KeyRing([*house.stored, *snapshot.principals])


def warn_of_shared_names(house: House) -> None:
    """Say which names both places have: two holders in one account."""
    if shared := {one.name for one in house.stored} & {one.name for one in house.snapshot.principals}:
        message = "keys in the configuration and in the store share a name; accounts cannot tell them apart"
        house.log.event("warning", message, names=", ".join(sorted(shared)))


def _watch(metrics: Metrics, journal: Journal, writer: Writer, log: Log) -> None:
    """The numbers that other rooms know, read at each scrape."""

    def show(kind: Literal["gauge", "counter"], name: str, help_text: str, read: Callable[[], int]) -> None:
        metrics.watch(kind, name, help_text, lambda: {(): read()})

    show("gauge", "trunkline_journal_backlog", "Settlements not yet in the store.", lambda: journal.stats().backlog)
    show("gauge", "trunkline_journal_healthy", "1 while the journal can be written.", lambda: int(journal.stats().healthy))
    show("counter", "trunkline_journal_failed_total", "Records the journal could not take.", lambda: journal.stats().failed)
    show("counter", "trunkline_journal_lost_total", "Settlements given up.", lambda: journal.stats().lost)
    show("counter", "trunkline_journal_sync_failures_total", "Refusals to sync the journal.", lambda: writer.sync_failures)
    show("counter", "trunkline_ledger_stored_total", "Records the store took.", lambda: writer.stored)
    show("counter", "trunkline_ledger_store_failures_total", "Times the store took none.", lambda: writer.failures)
    show("counter", "trunkline_ledger_interrupted_total", "Requests cut off by a crash.", lambda: writer.replay.interrupted)
    show("counter", "trunkline_log_lines_dropped_total", "Log lines dropped because nobody read them.", lambda: log.dropped)


def close_house(house: House) -> bool:
    """Flush what is owed and let go. False when the store did not take it all: the journal keeps what it has for next time."""
    stored = house.writer.flush(_FLUSH)
    if not stored:
        house.log.event("warning", "the ledger's store did not take all records; those in the journal wait for the next start")
    house.log.event("info", "stopped")
    house.log.close()
    house.store.close()
    house.lock.release()
    return stored
