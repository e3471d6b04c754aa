"""The accounts row by row: they go in once each, with what they add to the sums; one, the newest, or all come out.

Readers may hand in rows that are not stored yet (from a journal); each is told once, stored or not. Read those first, then
call: a row that is stored in between is found here and passed over there. Totals are for `sums`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, FromClause, Select, func, literal_column, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from trunkline.store import rollup
from trunkline.store.engine import Store
from trunkline.store.errors import StoreError, state
from trunkline.store.tables import groups, quarters, usage

PAGE = 1000
"""Rows that an export reads at once."""
_FIRST_PAGE = 100
"""The first time, so that the first row comes at once."""
_LOOK_UP = 500
"""Ids of one look-up; SQLite allows 999 variables in old versions."""
_NEAR = 4 * 96
"""Quarters of an hour in which the newest of a kind are looked for first."""
_STATUS_MOST = 2**31 - 1

_COLUMNS = tuple(usage.c.keys())
_INSERTION = str(sqlite.insert(usage).on_conflict_do_nothing(index_elements=[usage.c.id]).compile(dialect=sqlite.dialect()))
"""Compiled once and given to the driver as it is: what SQLAlchemy does for each row would double the cost of a record."""
_values = itemgetter(*_COLUMNS)
_QUOTED = ", ".join(f'"{name}"' for name in _COLUMNS)
_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPED = ", ".join(f'"{column.name}" {column.type.compile(dialect=_POSTGRES)}' for column in usage.c)
_INSERTION_POSTGRES = text(
    f"WITH locked AS (SELECT {rollup.LOCKED} AS lock), new AS (INSERT INTO usage ({_QUOTED})"  # noqa: S608 - our own words
    f" SELECT {_QUOTED} FROM json_to_recordset(CAST(:rows AS json)) AS r ({_TYPED}) ON CONFLICT (id) DO NOTHING RETURNING id)"
    " SELECT count(id), CASE WHEN count(id) < :count THEN string_agg(id, chr(10)) END FROM locked LEFT JOIN new ON true"
)
"""A thousand rows in one statement: each statement is a round trip, and the driver is slow with single values. The ids that
were new are asked for only where some were not.
"""

_NEWEST = (usage.c.started_ns.desc(), usage.c.id.desc())
_QUARTER = usage.c.started_ns // literal_column(str(rollup.QUARTER_NS), BigInteger)
_ALL: Mapping[str, str] = {}
Row = Mapping[str, Any]
Rows = Sequence[Row]


def insert(store: Store, rows: Rows) -> None:
    """Store rows and add them to the sums, in one transaction. One whose id is stored already changes nothing.

    A provider may claim any number and a client send any text: what no column holds is cut, and the books go on. Raises
    StoreError: none is stored.
    """
    if not rows:
        return
    try:
        _insert(store, rows)
    except (OverflowError, UnicodeError):
        _insert(store, [_fitting(row) for row in rows])
    except StoreError as error:
        if not _is_unfit(error):
            raise
        _insert(store, [_fitting(row) for row in rows])


def _insert(store: Store, rows: Rows) -> None:
    known = rollup.known_groups(store)
    try:
        with store.begin() as connection:
            fresh = _store_rows(connection, rows)
            gathered = rollup.Gathered(fresh)
            due = rollup.add(connection, gathered, known)
    except BaseException:
        known.clear()  # the database may be another one by the next time
        raise
    known.update(gathered.names)
    if due:
        rollup.fold(store, gathered.newest())


def _store_rows(connection: Connection, rows: Rows) -> Rows:
    """Those of the rows that were not stored before."""
    if connection.dialect.name == "sqlite":
        count = connection.exec_driver_sql(_INSERTION, [_values(row) for row in rows]).rowcount
        if count == len(rows):
            return rows
        # The new ones have the highest numbers: nobody else wrote meanwhile.
        found = connection.exec_driver_sql("SELECT id FROM usage ORDER BY rowid DESC LIMIT ?", (count,))
        new = {str(one[0]) for one in found}
    else:
        told = {"rows": msgspec.json.encode(rows).decode(), "count": len(rows)}
        count, names = connection.execute(_INSERTION_POSTGRES, told).one()
        if count == len(rows):
            return rows
        new = set((names or "").split("\n"))
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(row["id"], row)
    return [row for ident, row in first.items() if ident in new]


def _is_unfit(error: StoreError) -> bool:
    """Whether PostgreSQL refused a value (class 22), and not the work."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and state(cause.orig).startswith("22")


def _fitting(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _fit(name, value) for name, value in row.items()}


