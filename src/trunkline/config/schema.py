"""What a person may write in `trunkline.yaml`, field by field. The JSON Schema for editors is made from it.

Only shapes and forms of single values are checked here; whether a named provider exists, and what follows from what, is
decided in `compile`. A field that this version does not act on is either refused or warned about there, never ignored.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr, model_validator

from trunkline.config import values
from trunkline.edge.limits import ServerLimits

_LIMITS = ServerLimits()

Duration = Annotated[float, PlainValidator(values.duration, json_schema_input_type=float | str)]
DurationOrZero = Annotated[float, PlainValidator(values.duration_or_zero, json_schema_input_type=float | str)]
Size = Annotated[int, PlainValidator(values.size, json_schema_input_type=int | str)]
Count = Annotated[int, PlainValidator(values.count, json_schema_input_type=int | str)]
ListenAddress = Annotated[values.Address, PlainValidator(values.address, json_schema_input_type=str)]
BaseUrl = Annotated[values.Endpoint, PlainValidator(values.endpoint, json_schema_input_type=str)]
CorsOrigin = Annotated[str, PlainValidator(values.origin, json_schema_input_type=str)]
Slug = Annotated[str, PlainValidator(values.slug, json_schema_input_type=str)]
ModelName = Annotated[str, PlainValidator(values.model, json_schema_input_type=str)]
HeaderName = Annotated[str, PlainValidator(values.header_name, json_schema_input_type=str)]
Label = Annotated[str, PlainValidator(values.label, json_schema_input_type=str)]
Project = Annotated[str, PlainValidator(values.project, json_schema_input_type=str | int)]
ApiVersion = Annotated[str, PlainValidator(values.api_version, json_schema_input_type=str)]
Beta = Annotated[str, PlainValidator(values.beta, json_schema_input_type=str)]


def _hidden(check: Any) -> Any:
    """A validator whose result does not show itself."""
    return PlainValidator(lambda value: SecretStr(check(value)), json_schema_input_type=str)


ApiKey = Annotated[SecretStr, _hidden(values.api_key)]
ClientSecret = Annotated[SecretStr, _hidden(values.client_secret)]
HeaderValue = Annotated[SecretStr, _hidden(values.header_value)]
Digest = Annotated[bytes, PlainValidator(values.digest, json_schema_input_type=str)]


def _proxy(value: object) -> values.ProxyAddress | Literal["none"]:
    return "none" if value == "none" else values.proxy(value)


ProxyUrl = Annotated[values.ProxyAddress | Literal["none"], PlainValidator(_proxy, json_schema_input_type=str)]


def _blank_too(schema: dict[str, Any]) -> None:
    if "required" not in schema:
        schema["type"] = [schema["type"], "null"]


class Section(BaseModel):
    """A mapping that takes its fields and no others; an empty one may be left blank."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True, json_schema_extra=_blank_too
    )

    @model_validator(mode="before")
    @classmethod
    def _blank(cls, value: Any) -> Any:
        return {} if value is None else value


def _or_empty(empty: type[dict[Any, Any] | list[Any]]) -> BeforeValidator:
    return BeforeValidator(lambda value: empty() if value is None else value)


def _once(value: Any) -> Any:
    names = [str(name).lower() for name in value] if isinstance(value, dict) else []
    if len(names) != len(set(names)):
        raise ValueError("two header names differ only in their case")
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Dialects = Annotated[tuple[str, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]
Headers = Annotated[dict[HeaderName, HeaderValue], BeforeValidator(_once), _or_empty(dict)]


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
    media: Media = Field(default_factory=Media)
    memory: Memory = Field(default_factory=Memory)


class Log(Section):
    """What is logged, and how."""

    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="auto: pretty on a terminal, else json.")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Ledger(Section):
    """The accounts."""

    required: bool = Field(default=False, description="Refuse requests (503) when no record can be kept.")


class ProviderTls(Section):
    """How to trust a provider. Paths are PEM files, relative to the configuration file."""

    verify: bool = Field(default=True, description="false: take any certificate. Only for tests.")
    ca: str | None = Field(default=None, description="Certificate authorities to trust instead of the system's.")
    cert: str | None = Field(default=None, description="Client certificate.")
    key: str | None = Field(default=None, description="Its private key, where it is not in the same file.")


