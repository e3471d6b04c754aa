"""`trunkline doctor`: whether clients will be content with a model. What they rely on belongs in `doctor`."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trunkline.assemble import ListenError, serve_while
from trunkline.cli.data import fail, output
from trunkline.config import values
from trunkline.config.holders import WrittenKey
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.config.schema_holders import KeySettings
from trunkline.config.snapshot import LogSettings, Snapshot, StoreSettings
from trunkline.doctor.call import Call
from trunkline.doctor.examine import CONTRACTS, examine
from trunkline.doctor.finding import Finding
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.house import close_house, open_house
from trunkline.store import sums
from trunkline.store.errors import StoreError

_KEY_VARIABLE = "TRUNKLINE_KEY"
_EXAMPLE = "http://127.0.0.1:4000"
_FLUSH = 5.0
_COLOURS = {"works": "green", "degraded": "yellow", "broken": "red"}


def doctor(
    model: Annotated[str | None, typer.Argument(help="Model to try. Default: the first configured one.")] = None,
    client: Annotated[list[str] | None, typer.Option(help="Only what this client relies on; may be given again.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: TRUNKLINE_CONFIG, ./trunkline.yaml, none.")
    ] = None,
    url: Annotated[str | None, typer.Option(help=f"A running gateway to ask instead, with the key in {_KEY_VARIABLE}.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
) -> None:
    """Try with a model what Claude Code, Codex, Gemini CLI, the SDKs and Ollama's programs rely on.

    Exit status 0: every contract works or is degraded; 1: one is broken. Real requests are made, some thirty short ones,
    through a gateway of its own that listens on this machine only for so long.
    """
    for name in client or ():
        if name not in CONTRACTS:
            raise fail(f"There are no contracts of {name!r}.", f"Known are: {', '.join(CONTRACTS)}.")
    clients = list(dict.fromkeys(client or CONTRACTS))
    findings: list[Finding] = []
    try:
        if url is not None:
            asyncio.run(_ask(_address(url), _key(), model or "echo/echo", clients, findings))
        else:
            snapshot = load(find_config(config, os.environ, Path.cwd()), os.environ)
            _serve_and_ask(snapshot, model or next(iter(snapshot.routes), "echo/echo"), clients, findings)
    except (ConfigError, StoreError, ListenError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    with output():
        if as_json:
            print("\n".join(msgspec.json.encode(finding).decode() for finding in findings))
        else:
            _show(findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _address(url: str) -> str:
    """A gateway's address without a path: it serves no other than its own."""
    address = url.rstrip("/").removesuffix("/v1")
    try:
        path = values.endpoint(address).path
    except ValueError as error:
        raise fail(f"The URL {url!r} cannot be used: {error}.", f"Write, for example, {_EXAMPLE}.") from None
    if path:
        raise fail(f"The URL {url!r} has a path.", f"Write, for example, {_EXAMPLE}.")
    return address


def _key() -> str:
    key = os.environ.get(_KEY_VARIABLE, "")
    try:
        return values.client_secret(key)
    except ValueError as error:
        why = f"what {_KEY_VARIABLE} holds {error}" if key else f"{_KEY_VARIABLE} holds none"
        raise fail(f"The gateway wants a key, and {why}.", f"Set {_KEY_VARIABLE} to a client key.") from None


def _serve_and_ask(snapshot: Snapshot, model: str, clients: list[str], findings: list[Finding]) -> None:
    """A gateway of our own, with this configuration, a key that nobody else knows, and books that are thrown away."""
    key = f"tl-{secrets.token_urlsafe(32)}"
    mine = msgspec.structs.replace(
        snapshot,
        server=msgspec.structs.replace(
            snapshot.server, listen=("127.0.0.1", 0), admin=("127.0.0.1", 0), tls_cert=None, tls_key=None
        ),
        log=LogSettings(snapshot.log.format, "error"),
        store=StoreSettings(),  # never the one that keeps the real books
        keys=(WrittenKey("doctor", hashlib.sha256(key.encode("ascii")).digest(), KeySettings(), "doctor"),),
    )
    with tempfile.TemporaryDirectory(prefix="trunkline-doctor-") as folder:
        house = open_house(mine, Path(folder))
        try:
            serve_while(house, lambda address: _ask(f"http://{address}", key, model, clients, findings))
        finally:
            house.writer.flush(_FLUSH)
            spent = sums.totals(house.store, "model", None, None)
            close_house(house)
    for total in spent:
        tokens = f"{total.input_tokens:,} tokens in, {total.output_tokens:,} out"
        cost = "" if total.unpriced else f", ${total.cost_nano / 1e9:.4f}"
        print(f"{total.requests} requests to {total.name}: {tokens}{cost}", file=sys.stderr)


async def _ask(url: str, key: str, model: str, clients: list[str], findings: list[Finding]) -> None:
    loop = asyncio.get_running_loop()
    client = Client(loop, Sweep(loop))
    console = Console(stderr=True, highlight=False)
    try:
        with console.status("") as status:
            async for finding in examine(Call(client, url, key, model), clients):
                findings.append(finding)
                status.update(f"{escape(finding.client)}: {escape(finding.contract)}")
    finally:
        client.close()


def _show(findings: list[Finding]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("client", "contract", "", "why"):
        table.add_column(column, overflow="fold")
    before = ""
    for finding in findings:
        shown = finding.client if finding.client != before else ""
        state = f"[{_COLOURS[finding.state]}]{finding.state}[/]"
        table.add_row(shown, finding.contract, state, escape(finding.why))
        before = finding.client
    console = Console(highlight=False)
    console.print(table)
    counts = {state: sum(finding.state == state for finding in findings) for state in _COLOURS}
    console.print(", ".join(f"{count} {state}" for state, count in counts.items()))
