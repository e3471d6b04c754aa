"""What a person may write of one model: its targets, what follows when one fails, what is known of it. Shapes only."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from trunkline.config.fields import (
    ApiVersion,
    Count,
    Duration,
    Glob,
    HeaderName,
    ModelName,
    Section,
    Share,
    Slug,
    blank_too,
    or_empty,
)
from trunkline.config.schema_holders import LimitsSpec


class Timeouts(Section):
    """How long each phase of a request to a provider may take."""

    connect: Duration | None = Field(default=None, description="To have a connection; 5s by default.")
    first_byte: Duration | None = Field(default=None, description="From the request's end to the answer's first byte; 60s.")
    idle: Duration | None = Field(default=None, description="Between two pieces of the answer; 60s.")
    total: Duration | None = Field(default=None, description="The whole exchange; 10m.")


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


class WhenSpec(Section):
    """What a request must be like; all that is written must hold."""

    images: bool | None = Field(default=None, description="It holds a picture.")
    tools: bool | None = Field(default=None, description="It holds tools.")
    stream: bool | None = Field(default=None, description="Its answer is to be streamed.")
    tokens_over: Count | None = Field(default=None, description="Its prompt has more tokens, as far as its size tells.")
    tokens_under: Count | None = Field(default=None, description="Its prompt has fewer.")
    tags: list[Slug] = Field(default=[], description="Its key has one of these tags.")
    headers: dict[HeaderName, Glob] = Field(default={}, description="Its headers, and the pattern that each must match.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must name at least one condition")
        return self


class RuleSpec(Section):
    """Requests of a kind that go to another model."""

    when: WhenSpec
    use: ModelName = Field(description="A configured model, or provider/model.")


class HedgeSpec(Section):
    """A second target is asked beside one that is slow to begin; the first token wins, both are paid."""

    after: Duration | None = Field(default=None, description="Without a first token; by default longer than 95 of 100 took.")
    share: Share = Field(default=0.05, description="Of all requests, how many may be asked twice.")


class ModelSpec(Section):
    """What a model name that clients may use means. One `*` in it stands for anything, and for the same in its targets."""

    targets: list[TargetField] = Field(min_length=1, description="Tried in this order, each where those before it failed.")
    aliases: list[ModelName] = Field(default=[], description="Further names for it.")
    strategy: Literal["ordered", "weighted", "latency", "least_busy", "cost"] = "ordered"
    affinity: Literal["none", "session", "prompt"] = Field(
        default="none", description="What keeps to one target while it is well: a session, or what begins alike."
    )
    rules: Annotated[list[RuleSpec], or_empty(list)] = Field(
        default=[], description="The first that holds sends the request elsewhere.", json_schema_extra=blank_too
    )
    fallbacks: Annotated[list[TargetField], or_empty(list)] = Field(
        default=[], description="Tried after the targets; a configured model means all of its own.", json_schema_extra=blank_too
    )
    retry: Retry | None = None
    hedge: HedgeSpec | None = None
    timeouts: Timeouts = Field(default_factory=Timeouts)
    facts: FactsSpec = Field(default_factory=FactsSpec)
    unsupported: Unsupported | None = Field(default=None, description="As for a provider, whose setting is the default.")
    limits: LimitsSpec = Field(default_factory=LimitsSpec, description="Of all who ask for it together, by any of its names.")
