"""`trunkline check`: every mistake of a configuration at once, or what it sets up, without a secret."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trunkline.cli.data import opened, output
from trunkline.config.holders import enrol
from trunkline.config.load import ConfigError, Snapshot, find_config, load
from trunkline.config.schema import json_schema
from trunkline.routing.route import Route
from trunkline.store import holders
from trunkline.store.place import DATABASE, data_dir

_CREDENTIALS = (b"Authorization", b"api-key", b"x-api-key", b"x-goog-api-key")


def check(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: TRUNKLINE_CONFIG, ./trunkline.yaml, none.")
    ] = None,
    *,
    schema: Annotated[bool, typer.Option("--json-schema", help="Print the JSON Schema of the file.")] = False,
) -> None:
    """Check the configuration. Exit status 0: it can be served; 1: it has mistakes, all of them listed."""
    if schema:
        with output():
            print(json.dumps(json_schema(), indent=2))
        return
    try:
        snapshot = load(find_config(config, os.environ, Path.cwd()), os.environ)
    except ConfigError as error:
        count = len(error.mistakes)
        print(f"{error}\n{count} mistake{'' if count == 1 else 's'}", file=sys.stderr)
        raise typer.Exit(1) from None
    lost = _lost(snapshot, config)
    if lost:
        print("\n".join([*lost, f"{len(lost)} mistake{'' if len(lost) == 1 else 's'}"]), file=sys.stderr)
        raise typer.Exit(1)
    with output():
        _show(snapshot)
    for warning in snapshot.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _lost(snapshot: Snapshot, config: Path | None) -> list[str]:
    """Keys that belong to somebody whom neither the file nor the store knows; the store is asked only where it matters."""
    missing = enrol(snapshot.holders, snapshot.keys).refused
    place = data_dir(None, os.environ)
    if missing and (snapshot.store.url is not None or (place / DATABASE).exists()):
        with opened(place, config=config) as store:
            missing = enrol(snapshot.holders, snapshot.keys, (), holders.listing(store)).refused
    return list(missing.values())


def _show(snapshot: Snapshot) -> None:
    providers = _table("provider", "kind", "dialects", "address", "credential")
    for provider in snapshot.providers.values():
        origin = provider.origin
        address = f"{origin.scheme}://{_place(origin.host, origin.port)}{provider.speaks[provider.dialect]}"
        has_key = bool(provider.secrets or provider.credential) or any(
            b"\r\n%b: " % header in provider.head for header in _CREDENTIALS
        )
        where = "built in" if provider.builtin else escape(address)
        providers.add_row(provider.name, provider.kind, ", ".join(provider.speaks), where, "***" if has_key else "none")
    models = _table("model", "goes to")
    for route in (*snapshot.routes.values(), *(pattern.route for pattern in snapshot.patterns)):
        models.add_row(escape(route.name), escape(_goes_to(route)))
    keys = _table("key", "may use")
    for principal in snapshot.principals:
        keys.add_row(principal.name, "every model" if principal.models is None else escape(", ".join(sorted(principal.models))))
    console = Console(highlight=False)
    listen, admin = _place(*snapshot.server.listen), _place(*snapshot.server.admin)
    console.print(f"{escape(snapshot.source)}: fine. Serves {escape(listen)}, admin {escape(admin)}", soft_wrap=True)
    for part in (providers, models, keys):
        if part.row_count:
            console.print()
            console.print(part)


def _goes_to(route: Route) -> str:
    """Each target once, however many credentials its provider has."""
    targets, fallbacks = (
        ", ".join(dict.fromkeys(f"{target.provider.name}/{target.model}" for target in some))
        for some in (route.targets, route.fallbacks)
    )
    return f"{targets}, else {fallbacks}" if fallbacks else targets


def _table(*columns: str) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
