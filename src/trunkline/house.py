"""What outlives a listener: the data directory with its lock, the store, the journal; log and metrics; what is in force.

Taken before anything listens, and let go of after everything has ended. Serving belongs in `assemble`.
"""

from __future__ import annotations

import asyncio
import os
import random  # noqa: TID251 - handed to who needs dice
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from trunkline import __version__, alerts
from trunkline.alerts import Alerts
from trunkline.config.holders import Roll, enrol
from trunkline.config.prices import stored_override
from trunkline.config.reload import Source
from trunkline.config.snapshot import Snapshot
from trunkline.config.tokens import Guests
from trunkline.ledger.journal import Journal
from trunkline.ledger.overrides import Override
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import row
from trunkline.ledger.segment import directories, settled
from trunkline.ledger.writer import Writer
from trunkline.meters.books import Books
from trunkline.meters.local import Local
from trunkline.meters.meter import Meters
from trunkline.meters.rule import Rule
from trunkline.meters.windows import Window, window
from trunkline.pipeline.exchange import Live
from trunkline.policy.keys import KeyRing
from trunkline.store import keys, prices, sums, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import LiveKey
from trunkline.store.lock import DataLock, acknowledge
from trunkline.store.place import JOURNAL, is_private, journal_of
from trunkline.store.processes import Presence
from trunkline.store.retention import Pruner
from trunkline.telemetry.lines import Level
from trunkline.telemetry.log import Beside, Log, stdout_fd
from trunkline.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from trunkline.meters.redis import Shared

_FIRST_KEY = "first"
_PATIENCE = 0.05
"""Seconds the gateway's store waits for a lock: its writer syncs nothing meanwhile, and asks again."""
_DEADLINE = 3.0
"""Seconds it waits for an answer of a database server: the same for one that is gone without a word."""
_PATIENCE_AMONG_OTHERS = 0.5
"""The same where several processes write to one store: a commit of each of the others fits in."""
_MOST_TOLD = 20
"""Refused keys that are logged at a time."""
_FLUSH = 5.0
"""Seconds the store has to take what is owed at the end."""


class Seat(NamedTuple):
    """Which of several workers a process is."""

    worker: int
    workers: int
    lock: DataLock
    """The supervisor's, which every worker holds too."""
    turn: int
    """As `telemetry.log.Beside` says."""


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
    alerts: Alerts
    stored: tuple[LiveKey, ...] = ()
    """The keys in the store, when they were last read."""
    stored_holders: tuple[StoredHolder, ...] = ()
    """And the users, teams and organisations."""
    roll: Roll | None = None
    """Everybody who has a key, when that was last looked at."""
    said: frozenset[str] = frozenset()
    """Of keys that are refused and names that stand in two places, what was logged."""
    stored_prices: tuple[Override, ...] = ()
    """The prices in the store, when they were last read."""
    seat: Seat | None = None
    """None where this is the only process."""
    presence: Presence | None = None
    """Where the store is shared with other machines."""
    reloading: threading.Lock = field(default_factory=threading.Lock)
    """One reading of the keys at a time: a slow one could bring back a key that a later one saw revoked."""

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.live.snapshot

    @property
    def worker(self) -> int | None:
        """Which of several processes this is; None where it is the only one."""
        return None if self.seat is None else self.seat.worker


def open_house(snapshot: Snapshot, data: Path, source: Source | None = None, seat: Seat | None = None) -> House:
    """Take the data directory and open what is in it. Raises `StoreError`, whose words say what to do.

    `source`: where `snapshot` came from, and may be read again.
    """
    lock = DataLock.acquire(data) if seat is None else seat.lock
    patience = _PATIENCE if seat is None else _PATIENCE_AMONG_OTHERS
    store = open_store(data, snapshot.store.url, check=seat is None, patience=patience, deadline=_DEADLINE)
    beside = None if seat is None else Beside(seat.worker, seat.turn)
    style, level = snapshot.log.format, snapshot.log.level
    log = Log(stdout_fd(), style=style, level=level, secrets=snapshot.secrets(), beside=beside)
    if not is_private(data) and (seat is None or seat.worker == 0):
        log.event("warning", "others than its owner may look into the data directory", data=str(data))
    journal = _open_journal(data, seat)
    live = Live(snapshot, KeyRing(()))
    pruner = Pruner(store, lambda: live.snapshot.ledger.retention, time.time_ns)
    writer = Writer(
        journal,
        lambda rows: usage.insert(store, rows),
        report=lambda message, detail: log.event("warning", message, detail=detail),
        chore=pruner if seat is None or seat.worker == 0 else None,
    )
    metrics = Metrics(__version__)
    metrics.configure(models=[name for name, _ in snapshot.models()], providers=snapshot.providers)
    _watch(metrics, journal, writer, log)
    metrics.watch("counter", "trunkline_ledger_pruned_total", "Records deleted for their age.", lambda: {(): pruner.deleted})
    writer.start()
    told = _open_alerts(live, store, log, metrics, sends=seat is None or seat.worker == 0)
    house = House(source, data, store, lock, live, journal, writer, log, metrics, told, seat=seat)
    if store.dialect == "postgresql":
        house.presence = Presence(
            store, __version__, lambda: reload_keys(house), lambda message, detail: log.event("error", message, detail=detail)
        )
    return house


