"""`trunkline keys`: make, list and revoke client keys in the data directory. A running gateway is told at once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trunkline.cli.data import Data, opened, output
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.store import keys
from trunkline.store.lock import notify
from trunkline.store.place import data_dir

app = typer.Typer(help="Make, list and revoke client keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The key's name, as accounts and logs show it.")]


def _tell(data: Path, generation: int, done: str) -> None:
    """Say what was done, and make a running gateway work with it."""
    typer.echo(done, err=True)
    if not notify(data, generation):
        typer.echo("The running gateway did not take this up within 5 seconds; restart it to be sure.", err=True)
        raise typer.Exit(1)


@app.command()
def create(
    name: Name,
    models: Annotated[str | None, typer.Option("--models", help="Models it may use, comma-separated; all if absent.")] = None,
    data: Data = None,
) -> None:
    """Make a key and print it, once: only a digest of it is kept."""
    place = data_dir(data, os.environ)
    allowed = None if models is None else [model.strip() for model in models.split(",") if model.strip()]
    if allowed == []:
        raise typer.BadParameter("names no model: the key could do nothing. Without --models it may use all.")
    with opened(place, create=True) as store:
        key, generation = keys.create(store, name, allowed, time.time_ns())
    try:
        with output():
            print(key)
    except (typer.Exit, BrokenPipeError):
        with opened(place) as store:
            generation = keys.revoke(store, name, time.time_ns())
        _tell(place, generation, f"Nobody could see the key {name!r}, so it was revoked again.")
        raise
    _warn_unknown(allowed or [])
    _tell(place, generation, f"Created the key {name!r}. It is shown this once; keep it safe.")


def _warn_unknown(models: list[str]) -> None:
    """Name those that the configuration does not know, where there is one: a misspelt one shows only when the key is used."""
    path = find_config(None, os.environ, Path.cwd())
    try:
        snapshot = load(path, os.environ) if path else None
    except ConfigError:
        return
    if unknown := [model for model in models if snapshot and snapshot.route(model) is None]:
        typer.echo(f"Warning: {path} knows no {', '.join(map(repr, unknown))}.", err=True)


@app.command("list")
def show(data: Data = None) -> None:
    """List the keys, without their secrets."""
    with opened(data_dir(data, os.environ)) as store:
        found = keys.listing(store)
    table = Table("name", "models", "created", "state", box=None, pad_edge=False)
    for key in found:
        models = "all" if key.models is None else ", ".join(key.models)
        state = "valid" if key.revoked_ns is None else f"revoked {_day(key.revoked_ns)}"
        table.add_row(key.name, models, _day(key.created_ns), state)
    with output():
        Console(markup=False, emoji=False, highlight=False).print(table)


@app.command()
def revoke(name: Name, data: Data = None) -> None:
    """Make a key invalid, at once, in a running gateway too."""
    place = data_dir(data, os.environ)
    with opened(place) as store:
        generation = keys.revoke(store, name, time.time_ns())
    _tell(place, generation, f"Revoked the key {name!r}.")


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
