"""What a person may write in `trunkline.yaml`, field by field. The JSON Schema for editors is made from it.

Only shapes and forms of single values are checked here; whether a named provider exists, and what follows from what, is
decided in `compile`. A field that this version does not act on is either refused or warned about there, never ignored.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import Field

from trunkline.config.fields import (
    ClientSecret,
    CorsOrigin,
    Count,
    Digest,
    Duration,
    DurationOrZero,
    ListenAddress,
    ModelName,
    Section,
    Size,
    Slug,
    blank_too,
    or_empty,
)
from trunkline.config.schema_models import ModelSpec
from trunkline.config.schema_providers import ProviderSpec
from trunkline.edge.limits import ServerLimits
from trunkline.policy.overload import Priority

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
    tls: ServerTls | None = None
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


class Ledger(Section):
    """The accounts."""

    required: bool = Field(default=False, description="Refuse requests (503) when no record can be kept.")


class KeySpec(Section):
    """A client's key, by its secret or only its hash."""

    name: Slug
    secret: ClientSecret | None = Field(default=None, description="16 to 512 printable ASCII characters.")
    hash: Digest | None = Field(default=None, description="sha256: and 64 hexadecimal digits, instead of the secret.")
    aliases: dict[ModelName, ModelName] = Field(default={}, description="What names mean to this key: a model for each.")
    tags: list[Slug] = Field(default=[], description="What the rules of models may ask for.")
    models: list[ModelName] | None = Field(default=None, description="May ask for: model names, provider/model, provider/*.")
    priority: Priority = Field(default="normal", description="Under load, low is turned away first and high last.")


class File(Section):
    """A whole configuration file."""

    server: Server = Field(default_factory=Server)
    log: Log = Field(default_factory=Log)
    ledger: Ledger = Field(default_factory=Ledger)
    providers: Annotated[dict[Slug, ProviderSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    models: Annotated[dict[ModelName, ModelSpec], or_empty(dict)] = Field(default={}, json_schema_extra=blank_too)
    keys: Annotated[list[KeySpec], or_empty(list)] = Field(default=[], json_schema_extra=blank_too)


@functools.cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file. Shared: do not change it."""
    schema = File.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trunkline.yaml"}