def _open_alerts(live: Live, store: Store, log: Log, metrics: Metrics, *, sends: bool) -> Alerts:
    made = Alerts(
        store,
        lambda: live.snapshot.alerts,
        lambda level, message, detail: log.event(level, message, detail=detail),
        time.time_ns,
        sends=sends,
    )
    metrics.watch(
        "counter",
        "trunkline_alerts_total",
        "Tries to tell somebody of a budget.",
        lambda: {(result,): count for result, count in made.results.items()},
        labels=("result",),
    )
    metrics.watch("gauge", "trunkline_alerts_pending", "Alerts still to be delivered.", lambda: {(): made.pending})
    return made


def _open_journal(data: Path, seat: Seat | None) -> Journal:
    """The first worker, and a single process, also take over what any other number of processes left."""
    number, count = (0, 1) if seat is None else (seat.worker, seat.workers)
    taken = {journal_of(data, other, count) for other in range(count)}
    directory = journal_of(data, number, count)
    try:
        (data / JOURNAL).mkdir(mode=0o700, exist_ok=True)
        left = [other for other in directories(data / JOURNAL) if other not in taken] if number == 0 else []
        return Journal(directory, heir_of=left)
    except OSError as error:
        raise StoreError(f"The journal {directory} cannot be used: {error.strerror}.", "See that it may be written.") from error


def first_key(snapshot: Snapshot, store: Store) -> str | None:
    """A key for who starts for the first time, to be shown at once: only its digest is kept. None where there ever was one, or
    where tokens let in.
    """
    if snapshot.keys or snapshot.tokens or keys.listing(store):
        return None
    try:
        return keys.create(store, _FIRST_KEY, None, time.time_ns())[0]
    except StoreError:
        if keys.listing(store):  # another gateway on the same store was quicker
            return None
        raise


def reload_keys(house: House) -> None:
    """Read the keys and prices in the store again, put them in force, and tell who waits for it.

    Raises StoreError: the old ones stay in force.
    """
    with house.reloading:
        generation, found, holders = keys.everyone(house.store)
        house.stored, house.stored_holders = tuple(found), tuple(holders)
        house.live.keys = key_ring(house, house.snapshot)
        house.stored_prices = read_prices(house.store, _warner(house))
        house.live.prices = price_list(house, house.snapshot)
        try:
            acknowledge(house.data, generation, house.worker)
        except OSError as error:
            message = "the keys are in force, but `trunkline keys` cannot be told so"
            house.log.event("warning", message, reason=str(error))
    if house.presence is not None:
        house.presence.loaded(generation)


def key_ring(house: House, snapshot: Snapshot) -> KeyRing:
    """All keys beside this configuration: the store's and its own. Where both have one, the configuration's entry counts.

    Which keys open nothing is logged, each time that it is news.
    """
    roll = house.roll = enrol(snapshot.holders, snapshot.keys, house.stored, house.stored_holders, house.roll)
    refused = {f"key {name}: {reason}" for name, reason in roll.refused.items()}
    for told in sorted(refused - house.said)[:_MOST_TOLD]:
        house.log.event("error", "a key is refused until this is corrected", reason=told)
    if news := set(roll.shadowed) - house.said:
        message = "of two with one name that of the configuration counts, and that of the store does not"
        house.log.event("warning", message, names=", ".join(sorted(news)[:_MOST_TOLD]), count=len(news))
    house.said = frozenset(refused.union(roll.shadowed))
    return KeyRing(roll.principals, Guests(snapshot.tokens, roll.chart) if snapshot.tokens else None)


