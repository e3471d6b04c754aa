"""What a person may write of one provider: where it is, whose credential, how it is reached. Shapes only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trunkline.config.fields import (
    ApiKey,
    ApiVersion,
    BaseUrl,
    Beta,
    Count,
    Dialects,
    Duration,
    Headers,
    Label,
    ModelName,
    Project,
    ProxyUrl,
    Section,
    Size,
    Slug,
    blank_too,
    or_empty,
)
from trunkline.config.schema_holders import LimitsSpec
from trunkline.config.schema_models import FactsSpec, Timeouts, Unsupported


class ProviderTls(Section):
    """How to trust a provider. Paths are PEM files, relative to the configuration file."""

    verify: bool = Field(default=True, description="false: take any certificate. Only for tests.")
    ca: str | None = Field(default=None, description="Certificate authorities to trust instead of the system's.")
    cert: str | None = Field(default=None, description="Client certificate.")
    key: str | None = Field(default=None, description="Its private key, where it is not in the same file.")


class Pool(Section):
    """Connections to a provider."""

    min_connections: Count = Field(
        default=8, description="Unanswered requests it may always have at once, however overloaded it shows itself."
    )
    max_connections: Count = Field(default=512, description="Open connections to it.")
    max_waiting: Count = Field(default=1024, description="Requests that may wait for a connection.")
    wait: Duration = Field(default=1.0, description="How long they wait before they are answered 503.")
    keep_idle: Duration = Field(default=30.0, description="An unused connection is kept this long.")


class AwsKeys(Section):
    """AWS: the keys that requests are signed with. Without keys, those that AWS's own tools would find."""

    access_key_id: ApiKey | None = None
    secret_access_key: ApiKey | None = None
    session_token: ApiKey | None = Field(default=None, description="Goes with keys that are lent for a time.")
    profile: Slug | None = Field(default=None, description="Of the files in ~/.aws, instead of keys; the usual one by default.")


class ProviderSpec(Section):
    """One provider: where to call, and with whose credential."""

    kind: str | None = Field(default=None, description="The catalogue row it is made from; the provider's name by default.")
    base_url: BaseUrl | None = Field(default=None, description="Where its API begins; the kind's own by default.")
    api_key: ApiKey | None = Field(default=None, description="The credential, or none; by default the kind's variable.")
    api_keys: list[ApiKey] = Field(
        default=[], description="Several credentials instead of one: used in turn; one that is refused rests.", max_length=64
    )
    auth: Literal["bearer", "api-key", "x-api-key", "x-goog-api-key"] | None = Field(
        default=None, description="How the credential is sent; the kind's own way by default."
    )
    resource: Label | None = Field(default=None, description="Azure: the resource's name, instead of a base_url.")
    api_version: ApiVersion = Field(default="", description="Azure: of the dated API. Vertex AI: v1 or v1beta1.")
    project: Project | None = Field(default=None, description="Vertex AI: the project; by default GOOGLE_CLOUD_PROJECT.")
    location: Label | None = Field(default=None, description="Vertex AI: by default GOOGLE_CLOUD_LOCATION, else global.")
    credentials_file: str | None = Field(
        default=None, description="Vertex AI: JSON of a service account or a user; else application-default credentials."
    )
    region: Label | None = Field(default=None, description="Bedrock: by default AWS_REGION, else AWS_DEFAULT_REGION.")
    aws: AwsKeys | None = Field(default=None, description="Bedrock: whose keys sign, where no api_key is sent.")
    dialect: Dialects = Field(default=(), description="How it speaks, where the kind speaks several dialects: one or a list.")
    betas: list[Beta] | None = Field(
        default=None, description="Globs of the anthropic-beta values passed on; the kind's by default."
    )
    facts: Annotated[dict[ModelName, FactsSpec], or_empty(dict)] = Field(
        default={}, description="What its models take and can, by glob of their names.", json_schema_extra=blank_too
    )
    unsupported: Unsupported = Field(
        default="lenient", description="What happens to a parameter that a model cannot be told: dropped and named, or refused."
    )
    tls: ProviderTls = Field(default_factory=ProviderTls)
    proxy: ProxyUrl | None = Field(default=None, description="http://host:port, or none; by default HTTP(S)_PROXY.")
    headers: Headers = Field(default={}, description="Sent with every request.", json_schema_extra=blank_too)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    breaker: bool = Field(
        default=True, description="false: a model that fails again and again is not left alone for a while, but asked as ever."
    )
    slow: Duration | None = Field(
        default=None, description="A stream's first token after this long counts as a failure; no bound by default."
    )
    pool: Pool = Field(default_factory=Pool)
    limits: LimitsSpec = Field(default_factory=LimitsSpec, description="Of all requests that go there, whoever sends them.")
    max_answer: Size = Field(default=64 * 1024 * 1024, description="A larger whole answer is refused.")
    max_stream: Size = Field(default=1024 * 1024 * 1024, description="A larger streamed answer is cut.")