class Timeouts(Section):
    """How long each phase of a request to a provider may take."""

    connect: Duration | None = Field(default=None, description="To have a connection; 5s by default.")
    first_byte: Duration | None = Field(default=None, description="From the request's end to the answer's first byte; 60s.")
    idle: Duration | None = Field(default=None, description="Between two pieces of the answer; 60s.")
    total: Duration | None = Field(default=None, description="The whole exchange; 10m.")


class Pool(Section):
    """Connections to a provider."""

    max_connections: Count = 512
    max_waiting: Count = Field(default=1024, description="Requests that may wait for a connection.")
    wait: Duration = Field(default=1.0, description="How long they wait before they are answered 503.")
    keep_idle: Duration = Field(default=30.0, description="An unused connection is kept this long.")


Parameter = Literal[
    "temperature", "top_p", "top_k", "min_p", "seed", "stop", "n", "max_tokens", "frequency_penalty", "presence_penalty",
    "logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls", "response_format", "prefill", "user",
]  # fmt: skip
"""What a model may refuse: the caller's fields in OpenAI's spelling, and `prefill` (an answer begun by the caller)."""


class FactsSpec(Section):
    """What a model takes and can, where the built-in facts are wrong or know nothing; only what is written counts."""

    context: Count | None = Field(default=None, description="Tokens of prompt and answer together.")
    max_output: Count | None = Field(default=None, description="Tokens an answer may have.")
    refuses: list[Parameter] = Field(default=[], description="Parameters that are an error.")
    exclusive: list[list[Parameter]] = Field(default=[], description="Groups of parameters that are an error together.")
    takes: list[Literal["top_k", "min_p"]] = Field(default=[], description="Parameters beyond OpenAI's own, in OpenAI's form.")
    thinks: Literal["none", "budget", "adaptive", "level", "effort", "switch"] = Field(
        default="none", description="How thinking is asked for."
    )
    thinking_off: bool = Field(default=True, description="Thinking can be switched off.")
    between_tools: bool = Field(default=False, description="Off is spelled between_tools (Claude Sonnet 5.5).")
    efforts: list[Literal["minimal", "low", "medium", "high", "xhigh", "max", "default"]] = Field(
        default=[], description="Efforts or levels it takes, from the least to the most; empty: any."
    )
    effort_with_tools: bool = Field(default=True, description="An effort may stand beside tools, in OpenAI's form.")
    forced_tools: Literal["always", "not_thinking", "never"] = Field(
        default="always", description="When it can be made to call a tool."
    )
    system_midway: bool = Field(default=False, description="Takes instructions in mid-conversation.")
    media: list[Literal["image", "document", "audio", "video"]] | None = Field(
        default=None, description="What it can see and hear."
    )
    media_urls: bool = Field(default=True, description="Its provider fetches URLs itself.")
    tools: bool = Field(default=True, description="Takes tools.")
    output_schema: bool = Field(default=True, alias="schema", description="Takes a JSON Schema for its output.")
    binds_thinking: bool = Field(
        default=False, description="A signature holds for its conversation's very prefix (Claude Opus 5.5)."
    )
    signatures: bool = Field(default=False, description="A tool call without its signature is an error (Gemini 3).")
    reasoning_field: Literal["none", "reasoning_content", "reasoning", "reasoning_details", "content"] = Field(
        default="none", description="What thinking is called in a message sent back, in OpenAI's form."
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    call_ids: Literal["any", "alnum9"] = Field(default="any", description="alnum9: nine letters or digits (Mistral).")
    cache_field: Literal["none", "cache_control", "prompt_cache_breakpoint"] = Field(
        default="none", description="What a prompt-cache mark on a part is called, in OpenAI's form."
    )
    caches: list[Literal["tools", "system", "messages", "1h"]] = Field(
        default=[], description="Where a prompt-cache mark may stand on Bedrock, and 1h where one may hold an hour."
    )
    result_status: bool = Field(default=False, description="Takes a status beside a tool's result, on Bedrock.")
    speaks: list[Slug] = Field(default=[], description="The dialects in which alone it is spoken to; empty: any.")
    form: Literal["none", "predict", "config", "titan", "titan_image", "cohere"] = Field(
        default="none", description="Beside chat, the body that it takes where its API has several (Google, Bedrock)."
    )
    aspects: list[Literal["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"]] = Field(
        default=[], description="Google's pictures: aspect ratios that can be asked for."
    )
    picture_sizes: list[Literal["512", "1K", "2K", "4K"]] = Field(
        default=[], description="Google's pictures: sizes that can be asked for."
    )
    version: ApiVersion = Field(default="", description="The anthropic-version to send; empty: the usual one.")

    def given(self) -> dict[str, Any]:
        """The written fields by the names of `canon.facts`, as plain values; `none` is empty there."""
        written = self.model_dump(exclude_unset=True, by_alias=True)
        return {name: "" if value == "none" else value for name, value in written.items()}


Unsupported = Literal["lenient", "strict"]


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
    facts: Annotated[dict[ModelName, FactsSpec], _or_empty(dict)] = Field(
        default={}, description="What its models take and can, by glob of their names.", json_schema_extra=_blank_too
    )
    unsupported: Unsupported = Field(
        default="lenient", description="What happens to a parameter that a model cannot be told: dropped and named, or refused."
    )
    tls: ProviderTls = Field(default_factory=ProviderTls)
    proxy: ProxyUrl | None = Field(default=None, description="http://host:port, or none; by default HTTP(S)_PROXY.")
    headers: Headers = Field(default={}, description="Sent with every request.", json_schema_extra=_blank_too)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    pool: Pool = Field(default_factory=Pool)
    max_answer: Size = Field(default=64 * 1024 * 1024, description="A larger whole answer is refused.")
    max_stream: Size = Field(default=1024 * 1024 * 1024, description="A larger streamed answer is cut.")


class TargetSpec(Section):
    """A provider and the name it knows the model by."""

    to: ModelName = Field(description="provider/model")
    weight: Count = 1


def _target(value: Any) -> Any:
    return {"to": value} if isinstance(value, str) else value


TargetField = Annotated[TargetSpec, BeforeValidator(_target, json_schema_input_type=str | TargetSpec)]


class Retry(Section):
    """How often and how soon to try again; without it, every target is tried once."""

    attempts: Count = Field(default=3, description="Tries of one request, the first included, at all its targets together.")
    backoff: Duration = Field(default=0.2, description="Before a target's second try; twice as long before each further one.")
    max_backoff: Duration = Field(default=5.0, description="The longest wait, also where a provider names a time.")


class ModelSpec(Section):
    """What a model name that clients may use means."""

    targets: list[TargetField] = Field(min_length=1, description="Tried in this order, each where those before it failed.")
    strategy: Literal["ordered", "weighted", "latency", "least_busy", "cost"] = "ordered"
    fallbacks: Annotated[list[TargetField], _or_empty(list)] = Field(
        default=[], description="Tried after the targets.", json_schema_extra=_blank_too
    )
    retry: Retry | None = None
    timeouts: Timeouts = Field(default_factory=Timeouts)
    facts: FactsSpec = Field(default_factory=FactsSpec)
    unsupported: Unsupported | None = Field(default=None, description="As for a provider, whose setting is the default.")


class KeySpec(Section):
    """A client's key, by its secret or only its hash."""

    name: Slug
    secret: ClientSecret | None = Field(default=None, description="16 to 512 printable ASCII characters.")
    hash: Digest | None = Field(default=None, description="sha256: and 64 hexadecimal digits, instead of the secret.")
    models: list[ModelName] | None = Field(default=None, description="May ask for: model names, provider/model, provider/*.")


class File(Section):
    """A whole configuration file."""

    server: Server = Field(default_factory=Server)
    log: Log = Field(default_factory=Log)
    ledger: Ledger = Field(default_factory=Ledger)
    providers: Annotated[dict[Slug, ProviderSpec], _or_empty(dict)] = Field(default={}, json_schema_extra=_blank_too)
    models: Annotated[dict[ModelName, ModelSpec], _or_empty(dict)] = Field(default={}, json_schema_extra=_blank_too)
    keys: Annotated[list[KeySpec], _or_empty(list)] = Field(default=[], json_schema_extra=_blank_too)


@functools.cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file. Shared: do not change it."""
    schema = File.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trunkline.yaml"}
