"""The accounts at ten million rows: what is asked of them, and what a row costs, on SQLite and PostgreSQL.

The rows are made by the database itself, ninety days of them; the sums as a migration makes them. Then the questions are asked
through the same functions as everywhere, in this process, and more rows are stored as the gateway stores them.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from report import Row
from rows import Bench
from trunkline.store import sums, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.sums import View
from trunkline.store.tables import usage as table
from trunkline.store.url import parse

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from harness.postgres import Postgres, programs

ROWS = 10_000_000
DAYS = 90
_QUICK_ROWS = 500_000
_CHUNK = 500_000
_ROUNDS = 9
_TARGET_MS = 100.0
_DAY_NS = 86_400_000_000_000
_START_NS = 1_767_225_600_000_000_000 + 7 * 3_600_000_000_000 + 123_456_789
"""In a day of January 2026, at no round time."""
_RAW = '{"prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801, "prompt_tokens_details": {"cached_tokens": 0}}'
_ONE_ROW_MB = 0.0009
_MORE = 20_000
"""Rows stored one after the other for the writer's figure."""

_VALUES = {
    "key": "'key-' || k",
    "user": "'user-' || (k % 100)",
    "team": "'team-' || (k % 20)",
    "organisation": "'organisation-' || (k % 5)",
    "endpoint": "'chat.completions'",
    "dialect": "'openai_chat'",
    "model": "'model-' || m",
    "provider": "'provider-' || (m % 4)",
    "target": "'model-' || m || '-2026-01-01'",
    "stream": "(h % 3 = 0)",
    "outcome": "CASE WHEN h % 100 < 97 THEN 'ok' WHEN h % 100 = 97 THEN 'client_cancelled' ELSE 'upstream_error' END",
    "status": "200",
    "error": "''",
    "finish": "'stop'",
    "attempts": "1",
    "input_tokens": "h % 9000",
    "cache_read_tokens": "h % 4 * 500",
    "output_tokens": "h % 1700",
    "reasoning_tokens": "h % 300",
    "basis": "'reported'",
    "raw_usage": f"'{_RAW}'",
    "cost_nano": "CASE WHEN h % 100 = 50 THEN NULL ELSE h % 90000000 END",
    "price_version": "'2026-01-01'",
    "duration_us": "h % 20000000",
    "first_byte_us": "h % 900000",
    "upstream_id": "'chatcmpl-' || h",
    "trail": "''",
    "tags": "'production'",
    "reported_nano": "NULL",
}
"""Two hundred keys, few of them busy; each asks for six of twelve models, mostly for two of them."""


def _made(dialect: str, count: int) -> str:
    """The statement that makes rows `first` to `last` of `count`."""
    scatter = "(i * 2654435761 + 40503) % 4294967296"
    values = _VALUES | {"started_ns": f"{_START_NS} + i * {DAYS * _DAY_NS // count} + h % 1000000"}
    if dialect == "sqlite":
        numbers = "WITH RECURSIVE n(i) AS (VALUES(:first) UNION ALL SELECT i + 1 FROM n WHERE i < :last - 1)"
        values["id"] = "printf('%032d', i)"
    else:
        numbers = "WITH n(i) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint) - 1))"
        values["id"] = "lpad(CAST(i AS text), 32, '0')"
    names = [column.name for column in table.c]
    columns = ", ".join(f'"{name}"' for name in names)
    chosen = ", ".join(values.get(name, "0") for name in names)
    hashed = (
        f"{numbers}, a AS (SELECT i, {scatter} AS h FROM n), b AS (SELECT i, h, (h % 200) * (h / 200 % 200) / 200 AS k FROM a)"
    )
    modelled = ", c AS (SELECT i, h, k, (k + (h / 40000 % 3) * (h / 120000 % 3) * 5) % 12 AS m FROM b)"
    return f"INSERT INTO usage ({columns}) {hashed}{modelled} SELECT {chosen} FROM c"


def _fill(store: Store, count: int) -> None:
    made = _made(store.dialect, count)
    statement = text(made if store.dialect == "sqlite" else made.replace("%", "%%"))
    for first in range(0, count, _CHUNK):
        with store.begin() as connection:
            connection.execute(statement, {"first": first, "last": min(first + _CHUNK, count)})
    with store.begin() as connection:
        import_module("trunkline.store.migrations.versions.0003_money")._roll_up(connection)  # noqa: SLF001 - the same statements


