"""`trunkline status`: how a running gateway is doing, drawn for people. What it tells belongs in `pipeline.status`."""

from __future__ import annotations

import http.client
import sys
import time
from contextlib import nullcontext, suppress
from typing import Annotated

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from trunkline.cli.data import fail, output, printable
from trunkline.cli.usage import bar
from trunkline.config import values
from trunkline.edge.pool import Told
from trunkline.pipeline.status import Status, TargetTold, WorkerTold
from trunkline.routing.condition import Condition

_USUAL = "http://127.0.0.1:4001"
_TIMEOUT = 5.0
_MOST = 16 * 1024 * 1024
_PERIOD = 1.0
_BAR = 8
_NAME = 24
"""Characters that a name has at least, however narrow the terminal."""
_COLOURS = {"closed": "green", "recovering": "yellow", "half_open": "yellow", "open": "red"}


def status(
    url: Annotated[str, typer.Option(help="The gateway's admin listener.")] = _USUAL,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a drawing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it anew every second, until interrupted.")] = False,
) -> None:
    """Show how the running gateway is doing: its targets, pools, journal and configuration."""
    told = _asked(url)
    if as_json:
        with output():
            print(told.decode())
        return
    console = Console(highlight=False)
    moves = watch and console.is_terminal and not console.is_dumb_terminal
    with output(), suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) if moves else nullcontext() as live:
        while True:
            drawn = _drawn(_read(told))
            if live is None:  # what cannot be drawn over is drawn below
                console.print(drawn)
                sys.stdout.flush()
            else:
                live.update(drawn, refresh=True)
            if not watch:
                return
            time.sleep(_PERIOD)
            told = _asked(url)


def _asked(url: str) -> bytes:
    """What the admin listener says. Raises typer.Exit where nobody, or somebody else, answers."""
    try:
        place = values.endpoint(url.rstrip("/"))
    except ValueError as error:
        raise fail(f"The URL {url!r} cannot be used: {error}.", f"Write, for example, {_USUAL}.") from None
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.host, place.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", f"{place.path}/status")
        answer = connection.getresponse()
        body = answer.read(_MOST)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        remedy = "Start it with `trunkline serve`, or name its admin listener (server.admin) with --url."
        raise fail(f"No gateway answers at {url}: {why}.", remedy) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise fail(
            f"What answers at {url} has no status ({answer.status}).", "Name the admin listener: by default on port 4001."
        )
    return body


def _read(body: bytes) -> Status:
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        raise fail(
            "What answers there is no Trunkline, or one of another version.", "Use the `trunkline` of the same version."
        ) from None


def _drawn(told: Status) -> Group:
    draining = ", [yellow]draining[/]" if told.draining else ""
    lines = [
        f"Trunkline {escape(told.version)}, up {_span(told.uptime)}, {told.in_flight:,} in flight{draining}",
        f"configuration  {_text(told.source)}, generation {told.generation}",
        f"journal        {_journal(told)}",
        "",
    ]
    parts: list[str | Table] = [*lines]
    if told.workers:
        parts += [_workers(told.workers), ""]
    parts.append(_targets(told.targets) if told.targets else "No target was asked yet.")
    if told.others:
        parts.append(f"{told.others:,} more are not shown")
    if told.pools:
        parts += ["", _pools(told.pools)]
    return Group(*parts)


def _journal(told: Status) -> str:
    journal = told.journal
    state = "[green]healthy[/]" if journal.healthy else "[red]cannot be written[/]"
    lost = f", [red]{journal.lost:,} lost[/]" if journal.lost else ""
    return f"{state}, {journal.backlog:,} on their way to the store{lost}"


def _targets(targets: tuple[TargetTold, ...]) -> Table:
    table = _table("target", "state", "failed", "", "busy", "served", "first token")
    told_left = any(one.condition.requests_left is not None or one.condition.tokens_left is not None for one in targets)
    if told_left:
        table.add_column("left", justify="right")
    for one in targets:
        now = one.condition
        rests = f", {now.rests:.0f} s" if now.rests else ""
        credential = f" (credential {one.credential})" if one.credential > 1 else ""
        row = [
            _text(f"{one.provider}/{one.model}{credential}"),
            f"[{_COLOURS[now.state]}]{now.state.replace('_', ' ')}[/]{rests}",
            f"{now.failed:.0%}",
            f"[red]{bar(round(now.failed * 1000), 1000, _BAR)}[/]",
            f"{now.busy:,}",
            f"{now.served:,}",
            _first_token(now),
        ]
        table.add_row(*row, *([_left(now)] if told_left else []))
    return table


def _workers(workers: tuple[WorkerTold, ...]) -> Table:
    table = _table("worker", "state", "process", "up", "in flight", "generation", "backlog", "replaced")
    for one in workers:
        colour = {"serving": "green", "draining": "yellow"}.get(one.state, "red")
        process = "" if one.process is None else str(one.process)
        counts = (_span(one.uptime), f"{one.in_flight:,}", str(one.generation), f"{one.backlog:,}", f"{one.deaths:,}")
        table.add_row(str(one.worker), f"[{colour}]{one.state}[/]", process, *counts)
    return table


def _pools(pools: tuple[Told, ...]) -> Table:
    table = _table("connections", "busy", "idle", "opening", "asking", "limit", "waiting", "rejected")
    for pool in pools:
        counts = (pool.busy, pool.idle, pool.opening, pool.asking, pool.limit, pool.waiting, pool.rejected)
        table.add_row(_text(pool.provider), *(f"{count:,}" for count in counts))
    return table


def _table(first: str, *columns: str) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    made.add_column(first, overflow="fold", min_width=_NAME)
    for column in columns:
        made.add_column(column, justify="left" if column in {"state", ""} else "right", no_wrap=True)
    return made


def _text(text: str) -> str:
    return escape(printable(text))


def _first_token(now: Condition) -> str:
    """Half of them within, and 19 of 20."""
    if now.first_p50 is None:
        return ""
    late = "" if now.first_p95 is None else f" / {now.first_p95 * 1000:,.0f}"
    return f"{now.first_p50 * 1000:,.0f}{late} ms"


def _left(now: Condition) -> str:
    told = ((now.requests_left, "requests"), (now.tokens_left, "tokens"))
    return ", ".join(f"{count:,} {what}" for count, what in told if count is not None)


def _span(seconds: float) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days:.0f} d {hours % 24:.0f} h"
    if hours:
        return f"{hours:.0f} h {minutes % 60:.0f} min"
    return f"{minutes:.0f} min {seconds % 60:.0f} s" if minutes else f"{seconds:.0f} s"
