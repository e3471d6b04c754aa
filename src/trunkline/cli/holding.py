"""What the commands on keys, users, teams and organisations share: what both places say of them, and how that is drawn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import typer

from trunkline.cli.data import fail
from trunkline.cli.usage import bar, dollars
from trunkline.config.holders import NOBODY, Chart, Roll, Unfit, Written, WrittenKey, enrol, settings_of
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.config.schema_holders import HolderSpec, Kind
from trunkline.config.snapshot import Snapshot
from trunkline.ledger.record import Row
from trunkline.meters.rule import Rule
from trunkline.meters.windows import Window, window
from trunkline.store import keys
from trunkline.store.engine import Store
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import LiveKey
from trunkline.store.sums import spent

_SECOND = 1_000_000_000
_BAR = 30


class World(msgspec.Struct, frozen=True):
    """All that is written, in the configuration and in the store."""

    snapshot: Snapshot | None
    """None where there is no configuration, or none that can be used."""
    live: list[LiveKey]
    holders: list[StoredHolder]

    @property
    def written(self) -> Written:
        """The configuration's users, teams and organisations."""
        return NOBODY if self.snapshot is None else self.snapshot.holders

    @property
    def keys(self) -> tuple[WrittenKey, ...]:
        """The configuration's keys."""
        return () if self.snapshot is None else self.snapshot.keys

    def roll(self) -> Roll:
        """Who has a key, as a gateway would say."""
        return enrol(self.written, self.keys, self.live, self.holders)

    def check(self, spec: HolderSpec) -> None:
        """That all exist whom it is to belong to, and agree. Fails the command."""
        try:
            Chart(self.written, self.holders).place(spec)
        except Unfit as error:
            remedy = "Make it first, or name with --config the configuration that it stands in."
            raise fail(f"{error.field}: {error}", remedy) from None

    def free(self, found: Iterable[tuple[str, bytes]]) -> None:
        """That the configuration has no key of these names, nor of these SHA-256s: its own would count. Fails the command."""
        names, secrets = {key.name for key in self.keys}, {key.digest: key.name for key in self.keys}
        issuers = {issuer.asked.name for issuer in self.snapshot.tokens} if self.snapshot is not None else set()
        for name, digest in found:
            issuer, colon, _ = name.partition(":")
            if name in names:
                raise fail(f"The configuration has a key named {name!r} already, which counts.", "Choose another name.")
            if digest in secrets:
                told = f"The secret of {name!r} is known already, as that of the key {secrets[digest]!r} of the configuration."
                raise fail(told, "Leave it out.")
            if colon and issuer in issuers:
                told = f"Accounts call users of the issuer {issuer!r} so: {name!r} would pay for such a one."
                raise fail(told, "Choose a name that begins otherwise.")

    def warn(self, spec: HolderSpec) -> None:
        """Name what the configuration does not know: a misspelt name shows only when the key is used."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        unknown = [name for name in spec.models or () if snapshot.route(name) is None]
        unknown += [name for name in spec.providers or () if name not in snapshot.providers]
        if unknown:
            typer.echo(f"Warning: {snapshot.source} knows no {', '.join(map(repr, unknown))}.", err=True)


def world(store: Store, config: Path | None) -> World:
    """Everything, as a gateway would read it from here."""
    _, live, holders = keys.everyone(store)
    return World(configured(config), live, holders)


def checked(kind: Kind | None, store: Store, config: Path | None, settings: Mapping[str, Any]) -> World:
    """All that is written, after a look whether those are there to whom a key (None), user, team or organisation with these
    settings belongs. What else it names and is not there is only told.
    """
    known, spec = world(store, config), settings_of(kind, settings)
    known.check(spec)
    known.warn(spec)
    return known


def configured(config: Path | None) -> Snapshot | None:
    """The configuration, where there is one without mistakes."""
    path = find_config(config, os.environ, Path.cwd())
    try:
        return load(path, os.environ) if path else None
    except ConfigError:
        typer.echo(f"Warning: {path} has mistakes, so what it says does not count here; see `trunkline check`.", err=True)
        return None


def draw(rules: Iterable[Rule], store: Store, unstored: list[Row]) -> None:
    """Limits, and budgets with what was spent of them."""
    now = time.time_ns()
    for rule in rules:
        kind, _, name = rule.holder.partition(":")
        if rule.what != "money":
            print(f"  {'limit':<13} {rule.amount:,} {_WORDS[rule.what]} ({kind} {name})")
            continue
        there = window(rule.period, rule.zone, now)
        nano = spent(store, kind, name, there.begin, there.end, unstored)
        told = f"{dollars(rule.amount)} {_PERIODS[rule.period]}{'' if rule.hard else ', soft'} ({kind} {name})"
        print(f"  {'budget':<13} {told}, {_dates(there, rule.zone)}")
        drawn = bar(min(nano, rule.amount), rule.amount, _BAR)
        print(f"  {'':<13} {drawn:·<{_BAR}} {dollars(nano)} spent, {nano * 100 // rule.amount} %")


_WORDS = {"requests": "requests a minute", "tokens": "tokens a minute", "concurrent": "at the same time"}
_PERIODS = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}


def _dates(there: Window, name: str) -> str:
    """The days of a window, in its own time zone."""
    if there.begin == 0:
        return "ever"
    zone: tzinfo = ZoneInfo(name)
    first = datetime.fromtimestamp(there.begin // _SECOND, zone).date()
    last = datetime.fromtimestamp(there.end // _SECOND, zone).date() - timedelta(days=1)
    days = f"{first}" if first == last else f"{first} to {last}"
    return days if name == "UTC" else f"{days} ({name})"


def facts(settings: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What is said besides limits and budgets, for a person."""
    for name in ("user", "team", "organisation", "priority"):
        if settings.get(name):
            yield name, str(settings[name])
    for name in ("models", "providers", "endpoints", "addresses", "tags"):
        if settings.get(name):
            yield name, ", ".join(map(str, settings[name]))
    if settings.get("aliases"):
        yield "aliases", ", ".join(f"{name} = {model}" for name, model in settings["aliases"].items())


def described(spec: HolderSpec) -> dict[str, Any]:
    """A specification of the file in the form of stored settings."""
    written = spec.model_dump(exclude_defaults=True, exclude={"name", "secret", "hash", "expires"})
    for budget in written.get("budgets", ()):
        budget["usd"] = dollars(budget["usd"]).removeprefix("$").replace(",", "")
    return written
