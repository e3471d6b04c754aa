"""D2 to D6 and D12 for the store: a PostgreSQL that goes, hangs, is locked, full, newer or broken; and copies under traffic.

What a SQLite file does when it is locked, full or broken is in `test_d_state`.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from sqlalchemy import create_engine

from harness.gateway import KEY, Gateway, Make, settings
from harness.invariants import eventually
from harness.postgres import PASSWORD, QUOTED_PASSWORD, Postgres, programs
from harness.upstream import Upstream
from trunkline.cli.accounts import accounts
from trunkline.store import keys, sums, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.migrate import upgrade
from trunkline.store.url import parse

CLIENTS = 4
SLOW = 0.25
"""Seconds: no request may take longer, whatever the store does. Usual is a few milliseconds."""
TOLD = 12.0
"""Seconds within which a command must say that the store cannot be used, its own start included."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL of this file's own: its cases stop it."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (scripts/install-servers)")
    running = Postgres()
    running.start()
    yield running
    running.close()


@pytest.fixture
def database(server: Postgres) -> Iterator[str]:
    """The name of a new store on it."""
    name = server.fresh()
    yield name
    server.drop(name)


@pytest.fixture
def gateway(server: Postgres, database: str, upstream: Upstream, make_gateway: Make) -> Iterator[Gateway]:
    """A gateway with its store there. Whatever a case does, the database's password is told to nobody."""
    running = make_gateway(with_store(upstream, server.url(database)))
    yield running
    told = b"".join([*running.stdout, *running.stderr])
    if running.alive:
        told += running.metrics_text().encode() + running.get("/status", admin=True).body
    for secret in (PASSWORD, QUOTED_PASSWORD):
        assert secret.encode() not in told


def with_store(upstream: Upstream, url: str) -> dict[str, Any]:
    """The usual settings, with the store on a server."""
    return {**settings(upstream.url), "store": {"url": url}}


@dataclass
class Traffic:
    """Clients that ask without pause until the block is left."""

    gateway: Gateway
    mortal: bool = False
    """Whether it is part of the case that the gateway is killed."""
    ids: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def _client(self, number: int) -> None:
        dice = random.Random(number)
        endings = (OSError, AssertionError) if self.mortal else ()
        with contextlib.suppress(*endings), self.gateway.connect(timeout=10) as wire:
            while not self._stop.wait(0.01):
                began = time.monotonic()
                wire.send(self.gateway.chat_bytes(model="patient", stream=dice.random() < 0.5))
                reply = wire.read_reply()
                self.took.append(time.monotonic() - began)
                if reply is None or reply.status != 200 or not reply.complete:
                    self.strange.append(repr(reply))
                    return
                self.ids.append(reply.header("x-request-id") or "")

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def some(self, count: int = 20) -> None:
        """Until so many more were answered."""
        wanted = len(self.ids) + count
        eventually(lambda: len(self.ids) >= wanted or self.strange, "answers", 10)

    def check(self) -> None:
        """All were answered, none of them late, and in the end each is in the ledger once."""
        p99 = sorted(self.took)[int(len(self.took) * 0.99)]
        assert p99 < SLOW, f"p99 is {p99:.3f} s"
        self.check_rows()

    def check_rows(self) -> None:
        """The same, however late."""
        assert self.strange == []
        eventually(lambda: journal_is_empty(self.gateway), "nothing on its way to the store", 15)
        assert sorted(stored(self.gateway)) == sorted(self.ids)


@contextlib.contextmanager
def opened(gateway: Gateway) -> Iterator[Store]:
    """The gateway's store, read here: starting a command for each look would take longer than the cases."""
    url = yaml.safe_load(gateway.config_file.read_text()).get("store", {}).get("url")
    store = open_store(gateway.data, url and parse(url), create=False, check=False)
    try:
        yield store
    finally:
        store.close()


def stored(gateway: Gateway) -> list[str]:
    """The ids of its rows. Sums are kept beside them, and must not count one twice that was stored twice."""
    with opened(gateway) as store:
        found = [row["id"] for row in usage.export(store, None, None)]
        assert len(found) == len(set(found)) == sum(one.requests for one in sums.totals(store, "key", None, None))
    return found


def journal_is_empty(gateway: Gateway) -> bool:
    """Whether the store has taken everything."""
    return gateway.metrics()["trunkline_journal_backlog"] == 0


def no_key(gateway: Gateway, words: str) -> None:
    """`trunkline keys create` must fail, soon, with these words, and without a traceback or a secret."""
    began = time.monotonic()
    done = gateway.run("keys", "create", "in-vain", "--data", str(gateway.data))
    told = done.stderr.decode()
    assert (done.returncode, words in told) == (1, True), told
    assert time.monotonic() - began < TOLD
    for secret in ("Traceback", PASSWORD, QUOTED_PASSWORD):
        assert secret not in told


