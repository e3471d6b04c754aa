"""What a person may write in `trunkline.yaml`, field by field. The JSON Schema for editors is made from it.

Only shapes and forms of single values are checked here; whether a named provider exists, and what follows from what, is
decided in `compile`. A field that this version does not act on is either refused or warned about there, never ignored.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import Field

from trunkline.config.fields import (
    CorsOrigin,
    Count,
    Duration,
    DurationOrZero,
    ListenAddress,
    ModelName,
    RedisAddress,
    RedisPrefix,
    Retention,
    Section,
    Size,
    Slug,
    StoreAddress,
    blank_too,
    or_empty,
)
from trunkline.config.schema_alerts import AlertsSpec
from trunkline.config.schema_holders import KeySpec, Network, OrganisationSpec, TeamSpec, UserSpec, Who
from trunkline.config.schema_models import ModelSpec
from trunkline.config.schema_prices import PriceSpec
from trunkline.config.schema_providers import ProviderSpec
from trunkline.config.schema_tokens import TokenSpec
from trunkline.edge.limits import ServerLimits
from trunkline.policy.prices import UnknownPrice

_LIMITS = ServerLimits()


class ServerTls(Section):
    """TLS toward clients. Paths are PEM files, relative to the configuration file."""

    cert: str = Field(description="Certificate chain.")
    key: str = Field(description="Private key.")


class Cors(Section):
    """Which web pages may call the data plane from a browser; none unless named."""

    origins: list[CorsOrigin] = Field(default=[], description="Origins such as https://app.example.com, or '*'.")


class Limits(Section):
    """What a client may take of the data plane."""

    max_header: Size = Field(default=_LIMITS.max_header, description="Size of a request's head.")
    max_body: Size = Field(default=32 * 1024 * 1024, description="Size of a request's body.")
    max_upload: Size = Field(default=2 * 1024**3, description="Size of a form with files, which is passed on as it arrives.")
    header_timeout: Duration = Field(default=_LIMITS.header_timeout, description="To the end of a request's head, in all.")
    body_grace: DurationOrZero = Field(default=_LIMITS.body_grace, description="Before the minimum body rate counts.")
    body_min_rate: Size = Field(default=int(_LIMITS.body_min_rate), description="Bytes a second a body must arrive with.")
    keep_alive: Duration = Field(default=_LIMITS.keep_alive, description="An idle connection is kept this long.")
    stall_timeout: Duration = Field(default=_LIMITS.stall_timeout, description="A client may take nothing this long.")
    max_requests: Count = Field(default=10_000, description="Exchanges in flight; a fifth is for keys of high priority.")
    max_connections: Count = Field(default=_LIMITS.max_connections, description="Open connections, all clients together.")
    max_connections_per_ip: Count | None = Field(
        default=None, description="Open connections of one address; no bound by default."
    )


class Media(Section):
    """Pictures and files that a request names by URL, for providers that do not fetch them. Public addresses only."""

    enabled: bool = Field(default=True, description="false: a URL that the provider does not fetch is refused.")
    max_size: Size = Field(default=20 * 1024 * 1024, description="Of one picture or file.")
    timeout: Duration = Field(default=10.0, description="For one, redirects included.")
    allow_http: bool = Field(default=False, description="Also without TLS.")


class Memory(Section):
    """What models want back and clients of another API cannot hand back, such as signatures of thinking. Never on disk."""

    max_size: Size = Field(default=64 * 1024 * 1024, description="All clients together; the least recently used goes first.")
    ttl: Duration = Field(default=3600.0, description="Kept this long after it was last asked for.")


class Server(Section):
    """The two listeners."""

    listen: ListenAddress = Field(default="127.0.0.1:4000", validate_default=True, description="Data plane, host:port.")
    admin: ListenAddress = Field(default="127.0.0.1:4001", validate_default=True, description="Metrics and health, host:port.")
    workers: Count = Field(default=1, description="Processes that serve; more than one share limits through Redis.")
    tls: ServerTls | None = None
    trusted_proxies: list[Network] = Field(
        default=[], description="Who may say, in x-forwarded-for, for whom it asks: addresses or networks; nobody by default."
    )
    cors: Cors = Field(default_factory=Cors)
    limits: Limits = Field(default_factory=Limits)
    drain_timeout: DurationOrZero = Field(default=30.0, description="Running requests may finish this long after SIGTERM.")
    drain_grace: DurationOrZero = Field(default=0.0, description="New connections are taken this long after SIGTERM.")
    watch: bool = Field(default=True, description="Read this file again when it changes; SIGHUP does so in any case.")
    media: Media = Field(default_factory=Media)
    memory: Memory = Field(default_factory=Memory)


class Log(Section):
    """What is logged, and how."""

    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="auto: pretty on a terminal, else json.")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Store(Section):
    """Where keys and accounts are kept."""

    url: StoreAddress | None = Field(
        default=None, description="postgresql://user:password@host:5432/database; absent: SQLite in the data directory."
    )


class Drain(Section):
    """How far an answer is read on after its client left."""

    timeout: Duration = Field(default=30.0, description="At most so long after the client left.")
    max_size: Size = Field(default=8 * 1024 * 1024, description="At most so much of it after the client left.")
    at_once: Count = Field(default=100, description="Answers that may be read so at the same time.")


class Redis(Section):
    """Where several processes share their limits and budgets."""

    url: RedisAddress | None = Field(
        default=None, description="redis://[user:password@]host:6379[/0], rediss:// or unix://; absent: limits are not shared."
    )
    timeout: Duration = Field(default=0.02, description="A request waits for it this long at most; up to 1s.")
    prefix: RedisPrefix = Field(default="trunkline:", description="Every key begins with it.")


class Ledger(Section):
    """The accounts."""

    required: bool = Field(default=False, description="Refuse requests (503) when no record can be kept.")
    unknown_price: UnknownPrice = Field(
        default="refuse_with_budget", description="What becomes of requests to a model whose price nobody knows."
    )
    disconnect: Literal["cancel", "drain"] = Field(
        default="cancel",
        description="When a client leaves: hang up on its provider and estimate, or read its answer to the end and know.",
    )
    drain: Drain = Field(default_factory=Drain)
    budget_status: Literal[402, 429] = Field(default=402, description="Of the answer where a budget is used up.")
    reserve_output: Count = Field(
        default=4096, description="Tokens of an answer that are reserved where neither request nor model names a bound."
    )
    retention: Retention | None = Field(default=None, description="Records older than this are deleted; totals are kept.")


class File(Section):
    """A whole configuration file."""

    server: Server = Field(default_factory=Server)
    log: Log = Field(default_factory=Log)
    ledger: Ledger = Field(default_factory=Ledger)
    store: Store = Field(default_factory=Store)
    redis: Redis = Field(default_factory=Redis)
    providers: Annotated[dict[Slug, ProviderSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    models: Annotated[dict[ModelName, ModelSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    keys: Annotated[list[KeySpec], or_empty(list)] = Field(default=[], json_schema_extra=blank_too)
    users: Annotated[dict[Who, UserSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    teams: Annotated[dict[Who, TeamSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    organisations: Annotated[dict[Who, OrganisationSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    prices: Annotated[list[PriceSpec], or_empty(list)] = Field(default=[], json_schema_extra=blank_too)
    tokens: Annotated[dict[Slug, TokenSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    alerts: AlertsSpec | None = None


@functools.cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file. Shared: do not change it."""
    schema = File.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trunkline.yaml"}
