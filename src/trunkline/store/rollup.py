"""The sums that are kept beside the rows of usage: what rows add to them, and how that is written. Reading them is for `sums`.

Every row adds to its quarter of an hour in the transaction that stores it. Days are made of quarters a while later, once, so
that what is written all the time is one number a combination: `meta.usage_folded` says up to which quarter that is done, and a
row that comes later still adds to both. On PostgreSQL, who adds holds a lock (shared) under which nobody may fold.

Rows are locked in the same order by everybody (rows, groups, quarters, days; each by its key): no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.store.engine import Store
from trunkline.store.groups import group_id
from trunkline.store.tables import COUNTS, GROUP, meta, quarters

QUARTER_NS = 900_000_000_000
DAY_QUARTERS = 96
MOST = 2**63 - 1
"""What a column holds at most."""
FOLDED = "usage_folded"

EVERYTHING = 0
"""The group that is all groups together."""
_BEHIND = 4
"""Quarters that are left open: most rows come while they are."""
_LAG = 8
"""Quarters that may be open before they are folded."""
_FOLD_AT_ONCE = 24
"""Quarters of one transaction."""
_LOCK = 0x54524E4C
"""`TRNL`: the advisory lock between who adds and who folds."""
LOCKED = f"pg_advisory_xact_lock_shared({_LOCK})"
"""`lock` as a part of another statement, on PostgreSQL."""
_KNOWN = 100_000
"""Groups remembered as stored."""

Cells = dict[tuple[int, int], list[int]]
"""Quarter or day and group, and the counts in the order of `COUNTS`."""

_known: WeakKeyDictionary[Store, set[int]] = WeakKeyDictionary()
"""Which groups a store has for sure, so that not each batch asks again."""

_facts = itemgetter(
    "started_ns", "outcome", "basis", "cost_nano", "reported_nano", "input_tokens", "cache_read_tokens",
    "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens", "reasoning_tokens", "images",
)  # fmt: skip
_group = itemgetter(*GROUP)


class Gathered:
    """What rows add: counts by quarter and group, and the groups' names."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.names: dict[int, tuple[str, ...]] = {}
        self.quarters: Cells = _whole(_cells(rows), self.names)

    def days(self, before: int) -> Cells:
        """Of the quarters before this one, by day."""
        found: Cells = {}
        for (slot, group), counts in self.quarters.items():
            if slot < before:
                _add(found.setdefault((slot // DAY_QUARTERS, group), [0] * len(COUNTS)), counts)
        return found

    def newest(self) -> int:
        """The last quarter."""
        return max(slot for slot, _ in self.quarters)


def _cells(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, tuple[str, ...]], list[int]]:  # noqa: C901
    """Runs for each row, hence in one piece: what is mostly nothing is not added."""
    cells: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for row in rows:
        started, outcome, basis, cost, reported, input_, read, write_5m, write_1h, output, reasoning, images = _facts(row)
        at = (started // QUARTER_NS, _group(row))
        cell = cells.get(at)
        if cell is None:
            cell = cells[at] = [0] * len(COUNTS)
        cell[0] += 1
        if outcome != "ok":
            cell[1] += 1
        if cost:
            cell[9] += cost
        elif cost is None and basis != "none":
            cell[2] += 1
        cell[3] += input_
        if read:
            cell[4] += read
        if write_5m or write_1h:
            cell[5] += write_5m + write_1h
        cell[6] += output
        if reasoning:
            cell[7] += reasoning
        if images:
            cell[8] += images
        if reported:
            cell[10] += reported
    return cells


def _whole(cells: dict[tuple[int, tuple[str, ...]], list[int]], names: dict[int, tuple[str, ...]]) -> Cells:
    """The same by the groups' numbers, with everything together as one more group."""
    found: Cells = {}
    slots: dict[int, list[list[int]]] = {}
    for (slot, group), counts in cells.items():
        number = group_id(group)
        names[number] = group
        found[slot, number] = counts
        slots.setdefault(slot, []).append(counts)
    for slot, every in slots.items():
        found[slot, EVERYTHING] = [sum(column) for column in zip(*every, strict=True)]
    return found


def _add(sums: list[int], more: Sequence[int]) -> None:
    for at, count in enumerate(more):
        if count:
            sums[at] += count


def lock(connection: Connection) -> None:
    """To be called in a transaction before it adds: nobody folds until it ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT {LOCKED}")


def add(connection: Connection, gathered: Gathered, known: set[int]) -> bool:
    """Add to the sums, inside the transaction of the rows and under `lock`. True when it is time to `fold`.

    `known`: groups that need not be written; the others are not put into it, because the transaction may fail.
    """
    if not gathered.quarters:
        return False
    if unknown := sorted(gathered.names.keys() - known):
        _write_groups(connection, [(number, *gathered.names[number]) for number in unknown])
    folded = _write_cells(connection, "usage_quarters", gathered.quarters)
    if late := gathered.days(folded):
        _write_cells(connection, "usage_days", late)
    return gathered.newest() - folded >= _LAG


def known_groups(store: Store) -> set[int]:
    """The groups a store is known to have; whoever added some and committed puts them in."""
    known = _known.setdefault(store, set())
    if len(known) > _KNOWN:
        known.clear()
    return known


def correct(connection: Connection, before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> None:
    """Bring the sums up to date when stored rows change, inside the transaction that changes them.

    `before` and `after`: the same rows, as they were and as they become; their times and groups must not change.
    """
    lock(connection)
    old, new = Gathered(before), Gathered(after)
    for at, counts in old.quarters.items():
        _add(new.quarters[at], [-count for count in counts])
    new.quarters = {at: counts for at, counts in new.quarters.items() if any(counts)}
    folded = _write_cells(connection, "usage_quarters", new.quarters, less=True)
    _write_cells(connection, "usage_days", new.days(folded), less=True)


def fold(store: Store, newest: int) -> None:
    """Add the quarters that are some way behind `newest` to their days. Nothing happens where another process does it now."""
    while True:
        with store.begin() as connection:
            if store.dialect == "postgresql":
                free = connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one()
                if not free:
                    return
            if not _fold_some(connection, newest - _BEHIND):
                return


def _fold_some(connection: Connection, until: int) -> bool:
    """Fold some quarters before `until`. Whether there may be more."""
    folded = _folded(connection)
    open_ones = select(quarters.c.slot).where(quarters.c.slot >= folded, quarters.c.slot < until).distinct()
    slots = list(connection.scalars(open_ones.order_by(quarters.c.slot).limit(_FOLD_AT_ONCE)))
    for slot in slots:
        connection.execute(text(_fold_statement(connection.dialect.name)), {"slot": slot})
    whole = len(slots) < _FOLD_AT_ONCE
    reached = until if whole else slots[-1] + 1
    if reached > folded:
        mark(connection, FOLDED, reached)
    return not whole


def mark(connection: Connection, name: str, value: int) -> None:
    """Set a number in `meta`, or raise it; it never goes down."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    greatest = func.greatest if connection.dialect.name == "postgresql" else func.max
    insertion = kind.insert(meta).values(name=name, value=value)
    raised = {"value": greatest(meta.c.value, insertion.excluded.value)}
    connection.execute(insertion.on_conflict_do_update(index_elements=[meta.c.name], set_=raised))


def _folded(connection: Connection) -> int:
    return connection.exec_driver_sql(_FOLDED).scalar() or 0


def _write_groups(connection: Connection, rows: list[tuple[object, ...]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_GROUPS_SQLITE, rows)
    else:
        names = ("id", *GROUP)
        told = [dict(zip(names, row, strict=True)) for row in rows]
        connection.execute(text(_GROUPS_POSTGRES), {"rows": msgspec.json.encode(told).decode()})


def _write_cells(connection: Connection, table: str, cells: Cells, *, less: bool = False) -> int:
    """Add to what is there; up to which quarter is folded. Sums stay within 64 bits; `less`: counts may be below 0."""
    if any(max(counts) > MOST or (less and min(counts) < -MOST) for counts in cells.values()):
        cells = {at: [max(-MOST, min(count, MOST)) for count in counts] for at, counts in cells.items()}
    rows = sorted((slot, group, *counts) for (slot, group), counts in cells.items())
    statement = _addition(connection.dialect.name, table, less=less)
    if connection.dialect.name == "postgresql":
        found = connection.execute(text(statement), {"rows": msgspec.json.encode(rows).decode()})
        return found.scalar() or 0
    if rows:
        connection.exec_driver_sql(statement, rows)
    return _folded(connection)


_FOLDED = f"SELECT value FROM meta WHERE name = '{FOLDED}'"  # noqa: S608 - asked for each batch: as it goes to the driver
_COLUMNS = ", ".join(("slot", "group_id", *COUNTS))
_NAMES = ", ".join(f'"{name}"' for name in GROUP)
_TYPED = ", ".join(f'"{name}" text' for name in GROUP)
_GROUPS_SQLITE = f"INSERT OR IGNORE INTO usage_groups (id, {_NAMES}) VALUES ({', '.join('?' * (len(GROUP) + 1))})"  # noqa: S608
_GROUPS_POSTGRES = (
    f"INSERT INTO usage_groups (id, {_NAMES}) SELECT * FROM json_to_recordset(CAST(:rows AS json))"  # noqa: S608 - our own words
    f" AS r (id bigint, {_TYPED}) ORDER BY id ON CONFLICT DO NOTHING"
)


@cache
def _addition(dialect: str, table: str, *, less: bool) -> str:
    """The statement that adds counts to a table of sums."""
    insertion, upsert = f"INSERT INTO {table} ({_COLUMNS})", _upsert(dialect, table, less=less)
    if dialect == "sqlite":
        return f"{insertion} VALUES ({', '.join('?' * (len(COUNTS) + 2))}){upsert}"
    fields = ", ".join(f"CAST(r.value ->> {at} AS bigint)" for at in range(len(COUNTS) + 2))
    values = f"SELECT {fields} FROM json_array_elements(CAST(:rows AS json)) AS r ORDER BY 1, 2"  # noqa: S608 - our own words
    return f"WITH added AS ({insertion} {values}{upsert}) {_FOLDED}"


@cache
def _fold_statement(dialect: str) -> str:
    """The statement that adds one quarter to its day: no two of its rows meet in one of the day's."""
    counts = ", ".join(COUNTS)
    chosen = f"SELECT slot / {DAY_QUARTERS}, group_id, {counts} FROM usage_quarters WHERE slot = :slot ORDER BY group_id"  # noqa: S608
    return f"INSERT INTO usage_days ({_COLUMNS}) {chosen}" + _upsert(dialect, "usage_days", less=False)


def _upsert(dialect: str, table: str, *, less: bool) -> str:
    """Add to the row that is there; the sum stays between 0 and the greatest number."""
    least, greatest = ("min", "max") if dialect == "sqlite" else ("least", "greatest")
    room, form = f"{MOST} - excluded.{{0}}", "{1}"
    if less:
        room, form = f"{MOST} - {greatest}(excluded.{{0}}, 0)", f"{greatest}(0, {{1}})"
    added = form.format("", f"{least}({table}.{{0}}, {room}) + excluded.{{0}}")
    sums = ", ".join(f"{name} = {added}".format(name) for name in COUNTS)
    return f" ON CONFLICT (slot, group_id) DO UPDATE SET {sums}"
