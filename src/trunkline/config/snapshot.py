"""The compiled, frozen configuration: what runs. A request takes it once and keeps it.

Plain values with plain access, because the hot path reads it. How it is made belongs in `compile`.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from typing_extensions import override

from trunkline.config.routes import Pattern, direct
from trunkline.config.values import is_model
from trunkline.edge.limits import ServerLimits
from trunkline.policy.keys import Principal
from trunkline.providers.provider import Provider
from trunkline.routing.route import Route
from trunkline.telemetry.lines import Level

ECHO_MODEL = "echo"
MAX_REMEMBERED = 4096
"""Routes built on demand that are kept; the oldest goes first."""


class MediaSettings(msgspec.Struct, frozen=True):
    """What a request names by URL and its provider does not fetch: whether we do, and how much."""

    enabled: bool
    max_size: int
    """Bytes of one picture or file."""
    timeout: float
    """Seconds for one, redirects included."""
    allow_http: bool
    """Also without TLS."""


class MemorySettings(msgspec.Struct, frozen=True):
    """The opaque state of models that is kept for clients that cannot hand it back."""

    max_bytes: int
    """All clients together."""
    ttl: float
    """Seconds it is kept after it was last asked for."""


class ServerSettings(msgspec.Struct, frozen=True):
    """The listeners. Sizes in bytes, times in seconds."""

    listen: tuple[str, int]
    admin: tuple[str, int]
    tls_cert: str | None
    """PEM file; with `tls_key`, or both None for plain HTTP."""
    tls_key: str | None
    cors_origins: tuple[str, ...]
    limits: ServerLimits
    max_body: int
    max_upload: int
    max_requests: int
    """Exchanges in flight."""
    drain_timeout: float
    drain_grace: float
    media: MediaSettings
    memory: MemorySettings
    watch: bool = True
    """Whether the file is read again when it changes."""


class LogSettings(msgspec.Struct, frozen=True):
    """How to log. `format` is auto, json or pretty; `level` is debug, info, warning or error."""

    format: Literal["auto", "json", "pretty"]
    level: Level


class LedgerSettings(msgspec.Struct, frozen=True):
    """`required`: a request whose record neither journal nor memory can take is refused with 503."""

    required: bool


class Snapshot(msgspec.Struct, frozen=True):
    """One whole configuration. `repr` shows no secret."""

    server: ServerSettings
    log: LogSettings
    ledger: LedgerSettings
    providers: dict[str, Provider]
    routes: dict[str, Route]
    """The configured models, by each of their names."""
    principals: tuple[Principal, ...]
    source: str
    """Where it comes from: a file's path, or `environment`."""
    patterns: tuple[Pattern, ...] = ()
    """Those whose name has a star, the most particular first."""
    warnings: tuple[str, ...] = ()
    client_secrets: tuple[bytes, ...] = ()
    """Keys whose secret stands in the configuration; only for `secrets`."""
    remembered: dict[str, Route] = msgspec.field(default_factory=dict)
    """Routes of `provider/model` names, built on demand by `route`."""

    def route(self, name: str) -> Route | None:
        """What a client's model name means: a configured model, else `provider/model`, else a model with a star, else None."""
        return self.routes.get(name) or self.remembered.get(name) or self._build(name)

    def _build(self, name: str) -> Route | None:
        provider_name, _, model = name.partition("/")
        provider = self.providers.get(provider_name)
        if provider is not None:
            route = direct(provider, model, name) if is_model(model) else None
        elif is_model(name):
            route = next((made for pattern in self.patterns if (made := pattern.made(name)) is not None), None)
        else:
            route = None
        if route is None:
            return None
        if len(self.remembered) >= MAX_REMEMBERED:
            del self.remembered[next(iter(self.remembered))]
        route = self.remembered[name] = msgspec.structs.replace(route, made=True)
        return route

    def models(self) -> list[tuple[str, str]]:
        """What can be asked for by name, as (model, provider): the configured models and the built-in echo."""
        named = [(name, route.targets[0].provider.name) for name, route in self.routes.items()]
        echoes = [name for name, provider in self.providers.items() if provider.builtin]
        return named + [(f"{name}/{ECHO_MODEL}", name) for name in echoes]

    def secrets(self) -> tuple[bytes, ...]:
        """Every credential in the configuration, for masking; longest first, so that none hides in another."""
        found = {secret for provider in self.providers.values() for secret in provider.secrets} | set(self.client_secrets)
        return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))

    @override
    def __repr__(self) -> str:
        """Where it comes from and how much it holds."""
        sizes = f"{len(self.providers)} providers, {len(self.routes)} models, {len(self.principals)} keys"
        return f"Snapshot({self.source!r}, {sizes})"
