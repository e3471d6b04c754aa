"""`trunkline usage reconcile`: a provider's export of what it charged, against the ledger.

How exports look is in `ledger.exports`, what the difference is made of in `ledger.reconcile`. Reads, and changes nothing.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from trunkline.cli.accounts import accounts, moment
from trunkline.cli.data import Config, Data, console, fail, output, printable
from trunkline.cli.prices import configured
from trunkline.cli.reprice import signed
from trunkline.cli.usage import bar, dollars
from trunkline.config.snapshot import Snapshot
from trunkline.config.values import portion
from trunkline.ledger.exports import Charge, ExportError, Form, charges, form_of
from trunkline.ledger.reconcile import Books, Line, beyond, reconcile, totals
from trunkline.store import usage
from trunkline.store.place import data_dir

_CAUSES = {
    "unaccounted": "not in the ledger: it did not go through this gateway, or not on this day",
    "uncharged": "not in the export",
    "requests": "a different number of requests",
    "tokens": "a different number of tokens",
    "price": "another price, or another mix of input, output and cache",
    "unexplained": "the export says too little to tell why",
}


def compare(  # noqa: PLR0913 - a command's options
    file: Annotated[Path, typer.Argument(help="The provider's export, as CSV.", exists=True, dir_okay=False)],
    provider: Annotated[str, typer.Option(help="Whose it is: a provider's name, or a kind. By default by the export.")] = "",
    mapped: Annotated[
        list[str] | None, typer.Option("--map", help="A column of another form: date=Day, model=Name, amount=Cost, …")
    ] = None,
    tolerance: Annotated[str, typer.Option(help="What may differ.")] = "0.5%",
    config: Config = None,
    data: Data = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON; money in nano-dollars.")] = False,
) -> None:
    """Compare what a provider says it charged with the ledger, day by day and model by model, and tell why they differ.

    Exit status 0: all together, and each model, differ by no more than is tolerated; 1: they do.
    """
    try:
        allowed = portion(tolerance)
    except ValueError:
        raise typer.BadParameter(f"{tolerance!r} is no part such as 0.5%.") from None
    form, theirs = _read(file, _mapping(mapped or ()))
    snapshot = configured(config)
    names = _names(snapshot, provider or form.kind)
    books = _books(theirs, names, config, data)
    lines = reconcile(books, theirs)
    summed = totals(lines)
    wrong = beyond(summed, allowed)
    with output():
        if as_json:
            print(msgspec.json.encode(_told(form, names, lines, summed, wrong)).decode())
        else:
            _show(form, names, lines, summed, wrong)
    if wrong:
        raise typer.Exit(1)


def _mapping(mapped: Collection[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for text in mapped for pair in text.split(",")]
    if bad := [name for name, equals, column in pairs if not (name and equals and column)]:
        raise typer.BadParameter(f"{bad[0]!r} is no mapping: write FIELD=COLUMN.")
    return {name.strip().lower(): column.strip().lower() for name, _, column in pairs}


def _read(file: Path, mapped: dict[str, str]) -> tuple[Form, list[Charge]]:
    """What the export says, with each day and model once."""
    with _explained(file), file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=_delimiter(text.readline()), strict=True)
        text.seek(0)
        columns = [name.strip().lower() for name in next(reader, [])]
        if not columns:
            raise ExportError("It is empty.")
        form = form_of(columns, mapped)
        found: dict[tuple[str, str], Charge] = {}
        for charge in charges(form, _rows(reader, columns)):
            at = charge.day, charge.model
            found[at] = charge.plus(found[at]) if at in found else charge
    if not found:
        raise fail(f"{file} has no rows below its header.", "Export a time in which something was used.")
    return form, list(found.values())


def _delimiter(header: str) -> str:
    """A comma; but spreadsheets write what their user's country does."""
    return max(",;\t", key=header.count)


def _rows(reader: Iterable[list[str]], columns: list[str]) -> Iterator[dict[str, str]]:
    """Each by its columns. One that is cut off, or has a comma too many, would be read as something else."""
    for number, row in enumerate(filter(any, reader), 2):
        if len(row) < len(columns) or any(row[len(columns) :]):
            raise ExportError(f"Row {number}: it has {len(row)} cells, and the header {len(columns)}.")
        yield {name: cell for name, cell in zip(columns, row, strict=False) if name}  # pandas numbers rows under no name


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except (ExportError, csv.Error, UnicodeDecodeError) as error:
        raise fail(f"{file} cannot be read: {error}", "It must be the provider's export as CSV, in UTF-8.") from None
    except OSError as error:
        raise fail(f"{file} cannot be read: {error.strerror}.", "Make it readable.") from None