def price_list(house: House, snapshot: Snapshot) -> Prices:
    """All prices beside this configuration: bundled, the store's, its own. Of two for the same the configuration's counts."""
    wanted, current = (*house.stored_prices, *snapshot.prices), house.live.prices
    return current if wanted == current.overrides else Prices.load(wanted)


def read_prices(store: Store, warn: Callable[[str], None]) -> tuple[Override, ...]:
    """The prices in the store, in the order in which they were set; one that cannot be read is told and left out."""
    found = []
    for stored in prices.listing(store):
        try:
            found.append(stored_override(stored.settings))
        except ValueError as error:
            warn(f"the stored price {stored.id} cannot be read and does not count: {error}")
    return tuple(found)


def _warner(house: House) -> Callable[[str], None]:
    return lambda message: house.log.event("warning", message)


def open_meters(house: House) -> Meters:
    """The counters of limits and budgets, which know from the ledger what was spent before."""

    async def spent(holder: str, window: Window) -> int:
        return await asyncio.to_thread(_spent, house, holder, window)

    def crossed(rule: Rule, window: Window, mark: int, nano: int) -> None:
        if house.alerts.tell(alerts.crossed(rule, window, mark, nano)):
            house.log.event("warning", "a budget is used up to a mark", budget=rule.ident, percent=mark, spent_nano=nano)

    books, redis = Books(time.monotonic_ns, time.time_ns()), house.snapshot.redis
    _watch_books(house.metrics, books)
    if redis is None:
        return Local(spent, crossed, books)
    from trunkline.meters.redis import Machine, Shared  # noqa: PLC0415 - its libraries are loaded only where they are used

    def report(level: Level, message: str, reason: str) -> None:
        house.log.event(level, message, redis=str(redis.url), **({"reason": reason} if reason else {}))

    shared = Shared(redis, spent, crossed, books, Machine(os.urandom(6).hex(), random.random, report))
    _watch_shared(house.metrics, shared)
    return shared


def _watch_books(metrics: Metrics, books: Books) -> None:
    """What running requests hold, read at each scrape: nothing where nothing runs."""
    metrics.watch(
        "gauge",
        "trunkline_reserved_nano",
        "Nano-dollars of budgets that running requests reserve, each budget by itself.",
        lambda: {(): sum(purse.reserved for purse in books.purses.values())},
    )
    metrics.watch(
        "gauge",
        "trunkline_concurrent",
        "Places of limits on concurrency that running requests take.",
        lambda: {(): sum(slots.busy for slots in books.slots.values())},
    )


def _watch_shared(metrics: Metrics, shared: Shared) -> None:
    """How Redis is, read at each scrape."""

    def show(kind: Literal["gauge", "counter"], name: str, help_text: str, read: Callable[[], float]) -> None:
        metrics.watch(kind, f"trunkline_meters_{name}", help_text, lambda: {(): read()})

    show("gauge", "shared", "1 while limits are shared through Redis.", lambda: int(shared.wire.up))
    show("gauge", "unsent", "Counters of which Redis has still to be told.", shared.unsent)
    show("counter", "fallbacks_total", "Decisions made without Redis.", lambda: shared.fallbacks)
    show("counter", "round_trips_total", "Answers of Redis.", lambda: shared.wire.round_trips)
    show("counter", "round_trip_seconds_total", "Seconds until they came.", lambda: shared.wire.seconds)


def tell_exceeded(house: House, rule: Rule, at_ns: int) -> None:
    """A hard budget refused a request that began then."""
    if house.alerts.tell(alerts.exceeded(rule, window(rule.period, rule.zone, at_ns))):
        house.log.event("warning", "a budget is used up", budget=rule.ident)


def _spent(house: House, holder: str, window: Window) -> int:
    kind, _, name = holder.partition(":")
    unstored = [row(one) for one in settled(house.data / JOURNAL)]
    return sums.spent(house.store, kind, name, window.begin, window.end, unstored)


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
    if house.presence is not None:
        house.presence.close()
    house.alerts.close()
    house.log.event("info", "stopped")
    house.log.close()
    house.store.close()
    house.lock.release()
    return stored
