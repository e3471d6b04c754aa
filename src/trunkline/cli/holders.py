"""`trunkline users`, `teams` and `organisations`: whom keys belong to. A running gateway is told at once."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from trunkline.cli.accounts import accounts
from trunkline.cli.data import Config, Data, console, fail, instant, opened, output, printable, tell
from trunkline.cli.holding import World, checked, described, draw, facts, world
from trunkline.cli.settings import edited, options
from trunkline.config.holders import rules_of, settings_of
from trunkline.config.schema_holders import Kind, who
from trunkline.store import holders
from trunkline.store.place import data_dir

Name = Annotated[str, typer.Argument(help="The name, as accounts show it.")]


class Shown(msgspec.Struct, frozen=True):
    """One of them for people, wherever it is written."""

    name: str
    source: str
    """`store`, or the file."""
    settings: dict[str, Any]
    keys: int
    """How many valid keys it has."""
    created_ns: int | None = None
    reason: str = ""
    """Why it, and every key of it, is refused."""


def commands(kind: Kind) -> typer.Typer:
    """The commands for users, teams or organisations."""
    app = typer.Typer(help=f"Make, change, show and remove {kind}s.", no_args_is_help=True)
    app.command("create", help=f"Make one {kind}.")(options(kind)(_for(kind, create)))
    app.command("update", help=_UPDATE)(options(kind, clearing=True)(_for(kind, update)))
    app.command("remove", help="Remove one. Refused while something belongs to it.")(_for(kind, remove))
    app.command("list", help=f"List the {kind}s of the store and of the configuration.")(_for(kind, show_all))
    app.command("show", help="Show one: what holds for it, and what was spent of its budgets.")(_for(kind, show))
    return app


_UPDATE = "Change what holds for one; what is not named stays. --budget and --soft-budget replace all budgets it has."


def _for(kind: Kind, command: Callable[..., None]) -> Callable[..., None]:
    """The command for one kind, as typer reads its options."""

    def run(**arguments: Any) -> None:
        command(kind, **arguments)

    _, *rest = inspect.signature(command, eval_str=True).parameters.values()
    run.__signature__ = inspect.Signature(rest)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def create(kind: Kind, name: Name, data: Data = None, config: Config = None, *, given: dict[str, Any]) -> None:
    """Make one."""
    place, settings = data_dir(data, os.environ), edited(kind, {}, given)
    try:
        who(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with opened(place, create=True, config=config) as store:
        if name in checked(kind, store, config, settings).written[kind]:
            raise fail(f"The configuration has the {kind} {name!r} already, which counts.", "Choose another name.")
        generation = holders.create(store, kind, name, settings, time.time_ns())
    tell(place, config, generation, f"Created the {kind} {name!r}.")


def update(kind: Kind, name: Name, data: Data = None, config: Config = None, *, given: dict[str, Any]) -> None:
    """Change one."""
    if not given:
        raise typer.BadParameter("names no change")
    place = data_dir(data, os.environ)

    def edit(settings: Mapping[str, Any]) -> dict[str, Any]:
        return edited(kind, settings, given)

    with opened(place, config=config) as store:
        stored = next((one for one in holders.listing(store) if (one.kind, one.name) == (kind, name)), None)
        if stored is not None:
            checked(kind, store, config, edit(stored.settings))
        generation = holders.change(store, kind, name, edit)
    tell(place, config, generation, f"Changed the {kind} {name!r}.")


def remove(kind: Kind, name: Name, data: Data = None, config: Config = None) -> None:
    """Remove one that nothing belongs to."""
    place = data_dir(data, os.environ)
    with opened(place, config=config) as store:
        if using := _using(kind, name, world(store, config)):
            raise fail(f"To the {kind} {name!r} still belong: {', '.join(using)}.", "Change the configuration first.")
        generation = holders.remove(store, kind, name)
    tell(place, config, generation, f"Removed the {kind} {name!r}.")


def show_all(
    kind: Kind,
    data: Data = None,
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; times in nanoseconds since the epoch.")] = False,
) -> None:
    """List all of a kind."""
    with opened(data_dir(data, os.environ), config=config) as store:
        found = _all(kind, world(store, config))
    with output():
        if as_json:
            print(msgspec.json.encode(found).decode())
            return
        table = Table(kind, "keys", "says", "from", box=None, pad_edge=False)
        for one in found:
            says = f"refused: {one.reason}" if one.reason else "; ".join(f"{what} {text}" for what, text in facts(one.settings))
            table.add_row(one.name, f"{one.keys:,}", printable(says), one.source)
        console().print(table)


def show(kind: Kind, name: Name, data: Data = None, config: Config = None) -> None:
    """Show one, with its budgets drawn."""
    with accounts(data_dir(data, os.environ), config) as (store, unstored), output():
        known = world(store, config)
        one = next((one for one in _all(kind, known) if one.name == name), None)
        if one is None:
            raise fail(f"There is no {kind} {name!r}.", f"`trunkline {kind}s list` shows them.")
        print(f"{one.name}  {one.keys:,} valid key{'' if one.keys == 1 else 's'}  (from {one.source})")
        for what, text in facts(one.settings):
            print(f"  {what:<13} {printable(text)}")
        if one.created_ns is not None:
            print(f"  {'created':<13} {instant(one.created_ns)} UTC")
        if one.reason:
            print(f"  refused, with every key of it: {printable(one.reason)}")
            return
        spec = known.written[kind].get(name) or settings_of(kind, one.settings)
        draw(rules_of(f"{kind}:{name}", spec), store, unstored)


def _all(kind: Kind, known: World) -> list[Shown]:
    """The configuration's, which count, and the store's."""
    numbers: dict[str, int] = {}
    for name in {one.name: getattr(one, kind) for one in known.roll().principals}.values():
        numbers[name] = numbers.get(name, 0) + 1
    written = known.written[kind]
    source = known.snapshot.source if known.snapshot is not None else ""
    found = [Shown(name, source, described(spec), numbers.get(name, 0)) for name, spec in written.items()]
    for one in known.holders:
        if one.kind != kind:
            continue
        reason = "the configuration has one of this name, which counts" if one.name in written else _fault(one)
        count = 0 if one.name in written else numbers.get(one.name, 0)
        found.append(Shown(one.name, "store", one.settings, count, one.created_ns, reason))
    return found


def _fault(one: holders.StoredHolder) -> str:
    try:
        settings_of(one.kind, one.settings)
    except ValueError as error:
        return str(error)
    return ""


def _using(kind: Kind, name: str, known: World) -> list[str]:
    """What of the configuration belongs to it."""
    if name in known.written[kind]:
        return []
    found = [f"the key {key.name}" for key in known.keys if key.spec.above(kind) == name]
    for other, specs in known.written.items():
        found += [f"the {other} {called}" for called, spec in specs.items() if spec.above(kind) == name]
    return found
