"""`trunkline connect`: what a client must be told to go through the gateway: variables, files, a command to try.

The clients are rows of `clients.toml`. Files are written only when asked for, and only after consent.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from platformdirs import user_config_dir

from trunkline.cli.data import output
from trunkline.config import values
from trunkline.config.load import ConfigError, Snapshot, find_config, load

_PLACEHOLDER = "YOUR_KEY"
_DEFAULT_URL = "http://127.0.0.1:4000"
_DEFAULT_MODEL = "echo/echo"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server listens on every interface, and where a client on this machine finds it."""
_HOLE = re.compile(r"@(url|key|model|llm)@")


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes into a file: an object laid over the one that is there, or text put at its end."""

    json: dict[str, Any] | None = None
    append: str = ""


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client. The fields are explained at the top of `clients.toml`."""

    title: str
    env: dict[str, str] = {}
    files: dict[str, Content] = {}
    code: str = ""
    run: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


@functools.cache
def clients() -> dict[str, Client]:
    """Every client by name, in the order of the file. Shared: do not change it."""
    text = files("trunkline.cli").joinpath("clients.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Client])


def connect(
    client: Annotated[str | None, typer.Argument(help="Which client; without one they are listed.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to use. Default: the first configured one.")] = None,
    key: Annotated[str | None, typer.Option(help="A client key, to be put into the settings.")] = None,
    url: Annotated[str | None, typer.Option(help="Address of the gateway. Default: where the configuration listens.")] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Write the files, after asking; what is there is kept beside.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Print the settings of a client: Claude Code, Gemini CLI, opencode, SDKs, and others."""
    if client is None:
        with output():
            print("\n".join(f"{name:18}{row.title}" for name, row in clients().items()))
        return
    row = clients().get(client)
    if row is None:
        raise typer.BadParameter(f"{client!r} is not known here. Known: {', '.join(clients())}", param_hint="CLIENT")
    if yes and not write:
        raise typer.BadParameter("--yes is for --write; without it nothing is written", param_hint="--yes")
    told = _told(model, key, url)
    with output():
        print("\n".join(_page(row, told)))
    if write and not row.files:
        typer.echo(f"{row.title} needs no file: there is nothing to write.", err=True)
    for name, content in row.files.items() if write else ():
        _write(Path(_filled(name, told)).expanduser(), content, told, yes=yes)


def _told(model: str | None, key: str | None, url: str | None) -> dict[str, str]:
    """What the placeholders stand for. Raises typer.BadParameter for what cannot be a model, key or address."""
    snapshot = _snapshot() if model is None or url is None else None
    if model is not None and not values.is_model(model):
        raise typer.BadParameter("a model name has 1 to 256 printable characters", param_hint="--model")
    if key is not None:
        try:
            values.client_secret(key)
        except ValueError as error:
            raise typer.BadParameter(f"a key {error}", param_hint="--key") from None
    return {
        "url": _address(snapshot) if url is None else _given_address(url),
        "key": key or _PLACEHOLDER,
        "model": model or next(iter(snapshot.routes if snapshot else ()), _DEFAULT_MODEL),
        "llm": os.environ.get("LLM_USER_PATH") or user_config_dir("io.datasette.llm", appauthor=False),
    }


def _snapshot() -> Snapshot | None:
    """The configuration, where there is one that can be used from here."""
    path = find_config(None, os.environ, Path.cwd())
    try:
        return load(path, os.environ) if path is not None else None
    except ConfigError:
        return None


def _address(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return _DEFAULT_URL
    host, port = snapshot.server.listen
    host = _EVERYWHERE.get(host, host)
    return f"{'https' if snapshot.server.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _given_address(url: str) -> str:
    """The address without its version, which each client wants in its own way."""
    try:
        values.endpoint(url)
    except ValueError as error:
        raise typer.BadParameter(f"the address {error}", param_hint="--url") from None
    return url.strip().rstrip("/").removesuffix("/v1").removesuffix("/v1beta")


def _page(row: Client, told: Mapping[str, str]) -> list[str]:
    lines = [f"# {row.title}"]
    if row.env:
        lines += ["", "# In the shell:"]
        lines += [f"export {name}={shlex.quote(_filled(value, told))}" for name, value in row.env.items()]
    for name, content in row.files.items():
        lines += ["", f"# In the file {_filled(name, told)}:", _text(content, told)]
    if row.code:
        lines += ["", "# Try, in Python:", _filled(row.code, {name: json.dumps(value) for name, value in told.items()}).strip()]
    if row.run:
        lines += ["", "# Try:", shlex.join(_word(word, told) for word in row.run)]
    notes = [_filled(note, told) for note in row.notes]
    if told["key"] == _PLACEHOLDER:
        notes.insert(0, f"{_PLACEHOLDER} stands for a client key; this makes one: trunkline keys create NAME")
    return lines + ([""] + [f"# {note}" for note in notes] if notes else [])


def _filled(text: str, told: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: told[hole[1]], text)


def _deep(value: Any, told: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_filled(name, told): _deep(item, told) for name, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, told) for item in value]
    return _filled(value, told) if isinstance(value, str) else value


def _word(word: Any, told: Mapping[str, str]) -> str:
    return _filled(word, told) if isinstance(word, str) else json.dumps(_deep(word, told))


def _text(content: Content, told: Mapping[str, str]) -> str:
    if content.json is not None:
        return json.dumps(_deep(content.json, told), indent=2)
    return _filled(content.append, {**told, "model": json.dumps(told["model"])}).strip()


def _write(path: Path, content: Content, told: Mapping[str, str], *, yes: bool) -> None:
    """Write one file after consent; what is there is kept beside it, and stays in force where it says nothing else."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        after = _merged(before or "", content, told)
        if after == before:
            typer.echo(f"{path} says so already.", err=True)
        elif yes or typer.confirm(f"{'Change' if before is not None else 'Write'} {path}?", err=True):
            _put(path, after, keep=before is not None)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        typer.echo(f"{path} was not written: {error}", err=True)
        raise typer.Exit(1) from None


def _merged(before: str, content: Content, told: Mapping[str, str]) -> str:
    """Raises ValueError where what is there is not what it should be."""
    if content.json is None:
        text = _text(content, told)
        return before if text in before else f"{before.rstrip()}\n\n{text}\n".lstrip()
    there = json.loads(before) if before.strip() else {}
    if not isinstance(there, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - as for text that is no JSON at all
    return json.dumps(_laid_over(there, _deep(content.json, told)), indent=2) + "\n"


def _laid_over(there: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    merged = dict(there)
    for name, value in ours.items():
        old = there.get(name)
        merged[name] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _put(path: Path, text: str, *, keep: bool) -> None:
    if keep:
        backup = _free(path)
        shutil.copy2(path, backup)
        typer.echo(f"Kept {path} as {backup}.", err=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {path}.", err=True)


def _free(path: Path) -> Path:
    """A name for a copy that nothing has yet."""
    number = 1
    while (copy := path.with_name(f"{path.name}.bak{number}")).exists():
        number += 1
    return copy
