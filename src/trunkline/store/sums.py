"""Totals of the accounts, read from the sums that are kept: in a tenth of a second, however many requests there were.

Within any bounds they are the sums of the rows: whole days come from the days, what is left of whole quarters of an hour from
the quarters, and the rest from the rows. A time whose rows are gone (see `retention`) begins and ends with a quarter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, Table, func, literal_column, select
from sqlalchemy.exc import DBAPIError

from trunkline.store import usage
from trunkline.store.engine import Store
from trunkline.store.rollup import DAY_QUARTERS, EVERYTHING, FOLDED, MOST, QUARTER_NS
from trunkline.store.tables import COUNTS, GROUP, days, groups, meta, quarters
from trunkline.store.tables import usage as table_of_rows

By = Literal["day", "hour", "key", "user", "team", "organisation", "model", "provider", "target"]
PRUNED = "usage_pruned"

HOUR_QUARTERS = 4
_END = MOST // QUARTER_NS + 1
_LOW = 0xFFFF_FFFF
_ROWS: dict[str, tuple[str, ...]] = {"cache_write_tokens": ("cache_write_5m_tokens", "cache_write_1h_tokens")}
"""The columns of a row that make a count, where they are not the one of its name."""
_ONE = literal_column("1", Integer)


def _literal(number: int) -> ColumnElement[int]:
    """A number that stands in the statement: the same in what is asked for and in what it is grouped by."""
    return literal_column(str(number), BigInteger)


_QUARTER = table_of_rows.c.started_ns // _literal(QUARTER_NS)


class Total(msgspec.Struct):
    """The sums of one group. Python integers: no overflow, no rounding."""

    name: str
    """The day (`2026-01-31`), the hour (`2026-01-31T13:00+00:00`), or the key, user, team, organisation, model and so on."""
    requests: int = 0
    failed: int = 0
    """Requests that did not end well, those that their client gave up too."""
    unpriced: int = 0
    """Requests that used something whose cost is unknown, and so is not in `cost_nano`."""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    """Part of the input."""
    cache_write_tokens: int = 0
    """Part of the input."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of the output."""
    images: int = 0
    cost_nano: int = 0
    """Nano-dollars."""
    reported_nano: int = 0
    """Nano-dollars that providers themselves said, as far as they did."""

    def add(self, other: Total) -> None:
        """Add another's numbers."""
        for field in self.__struct_fields__[1:]:
            setattr(self, field, getattr(self, field) + getattr(other, field))


class View(msgspec.Struct, frozen=True):
    """Which requests are summed, and where a day begins."""

    only: Mapping[str, str] = {}
    """Those with these values in columns of `tables.GROUP`."""
    zone: tzinfo = UTC
    """Of days and hours; its days must begin with a quarter of an hour, as they do everywhere since 1972."""


_EVERYTHING = View()


