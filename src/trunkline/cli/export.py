"""`trunkline usage export`: every record, in a form for other programs. How it is read belongs in `store.usage`.

Money is whole nano-dollars in every form. Memory does not grow with the records. A file gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import typer
from sqlalchemy import BigInteger, Boolean, Integer

from trunkline.cli.accounts import Key, Model, Organisation, Provider, Since, Team, Until, User, accounts, chosen, moment
from trunkline.cli.data import Config, Data, fail, output
from trunkline.store import usage
from trunkline.store.place import data_dir
from trunkline.store.tables import usage as table

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones count too
"""Beginnings of cells that spreadsheets run: https://owasp.org/www-community/attacks/CSV_Injection."""
_GROUP = 5_000
"""Rows that a Parquet file keeps together, and that are in memory at once."""

Rows = Iterable[Mapping[str, Any]]


class Format(StrEnum):
    """How records are written."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def export(  # noqa: PLR0913 - a command's options
    form: Annotated[Format, typer.Option("--format", help="An object per line, a table, or Parquet.")] = Format.jsonl,
    to: Annotated[Path | None, typer.Option("--output", help="Into this file, made or replaced once it is whole.")] = None,
    since: Since = None,
    until: Until = None,
    key: Key = None,
    user: User = None,
    team: Team = None,
    organisation: Organisation = None,
    model: Model = None,
    provider: Provider = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Write every record, in order of time, however many there are."""
    write = _writer(form)
    if form is Format.parquet and to is None:
        raise typer.BadParameter("Parquet needs a file: name one with --output.")
    only = chosen(key=key, user=user, team=team, organisation=organisation, model=model, provider=provider)
    bounds = moment(since), moment(until, end=True)
    with accounts(data_dir(data, os.environ), config) as (store, unstored):
        rows = usage.export(store, *bounds, unstored, only)
        if to is None:
            with output():
                write(sys.stdout.buffer, rows)
        else:
            with _whole(to) as file:
                write(file, rows)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file beside, which takes the name when all is written and on the disk; for its owner only. Raises typer.Exit."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise fail(f"The file {path} cannot be written: {error.strerror or error}.", "See that there is room.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _writer(form: Format) -> Callable[[IO[bytes], Rows], None]:
    if form is Format.jsonl:
        return _write_lines
    return _write_csv if form is Format.csv else _parquet_writer()


def _write_lines(file: IO[bytes], rows: Rows) -> None:
    encode = msgspec.json.Encoder().encode
    for row in rows:
        file.write(encode(row) + b"\n")


def _write_csv(file: IO[bytes], rows: Rows) -> None:
    """As RFC 4180 says, with a line of names."""
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    head: list[object] = [column.name for column in table.c]
    for cells in chain([head], ([_cell(value) for value in row.values()] for row in rows)):
        writer.writerow(cells)
        file.write(line.getvalue().encode())
        line.seek(0)
        line.truncate()


def _cell(value: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe before it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet_writer() -> Callable[[IO[bytes], Rows], None]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - large, and only for this
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        message = "Parquet needs a library that is not installed."
        raise fail(message, "Install it: pip install 'trunkline[parquet]'; or choose --format csv.") from error
    kinds = ((BigInteger, pa.int64()), (Integer, pa.int32()), (Boolean, pa.bool_()))
    schema = pa.schema(
        pa.field(column.name, next((kind for of, kind in kinds if isinstance(column.type, of)), pa.string()), column.nullable)
        for column in table.c
    )

    def write(file: IO[bytes], rows: Rows) -> None:
        left = iter(rows)
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while group := list(islice(left, _GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema))

    return write
