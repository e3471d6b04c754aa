"""`trunkline keys`: make, change, rotate, import, show and revoke client keys. A running gateway is told at once."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from trunkline.cli.accounts import accounts
from trunkline.cli.data import Config, Data, console, fail, instant, opened, output, printable, tell
from trunkline.cli.holding import World, checked, described, draw, facts, world
from trunkline.cli.secrets import MAX_BYTES, hashed, read_list
from trunkline.cli.settings import edited, options
from trunkline.config import values
from trunkline.store import keys
from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.keys import Edit, StoredKey
from trunkline.store.place import data_dir

app = typer.Typer(help="Make, change, list and revoke client keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The key's name, as accounts and logs show it.")]
Expires = Annotated[str | None, typer.Option("--expires", help="90d, 12h, or a date or time: 2027-01-01.")]
_SPAN = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SECOND = 1_000_000_000
_LATEST = _SECOND << 33
"""The last moment that a file may name."""


@app.command()
@options(None)
def create(name: Name, expires: Expires = None, data: Data = None, config: Config = None, *, given: dict[str, Any]) -> None:
    """Make a key and print it, once: only a digest of it is kept."""
    place, settings, until = data_dir(data, os.environ), edited(None, {}, given), _until(expires)
    with opened(place, create=True, config=config) as store:
        checked(None, store, config, settings).free([(name, b"")])
        key, generation = keys.create(store, name, settings, time.time_ns(), until)
    try:
        with output():
            print(key)
    except (typer.Exit, BrokenPipeError):
        with opened(place, config=config) as store:
            generation = keys.revoke(store, name, time.time_ns())
        tell(place, config, generation, f"Nobody could see the key {name!r}, so it was revoked again.")
        raise
    tell(place, config, generation, f"Created the key {name!r}. It is shown this once; keep it safe.")


@app.command()
@options(None, clearing=True)
def update(
    name: Name,
    expires: Expires = None,
    data: Data = None,
    config: Config = None,
    *,
    no_expires: Annotated[bool, typer.Option("--no-expires", help="It holds until it is revoked.")] = False,
    given: dict[str, Any],
) -> None:
    """Change what a key may do; what is not named stays. --budget and --soft-budget replace all budgets it has."""
    if not given and expires is None and not no_expires:
        raise typer.BadParameter("names no change")
    if expires is not None and no_expires:
        raise typer.BadParameter("--expires and --no-expires contradict each other")
    place, until = data_dir(data, os.environ), _until(expires)

    def edit(key: StoredKey) -> Edit:
        settings = edited(None, key.settings, given)
        return Edit(settings, until if until is not None else None if no_expires else key.expires_ns)

    with opened(place, config=config) as store:
        checked(None, store, config, edit(_found(store, name)).settings)
        generation = keys.change(store, name, edit)
    tell(place, config, generation, f"Changed the key {name!r}.")


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[str, typer.Option("--overlap", help="What it was opens so much longer: 24h, 15m, 7d.")] = "0",
    data: Data = None,
    config: Config = None,
) -> None:
    """Give a key another secret and print it, once. Its name, rights and accounts stay."""
    try:
        seconds = values.duration_or_zero(overlap)
    except ValueError as error:
        raise typer.BadParameter(f"--overlap {error}") from None
    place, now = data_dir(data, os.environ), time.time_ns()
    until = now + int(seconds * _SECOND)
    with opened(place, config=config) as store:
        key, generation = keys.rotate(store, name, now, until)
    try:
        with output():
            print(key)
    except (typer.Exit, BrokenPipeError):
        typer.echo(f"Nobody could see the new secret of {name!r}: rotate it again.", err=True)
        raise
    kept = f"What it was opens until {instant(until)} UTC." if seconds else "What it was opens nothing any more."
    tell(place, config, generation, f"Rotated the key {name!r}. It is shown this once; keep it safe. {kept}")


@app.command("import")
@options(None)
def take_in(  # noqa: PLR0913 - a command's options
    name: Annotated[str | None, typer.Argument(help="The key's name, with --hash.")] = None,
    digest: Annotated[str | None, typer.Option("--hash", help="sha256: and 64 hexadecimal digits.")] = None,
    file: Annotated[
        str | None, typer.Option("--from-file", help="Lines of name,hash or name,secret; - for standard input.")
    ] = None,
    expires: Expires = None,
    data: Data = None,
    config: Config = None,
    *,
    given: dict[str, Any],
) -> None:
    """Take in keys that clients have already; all of a file, or none. The options hold for each of them."""
    if (file is None) is (name is None) or (file is None) is (digest is None):
        raise typer.BadParameter("name either a key and its --hash, or a file")
    found = _listed(file) if file is not None else [(str(name), _hash(str(digest)))]
    place, settings, until = data_dir(data, os.environ), edited(None, {}, given), _until(expires)
    with opened(place, create=True, config=config) as store:
        checked(None, store, config, settings).free(found)
        generation = keys.adopt(store, found, settings, time.time_ns(), until)
    tell(place, config, generation, f"Took in {len(found):,} key{'' if len(found) == 1 else 's'}.")


@app.command()
def revoke(name: Name, data: Data = None, config: Config = None) -> None:
    """Make a key invalid, at once, in a running gateway too."""
    place = data_dir(data, os.environ)
    with opened(place, config=config) as store:
        generation = keys.revoke(store, name, time.time_ns())
    tell(place, config, generation, f"Revoked the key {name!r}.")


class Shown(msgspec.Struct, frozen=True):
    """A key for people, wherever it is written. Times are nanoseconds since the epoch."""

    name: str
    source: str
    """`store`, or the file."""
    state: str
    """`valid`, `expired`, `revoked` or `refused`."""
    reason: str = ""
    """Why it is refused."""
    settings: dict[str, Any] = {}
    created_ns: int | None = None
    expires_ns: int | None = None
    revoked_ns: int | None = None
    previous_until_ns: int | None = None
    """Until when what it was before a rotation opens too."""


@app.command("list")
def show_all(
    data: Data = None,
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; times in nanoseconds since the epoch.")] = False,
) -> None:
    """List the keys of the store and of the configuration, without their secrets."""
    with opened(data_dir(data, os.environ), config=config) as store:
        found = _all(store, world(store, config))
    with output():
        if as_json:
            print(msgspec.json.encode(found).decode())
            return
        table = Table("name", "belongs to", "models", "created", "state", "from", box=None, pad_edge=False)
        for key in found:
            holders = " · ".join(str(key.settings[kind]) for kind in ("user", "team", "organisation") if kind in key.settings)
            models = ", ".join(map(str, key.settings.get("models") or ())) or "all"
            created = "" if key.created_ns is None else instant(key.created_ns)[:10]
            table.add_row(*map(printable, (key.name, holders, models)), created, _state(key), key.source)
        console().print(table)


@app.command()
def show(name: Name, data: Data = None, config: Config = None) -> None:
    """Show one key: what it may do, and what it and those it belongs to have spent of their budgets."""
    with accounts(data_dir(data, os.environ), config) as (store, unstored), output():
        known = world(store, config)
        key = next((one for one in reversed(_all(store, known)) if one.name == name and one.state != "revoked"), None)
        if key is None:
            raise fail(f"There is no key {name!r}.", "`trunkline keys list` shows them.")
        print(f"{key.name}  {_state(key)}  (from {key.source})")
        for what, text in facts(key.settings):
            print(f"  {what:<13} {printable(text)}")
        for what, ns in (("created", key.created_ns), ("expires", key.expires_ns), ("also opens", key.previous_until_ns)):
            if ns is not None:
                print(f"  {what:<13} {'what it was, until ' if what == 'also opens' else ''}{instant(ns)} UTC")
        principal = next((one for one in reversed(known.roll().principals) if one.name == name), None)
        if principal is not None:
            draw(principal.rules.rules, store, unstored)


def _all(store: Store, known: World) -> list[Shown]:
    """The store's, oldest first, then the configuration's, each with what a gateway would make of it."""
    roll, now = known.roll(), time.time_ns()
    ours = {key.name for key in known.keys}
    found = []
    for one in keys.listing(store):
        reason = "the configuration has a key of this name" if one.name in ours else roll.refused.get(one.name, "")
        until = one.previous_until_ns if one.previous_until_ns is not None and one.previous_until_ns > now else None
        times = {"created_ns": one.created_ns, "expires_ns": one.expires_ns, "revoked_ns": one.revoked_ns}
        state = "revoked" if one.revoked_ns is not None else _now(one.expires_ns, now, reason)
        reason = reason if state == "refused" else ""
        found.append(Shown(one.name, "store", state, reason, one.settings, **times, previous_until_ns=until))
    for key in known.keys:
        reason = roll.refused.get(key.name, "")
        source = known.snapshot.source if known.snapshot is not None else ""
        state = _now(key.spec.expires, now, reason)
        found.append(Shown(key.name, source, state, reason, described(key.spec), expires_ns=key.spec.expires))
    return found


def _now(expires_ns: int | None, now: int, reason: str) -> str:
    if reason:
        return "refused"
    return "expired" if expires_ns is not None and now >= expires_ns else "valid"


def _state(key: Shown) -> str:
    if key.state == "refused":
        return f"refused: {printable(key.reason)}"
    if key.state == "revoked":
        return f"revoked {instant(key.revoked_ns or 0)[:10]}"
    if key.expires_ns is not None:
        return f"{'expired' if key.state == 'expired' else 'valid until'} {instant(key.expires_ns)[:10]}"
    return key.state


def _found(store: Store, name: str) -> StoredKey:
    for one in reversed(keys.listing(store)):
        if one.name == name and one.revoked_ns is None:
            return one
    raise StoreError(f"There is no valid key named {name!r}.", "`trunkline keys list` shows them.")


def _until(text: str | None) -> int | None:
    """The moment that is meant: so long from now, or as the file writes it."""
    if text is None:
        return None
    now = time.time_ns()
    try:
        span = _SPAN.fullmatch(text.strip())
        until = now + int(span[1]) * _SECONDS[span[2]] * _SECOND if span else values.moment(text)
    except ValueError as error:
        raise typer.BadParameter(f"--expires {error}, or a span such as 90d") from None
    if not now < until < _LATEST:
        raise typer.BadParameter("--expires names a time that is over, or too far away")
    return until


def _hash(text: str) -> bytes:
    try:
        return hashed(text)
    except ValueError as error:
        raise typer.BadParameter(f"--hash {error}") from None


def _listed(file: str) -> list[tuple[str, bytes]]:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as source:
                content = source.read(MAX_BYTES + 1)
        return read_list(content)
    except OSError as error:
        raise fail(f"The file {file} cannot be read: {error.strerror}.", "Name the file that holds the keys.") from error
    except ValueError as error:
        raise fail(f"{file}: {error}", "Nothing was taken in. A line is name,hash or name,secret.") from None
