"""The configuration read anew while the gateway runs: what it says now, what of that may hold at once, and what is different.

A configuration with a mistake is none: the caller keeps the old one. When to read, and how the new one is put in force, is
decided where the parts meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config.load import load
from trunkline.config.mistakes import ConfigError, Mistake
from trunkline.config.routes import STAR
from trunkline.config.schema_holders import KINDS, Kind
from trunkline.config.snapshot import LogSettings, ServerSettings, Snapshot

SETTLED = 1.0
"""Seconds a changed file must be left alone before it is read: somebody may still be writing."""
_AT_ONCE = frozenset({"max_upload", "max_requests", "drain_timeout", "drain_grace", "trusted_proxies", "watch"})
"""Settings of the server that are looked up when they are needed; the others are taken once, at the start."""
_WRITTEN = {
    "tls_cert": "tls.cert",
    "tls_key": "tls.key",
    "cors_origins": "cors.origins",
    "max_body": "limits.max_body",
    "max_upload": "limits.max_upload",
    "max_requests": "limits.max_requests",
    "memory.max_bytes": "memory.max_size",
}
"""Settings of the server whose names in the file are others."""

Mark = tuple[int, ...]
"""What shows that a file was changed or replaced."""


class Source:
    """Where the configuration comes from, the same from the start to the end of the process."""

    def __init__(self, path: Path | None, environ: Mapping[str, str], *, ollama_running: bool = False) -> None:
        """As for `load`."""
        self.path = path
        self.read: Mark | None = None
        """The file as it was when it was last read, or begun to be; None where there was none."""
        self._environ = environ
        self._ollama_running = ollama_running

    def load(self) -> Snapshot:
        """What the configuration says now. Blocks. Raises `ConfigError`."""
        self.read = self.look()
        return load(self.path, self._environ, ollama_running=self._ollama_running)

    def look(self) -> Mark | None:
        """The file as it is now; None where there is none that can be seen. Blocks."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Settling:
    """Tells when a file was changed and then left alone for a while."""

    def __init__(self) -> None:
        self._seen: Mark | None = None
        self._since = 0.0

    def look(self, now_there: Mark | None, read: Mark | None, now: float) -> bool:
        """Whether to read it: it is not as it was when it was read, and has been as it is for `SETTLED` seconds.

        `now` is a monotonic clock's; call this again and again.
        """
        if now_there == read or now_there != self._seen:
            self._seen, self._since = now_there, now
            return False
        return now - self._since >= SETTLED


class Difference(msgspec.Struct, frozen=True):
    """By name, sorted: what came, what went, what is no longer the same."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """From the configuration in force to the next one."""

    snapshot: Snapshot
    """The next one: what cannot change while the gateway runs is as it was."""
    providers: Difference
    models: Difference
    """Also changed where one of its providers is."""
    keys: Difference
    """Also changed where somebody is whom one belongs to."""
    holders: Mapping[Kind, Difference]
    """Users, teams and organisations."""
    settings: tuple[str, ...]
    """Other fields that change now, as they are written: `log.level`."""
    later: tuple[str, ...]
    """Fields that are written differently, and hold from the next start on."""

    def told(self) -> dict[str, str]:
        """What changes, in words: `models_added` and so on, each with its names. Empty where nothing does."""
        found: dict[str, str] = {}
        parts = {"providers": self.providers, "models": self.models, "keys": self.keys}
        parts |= {f"{kind}s": difference for kind, difference in self.holders.items()}
        for name, difference in parts.items():
            for how, names in msgspec.structs.asdict(difference).items():
                if names:
                    found[f"{name}_{how}"] = ", ".join(names)
        if self.settings:
            found["settings"] = ", ".join(self.settings)
        return found


def change(old: Snapshot, new: Snapshot) -> Change:
    """What becomes of `old` where `new` was read. Raises `ConfigError` where `new` has no providers, models or keys any more.

    A file that ends after its first sections is one half-written: to follow it would lock every client out.
    """
    filled = _filled(new)
    gone = [name for name in _filled(old) if name not in filled]
    if gone:
        raise ConfigError(
            [Mistake(new.source, 0, name, "there are none any more; to serve without any, restart") for name in gone]
        )
    server, now, later = _server(old.server, new.server)
    if old.log.level != new.log.level:
        now.append("log.level")
    if old.log.format != new.log.format:
        later.append("log.format")
    now += [f"ledger.{name}" for name in new.ledger.__struct_fields__ if getattr(old.ledger, name) != getattr(new.ledger, name)]
    if old.prices != new.prices:
        now.append("prices")
    if old.alerts != new.alerts:
        now.append("alerts")
    now += [f"tokens.{name}" for name in _unequal(_issuers(old), _issuers(new))]
    if old.store != new.store:
        later.append("store.url")
    later += _redis(old, new)
    log = LogSettings(old.log.format, new.log.level)
    next_one = msgspec.structs.replace(new, server=server, log=log, store=old.store, redis=old.redis)
    return Change(
        snapshot=next_one,
        providers=_difference(old.providers, new.providers),
        models=_difference(_models(old), _models(new)),
        keys=_difference(_keys(old), _keys(new)),
        holders={kind: _difference(old.holders[kind], new.holders[kind]) for kind in KINDS},
        settings=tuple(now),
        later=tuple(later),
    )


def _redis(old: Snapshot, new: Snapshot) -> list[str]:
    if old.redis is None or new.redis is None:
        return ["redis.url"] if old.redis is not new.redis else []
    return [f"redis.{name}" for name in old.redis.__struct_fields__ if getattr(old.redis, name) != getattr(new.redis, name)]


def _filled(snapshot: Snapshot) -> list[str]:
    """The sections that say something."""
    providers = not all(provider.builtin for provider in snapshot.providers.values())
    found = {"providers": providers, "models": bool(_models(snapshot)), "keys": bool(snapshot.keys)}
    found["tokens"] = bool(snapshot.tokens)
    return [name for name, says in found.items() if says]


def _issuers(snapshot: Snapshot) -> dict[str, Any]:
    return {issuer.asked.name: issuer for issuer in snapshot.tokens}


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _keys(snapshot: Snapshot) -> dict[str, Any]:
    """By name: what is written of each, wherever that stands, and what it comes to."""
    made = {principal.name: principal for principal in snapshot.principals}
    return {key.name: (key.digest, key.spec, made.get(key.name)) for key in snapshot.keys}


def _models(snapshot: Snapshot) -> dict[str, Any]:
    """By each of their names, also those with a star."""
    return {**snapshot.routes, **{f"{one.before}{STAR}{one.after}": one for one in snapshot.patterns}}


def _server(old: ServerSettings, new: ServerSettings) -> tuple[ServerSettings, list[str], list[str]]:
    """The settings to go on with; what changes now, and what does later."""
    now: list[str] = []
    later: list[str] = []
    for field in ServerSettings.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        (now if field in _AT_ONCE else later).extend(
            f"server.{_WRITTEN.get(name, name)}" for name in _unlike(field, before, after)
        )
    return msgspec.structs.replace(old, **{field: getattr(new, field) for field in _AT_ONCE}), now, later


def _unlike(name: str, before: Any, after: Any) -> list[str]:
    """The field, or those below it, that are not the same."""
    if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
        fields = before.__struct_fields__
        return [f"{name}.{field}" for field in fields if getattr(before, field) != getattr(after, field)]
    return [] if before == after else [name]


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )
