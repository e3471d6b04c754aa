"""`trunkline alerts`: what was told of budgets and what waits to be, and whether the receiver takes an alert."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from trunkline.alerts import send, trial
from trunkline.cli.data import Config, Data, console, fail, opened, output, printable
from trunkline.config.alerts import AlertSettings
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.edge.call import CallFailed
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.store import alerts
from trunkline.store.alerts import NEVER, StoredAlert
from trunkline.store.place import data_dir

app = typer.Typer(help="Show alerts, and try whether they arrive.", no_args_is_help=True)

_SECOND_NS = 1_000_000_000


@app.command("list")
def show(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, the latest first.")] = 50,
    data: Data = None,
    config: Config = None,
) -> None:
    """List alerts that were put down: delivered, waiting for another try, or given up."""
    with opened(data_dir(data, os.environ), config=config) as store:
        found = alerts.listing(store, limit)
    table = Table("made", "what", "tries", "state", box=None, pad_edge=False)
    for one in found:
        table.add_row(_when(one.made_ns), printable(_what(one.body)), str(one.tries), _state(one))
    with output():
        console().print(table)


@app.command("test")
def attempt(config: Config = None) -> None:
    """Send an alert of the type `test` to the configured receiver, now. Exit status 0: it was taken."""
    try:
        settings = load(find_config(config, os.environ, Path.cwd()), os.environ).alerts
    except ConfigError as error:
        raise fail(str(error), "Correct this first.") from None
    if settings is None:
        raise fail("Nobody is told of budgets.", "The section `alerts:` of the configuration says who is.")
    try:
        status = asyncio.run(_send(settings))
    except CallFailed as error:
        raise fail(f"The receiver could not be told: {error}.", "See that its address is right and that it runs.") from None
    if not 200 <= status < 300:
        raise fail(f"The receiver answered {status}.", "See its log; a wrong secret shows as 401 or 403 with most.")
    with output():
        print(f"The receiver took it ({status}).")


async def _send(settings: AlertSettings) -> int:
    loop = asyncio.get_running_loop()
    client, now, alert = Client(loop, Sweep(loop)), time.time_ns(), trial()
    try:
        return await send(client, settings, f"test_{now}", alert.body(now), now)
    finally:
        client.close()


def _what(body: str) -> str:
    """An alert in a line."""
    told = msgspec.json.decode(body)
    parts = [told.get("type", ""), told.get("holder", "")]
    if "percent" in told:
        parts.append(f"{told['percent']} %")
    if "amount_usd" in told:
        per = told["window"]["per"]
        parts.append(f"of ${told['amount_usd']} {'in all' if per == 'total' else f'a {per}'}")
    return " ".join(map(str, filter(None, parts)))


def _state(one: StoredAlert) -> str:
    if one.delivered_ns is not None:
        return f"delivered {_when(one.delivered_ns)}"
    return "given up" if one.next_ns == NEVER else f"waits, next try {_when(one.next_ns)}"


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S")