def _questions(store: Store) -> Iterator[tuple[str, Callable[[], Any]]]:
    end = _START_NS + DAYS * _DAY_NS
    month = end - 30 * _DAY_NS
    berlin = ZoneInfo("Europe/Berlin")
    only = View({"key": "key-7"})
    midnight = end // _DAY_NS * _DAY_NS
    for by in ("day", "key", "model", "provider", "team"):
        yield f"by {by}, 30 days", lambda by=by: sums.totals(store, by, month, end)
        yield f"by {by}, all time", lambda by=by: sums.totals(store, by, None, None)
    yield "by day of Berlin, all time", lambda: sums.totals(store, "day", None, None, (), View(zone=berlin))
    yield "by hour, 7 days", lambda: sums.totals(store, "hour", end - 7 * _DAY_NS, end)
    for by in ("day", "model", "provider"):
        yield f"one key by {by}, 30 days", lambda by=by: sums.totals(store, by, month, end, (), only)
        yield f"one key by {by}, all time", lambda by=by: sums.totals(store, by, None, None, (), only)
    yield (
        "one key by day of Berlin, all time",
        lambda: sums.totals(store, "day", None, None, (), View({"key": "key-7"}, berlin)),
    )
    yield "one model by day, all time", lambda: sums.totals(store, "day", None, None, (), View({"model": "model-3"}))
    hour = 3_600_000_000_000
    for column, name in (("key", "key-7"), ("organisation", "organisation-2")):
        window = midnight - 30 * _DAY_NS - hour, midnight + _DAY_NS - hour  # a month of Berlin
        yield f"spent by one {column} in a month", lambda c=column, n=name, w=window: sums.spent(store, c, n, *w)
    yield "newest 100 of one key", lambda: usage.latest(store, {"key": "key-150"}, 100)
    yield "newest 100 of one model", lambda: usage.latest(store, {"model": "model-3"}, 100)
    yield "newest 100", lambda: usage.latest(store, {}, 100)
    yield "one row by id", lambda: usage.find(store, f"{123_456:032d}")
    yield "first row of an export", lambda: next(usage.export(store, None, None))


def _ask(store: Store, name: str) -> Iterator[Row]:
    for what, question in _questions(store):
        rounds = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            assert question()
            rounds.append((time.perf_counter() - began) * 1000)
        yield Row("ledger", f"{name}: {what}", "ms", rounds, target=_TARGET_MS, note=f"worst {max(rounds):,.1f} ms")


def _store_more(store: Store, name: str, count: int) -> Iterator[Row]:
    """What storing costs: of many keys and models, each batch after the others."""
    template = {column.name: 0 for column in table.c} | dict.fromkeys(("cost_nano", "reported_nano"))
    texts = {column.name: "production" for column in table.c if str(column.type) == "TEXT"}
    made = []
    for n in range(_MORE):
        key, model = n * 7919 % 200, n * 7919 % 200 * 5 % 12
        names = {"key": f"key-{key}", "user": f"user-{key % 100}", "team": f"team-{key % 20}"}
        names |= {"organisation": f"organisation-{key % 5}", "model": f"model-{model}", "provider": f"provider-{model % 4}"}
        started = _START_NS + DAYS * _DAY_NS + n * 1_000_000
        counts = {"started_ns": started, "input_tokens": 1234, "output_tokens": 567, "cost_nano": 5_000_000, "stream": False}
        made.append(
            template | texts | names | counts | {"outcome": "ok", "raw_usage": _RAW, "trail": "", "target": f"model-{model}"}
        )
    for size in (100, 1000):
        rounds, speeds = [], []
        for part in range(3):
            rows = [row | {"id": f"{size}-{part}-{n:020d}"} for n, row in enumerate(made[: _MORE // 3])]
            began, cpu = time.perf_counter(), time.thread_time()
            for first in range(0, len(rows), size):
                usage.insert(store, rows[first : first + size])
            rounds.append((time.thread_time() - cpu) / len(rows) * 1e6)
            speeds.append(len(rows) / (time.perf_counter() - began))
        note = f"{sorted(speeds)[1]:,.0f} rows a second, {count:,} before them"
        yield Row("ledger", f"{name}: storing a row, {size} at once", "us CPU", rounds, note=note)


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[Store, Callable[[], object]]]:
    store = open_store(folder / "ledger")
    yield store, lambda: None
    store.close()
    shutil.rmtree(folder / "ledger")


@contextmanager
def _postgres() -> Iterator[tuple[Store, Callable[[], object]]]:
    """With what autovacuum does some minutes after so many rows came: nobody waits for it here."""
    settings = ["fsync=on", "synchronous_commit=on", "full_page_writes=on", "autovacuum=on", "jit=on"]
    server = Postgres([*settings, "shared_buffers=128MB", "max_wal_size=4GB"])
    server.start()
    url = parse(server.url(server.empty()))
    store = open_store(Path("/nonexistent"), url, deadline=3600)
    try:
        yield store, lambda: server.execute("VACUUM ANALYZE", url.database)
    finally:
        store.close()
        server.close()


def _measure(bench: Bench) -> list[Row]:
    count = _QUICK_ROWS if bench.quick else ROWS
    if shutil.disk_usage(bench.folder).free < 2 * count * _ONE_ROW_MB * 1e6:
        print(f"  (no room for {count:,} rows in {bench.folder})")
        return []
    places: list[tuple[str, Any]] = [("SQLite", lambda: _sqlite(bench.folder))]
    if programs() is not None:
        places.append(("PostgreSQL", _postgres))
    found: list[Row] = []
    for name, place in places:
        with place() as (store, tidy):
            _fill(store, count)
            tidy()
            found += [*_ask(store, name), *_store_more(store, name, count)]
    return found


LEDGER = {"ledger": (f"The accounts at {ROWS:,} rows, {DAYS} days, 200 keys, 12 models", "", _measure)}
