"""`trunkline providers`: whether the configured providers answer. What a trial is belongs in `pipeline.trial`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from trunkline.cli.data import fail, output
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.config.snapshot import Snapshot
from trunkline.config.validate import suggest
from trunkline.credentials.credential import Credential
from trunkline.credentials.table import open_credentials
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.ledger.prices import Prices
from trunkline.pipeline.trial import Verdict, trial

app = typer.Typer(help="Try the configured providers.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration; else TRUNKLINE_CONFIG, else ./trunkline.yaml.")]
_SHOWN = 5
"""Models of a list that are named."""


@app.callback()
def providers() -> None:
    """Try the configured providers."""


@app.command("test")
def try_all(
    names: Annotated[list[str] | None, typer.Argument(help="Providers to try; all of them without one.")] = None,
    model: Annotated[str, typer.Option(help="Model to ask, by the provider's own name for it.")] = "",
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")] = False,
) -> None:
    """Ask each provider for its models and for one short answer. Exit status 0: all work; 1: not all do.

    A real request is made, of some twenty tokens, on the account that the configuration names.
    """
    try:
        snapshot = load(find_config(config, os.environ, Path.cwd()), os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    for name in names or ():
        if name not in snapshot.providers:
            known = ", ".join(snapshot.providers)
            raise fail(f"There is no provider {name!r}{suggest(name, snapshot.providers)}", f"Configured are: {known}.")
    wanted = list(dict.fromkeys(names or snapshot.providers))
    works, prices = True, Prices.load(snapshot.prices)
    with output():
        for name in wanted:
            verdict = asyncio.run(_try(snapshot, prices, name, model))
            works = works and verdict.works
            print(msgspec.json.encode(verdict).decode()) if as_json else _show(verdict)
    if not works:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Means:
    client: Client
    credentials: dict[str, Credential]
    prices: Prices
    mono = staticmethod(time.monotonic)
    clock_ns = staticmethod(time.time_ns)


async def _try(snapshot: Snapshot, prices: Prices, name: str, model: str) -> Verdict:
    loop = asyncio.get_running_loop()
    client = Client(loop, Sweep(loop))
    credentials = open_credentials({name: snapshot.providers[name].credential})
    try:
        return await trial(_Means(client, credentials, prices), snapshot, name, model)
    finally:
        client.close()
        for credential in credentials.values():
            credential.close()


def _show(verdict: Verdict) -> None:
    console = Console(highlight=False, soft_wrap=True)
    sign = "[green]works[/]" if verdict.works else "[red]fails[/]"
    console.print(f"[bold]{escape(verdict.provider)}[/] ({verdict.kind}, {verdict.dialect}): {sign}")
    for line in _lines(verdict):
        console.print(f"  {escape(line)}")


def _lines(verdict: Verdict) -> list[str]:
    lines = []
    if verdict.models is not None and verdict.list_time is not None:
        some = ", ".join(verdict.models[:_SHOWN])
        more = " …" if len(verdict.models) > _SHOWN else ""
        lines.append(f"models   {len(verdict.models)} in {_ms(verdict.list_time)}: {some}{more}")
    elif verdict.works and verdict.model:
        lines.append("models   it has no list")
    if verdict.answer_time is not None:
        usage = verdict.usage
        cost = "" if verdict.cost_nano is None else f", ${verdict.cost_nano / 1e9:.6f}"
        lines.append(f"answer   {_ms(verdict.answer_time)} by {verdict.model}: {verdict.answer[:60]!r}")
        lines.append(f"tokens   {usage.input} in, {usage.output} out{cost}")
    elif verdict.model:
        lines.append(f"asked    {verdict.model}")
    if not verdict.works:
        lines += [f"problem  {verdict.problem}", f"remedy   {verdict.remedy}"]
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
