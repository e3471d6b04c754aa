"""`trunkline usage`: what was used and what it cost, as totals or record by record. Reads, but for `prune`.

Records that are still only in the journal count too, beside a running gateway and without one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from trunkline.cli.accounts import (
    Key,
    Model,
    Organisation,
    Provider,
    Since,
    Team,
    Until,
    User,
    accounts,
    chosen,
    moment,
    time_zone,
)
from trunkline.cli.data import Config, Data, console, opened, output, printable
from trunkline.cli.export import export
from trunkline.store import retention, sums, usage
from trunkline.store.place import data_dir

app = typer.Typer(help="Show what was used and what it cost.", invoke_without_command=True)

_BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PAUSE = 0.02
"""Seconds between two pieces of a deletion: a gateway beside it must be able to write."""


class By(StrEnum):
    """What totals are grouped by."""

    day = "day"
    hour = "hour"
    key = "key"
    user = "user"
    team = "team"
    organisation = "organisation"
    model = "model"
    provider = "provider"
    target = "target"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; costs in nano-dollars.")]


@app.callback()
def totals(  # noqa: PLR0913 - a command's options
    context: typer.Context,
    by: Annotated[By, typer.Option("--by", help="Group by this.")] = By.day,
    since: Since = None,
    until: Until = None,
    key: Key = None,
    user: User = None,
    team: Team = None,
    organisation: Organisation = None,
    model: Model = None,
    provider: Provider = None,
    zone: Annotated[str, typer.Option("--zone", help="Whose days and hours, such as Europe/Berlin.")] = "UTC",
    data: Data = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show totals by day, key, model and so on."""
    if context.invoked_subcommand is not None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        if given := [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]:
            word = context.invoked_subcommand
            raise typer.BadParameter(f"Options of {word} stand after it: before it, {', '.join(given)} would not count.")
        return
    only = chosen(key=key, user=user, team=team, organisation=organisation, model=model, provider=provider)
    view = sums.View(only, time_zone(zone))
    bounds = moment(since, zone=view.zone), moment(until, end=True, zone=view.zone)
    with accounts(data_dir(data, os.environ), config) as (store, unstored):
        found = sums.totals(store, by.value, *bounds, unstored, view)
    with output():
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        else:
            _print(by.value, found)


@app.command("list")
def latest(  # noqa: PLR0913 - a command's options
    key: Key = None,
    user: User = None,
    team: Team = None,
    organisation: Organisation = None,
    model: Model = None,
    provider: Provider = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 20,
    data: Data = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest records, newest first."""
    only = chosen(key=key, user=user, team=team, organisation=organisation, model=model, provider=provider)
    with accounts(data_dir(data, os.environ), config) as (store, unstored):
        found = usage.latest(store, only, limit, unstored)
    with output():
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        else:
            _print_list(found)


app.command()(export)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", help="Such as 90d or 52w; or a date: from before then.")],
    data: Data = None,
    config: Config = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
) -> None:
    """Delete old records. Totals stay as they are, and so do budgets."""
    before = min(moment(older_than) or 0, time.time_ns())
    with opened(data_dir(data, os.environ), config=config) as store:
        if dry_run:
            typer.echo(f"{retention.count(store, before):,} records would be deleted.")
            return
        deleted = gone = retention.prune(store, before)
        while gone == retention.BATCH:
            time.sleep(_PAUSE)
            gone = retention.prune(store, before)
            deleted += gone
    typer.echo(f"{deleted:,} records were deleted; totals stay as they were.")


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


def _print(by: str, found: list[sums.Total]) -> None:
    """The totals as a table; the bar shows cost, or tokens where nothing has a price."""
    if not found:
        typer.echo("No requests in this time.")
        return
    table = Table(by, box=None, pad_edge=False, show_footer=len(found) > 1)
    table.columns[0].footer = "total"
    total = sums.Total("total")
    for one in found:
        total.add(one)
    columns = ("requests", "input", "cached", "output", "cost")
    for name, footer in zip(columns, _cells(total), strict=True):
        table.add_column(name, footer=footer, justify="right", no_wrap=True)
    table.add_column("cost" if total.cost_nano else "tokens", no_wrap=True)
    weights = [one.cost_nano if total.cost_nano else one.input_tokens + one.output_tokens for one in found]
    for one, weight in zip(found, weights, strict=True):
        table.add_row(printable(one.name), *_cells(one), bar(weight, max(weights)))
    console().print(table)
    if total.unpriced:
        typer.echo(f"{total.unpriced:,} requests have no known price; their cost is not counted.", err=True)


def _cells(total: sums.Total) -> tuple[str, ...]:
    counts = (total.requests, total.input_tokens, total.cache_read_tokens, total.output_tokens)
    return (*(f"{count:,}" for count in counts), dollars(total.cost_nano))


def _print_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """The records as a table."""
    if not rows:
        typer.echo("No such requests.")
        return
    table = Table("started (UTC)", "key", "model", "provider", "outcome", box=None, pad_edge=False)
    for name in ("input", "output", "cost", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("id", no_wrap=True)
    for row in rows:
        when = datetime.fromtimestamp(row["started_ns"] // 1_000_000_000, UTC)
        names = (printable(str(row[name])) for name in ("key", "model", "provider", "outcome"))
        cost = "" if row["cost_nano"] is None else dollars(row["cost_nano"])
        counts = (f"{row['input_tokens']:,}", f"{row['output_tokens']:,}", cost, f"{row['duration_us'] // 1000:,}")
        table.add_row(f"{when:%Y-%m-%d %H:%M:%S}", *names, *counts, printable(row["id"]))
    console().print(table)
