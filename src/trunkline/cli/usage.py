"""`trunkline usage`: what was used and what it cost, as totals or record by record. Reads, and changes nothing.

Records that are still only in the journal count too, beside a running gateway and without one.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from trunkline.cli.data import Data, fail, opened, output, printable
from trunkline.ledger.record import Row, row
from trunkline.ledger.segment import settled
from trunkline.store import usage
from trunkline.store.engine import Store
from trunkline.store.place import JOURNAL, data_dir

app = typer.Typer(help="Show what was used and what it cost.", invoke_without_command=True)

_BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_DAY = 86_400
_LATEST = 2**63 - 1
_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}


class By(StrEnum):
    """What totals are grouped by."""

    day = "day"
    key = "key"
    model = "model"
    provider = "provider"


class Format(StrEnum):
    """How records are written."""

    jsonl = "jsonl"


Since = Annotated[str | None, typer.Option("--since", help="From then on: 90m, 12h, 7d, 4w ago, or a date (UTC).")]
Until = Annotated[str | None, typer.Option("--until", help="Up to then: as --since; a date is meant whole.")]


@app.callback()
def totals(
    context: typer.Context,
    by: Annotated[By, typer.Option("--by", help="Group by this.")] = By.day,
    since: Since = None,
    until: Until = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as JSON; costs in nano-dollars.")] = False,
) -> None:
    """Show totals by day, key, model or provider."""
    if context.invoked_subcommand is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        if given := [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]:
            word = context.invoked_subcommand
            raise typer.BadParameter(f"Options of {word} stand after it: before it, {', '.join(given)} would not count.")
        return
    with accounts(data_dir(data, os.environ)) as (store, unstored):
        found = usage.totals(store, by.value, moment(since), moment(until, end=True), unstored)
    with output():
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        else:
            _print(by.value, found)


@app.command()
def export(
    form: Annotated[Format, typer.Option("--format", help="One JSON object per line.")] = Format.jsonl,  # noqa: ARG001 - the only one
    since: Since = None,
    until: Until = None,
    data: Data = None,
) -> None:
    """Write every record to stdout, in order of time, however many there are."""
    encode = msgspec.json.Encoder().encode
    with accounts(data_dir(data, os.environ)) as (store, unstored), output():
        for record in usage.export(store, moment(since), moment(until, end=True), unstored):
            sys.stdout.buffer.write(encode(record) + b"\n")


@contextmanager
def accounts(data: Path) -> Iterator[tuple[Store, list[Row]]]:
    """The store of a data directory, and the rows of its journal, which is read first."""
    try:
        unstored = [row(settlement) for settlement in settled(data / JOURNAL)]
    except OSError as error:
        raise fail(f"The journal {data / JOURNAL} cannot be read: {error.strerror}.", "Make it readable.") from error
    with opened(data) as store:
        yield store, unstored


def moment(text: str | None, *, end: bool = False) -> int | None:
    """Nanoseconds since the epoch for `7d` (ago) or an ISO date or time (UTC where it names no zone); None for None.

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
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    seconds = int(when.timestamp()) + (_DAY if end and len(text) == len("2026-01-31") else 0)
    return max(0, min(seconds * 1_000_000_000, _LATEST))


def dollars(nano: int) -> str:
    """Nano-dollars as dollars, exact: at least two decimals, at most the nine there are."""
    whole, part = divmod(nano, 1_000_000_000)
    decimals = f"{part:09}".rstrip("0")
    return f"${whole:,}.{decimals:0<2}"


def bar(value: int, largest: int, width: int = _BAR) -> str:
    """`value` as a bar, drawn to the eighth of a character; the largest fills it."""
    eighths = value * width * 8 // largest if largest else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "▏" * (not full and value > 0))


def _print(by: str, found: list[usage.Total]) -> None:
    """The totals as a table; the bar shows cost, or tokens where nothing has a price."""
    if not found:
        typer.echo("No requests in this time.")
        return
    table = Table(by, box=None, pad_edge=False, show_footer=len(found) > 1)
    table.columns[0].footer = "total"
    total = usage.Total("total")
    for one in found:
        total.add(one)
    columns = ("requests", "input", "cached", "output", "cost")
    for name, footer in zip(columns, _cells(total), strict=True):
        table.add_column(name, footer=footer, justify="right", no_wrap=True)
    table.add_column("cost" if total.cost_nano else "tokens", no_wrap=True)
    weights = [one.cost_nano if total.cost_nano else one.input_tokens + one.output_tokens for one in found]
    for one, weight in zip(found, weights, strict=True):
        table.add_row(printable(one.name), *_cells(one), bar(weight, max(weights)))
    Console(markup=False, emoji=False, highlight=False).print(table)
    if total.unpriced:
        typer.echo(f"{total.unpriced:,} requests have no known price; their cost is not counted.", err=True)


def _cells(total: usage.Total) -> tuple[str, ...]:
    counts = (total.requests, total.input_tokens, total.cache_read_tokens, total.output_tokens)
    return (*(f"{count:,}" for count in counts), dollars(total.cost_nano))
