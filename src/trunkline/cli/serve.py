"""`trunkline serve`: find the configuration, open the data directory, serve, say what to try."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from trunkline.assemble import ListenError
from trunkline.assemble import serve as serve_house
from trunkline.config.load import find_config
from trunkline.config.mistakes import ConfigError
from trunkline.config.proxy import is_loopback
from trunkline.config.reload import Source
from trunkline.config.snapshot import Snapshot
from trunkline.config.values import endpoint
from trunkline.house import House, close_house, first_key, open_house
from trunkline.providers.catalog import ollama_base_url
from trunkline.store.errors import StoreError
from trunkline.store.place import data_dir

_PROBE_SECONDS = 0.05


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: TRUNKLINE_CONFIG, ./trunkline.yaml, none.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data directory. Default: TRUNKLINE_DATA, else the user's.")] = None,
) -> None:
    """Serve until SIGTERM. Without a configuration, providers are found in the environment, and `echo/echo` always answers."""
    try:
        path = find_config(config, os.environ, Path.cwd())
        source = Source(path, os.environ, ollama_running=path is None and _has_ollama(os.environ))
        snapshot = source.load()
        house = open_house(snapshot, data_dir(data, os.environ), source)
    except (ConfigError, StoreError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    for warning in snapshot.warnings:
        house.log.event("warning", warning)
    try:
        serve_house(house, lambda listen, admin: _greet(house, listen, admin))
    except (ListenError, StoreError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        close_house(house)


def _has_ollama(environ: Mapping[str, str]) -> bool:
    """Whether an Ollama runs on this machine, or is named elsewhere: a look-up or a far network would hold up the start."""
    try:
        place = endpoint(ollama_base_url(environ.get("OLLAMA_HOST", "")))
        if not is_loopback(place.host) or place.host.endswith(".localhost"):
            return True
        with socket.create_connection((place.host, place.port), _PROBE_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def _greet(house: House, listen: str, admin: str) -> None:
    """The banner, on standard error: logs are on standard output."""
    snapshot = house.snapshot
    scheme = "https" if snapshot.server.tls_cert else "http"
    lines = [
        "",
        f"  Trunkline serves {scheme}://{listen}/v1   health and metrics: http://{admin}/metrics",
        f"  Configuration: {snapshot.source}   data: {house.data}",
        f"  Providers: {', '.join(sorted(snapshot.providers))}",
    ]
    key = first_key(house)
    if key is not None:
        lines += ["", f"  Your first client key, shown only this once:  {key}"]
    lines += ["", "  Try:", *_example(snapshot, f"{scheme}://{listen}", key or "$TRUNKLINE_KEY"), ""]
    if key is None and not snapshot.principals:
        lines += ["  Another key: trunkline keys create NAME", ""]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _example(snapshot: Snapshot, address: str, key: str) -> list[str]:
    model = next(iter(snapshot.routes), "echo/echo")
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return [
        f'    curl {address}/v1/chat/completions -H "Authorization: Bearer {key}" \\',
        f"      -H 'Content-Type: application/json' -d '{body}'",
    ]
