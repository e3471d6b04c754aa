"""`trunkline backup` and `trunkline restore`: the store as one file, made while the gateway runs, and put back."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trunkline.cli.data import Config, Data, fail, store_url
from trunkline.store import backup as copies
from trunkline.store.errors import StoreError
from trunkline.store.place import data_dir
from trunkline.store.url import StoreUrl


def backup(
    file: Annotated[Path, typer.Argument(help="Where to.")],
    data: Data = None,
    config: Config = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
) -> None:
    """Copy keys and accounts into one file, for its owner only, while the gateway runs."""
    if (url := store_url(config, data_dir(data, os.environ))) is not None:
        raise _elsewhere(url, f"pg_dump --format=custom --file={shlex.quote(str(file))} {_quoted(url)}")
    with _failing(), _shown() as progress:
        size = copies.back_up(data_dir(data, os.environ), file, progress, force=force)
    typer.echo(f"Copied the store into {file} ({size:,} bytes): digests of keys, and all accounts. Keep it safe.", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="What `trunkline backup` made.")],
    data: Data = None,
    config: Config = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the database if there is one; it is kept beside.")] = False,
) -> None:
    """Put a backup into a data directory that no gateway uses."""
    if (url := store_url(config, data_dir(data, os.environ))) is not None:
        words = f"pg_restore --clean --if-exists --single-transaction --dbname={_quoted(url)} {shlex.quote(str(file))}"
        raise _elsewhere(url, words)
    place = data_dir(data, os.environ)
    with _failing():
        kept = copies.restore(place, file, force=force)
    if kept is not None:
        typer.echo(f"The database that was there is now {kept}.", err=True)
    typer.echo(f"Restored {file} into {place}. Keys that were revoked since it was made are valid again.", err=True)


def _quoted(url: StoreUrl) -> str:
    return shlex.quote(url.without_password())


def _elsewhere(url: StoreUrl, command: str) -> typer.Exit:
    """A server's own programs do it, also while gateways use it; they ask for the password."""
    return fail(f"The store is the PostgreSQL database {url}. Use its own program:", f"  {command}")


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise fail(error.message, error.remedy) from error


@contextmanager
def _shown() -> Iterator[copies.Progress]:
    """How far it is, drawn where somebody looks."""
    console = Console(stderr=True)
    columns = (TextColumn("copying"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as drawn:
        task = drawn.add_task("copying")
        yield lambda done, total: drawn.update(task, completed=done, total=total)
