"""The compiled, frozen configuration: what runs. A request takes it once and keeps it.

Plain values with plain access, because the hot path reads it. How it is made belongs in `compile`.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from typing_extensions import override

from trunkline.config.alerts import AlertSettings
from trunkline.config.holders import NOBODY, Written, WrittenKey
from trunkline.config.routes import Pattern, direct
from trunkline.config.tokens import TokenIssuer
from trunkline.config.values import is_model
from trunkline.edge.limits import ServerLimits
from trunkline.ledger.overrides import Override
from trunkline.meters.url import RedisSettings
from trunkline.policy.addresses import Networks
from trunkline.policy.keys import Principal
from trunkline.policy.prices import UnknownPrice
from trunkline.providers.provider import Provider
from trunkline.routing.route import Route
from trunkline.store.url import StoreUrl
from trunkline.telemetry.lines import Level

ECHO_MODEL = "echo"
MAX_WORKERS = 256
"""Processes that serve."""
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
    workers: int
    """Processes that serve."""
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
    trusted_proxies: Networks | None = None
    """Who may say for whom it asks; None: nobody."""
    watch: bool = True
    """Whether the file is read again when it changes."""


class LogSettings(msgspec.Struct, frozen=True):
    """How to log. `format` is auto, json or pretty; `level` is debug, info, warning or error."""

    format: Literal["auto", "json", "pretty"]
    level: Level


class DrainSettings(msgspec.Struct, frozen=True):
    """How far an answer is read on after its client left."""

    timeout: float
    """Seconds."""
    max_size: int
    """Bytes."""
    at_once: int
    """Answers that may be read so at the same time; the providers of others are hung up on."""


class LedgerSettings(msgspec.Struct, frozen=True):
    """`required`: a request whose record neither journal nor memory can take is refused with 503."""

    required: bool
    budget_status: int = 402
    """Of the answer where a budget is used up: 402 or 429."""
    reserve_output: int = 4096
    """Tokens of an answer that are reserved where neither request nor model names a bound."""
    unknown_price: UnknownPrice = "refuse_with_budget"
    """What becomes of requests to a model whose price nobody knows."""
    retention: int | None = None
    """Seconds for which records are kept; None for ever."""
    drain: DrainSettings | None = None
    """None: a provider is hung up on when its client leaves."""


class StoreSettings(msgspec.Struct, frozen=True):
    """`url`: of the database server that holds keys and accounts; None for SQLite in the data directory. Shows no password."""

    url: StoreUrl | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """One whole configuration. `repr` shows no secret."""

    server: ServerSettings
    log: LogSettings
    ledger: LedgerSettings
    providers: dict[str, Provider]
    routes: dict[str, Route]
    """The configured models, by each of their names."""
    principals: tuple[Principal, ...]
    """Of its keys, those that belong to nobody else than it knows itself."""
    source: str
    """Where it comes from: a file's path, or `environment`."""
    prices: tuple[Override, ...] = ()
    """Those that a person sets beside the bundled list."""
    patterns: tuple[Pattern, ...] = ()
    """Those whose name has a star, the most particular first."""
    store: StoreSettings = StoreSettings()
    redis: RedisSettings | None = None
    """None: limits and budgets are this process's own."""
    keys: tuple[WrittenKey, ...] = ()
    """All of its keys."""
    holders: Written = msgspec.field(default_factory=lambda: NOBODY)
    """Its users, teams and organisations."""
    tokens: tuple[TokenIssuer, ...] = ()
    """Whose tokens let in as well."""
    alerts: AlertSettings | None = None
    """Who is told of budgets; None: nobody."""
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
        if self.store.url is not None:
            found.update(self.store.url.secrets())
        if self.redis is not None:
            found.update(self.redis.url.secrets())
        if self.alerts is not None:
            found.update(self.alerts.secrets)
        return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))

    @override
    def __repr__(self) -> str:
        """Where it comes from and how much it holds."""
        sizes = f"{len(self.providers)} providers, {len(self.routes)} models, {len(self.keys)} keys"
        return f"Snapshot({self.source!r}, {sizes})"