def test_d1_killed_while_the_store_is_on_a_server(gateway: Gateway) -> None:
    """What the journal holds is stored at the next start, and what the server had taken already is not counted again."""
    answered: list[str] = []
    for _ in range(3):
        with Traffic(gateway, mortal=True) as traffic:
            traffic.some(40)
            answered += traffic.ids
            time.sleep(0.1)  # an answer may be out a moment before its record
            gateway.kill()
        gateway.restart()
    eventually(lambda: journal_is_empty(gateway), "nothing on its way to the store", 15)
    assert set(answered) <= set(stored(gateway))


def test_d3_server_restarted_and_gone_in_mid_run(server: Postgres, gateway: Gateway) -> None:
    """The database is upgraded, or crashes: no client notices, and every row is there afterwards."""
    with Traffic(gateway) as traffic:
        traffic.some()
        server.stop(signal.SIGINT)
        traffic.some(100)
        no_key(gateway, "cannot be reached")
        assert gateway.get("/readyz", admin=True).status == 200
        assert gateway.metrics()["trunkline_journal_backlog"] > 0
        server.start()
        traffic.some()
        server.stop(signal.SIGQUIT)
        traffic.some(100)
        server.start()
        traffic.some()
    traffic.check()
    assert gateway.run("keys", "create", "works", "--data", str(gateway.data)).returncode == 0
    gateway.wait_log(lambda line: line.get("event") == "the store takes the ledger's records again")


def test_d3_server_that_hangs(server: Postgres, gateway: Gateway) -> None:
    """A frozen machine takes connections and answers nothing: no request waits for it, and a command says so soon."""
    with Traffic(gateway) as traffic:
        traffic.some()
        with server.frozen():
            traffic.some(100)
            no_key(gateway, "does not answer")
        traffic.some()
    traffic.check()


def test_d3_tables_locked(server: Postgres, gateway: Gateway, database: str) -> None:
    """Somebody's migration holds the tables: no request notices, and a command says within seconds that it is locked."""
    with Traffic(gateway) as traffic:
        traffic.some()
        with contextlib.closing(server.connect(database)) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE usage, keys, meta IN ACCESS EXCLUSIVE MODE")
            no_key(gateway, "is locked by another process")
            traffic.some()
            other.run("ROLLBACK")
    traffic.check()


