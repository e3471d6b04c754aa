"""The accounts as stored: rows go in once each, totals and exports come out.

Readers may hand in rows that are not stored yet (from a journal); each counts once, stored or not. Read those first, then
call: a row that is stored in between is found here and passed over there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.dialects import sqlite

from trunkline.store.engine import Store
from trunkline.store.tables import usage

By = Literal["day", "key", "model", "provider"]

_DAY_NS = 86_400_000_000_000
_CHUNK = 500
"""Ids of one look-up; SQLite allows 999 variables in old versions."""
_MAX_INTEGER = 2**63 - 1
_LOW = 0xFFFF_FFFF
_SUMMED = ("input_tokens", "cache_read_tokens", "output_tokens", "cost_nano")

_INSERTION = str(sqlite.insert(usage).on_conflict_do_nothing(index_elements=[usage.c.id]).compile(dialect=sqlite.dialect()))
"""Compiled once and given to the driver as it is: what SQLAlchemy does for each row would double the cost of a record."""
_values = itemgetter(*usage.c.keys())


class Total(msgspec.Struct):
    """The sums of one group. Python integers: no overflow, no rounding."""

    name: str
    """The day (UTC, `2026-01-31`), or the key, model or provider."""
    requests: int = 0
    unpriced: int = 0
    """Requests that used something whose cost is unknown, and so is not in `cost_nano`."""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    """Part of the input."""
    output_tokens: int = 0
    cost_nano: int = 0
    """Nano-dollars."""

    def add(self, other: Total) -> None:
        """Add another's numbers."""
        for field in self.__struct_fields__[1:]:
            setattr(self, field, getattr(self, field) + getattr(other, field))


def insert(store: Store, rows: Sequence[Mapping[str, object]]) -> None:
    """Store rows in one transaction. One whose id is stored already changes nothing. Raises StoreError: none is stored."""
    if not rows:
        return
    with store.begin() as connection:
        try:
            connection.exec_driver_sql(_INSERTION, [_values(row) for row in rows])
        except OverflowError:  # a provider may claim any number; the books go on
            connection.exec_driver_sql(_INSERTION, [_values(_bounded(row)) for row in rows])


def totals(
    store: Store, by: By, since_ns: int | None, until_ns: int | None, unstored: Iterable[Mapping[str, object]] = ()
) -> list[Total]:
    """Sums by group, of requests started in [since, until): days in order, the rest by cost, then tokens, largest first."""
    group = usage.c.started_ns // _DAY_NS if by == "day" else usage.c[by]
    # Sums of the upper and lower halves cannot overflow, whatever the rows claim.
    halves = [
        half for name in _SUMMED for half in (func.sum(usage.c[name].op(">>")(32)), func.sum(usage.c[name].bitwise_and(_LOW)))
    ]
    unpriced = func.count().filter(usage.c.cost_nano.is_(None), usage.c.basis != "none")
    wanted = select(group, func.count(), unpriced, *halves)
    found: dict[str, Total] = {}
    with store.begin() as connection:
        rest = list(_unstored(connection, unstored, since_ns, until_ns))
        for row in connection.execute(wanted.where(*_within(since_ns, until_ns)).group_by(group)):
            total = _total(by, row)
            found[total.name] = total
    for one in rest:
        total = _of_row(by, one)
        found.setdefault(total.name, Total(total.name)).add(total)
    if by == "day":
        return sorted(found.values(), key=lambda total: total.name)
    return sorted(found.values(), key=lambda total: (-total.cost_nano, -total.input_tokens - total.output_tokens, total.name))


def export(
    store: Store, since_ns: int | None, until_ns: int | None, unstored: Iterable[Mapping[str, object]] = ()
) -> Iterator[dict[str, object]]:
    """Every row of requests started in [since, until), whole, in order of time; memory does not grow with the stored ones."""
    columns = usage.c.keys()
    with store.begin() as connection:
        rest = sorted(_unstored(connection, unstored, since_ns, until_ns), key=_moment)
        wanted = select(usage).where(*_within(since_ns, until_ns)).order_by(usage.c.started_ns, usage.c.id)
        streamed = connection.execution_options(yield_per=1000).execute(wanted)
        stored = (dict(row._mapping) for row in streamed)  # noqa: SLF001 - SQLAlchemy's documented name
        for row in heapq.merge(stored, rest, key=_moment):
            yield {name: row[name] for name in columns}


def find(store: Store, ident: str) -> dict[str, object] | None:
    """The row of one request; None where there is none."""
    with store.begin() as connection:
        row = connection.execute(select(usage).where(usage.c.id == ident)).first()
    return None if row is None else dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def _within(since_ns: int | None, until_ns: int | None) -> list[ColumnElement[bool]]:
    bounds = []
    if since_ns is not None:
        bounds.append(usage.c.started_ns >= since_ns)
    if until_ns is not None:
        bounds.append(usage.c.started_ns < until_ns)
    return bounds


def _unstored(
    connection: Connection, rows: Iterable[Mapping[str, object]], since_ns: int | None, until_ns: int | None
) -> Iterator[Mapping[str, object]]:
    """Those of `rows` that lie within the bounds and are not in the store, each once."""
    since, until = since_ns or 0, _MAX_INTEGER if until_ns is None else until_ns
    by_id = {row["id"]: row for row in rows if since <= int(str(row["started_ns"])) < until}
    ids = list(by_id)
    for first in range(0, len(ids), _CHUNK):
        for known in connection.scalars(select(usage.c.id).where(usage.c.id.in_(ids[first : first + _CHUNK]))):
            del by_id[known]
    return iter(by_id.values())


def _moment(row: Mapping[str, object]) -> tuple[object, object]:
    return row["started_ns"], row["id"]


def _total(by: By, row: Sequence[Any]) -> Total:
    group, requests, unpriced, *halves = row
    high, low = halves[::2], halves[1::2]
    sums = {name: (int(high[i] or 0) << 32) + int(low[i] or 0) for i, name in enumerate(_SUMMED)}
    return Total(_name(by, group), int(requests), int(unpriced), **sums)


def _of_row(by: By, row: Mapping[str, object]) -> Total:
    group = int(str(row["started_ns"])) // _DAY_NS if by == "day" else row[by]
    sums = {name: int(str(row[name] or 0)) for name in _SUMMED}
    return Total(_name(by, group), 1, int(row["cost_nano"] is None and row["basis"] != "none"), **sums)


def _name(by: By, group: object) -> str:
    return datetime.fromtimestamp(int(str(group)) * 86400, UTC).date().isoformat() if by == "day" else str(group)


def _bounded(row: Mapping[str, object]) -> dict[str, object]:
    return {name: min(value, _MAX_INTEGER) if isinstance(value, int) else value for name, value in row.items()}