def _fit(name: str, value: object) -> object:
    """The nearest that a column holds: PostgreSQL takes no NUL in a text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, min(value, _STATUS_MOST if name in {"status", "attempts"} else rollup.MOST))
    return value


def export(
    store: Store,
    since_ns: int | None,
    until_ns: int | None,
    unstored: Iterable[Mapping[str, Any]] = (),
    only: Mapping[str, str] = _ALL,
) -> Iterator[dict[str, Any]]:
    """Every row of requests started in [since, until), whole, in order of time; memory does not grow with the stored ones.

    `only`: those with these values in columns of `tables.GROUP`.

    It is read page by page, each in a transaction of its own: a long one would keep the database from tidying up.
    """
    with store.read() as connection:
        rest = sorted(waiting(connection, unstored, since_ns, until_ns, only), key=_moment)
    wanted = select(usage).where(*within(since_ns, until_ns), *having(only))
    last = ""
    for row in heapq.merge(_stored(store, wanted), rest, key=_moment):
        if row["id"] != last:  # stored since the rest was looked at
            last = row["id"]
            yield {name: row[name] for name in _COLUMNS}


def _stored(store: Store, wanted: Select[Any]) -> Iterator[Row]:
    started, ident = usage.c.started_ns, usage.c.id
    page, size = wanted.order_by(started, ident), min(_FIRST_PAGE, PAGE)
    after: list[ColumnElement[bool]] = []
    while True:
        with store.read() as connection:
            rows = _rows(connection, page.where(*after).limit(size))
        yield from rows
        if len(rows) < size:
            return
        at, name = rows[-1]["started_ns"], rows[-1]["id"]
        size = PAGE
        after = [started >= at, or_(started > at, ident > name)]


def latest(
    store: Store, only: Mapping[str, str], limit: int, unstored: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The newest rows, newest first. `only`: those with these values in columns of `tables.GROUP`."""
    with store.read() as connection:
        rows = waiting(connection, unstored, None, None, only)
        rows += (
            _newest_of(connection, only, limit) if only else _rows(connection, select(usage).order_by(*_NEWEST).limit(limit))
        )
    return [dict(row) for row in sorted(rows, key=_moment, reverse=True)[:limit]]


def _newest_of(connection: Connection, only: Mapping[str, str], limit: int) -> list[Row]:
    """The sums know the quarters of an hour in which there are some, and how many."""
    slots = _slots(connection, only, limit)
    if "key" in only:  # as the index is
        return _rows(connection, select(usage).where(_QUARTER.in_(slots), *having(only)).order_by(*_NEWEST).limit(limit))
    rows: list[Row] = []
    for slot in slots:
        span = within(slot * rollup.QUARTER_NS, (slot + 1) * rollup.QUARTER_NS)
        rows += _rows(connection, select(usage).where(*span, *having(only)).order_by(*_NEWEST).limit(limit - len(rows)))
        if len(rows) >= limit:
            break
    return rows


def _slots(connection: Connection, only: Mapping[str, str], limit: int) -> list[int]:
    """The newest quarters that have so many together, or all: looked for in the newest days first."""
    slot, chosen = quarters.c.slot, select(groups.c.id).where(*having(only, groups))
    newest = connection.scalar(select(func.max(slot))) or 0
    found: list[int] = []
    for first in (newest - _NEAR, 0):
        counts = select(slot, func.sum(quarters.c.requests)).where(quarters.c.group_id.in_(chosen), slot >= first)
        found, count = [], 0
        for number, requests in connection.execute(counts.group_by(slot).order_by(slot.desc())):
            found.append(number)
            count += int(requests)
            if count >= limit:
                return found
    return found


def _rows(connection: Connection, wanted: Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(wanted).mappings()]


def find(store: Store, ident: str) -> dict[str, Any] | None:
    """The row of one request; None where there is none."""
    with store.read() as connection:
        row = connection.execute(select(usage).where(usage.c.id == ident)).mappings().first()
    return None if row is None else dict(row)


def within(since_ns: int | None, until_ns: int | None) -> list[ColumnElement[bool]]:
    """The condition that a request started in [since, until); None is no bound."""
    bounds = []
    if since_ns is not None:
        bounds.append(usage.c.started_ns >= since_ns)
    if until_ns is not None:
        bounds.append(usage.c.started_ns < until_ns)
    return bounds


def having(only: Mapping[str, str], table: FromClause = usage) -> list[ColumnElement[bool]]:
    """The condition that columns have these values."""
    return [table.c[name] == value for name, value in only.items()]


def waiting(
    connection: Connection, rows: Iterable[Row], since_ns: int | None, until_ns: int | None, only: Mapping[str, str] = _ALL
) -> list[Row]:
    """Those of `rows` that lie within the bounds, have these values and are not in the store, each once."""
    since, until = since_ns or 0, rollup.MOST + 1 if until_ns is None else until_ns
    mine = (row for row in rows if since <= row["started_ns"] < until and all(row[name] == only[name] for name in only))
    by_id = {row["id"]: row for row in mine}
    ids = list(by_id)
    for first in range(0, len(ids), _LOOK_UP):
        for known in connection.scalars(select(usage.c.id).where(usage.c.id.in_(ids[first : first + _LOOK_UP]))):
            del by_id[known]
    return list(by_id.values())


def _moment(row: Mapping[str, Any]) -> tuple[int, str]:
    return row["started_ns"], row["id"]
