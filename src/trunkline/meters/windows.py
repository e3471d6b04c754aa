"""The calendar of budgets: days, weeks and months of a time zone, as nanoseconds since the epoch. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month", "total"]
"""A week begins on Monday (ISO 8601). `total` never ends."""

_SECOND = 1_000_000_000
_LAST = 2**63 - 1


class Window(NamedTuple):
    """From `begin` up to `end`, nanoseconds since the epoch."""

    begin: int
    end: int


FOREVER = Window(0, _LAST)


def window(period: Period, zone: str, at_ns: int) -> Window:
    """The window that a moment lies in. Raises `ZoneInfoNotFoundError` where there is no such zone."""
    if period == "total":
        return FOREVER
    begin = _begin(period, datetime.fromtimestamp(at_ns // _SECOND, _zone(zone)).date())
    return _window(period, zone, begin)


@lru_cache(maxsize=1024)
def _window(period: Period, zone: str, begin: date) -> Window:
    return Window(_midnight(begin, zone), _midnight(_following(period, begin), zone))


def _begin(period: Period, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _following(period: Period, begin: date) -> date:
    if period == "month":
        return (begin + timedelta(days=31)).replace(day=1)
    return begin + timedelta(days=7 if period == "week" else 1)


def _midnight(day: date, zone: str) -> int:
    """The first moment of a day; where clocks skip midnight, that of the jump."""
    local = datetime(day.year, day.month, day.day, tzinfo=_zone(zone))
    return int(local.astimezone(UTC).timestamp()) * _SECOND


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