class _Reading:
    """One transaction's reading of everything within two bounds."""

    def __init__(self, connection: Connection, view: View, since_ns: int | None, until_ns: int | None) -> None:
        self._connection = connection
        self._view = view
        found = connection.execute(select(meta.c.name, meta.c.value).where(meta.c.name.in_((FOLDED, PRUNED)))).all()
        marks = {name: value for name, value in found}  # noqa: C416 - mypy takes no rows for pairs
        self._folded = marks.get(FOLDED, 0)
        pruned = marks.get(PRUNED, 0) * QUARTER_NS
        self.since_ns, self.until_ns = (
            bound if bound is None or bound >= pruned else bound // QUARTER_NS * QUARTER_NS for bound in (since_ns, until_ns)
        )

    def by_time(self, quarters_each: int) -> Iterator[tuple[int, Total]]:
        """Sums by days or hours of the zone, some of them several times, each under one of its quarters."""
        zone = self._view.zone
        chosen = self._chosen(by_time=True)
        for table, first, last in self._spans(whole_days=zone is UTC and quarters_each == DAY_QUARTERS):
            slot = table.c.slot
            if table is days:
                for row in self._summed(slot, table, slot >= first, slot < last, chosen(table)):
                    yield row[0] * DAY_QUARTERS, _total("", row[1:])
                continue
            for begin, end, ahead in _steady(*self._known(first, last), zone):
                label = (slot + _literal(ahead)) // _literal(quarters_each)
                for row in self._summed(label, table, slot >= begin, slot < end, chosen(table)):
                    yield max(row[0] * quarters_each - ahead, begin), _total("", row[1:])
        for bounds in self._edges():
            for row in self._summed(_QUARTER, table_of_rows, *bounds, *usage.having(self._view.only)):
                yield row[0], _total("", row[1:])

    def _known(self, first: int, last: int) -> tuple[int, int]:
        """The part of quarters in which there is anything."""
        slot = quarters.c.slot
        ends = self._connection.execute(
            select(select(func.min(slot)).scalar_subquery(), select(func.max(slot)).scalar_subquery())
        ).one()
        return max(first, ends[0] or 0), min(last, (ends[1] or 0) + 1)

    def by_group(self, by: str) -> Iterator[Total]:
        """Sums by a column, some of its values several times."""
        chosen = self._chosen(by_time=False)
        for table, first, last in self._spans(whole_days=True):
            within = (table.c.slot >= first, table.c.slot < last, chosen(table))
            for row in self._summed(table.c.group_id, table, *within, name=by):
                yield _total(row[0], row[1:])
        for bounds in self._edges():
            for row in self._summed(table_of_rows.c[by], table_of_rows, *bounds, *usage.having(self._view.only)):
                yield _total(row[0], row[1:])

    def _chosen(self, *, by_time: bool) -> Any:
        """The condition for a table of sums: the group of everything is enough where nothing is told apart."""
        only = self._view.only
        if only:
            theirs = select(groups.c.id).where(*usage.having(only, groups))
            return lambda table: table.c.group_id.in_(theirs)
        return lambda table: table.c.group_id == EVERYTHING if by_time else table.c.group_id > EVERYTHING

    def _spans(self, *, whole_days: bool) -> list[tuple[Table, int, int]]:
        """The whole quarters within the bounds, and which table tells each of them: (table, first, last exclusive)."""
        first = 0 if self.since_ns is None else -(-self.since_ns // QUARTER_NS)
        last = _END if self.until_ns is None else self.until_ns // QUARTER_NS
        first_day, last_day = -(-first // DAY_QUARTERS), last // DAY_QUARTERS
        if not whole_days or first_day >= last_day:
            spans = [(quarters, first, last)]
        else:
            middle, end = first_day * DAY_QUARTERS, last_day * DAY_QUARTERS
            spans = [(quarters, first, middle), (days, first_day, last_day)]
            spans += [(quarters, min(max(middle, self._folded), end), last)]
        return [span for span in spans if span[1] < span[2]]

    def _edges(self) -> Iterator[list[ColumnElement[bool]]]:
        """The bounds of the rows that lie within no whole quarter."""
        since, until = self.since_ns, self.until_ns
        if since is not None and until is not None and since // QUARTER_NS == until // QUARTER_NS:
            yield usage.within(since, until)
            return
        if since is not None and since % QUARTER_NS:
            yield usage.within(since, (since // QUARTER_NS + 1) * QUARTER_NS)
        if until is not None and until % QUARTER_NS:
            yield usage.within(until // QUARTER_NS * QUARTER_NS, until)

    def _summed(
        self, by: ColumnElement[Any], table: Table, *where: ColumnElement[bool], name: str | None = None
    ) -> Iterator[list[Any]]:
        """The group and its counts. Whole numbers whatever they are: SQLite refuses a sum that exceeds 64 bits.

        `name`: of the groups' column whose values are wanted instead of the groups.
        """
        whole = _counts(table)
        try:
            rows: list[Sequence[Any]] = self._run(by, whole, where, name)
        except DBAPIError as error:
            if "integer overflow" not in str(error.orig):
                raise
            halves = [half for each in whole for half in (each.op(">>")(32), each.bitwise_and(_LOW))]
            found = self._run(by, halves, where, name)
            rows = [
                (row[0], *((int(row[n] or 0) << 32) + int(row[n + 1] or 0) for n in range(1, len(row), 2))) for row in found
            ]
        for row in rows:
            yield [row[0], *_merged(table, [int(value or 0) for value in row[1:]])]

    def _run(
        self,
        by: ColumnElement[Any],
        counts: Sequence[ColumnElement[Any]],
        where: Sequence[ColumnElement[bool]],
        name: str | None,
    ) -> list[Sequence[Any]]:
        sums = [func.sum(count).label(f"sum_{at}") for at, count in enumerate(counts)]
        wanted = select(by.label("by"), *sums).where(*where).group_by(by)
        if name is not None:
            inner = wanted.subquery()
            outer = [func.sum(inner.c[one.name]) for one in sums]
            wanted = select(groups.c[name], *outer).join_from(inner, groups, groups.c.id == inner.c.by).group_by(groups.c[name])
        return [tuple(row) for row in self._connection.execute(wanted)]


def _counts(table: Table) -> list[ColumnElement[Any]]:
    """What is summed, column by column; of rows the three that are counted come first."""
    if table is not table_of_rows:
        return [table.c[name] for name in COUNTS]
    columns = table.c
    failed = (columns.outcome != "ok").cast(Integer)
    unpriced = (columns.cost_nano.is_(None) & (columns.basis != "none")).cast(Integer)
    return [_ONE, failed, unpriced, *(columns[part] for name in COUNTS[3:] for part in _ROWS.get(name, (name,)))]


def _merged(table: Table, counts: list[int]) -> list[int]:
    if table is table_of_rows:
        counts[5:7] = [counts[5] + counts[6]]
    return counts


def totals(
    store: Store,
    by: By,
    since_ns: int | None,
    until_ns: int | None,
    unstored: Iterable[Mapping[str, Any]] = (),
    view: View = _EVERYTHING,
) -> list[Total]:
    """Sums by group, of requests started in [since, until): days and hours in order, the rest by cost, then tokens, largest
    first. `unstored`: rows that may not be stored yet; each counts once. Raises StoreError.
    """
    with store.read() as connection:
        reading = _Reading(connection, view, since_ns, until_ns)
        rest = usage.waiting(connection, unstored, reading.since_ns, reading.until_ns, view.only)
        if by in {"day", "hour"}:
            return _by_time(reading, rest, view.zone, by)
        found: dict[str, Total] = {}
        for total in (*reading.by_group(by), *(_of_row(row[by], row) for row in rest)):
            found.setdefault(total.name, Total(total.name)).add(total)
    return sorted(found.values(), key=lambda total: (-total.cost_nano, -total.input_tokens - total.output_tokens, total.name))


def spent(
    store: Store, column: str, name: str, since_ns: int | None, until_ns: int | None, unstored: Iterable[Mapping[str, Any]] = ()
) -> int:
    """Nano-dollars that one holder's requests cost that started in [since, until); `column`: one of `tables.GROUP`."""
    if column not in GROUP:
        raise ValueError(column)
    with store.read() as connection:
        reading = _Reading(connection, View({column: name}), since_ns, until_ns)
        rest = usage.waiting(connection, unstored, reading.since_ns, reading.until_ns, {column: name})
        return sum(total.cost_nano for total in reading.by_group(column)) + sum(row["cost_nano"] or 0 for row in rest)


def _by_time(reading: _Reading, rest: list[Mapping[str, Any]], zone: tzinfo, by: str) -> list[Total]:
    parts = [(row["started_ns"] // QUARTER_NS, _of_row("", row)) for row in rest]
    parts += reading.by_time(DAY_QUARTERS if by == "day" else HOUR_QUARTERS)
    found: dict[str, Total] = {}
    for slot, total in sorted(parts, key=lambda part: part[0]):
        when = _when(slot, zone)
        name = when.date().isoformat() if by == "day" else when.replace(minute=0).isoformat(timespec="minutes")
        found.setdefault(name, Total(name)).add(total)
    return list(found.values())


def _steady(first: int, last: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """The quarters from `first` to before `last` in spans without a change of the clocks, each with how many it is ahead."""
    while first < last:
        ahead = _ahead(first, zone)
        end = first
        for step in (DAY_QUARTERS, 1):  # days, then quarters up to the change
            while end < last and _ahead(min(end + step, last) - 1, zone) == ahead:
                end = min(end + step, last)
        yield first, end, ahead
        first = end


def _ahead(slot: int, zone: tzinfo) -> int:
    ahead = _when(slot, zone).utcoffset()
    return 0 if ahead is None else ahead // timedelta(minutes=15)


def _when(slot: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(slot * (QUARTER_NS // 1_000_000_000), zone)


def _total(name: str, counts: Sequence[int]) -> Total:
    return Total(name, *counts)


def _of_row(name: str, row: Mapping[str, Any]) -> Total:
    unpriced = int(row["cost_nano"] is None and row["basis"] != "none")
    sums = [sum(row[part] or 0 for part in _ROWS.get(count, (count,))) for count in COUNTS[3:]]
    return Total(name, 1, int(row["outcome"] != "ok"), unpriced, *sums)