def test_d3_a_key_cannot_be_made_while_the_file_is_locked(upstream: Upstream, make_gateway: Make) -> None:
    """On SQLite too, a command says within seconds that another process holds the database, and what to do."""
    gateway = make_gateway(settings(upstream.url))
    with Traffic(gateway) as traffic:
        traffic.some()
        with contextlib.closing(sqlite3.connect(gateway.data / "trunkline.db", timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            no_key(gateway, "is locked by another process")
            traffic.some()
        traffic.some()
    traffic.check()


def test_d4_servers_disk_full(server: Postgres, gateway: Gateway, database: str) -> None:
    """The server refuses rows for want of room: requests go on, it is told once, and all rows come when there is room."""
    full = "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$"
    server.execute(f"{full} LANGUAGE plpgsql", database)
    with Traffic(gateway) as traffic:
        traffic.some()
        server.execute("CREATE TRIGGER full_disk BEFORE INSERT ON usage EXECUTE FUNCTION full_disk()", database)
        traffic.some(100)
        told = gateway.wait_log(lambda line: "the store does not take" in str(line.get("event")))
        assert "its disk is full" in told["detail"]
        server.execute("DROP TRIGGER full_disk ON usage", database)
        traffic.some()
    traffic.check()


def refused(gateway: Gateway, *words: str) -> None:
    """The start must fail, soon, with words, and without a traceback or a secret."""
    gateway.launch()
    assert gateway.wait(20) == 1
    told = b"".join([*gateway.stderr, *gateway.stdout]).decode(errors="replace")
    assert "Traceback" not in told, told
    assert PASSWORD not in told
    assert QUOTED_PASSWORD not in told
    for word in words:
        assert word in told


@pytest.fixture
def stopped(gateway: Gateway) -> Gateway:
    """A gateway that served, and was stopped in order."""
    assert gateway.chat().status == 200
    assert gateway.stop() == 0
    return gateway


def test_d5_newer_schema(server: Postgres, stopped: Gateway, database: str) -> None:
    """Data of a newer version is left to the newer version, also on a server; an update back does not eat it."""
    server.execute("UPDATE alembic_version SET version_num = 'from_the_future'", database)
    refused(stopped, "newer version", "Install the newer version again")
    server.execute("DELETE FROM alembic_version", database)
    refused(stopped, "not one of Trunkline")


def test_d5_flipped_bytes(server: Postgres, stopped: Gateway, database: str) -> None:
    """A broken disk under the server: the start is refused in words; keys are never taken for none."""
    ((place,),) = server.execute("SELECT pg_relation_filepath('keys')", database)
    server.execute("INSERT INTO keys (name, digest, created_ns) VALUES ('a', '\\x00', 1)", database)
    server.stop()
    file = server.folder / "data" / place
    sound = file.read_bytes()
    file.write_bytes(b"\xff" * 256 + sound[256:])
    server.start()
    refused(stopped, "is damaged")
    server.stop()
    file.write_bytes(sound)
    server.start()
    assert stopped.start().chat().status == 200


def test_d3_server_gone_at_the_end_and_at_the_start(server: Postgres, gateway: Gateway) -> None:
    """A stop does not wait for it for long, and what it did not take comes later. Without its keys a gateway does not start: it
    says where it looked.
    """
    assert gateway.chat().status == 200
    server.stop()
    assert gateway.chat().status == 200
    assert gateway.stop(20) == 0
    refused(gateway, "cannot be reached: Connection refused", f"127.0.0.1:{server.port}")
    server.start()
    gateway.start()
    eventually(lambda: journal_is_empty(gateway), "nothing on its way to the store", 15)
    assert len(stored(gateway)) == 2


def test_d6_four_gateways_at_once_on_an_old_database(server: Postgres, upstream: Upstream, tmp_path: Path) -> None:
    """A deployment starts the new version on four machines: one migrates, the others wait, all serve, old rows stay."""
    name = server.empty()
    engine = create_engine(server.url(name).replace("postgresql://", "postgresql+pg8000://"))
    with engine.begin() as connection:
        upgrade(connection, "0002")
        connection.exec_driver_sql("INSERT INTO keys (name, digest, created_ns) VALUES ('old', '\\x00', 1)")
    engine.dispose()
    config, gateways = with_store(upstream, server.url(name)), []
    for number in range(4):
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        gateways.append(Gateway(config, folder))
    try:
        for one in gateways:
            one.launch()
        for one in gateways:
            ready = one.wait_log(lambda line: line.get("event") == "ready", 20)
            host, _, port = ready["listen"].rpartition(":")
            one.listen = (host, int(port))
            assert one.chat().status == 200
        with opened(gateways[0]) as store:
            assert [key.name for key in keys.listing(store)] == ["old"]
        eventually(lambda: server.execute("SELECT count(*) FROM usage", name) == [[4]], "four rows")
    finally:
        for one in gateways:
            one.kill()
        server.drop(name)


def test_d2_what_is_on_the_disk_is_whole_at_any_instant(upstream: Upstream, make_gateway: Make, tmp_path: Path) -> None:
    """The data directory copied while the process stands still: journal and store hold every answered request. And with
    the end of the log cut off anywhere, as if it was not synced, the database is whole.
    """
    seed = random.randrange(2**32)
    dice, gateway = random.Random(seed), make_gateway(settings(upstream.url))
    with Traffic(gateway) as traffic:
        for round_ in range(4):
            traffic.some(dice.randrange(1, 30))
            image = tmp_path / f"image-{round_}"
            answered = list(traffic.ids)
            gateway.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
            time.sleep(0.1)  # what a thread does in the kernel ends, and clients take what is in their sockets
            shutil.copytree(gateway.data, image)
            gateway.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
            with accounts(image, gateway.config_file) as (store, unstored):
                rows = {row["id"] for row in usage.export(store, None, None, unstored)}
            assert set(answered) <= rows, f"seed {seed}, round {round_}"
            log = image / "trunkline.db-wal"
            with contextlib.suppress(FileNotFoundError), log.open("r+b") as file:
                file.truncate(dice.randrange(log.stat().st_size + 1))
            with contextlib.closing(sqlite3.connect(image / "trunkline.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"seed {seed}, round {round_}"
    traffic.check_rows()


def test_d12_a_backup_under_traffic_and_its_restore(upstream: Upstream, make_gateway: Make, tmp_path: Path) -> None:
    """Copied while clients ask, put back in a new place: the same keys open it, and its sums are those of the same rows."""
    gateway, copy, place = make_gateway(settings(upstream.url)), tmp_path / "copy.db", tmp_path / "restored"
    made = gateway.run("keys", "create", "app", "--data", str(gateway.data))
    key = made.stdout.decode().strip()
    with Traffic(gateway) as traffic:
        traffic.some(50)
        done = gateway.run("backup", str(copy), "--data", str(gateway.data))
        assert done.returncode == 0, done.stderr.decode()
        traffic.some()
    traffic.check()
    assert copy.stat().st_mode & 0o777 == 0o600
    done = gateway.run("restore", str(copy), "--data", str(place))
    assert done.returncode == 0, done.stderr.decode()
    with opened(gateway) as store:
        wanted = {row["id"]: row for row in usage.export(store, None, None)}
    gateway.stop()
    gateway.data = place
    with opened(gateway) as store:
        rows = list(usage.export(store, None, None))
        (counted,) = sums.totals(store, "key", None, None)
    assert 40 <= len(rows) <= len(wanted)
    assert all(row == wanted[row["id"]] for row in rows)
    assert (counted.requests, counted.input_tokens) == (len(rows), sum(row["input_tokens"] for row in rows))
    gateway.start()
    assert gateway.chat(key=key).status == 200
    assert gateway.chat(key=KEY).status == 200
