"""D1, D3, D4, D5: the accounts, when the process is killed and when the database is locked, full or broken."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, Make, settings
from harness.invariants import Case, eventually
from harness.upstream import Upstream

KILLS = int(os.environ.get("TRUNKLINE_KILLS", "25"))
CLIENTS = 6
WINDOW = 0.1
"""Seconds before a kill within which an answer may be out while its settlement is not yet written."""


def databases(gateway: Gateway) -> list[Path]:
    """The SQLite files in the data directory."""
    files = [file for file in gateway.data.rglob("*") if file.is_file() and file.suffix != ".lock"]
    return [file for file in files if file.read_bytes()[:16] == b"SQLite format 3\x00"]


@dataclass
class Load:
    """What the clients of one gateway sent and got, over all its lives."""

    sent: int = 0
    done: list[tuple[str, float]] = field(default_factory=list)
    """(request id, when its answer was complete)"""
    strange: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, gateway: Gateway, seed: int) -> None:
        """Whole and streamed requests on one connection until it breaks."""
        dice = random.Random(seed)
        with contextlib.suppress(OSError, AssertionError), gateway.connect(timeout=5) as wire:
            while True:
                with self._lock:
                    self.sent += 1
                mock = dice.choice(["", "sleep=2", "frames=4;gap=1", "frames=20"])
                wire.send(gateway.chat_bytes(model="patient", mock=mock, stream=dice.random() < 0.5))
                reply = wire.read_reply()
                if reply is None or not reply.complete:
                    return
                if reply.status != 200:
                    self.strange.append(f"{reply.status} {reply.body[:200]!r}")
                self.done.append((reply.header("x-request-id") or "", time.monotonic()))


@pytest.mark.timeout(60 + 5 * KILLS)
def test_d1_kill_9_at_random_instants(upstream: Upstream, make_gateway: Make) -> None:
    """A crash loses no settled record and doubles none. Seeded; TRUNKLINE_KILLS sets the number of kills."""
    seed = random.randrange(2**32)
    dice, load = random.Random(seed), Load()
    kills: list[float] = []
    gateway = make_gateway(settings(upstream.url))
    for number in range(KILLS):
        clients = [threading.Thread(target=load.client, args=(gateway, seed + number * 100 + one)) for one in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(dice.uniform(0.01, 0.25))
        kills.append(time.monotonic())
        gateway.kill()
        for client in clients:
            client.join()
        gateway.restart()
    rows = settled_rows(gateway, len(upstream.requests))
    judge(rows, load, kills, len(upstream.requests), f"seed {seed}")
    for file in databases(gateway):
        with contextlib.closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def settled_rows(gateway: Gateway, least: int) -> list[dict[str, Any]]:
    """The ledger, when at least that many rows are in it and no more come."""
    rows: list[dict[str, Any]] = []

    def steady() -> bool:
        before = len(rows)
        rows[:] = gateway.ledger()
        return len(rows) >= least and len(rows) == before

    with contextlib.suppress(AssertionError):
        eventually(steady, "a steady ledger", 10.0)
    return rows


def judge(rows: list[dict[str, Any]], load: Load, kills: list[float], seen: int, seed: str) -> None:
    """Compare the ledger with what clients got and what the provider saw."""
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows), f"{seed}: {len(rows) - len(by_id)} ids stand twice"
    assert load.strange == []
    lost = [one for one, _ in load.done if one not in by_id]
    assert lost == [], f"{seed}: {len(lost)} of {len(load.done)} answered requests have no row"
    assert seen <= len(rows) <= load.sent, f"{seed}: {len(rows)} rows, {seen} seen by the provider, {load.sent} sent"
    for one, at in load.done:
        row = by_id[one]
        if row["outcome"] != "ok":
            assert row["outcome"] == "interrupted", row
            # read from the socket's buffer a moment after the kill, or answered within the window before it
            assert any(-0.3 < kill - at < WINDOW for kill in kills), f"{seed}: settled long before the kill, and lost: {row}"
        else:
            assert (row["input_tokens"], row["output_tokens"]) == (7, 3), f"{seed}: {row}"
    open_ends = len(rows) - len(load.done)
    assert open_ends <= CLIENTS * len(kills), f"{seed}: {open_ends} rows without an answer"


@contextlib.contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    """Hold every database of the gateway exclusively."""
    with contextlib.ExitStack() as stack:
        files = databases(gateway)
        assert files, "no database found in the data directory"
        for file in files:
            database = stack.enter_context(contextlib.closing(sqlite3.connect(file, timeout=5, isolation_level=None)))
            database.execute("BEGIN EXCLUSIVE")
        yield


def test_d3_locked_database(case: Case) -> None:
    """A backup or a stuck query holds the database: traffic must not notice, and every row comes in the end."""
    gateway, took = case.gateway, []
    gateway.chat()
    eventually(lambda: len(case.new_rows()) == 1, "the first row")
    with locked(gateway):
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            at = time.monotonic()
            assert gateway.chat().status == 200
            assert gateway.chat(stream=True).status == 200
            took.append((time.monotonic() - at) / 2)
            time.sleep(0.02)
        assert gateway.get("/readyz", admin=True).status == 200
    took.sort()
    assert took[-1] < 0.25, f"the slowest took {took[-1]:.3f} s"


def served_or_refused(gateway: Gateway, count: int) -> int:
    """Send requests; each is answered 200 or a well-formed 503. How many were served."""
    served = 0
    for _ in range(count):
        reply = gateway.chat(timeout=3)
        assert reply.status in {200, 503}
        assert reply.status == 200 or reply.error["message"]
        served += reply.status == 200
    return served


@pytest.mark.parametrize("size", [0, 1])
def test_d4_disk_full(case: Case, size: int) -> None:
    """No file can grow: requests are answered or refused in words; when there is room again all is as before, no restart.

    `size` 0: not a byte can be written; 1: the largest file of the data directory may not grow.
    """
    gateway = case.gateway
    largest = max(file.stat().st_size for file in gateway.data.rglob("*") if file.is_file())
    gateway.limit(resource.RLIMIT_FSIZE, largest if size else 0)
    try:
        served = served_or_refused(gateway, 60)
        assert gateway.alive
        assert gateway.get("/healthz", admin=True).status == 200
        if not size:
            gateway.wait_log(lambda line: line.get("level") in {"warning", "error"} and line.get("event") != "request")
    finally:
        gateway.limit(resource.RLIMIT_FSIZE, None)
    eventually(gateway.serves, "served again")
    assert served <= len(case.upstream.requests)


def test_d4_required_ledger_refuses(upstream: Upstream, make_gateway: Make) -> None:
    """Who must account for everything prefers no answer to an unaccounted one; the default serves."""
    config = {**settings(upstream.url), "ledger": {"required": True}}
    gateway = make_gateway(config)
    case = Case(gateway, upstream)
    case.begin()
    assert gateway.chat().status == 200
    gateway.limit(resource.RLIMIT_FSIZE, 0)
    try:
        served_or_refused(gateway, 20)
    finally:
        gateway.limit(resource.RLIMIT_FSIZE, None)
    eventually(gateway.serves, "served again")
    case.check()


@pytest.fixture
def stopped(upstream: Upstream, make_gateway: Make) -> Gateway:
    """A gateway that served ten requests and was stopped in order."""
    gateway = make_gateway(settings(upstream.url))
    for _ in range(10):
        assert gateway.chat().status == 200
    eventually(lambda: len(gateway.ledger()) == 10, "ten rows")
    assert gateway.stop() == 0
    return gateway


def refuses(gateway: Gateway, *words: str) -> None:
    """The start must fail, soon, with words that a person can act on, and must leave the file as it was."""
    files = {file: file.read_bytes() for file in gateway.data.rglob("*.db")} or {f: f.read_bytes() for f in databases(gateway)}
    process = gateway.launch()
    code = gateway.wait(20)
    assert code not in {0, None}
    assert process.returncode == code
    text = b"".join([*gateway.stderr, *gateway.stdout]).decode(errors="replace")
    assert "Traceback" not in text, text
    assert any(word in text.lower() for word in words), text
    assert b'"ready"' not in b"".join(gateway.stdout)
    for file, content in files.items():
        assert file.read_bytes() == content, "a refused start changed the database"


def damage(file: Path, dice: random.Random) -> None:
    """Overwrite 64 bytes somewhere."""
    with file.open("r+b") as handle:
        handle.seek(dice.randrange(0, max(1, file.stat().st_size - 64)))
        handle.write(bytes(dice.randrange(256) for _ in range(64)))


def test_d5_damaged_header(stopped: Gateway) -> None:
    """A file that is no database any more is not replaced by an empty one: that would drop keys and limits."""
    file = databases(stopped)[0]
    file.write_bytes(b"not a database, " * 1024)
    refuses(stopped, "database", "corrupt", "damaged", "restore", "recover")


def test_d5_truncated(stopped: Gateway) -> None:
    """Half a file is refused."""
    file = databases(stopped)[0]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refuses(stopped, "database", "corrupt", "damaged", "restore", "recover")


def test_d5_emptied(stopped: Gateway) -> None:
    """SQLite takes an empty file for a new database; an operator's empty file is an accident."""
    file = databases(stopped)[0]
    file.write_bytes(b"")
    refuses(stopped, "database", "corrupt", "damaged", "empty", "restore", "recover")


def test_d5_flipped_bytes(stopped: Gateway) -> None:
    """Damage anywhere is refused, or harmless: never an empty or a shorter ledger in silence. Seeded."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    file = databases(stopped)[0]
    sound = file.read_bytes()
    for round_ in range(6):
        file.write_bytes(sound)
        damage(file, dice)
        try:
            stopped.start()
        except AssertionError:
            assert "Traceback" not in stopped.output(), f"seed {seed}, round {round_}"
            continue
        done = stopped.run("usage", "export", "--format", "jsonl", "--data", str(stopped.data))
        if done.returncode == 0:
            assert len(done.stdout.splitlines()) == 10, f"seed {seed}, round {round_}: rows vanished in silence"
        stopped.kill()


def test_d5_newer_schema(stopped: Gateway) -> None:
    """Data of a newer version is left to the newer version."""
    file = databases(stopped)[0]
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    refuses(stopped, "newer", "version", "schema")