def _names(snapshot: Snapshot, wanted: str) -> tuple[str, ...]:
    """The providers that are meant; none means all."""
    if not wanted:
        return ()
    found = [name for name, provider in snapshot.providers.items() if wanted in {name, provider.kind}]
    return tuple(dict.fromkeys((*found, wanted)))


def _books(theirs: list[Charge], names: tuple[str, ...], config: Path | None, data: Path | None) -> Books:
    """The ledger's side of the days that the export is of."""
    days = [charge.day for charge in theirs]
    first, last = moment(min(days)), moment(max(days), end=True)
    one_model, books = not any(charge.model for charge in theirs), Books()
    with accounts(data_dir(data, os.environ), config) as (store, unstored):
        for row in usage.export(store, first, last, unstored):
            if not names or row["provider"] in names:
                books.add(row, one_model=one_model)
    return books


def _told(form: Form, names: tuple[str, ...], lines: list[Line], summed: list[Line], wrong: list[Line]) -> dict[str, object]:
    def plain(line: Line) -> dict[str, object]:
        return {**msgspec.structs.asdict(line), "drift": line.drift, "causes": dict(line.causes)}

    return {
        "form": form.name,
        "providers": names,
        "lines": [plain(line) for line in lines],
        "models": [plain(line) for line in summed[:-1]],
        "total": plain(summed[-1]),
        "beyond": ["total" if line is summed[-1] else line.model for line in wrong],
    }


def _show(form: Form, names: tuple[str, ...], lines: list[Line], summed: list[Line], wrong: list[Line]) -> None:
    money = summed[-1].theirs.nano is not None
    print(
        f"{form.name} against the ledger's records of {', '.join(names) or 'all providers'}, {'cost' if money else 'tokens'}:"
    )
    table = Table("day", "model", box=None, pad_edge=False, show_footer=len(lines) > 1)
    table.columns[0].footer = "total"
    for name, footer in zip(("ours", "theirs", "drift", "%"), _cells(summed[-1], money=money), strict=True):
        table.add_column(name, footer=footer, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max(abs(line.drift) for line in lines)
    for line in lines:
        table.add_row(line.day, _called(line), *_cells(line, money=money), bar(abs(line.drift), most))
    console().print(table)
    for sentence in _sentences(summed, money=money):
        print(sentence)
    if wrong:
        which = ", ".join("the total" if line is summed[-1] else _called(line) for line in wrong)
        print(f"More than is tolerated: {which}.", file=sys.stderr)


def _called(line: Line) -> str:
    """Some of what is charged has no model, and some exports tell none."""
    return printable(line.model) or "no model"


def _cells(line: Line, *, money: bool) -> tuple[str, ...]:
    drift, measure = line.drift, line.measure
    share = f"{drift * 100 / measure:+.2f}" if measure else ("" if not drift else "new")
    if money:
        return dollars(line.ours.nano), signed_or_not(measure), signed(drift), share
    return f"{line.ours.input + line.ours.output:,}", f"{measure:,}", f"{drift:+,}", share


def signed_or_not(nano: int) -> str:
    """Dollars, with a sign only where they are a credit."""
    return signed(nano) if nano < 0 else dollars(nano)


def _sentences(summed: list[Line], *, money: bool) -> Iterator[str]:
    """What the drift is made of, model by model, and what of ours is no full account."""
    for line in summed if len(summed) > 2 else summed[-1:]:
        name = "all" if line is summed[-1] else _called(line)
        for cause, part in line.causes:
            yield f"{name}: {signed(part) if money else f'{part:+,} tokens'}: {_CAUSES[cause]}"
    ours = summed[-1].ours
    if ours.unpriced:
        yield f"{ours.unpriced:,} requests have no known price here: what they cost is missing from ours."
    if ours.estimated:
        yield f"{ours.estimated:,} requests are estimated, {dollars(ours.estimated_nano)} of ours: nobody told their tokens."
    if ours.interrupted:
        yield f"{ours.interrupted:,} requests were cut off by a crash of the gateway: what they cost is missing from ours."
