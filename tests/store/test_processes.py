"""Who works with a shared store, and with which keys."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.invariants import eventually
from harness.postgres import Postgres
from trunkline.store import processes as module
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.generation import count_up
from trunkline.store.processes import Presence, wait
from trunkline.store.tables import processes
from trunkline.store.url import parse


class Gateway:
    """One that follows the store."""

    def __init__(self, store: Store, reload: Callable[[], None] | None = None) -> None:
        self.read = 0
        self.reports: list[str] = []
        self._store = store
        self.presence = Presence(store, "1.2.3", reload or self.reload, lambda message, _: self.reports.append(message))

    def reload(self) -> None:
        """As a gateway reads its keys."""
        with self._store.read() as connection:
            generation = connection.execute(module.select(module.meta.c.value)).scalar() or 0
        self.read += 1
        self.presence.loaded(generation)


@pytest.fixture
def shared(postgres: Postgres, tmp_path: Path) -> Iterator[Store]:
    """A store that machines share."""
    name = postgres.fresh()
    store = open_store(tmp_path, parse(postgres.url(name)))
    yield store
    store.close()
    postgres.drop(name)


def change(store: Store) -> int:
    """Something changes elsewhere."""
    with store.begin() as connection:
        return count_up(connection)


def rows(store: Store) -> list[tuple[str, int, int]]:
    """Who says that it lives."""
    with store.read() as connection:
        wanted = module.select(processes.c.host, processes.c.pid, processes.c.generation).order_by(processes.c.generation)
        return [tuple(row) for row in connection.execute(wanted)]


def test_a_change_elsewhere_is_taken_up(shared: Store) -> None:
    """Within about a second, and whoever made it sees that it was; the process that ends leaves nothing behind."""
    gateway = Gateway(shared)
    gateway.presence.start()
    eventually(lambda: rows(shared) == [(os.uname().nodename, os.getpid(), 0)], "it says that it lives")
    begin = time.monotonic()
    generation = change(shared)
    assert wait(shared, generation) == []
    assert time.monotonic() - begin < 2.5
    assert gateway.read == 1
    assert rows(shared)[0][2] == generation
    gateway.presence.close()
    assert rows(shared) == []


def test_what_was_read_for_another_reason_is_said_at_once(shared: Store) -> None:
    """A signal was quicker than the next look."""
    gateway = Gateway(shared)
    gateway.presence.start()
    eventually(lambda: len(rows(shared)) == 1, "it says that it lives")
    generation = change(shared)
    gateway.reload()
    begin = time.monotonic()
    assert wait(shared, generation) == []
    assert time.monotonic() - begin < 0.9
    gateway.presence.close()


def test_who_does_not_take_it_up_is_named(shared: Store) -> None:
    """The operator must know where a revoked key still holds."""
    slow = Gateway(shared, lambda: None)
    slow.presence.loaded(0)
    blocked = threading.Event()

    def block() -> None:
        blocked.wait(10)
        raise StoreError("not now", "later")

    slow.presence._reload = block
    slow.presence.start()
    eventually(lambda: len(rows(shared)) == 1, "it says that it lives")
    generation = change(shared)
    assert wait(shared, generation, 0.3) == [f"{os.uname().nodename} (process {os.getpid()})"]
    blocked.set()
    slow.presence.close()


def test_who_is_gone_is_not_waited_for(shared: Store) -> None:
    """A machine that lost its power never answers: after some seconds it counts no more, after an hour its row goes."""
    with shared.begin() as connection:
        for ident, ago in (("silent", 6), ("forgotten", 4000)):
            seen = module._NOW - ago * 1_000_000_000
            row = {"id": ident, "host": ident, "pid": 1, "version": "1", "seen_ns": seen, "generation": 0}
            connection.execute(processes.insert().values(**row))
    assert wait(shared, 1, 0.0) == []
    gateway = Gateway(shared)
    gateway.presence.start()
    eventually(lambda: {row[0] for row in rows(shared)} == {"silent", os.uname().nodename}, "forgotten")
    gateway.presence.close()


def test_a_fault_does_not_end_the_following(shared: Store) -> None:
    """A row that cannot be read is told once, and tried again: else a later revocation would go unheard."""
    tries: list[int] = []

    def reload() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("a bad row")
        gateway.reload()

    gateway = Gateway(shared, reload)
    gateway.presence.start()
    generation = change(shared)
    assert wait(shared, generation, 8.0) == []
    gateway.presence.close()
    assert len(gateway.reports) == 1


def test_a_store_of_one_machine_is_not_waited_for(store: Store) -> None:
    """Its processes are told by signals; and of a store on a server nobody is asked who does not live."""
    assert wait(store, 7, 0.0) == []


def test_a_presence_that_never_began_ends_at_once(store: Store) -> None:
    """A start that failed must not hang on its way out."""
    begin = time.monotonic()
    Gateway(store).presence.close()
    assert time.monotonic() - begin < 0.5
