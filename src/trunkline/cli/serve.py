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
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.place import data_dir
from trunkline.supervisor import supervise

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
        snapshot, place = source.load(), data_dir(data, os.environ)
        if snapshot.server.workers > 1:
            raise typer.Exit(supervise(snapshot, source, place, lambda *doors: _greet_for_all(snapshot, place, doors)))
        _serve_alone(open_house(snapshot, place, source))
    except (ConfigError, ListenError, StoreError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None


def _serve_alone(house: House) -> None:
    for warning in house.snapshot.warnings:
        house.log.event("warning", warning)
    try:
        serve_house(house, lambda *doors: _greet(house.snapshot, house.store, house.data, doors))
    finally:
        close_house(house)


def _greet_for_all(snapshot: Snapshot, data: Path, doors: tuple[str, str]) -> None:
    """The banner of several workers, none of which has begun; the store is made, checked and brought up to date for all."""
    store = open_store(data, snapshot.store.url)
    try:
        _greet(snapshot, store, data, doors)
    finally:
        store.close()


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


def _greet(snapshot: Snapshot, store: Store, data: Path, doors: tuple[str, str]) -> None:
    """The banner, on standard error: logs are on standard output. `doors`: the addresses of both listeners."""
    listen, admin = doors
    scheme = "https" if snapshot.server.tls_cert else "http"
    lines = [
        "",
        f"  Trunkline serves {scheme}://{listen}/v1   health and metrics: http://{admin}/metrics",
        f"  Configuration: {snapshot.source}   data: {data}",
        f"  Providers: {', '.join(sorted(snapshot.providers))}",
    ]
    key = first_key(snapshot, store)
    if key is not None:
        lines += ["", f"  Your first client key, shown only this once:  {key}"]
    lines += ["", "  Try:", *_example(snapshot, f"{scheme}://{listen}", key or "$TRUNKLINE_KEY"), ""]
    if key is None and not snapshot.keys:
        lines += ["  Another key: trunkline keys create NAME", ""]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _example(snapshot: Snapshot, address: str, key: str) -> list[str]:
    model = next(iter(snapshot.routes), "echo/echo")
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return [
        f'    curl {address}/v1/chat/completions -H "Authorization: Bearer {key}" \\',
        f"      -H 'Content-Type: application/json' -d '{body}'",
    ]
