"""`trunkline usage reprice`: what the past costs by today's prices, shown and then put into the ledger.

What a row costs is decided in `ledger.reprice`; how it is stored, with its sums, in `store.repricing`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from trunkline.canon.errors import Kind
from trunkline.cli.accounts import moment
from trunkline.cli.data import Config, Data, console, fail, opened, output, printable
from trunkline.cli.prices import all_set, configured, in_force
from trunkline.cli.usage import bar, dollars
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.told import read_told
from trunkline.ledger.reprice import Line, Renewed, Tally, renewed
from trunkline.pipeline.trail import read as read_trail
from trunkline.pipeline.use import Step
from trunkline.providers.catalog import catalog
from trunkline.store import usage
from trunkline.store.engine import Store
from trunkline.store.place import data_dir
from trunkline.store.repricing import AT_ONCE, renew

Row = Mapping[str, Any]
Pricing = Callable[[Row], Renewed]

_KEPT = {
    "same": "cost the same",
    "unused": "used nothing that is known",
    "mixed": "sum several answers that were priced alone",
    "provider": "went to a provider that is not configured any more",
    "unknown": "have no known price",
    "pieces": "made pictures that nobody told the tokens of",
}
_UNREACHED = {Kind.UPSTREAM_UNREACHABLE.value, Kind.UPSTREAM_TLS.value}


def reprice(  # noqa: PLR0913 - a command's options
    since: Annotated[str, typer.Option("--from", help="Of requests from then on: 7d, 4w ago, or a date (UTC).")],
    until: Annotated[str | None, typer.Option("--until", help="Up to then; a date is meant whole.")] = None,
    model: Annotated[str, typer.Option(help="Only this model, by either name; * and ? stand for any.")] = "*",
    key: Annotated[str | None, typer.Option(help="Only of this key.")] = None,
    config: Config = None,
    data: Data = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON; costs in nano-dollars.")] = False,
) -> None:
    """Show what stored requests cost by today's prices (those that hold at each one's time), and put that into the ledger.

    It can be broken off and begun again at any time. Budgets follow when a gateway starts; those in Redis when their time is
    over.
    """
    snapshot, first, last = configured(config), moment(since), moment(until, end=True)

    def wanted(row: Row) -> bool:
        return (key is None or row["key"] == key) and (fnmatchcase(row["target"], model) or fnmatchcase(row["model"], model))

    with opened(data_dir(data, os.environ), config=config) as store:
        priced = _pricing(snapshot, store)
        tally = Tally()
        for row in filter(wanted, usage.export(store, first, last)):
            tally.add(row, priced(row))
        changing = sum(line.requests for line in tally.lines())
        with output():
            _tell_json(tally) if as_json else _tell(tally)
        if dry_run or not changing:
            return
        _confirm(changing, yes=yes)
        changed = sum(renew(store, ids, partial(_new, priced)) for ids in _batches(store, first, last, wanted, priced))
    follow = "Budgets follow when a gateway starts; those in Redis when their time is over."
    typer.echo(f"Changed {changed:,} records. {follow}", err=True)


def _pricing(snapshot: Snapshot, store: Store) -> Pricing:
    """What a row costs by the prices in force: bundled, in the store, in the file."""
    prices = in_force(all_set(snapshot, store))
    kinds = {kind: kind for kind in catalog()} | {name: provider.kind for name, provider in snapshot.providers.items()}
    return lambda row: renewed(row, read_told(row["raw_usage"]), prices, kinds, mixed=_mixed(row))


def _mixed(row: Row) -> bool:
    """Whether its tokens are those of several answers: to several prompts, in a session, or of attempts that were charged."""
    if row["endpoint"] == "realtime" or (row["endpoint"] == "completions" and row["raw_usage"].startswith("[")):
        return True
    if not row["trail"]:
        return bool(row["attempts"] > 1)  # from before there were trails
    trail = read_trail(row["trail"])
    return trail.cut > 0 or sum(map(_may_have_cost, trail.steps)) > 1


def _may_have_cost(step: Step) -> bool:
    """Whether a provider may have charged for an attempt: not where it refused, or was not reached."""
    return not step.error or (step.status < 400 and step.error not in _UNREACHED)


def _new(priced: Pricing, row: Row) -> tuple[int, str] | None:
    new = priced(row)
    return None if new.kept or new.cost_nano is None else (new.cost_nano, new.version)


def _batches(
    store: Store, first: int | None, last: int | None, wanted: Callable[[Row], bool], priced: Pricing
) -> Iterator[list[str]]:
    """The ids of rows that change, some at a time."""
    ids: list[str] = []
    for row in filter(wanted, usage.export(store, first, last)):
        new = _new(priced, row)
        if new is not None and new[0] != row["cost_nano"]:
            ids.append(row["id"])
        if len(ids) == AT_ONCE:
            yield ids
            ids = []
    if ids:
        yield ids


def _confirm(changing: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise fail("Nobody is there to be asked.", "Say --yes to change the records, or --dry-run to change none.")
    typer.confirm(f"Change the cost of {changing:,} records?", abort=True, err=True)


def _tell_json(tally: Tally) -> None:
    told = {"rows": tally.rows, "kept": tally.kept, "changes": tally.lines()}
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")


def _tell(tally: Tally) -> None:
    lines = tally.lines()
    if lines:
        total = Line("total", "")
        for line in lines:
            for name in ("requests", "priced", "old_nano", "new_nano"):
                setattr(total, name, getattr(total, name) + getattr(line, name))
        table = Table("day", "model", box=None, pad_edge=False, show_footer=len(lines) > 1)
        table.columns[0].footer = "total"
        for name, footer in zip(("requests", "old", "new", "difference"), _cells(total), strict=True):
            table.add_column(name, footer=footer, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        most = max(abs(line.new_nano - line.old_nano) for line in lines)
        for line in lines:
            table.add_row(line.day, printable(line.model), *_cells(line), bar(abs(line.new_nano - line.old_nano), most))
        console().print(table)
        if total.priced:
            print(f"{total.priced:,} of them had no price before.")
    else:
        print(f"Nothing changes: {tally.rows:,} records were looked at.")
    for why, count in sorted(tally.kept.items()):
        print(f"{count:,} stay as they are: they {_KEPT[why]}.")


def _cells(line: Line) -> tuple[str, ...]:
    return f"{line.requests:,}", dollars(line.old_nano), dollars(line.new_nano), signed(line.new_nano - line.old_nano)


def signed(nano: int) -> str:
    """A difference of dollars, with its sign."""
    return f"{'-' if nano < 0 else '+'}{dollars(abs(nano))}"
