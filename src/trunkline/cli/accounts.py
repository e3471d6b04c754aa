"""What the commands on the accounts share: the store with the journals beside it, times, and whose records are meant."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from trunkline.cli.data import fail, opened
from trunkline.ledger.record import Row, row
from trunkline.ledger.segment import settled
from trunkline.store.engine import Store
from trunkline.store.place import JOURNAL

Since = Annotated[str | None, typer.Option("--since", help="From then on: 90m, 12h, 7d, 4w ago, or a date (UTC).")]
Until = Annotated[str | None, typer.Option("--until", help="Up to then: as --since; a date is meant whole.")]
Key = Annotated[str | None, typer.Option("--key", help="Only of this key.")]
User = Annotated[str | None, typer.Option("--user", help="Only of this user.")]
Team = Annotated[str | None, typer.Option("--team", help="Only of this team.")]
Organisation = Annotated[str | None, typer.Option("--organisation", help="Only of this organisation.")]
Model = Annotated[str | None, typer.Option("--model", help="Only for this model, as clients name it.")]
Provider = Annotated[str | None, typer.Option("--provider", help="Only by this provider.")]

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}
_LATEST = 2**63 - 1


@contextmanager
def accounts(data: Path, config: Path | None = None) -> Iterator[tuple[Store, list[Row]]]:
    """The store of a data directory, and the rows of its journals, which are read first."""
    try:
        unstored = [row(settlement) for settlement in settled(data / JOURNAL)]
    except OSError as error:
        raise fail(f"The journal {data / JOURNAL} cannot be read: {error.strerror}.", "Make it readable.") from error
    with opened(data, config=config) as store:
        yield store, unstored


def chosen(**names: str | None) -> Mapping[str, str]:
    """Those that were given, by the names of their columns."""
    return {column: name for column, name in names.items() if name is not None}


def moment(text: str | None, *, end: bool = False, zone: tzinfo = UTC) -> int | None:
    """Nanoseconds since the epoch for `7d` (ago) or an ISO date or time (of `zone` where it names none); None for None.

    With `end`, a date means the end of that day. A time that no record can have becomes the nearest that one can. Raises
    typer.BadParameter for anything else.
    """
    if text is None:
        return None
    if span := _SPAN.fullmatch(text):
        return max(time.time_ns() - int(span[1]) * _MINUTES[span[2]] * 60 * 1_000_000_000, 0)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a span such as 7d nor a date such as 2026-01-31.") from error
    whole = end and len(text) == len("2026-01-31")
    return max(0, min(_seconds(when, zone, whole=whole) * 1_000_000_000, _LATEST))


def _seconds(when: datetime, zone: tzinfo, *, whole: bool) -> int:
    """Since the epoch; `whole`: to the end of the day, which is not always 24 hours away."""
    try:
        when = when + timedelta(days=whole)  # by the calendar
        return int(when.replace(tzinfo=when.tzinfo or zone).timestamp())
    except (OverflowError, ValueError):  # beyond the ends of the calendar
        return 0 if when.year == 1 else _LATEST


def time_zone(name: str) -> tzinfo:
    """The zone of this name. Raises typer.BadParameter."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - hardly ever needed

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise typer.BadParameter(f"There is no time zone {name!r}; write one such as Europe/Berlin.") from error
