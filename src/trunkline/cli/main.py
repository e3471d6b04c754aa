"""The program `trunkline`: its commands and nothing else. What a command does is in the module of its name."""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline import __version__
from trunkline.cli import alerts, holders, keys, prices, providers, usage
from trunkline.cli.backup import backup, restore
from trunkline.cli.check import check
from trunkline.cli.connect import connect
from trunkline.cli.doctor import doctor
from trunkline.cli.explain import explain
from trunkline.cli.init import init
from trunkline.cli.reconcile import compare
from trunkline.cli.reload import reload
from trunkline.cli.reprice import reprice
from trunkline.cli.serve import serve
from trunkline.cli.status import status

app = typer.Typer(
    name="trunkline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"trunkline {__version__}")
        raise typer.Exit


@app.callback()
def trunkline(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """One trunk line to every LLM: a self-hosted gateway."""


app.command()(serve)
app.command()(init)
app.command()(check)
app.command()(backup)
app.command()(restore)
app.command()(connect)
app.command()(doctor)
app.command()(explain)
app.command()(reload)
app.command()(status)
app.add_typer(alerts.app, name="alerts")
app.add_typer(keys.app, name="keys")
app.add_typer(holders.commands("user"), name="users")
app.add_typer(holders.commands("team"), name="teams")
app.add_typer(holders.commands("organisation"), name="organisations")
app.add_typer(prices.app, name="prices")
app.add_typer(providers.app, name="providers")
app.add_typer(usage.app, name="usage")
usage.app.command()(reprice)
usage.app.command("reconcile")(compare)
