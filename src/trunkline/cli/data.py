"""What commands on the data directory share: the option that names it, the open store, and trouble told in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trunkline.config.load import find_config, load_store
from trunkline.config.mistakes import ConfigError
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import holder, notify
from trunkline.store.place import DATABASE
from trunkline.store.processes import wait
from trunkline.store.url import StoreUrl

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; else TRUNKLINE_CONFIG, ./trunkline.yaml, none.")
]
Data = Annotated[Path | None, typer.Option("--data", help="Data directory; else TRUNKLINE_DATA, else the platform's.")]


def fail(message: str, remedy: str) -> typer.Exit:
    """Say what is wrong and what to do about it; the exception to raise then."""
    typer.echo(f"{message}\n{remedy}", err=True)
    return typer.Exit(1)


@contextmanager
def opened(data: Path, *, create: bool = False, config: Path | None = None) -> Iterator[Store]:
    """The store, closed at the end: the one that `trunkline serve` would open from here with the same `config`.

    `create`: made where there is none. Whatever is wrong with it fails the command.
    """
    url, gateway = store_url(config, data), holder(data)
    if url is None and gateway is not None and not (data / DATABASE).exists():
        remedy = "Name its configuration with --config or TRUNKLINE_CONFIG."
        raise fail(f"The gateway that uses the data directory {data} has its store elsewhere.", remedy)
    try:
        store = open_store(data, url, create=create, check=gateway is None)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise fail(error.message, error.remedy) from error


def store_url(config: Path | None, data: Path) -> StoreUrl | None:
    """Where the configuration that would be served from here has its store; None for the data directory.

    One that cannot be read must not keep a revoked key valid: where a gateway runs with its store in the data directory, it is
    that one.
    """
    try:
        return load_store(find_config(config, os.environ, Path.cwd()), os.environ).url
    except ConfigError as error:
        if holder(data) is not None and (data / DATABASE).exists():
            typer.echo(f"{error}\nThis configuration cannot be read; the store in {data} is used.", err=True)
            return None
        raise fail(str(error), "The configuration says where the store is: correct this first.") from None


def tell(data: Path, config: Path | None, generation: int, done: str) -> None:
    """Say what was `done`, and make every gateway on this store work with its keys and prices of `generation`, or newer. Fails
    the command, and says who did not answer, where that took longer than some seconds.
    """
    typer.echo(done, err=True)
    late = [] if notify(data, generation) else ["the running gateway"]
    if store_url(config, data) is not None:
        with opened(data, config=config) as store:
            late += wait(store, generation)
    if late:
        typer.echo(f"Not taken up within 5 seconds by {', '.join(late)}; restart to be sure.", err=True)
        raise typer.Exit(1)


@contextmanager
def output() -> Iterator[None]:
    """What is printed inside must arrive, or the command fails. A reader that left early is left to the caller."""
    if sys.stdout is None:
        raise fail("The standard output is closed.", "Open it: what is to be seen is written there.")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up_output()
        raise fail(f"The standard output cannot be written: {error.strerror}.", "See that there is room.") from error


def console() -> Console:
    """Where tables are printed; nothing in them is markup."""
    return Console(markup=False, emoji=False, highlight=False)


def instant(ns: int) -> str:
    """A moment, nanoseconds since the epoch, to the minute, UTC."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """What clients or providers chose, made harmless for a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _give_up_output() -> None:
    """Let what is still to be written go nowhere: else the interpreter fails on it again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
