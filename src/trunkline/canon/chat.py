"""A conversation, what is asked of it and what came back, in no provider's words.

What a dialect can say and canon cannot rides in `vendor`, in that dialect's own JSON: its reader puts there every field it
has no word for, and only its own writer takes it out again. How anything is spelled belongs in `dialects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage

Json = Mapping[str, Any]
"""A decoded JSON object."""
NOTHING: Json = MappingProxyType({})

Cache = Literal["", "5m", "1h"]
"""A prompt-cache mark: the prompt up to and with this is worth keeping so long; empty for no mark. A mark without a time
is `5m`."""
Role = Literal["system", "developer", "user", "assistant", "tool"]
INSTRUCTS: frozenset[Role] = frozenset({"system", "developer"})
"""The roles of those who instruct the model, and do not speak with it."""
Medium = Literal["image", "document", "audio", "video"]
FinishReason = Literal["", "stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "error"]
"""Why an answer ended. `pause`: the provider wants its answer sent back to go on. `error`: it could not finish (a malformed
tool call, no resources). Empty: it did not say."""


class Seal(msgspec.Struct, frozen=True):
    """Opaque state of a model (a thinking signature, a thought signature, encrypted reasoning): carried, never read.

    `family` is the dialect that made it; only a writer of that dialect gives it back to a provider.
    """

    family: str
    data: str


class Citation(msgspec.Struct, frozen=True):
    """Where a piece of text has its knowledge from. `start` and `end` are characters of the text, where they are known."""

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None
    vendor: Json = NOTHING


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Text, of a person or of a model."""

    text: str
    seal: Seal | None = None
    citations: tuple[Citation, ...] = ()
    cache: Cache = ""
    vendor: Json = NOTHING


class Media(msgspec.Struct, frozen=True, tag="media"):
    """A picture, a document, a recording: exactly one of `data`, `url` and `file_id` is not empty."""

    kind: Medium
    media_type: str = ""
    """MIME type, such as `image/png`; empty where it is not known."""
    data: str = ""
    """The content in standard base64. A plain-text document is encoded too."""
    url: str = ""
    """http or https; data URLs are taken apart into `media_type` and `data`."""
    file_id: str = ""
    """A file kept by the provider."""
    name: str = ""
    """A file's name or a document's title."""
    detail: str = ""
    """How closely to look at a picture: low, high, auto, original."""
    cache: Cache = ""
    vendor: Json = NOTHING


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """A call of a client's tool."""

    id: str
    """Never empty: where a provider names none, its reader makes one that is the same for the same answer."""
    name: str
    arguments: str
    """A JSON object as text, as the model wrote it: it may be invalid. No arguments are `{}`."""
    seal: Seal | None = None
    cache: Cache = ""
    vendor: Json = NOTHING


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a tool answered. `name` is empty where the client's dialect does not tell it."""

    id: str
    name: str
    parts: tuple[Text | Media | Other, ...]
    failed: bool = False
    cache: Cache = ""
    vendor: Json = NOTHING


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """A model's reasoning, in its own place among the parts. `redacted`: there is no text, only the seal."""

    text: str
    seal: Seal | None = None
    redacted: bool = False
    vendor: Json = NOTHING


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A model's words for why it will not answer (OpenAI tells them apart from text)."""

    text: str


class Other(msgspec.Struct, frozen=True, tag="other"):
    """What only one dialect knows, whole: a server tool's call or result, executed code."""

    dialect: str
    value: Json


Part = Text | Media | ToolCall | ToolResult | Thinking | Refusal | Other


class Message(msgspec.Struct, frozen=True):
    """One turn. Results of tools stand alone in messages of role `tool`, one message for the results of one turn."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""
    """Who speaks, where several share a role (OpenAI)."""
    vendor: Json = NOTHING


class Tool(msgspec.Struct, frozen=True, tag="tool"):
    """A tool of the client's. `parameters` is a JSON Schema; None where none was given."""

    name: str
    description: str = ""
    parameters: Json | None = None
    strict: bool | None = None
    cache: Cache = ""
    vendor: Json = NOTHING


class ToolChoice(msgspec.Struct, frozen=True):
    """`required` means any tool; with `names` one of those (one name: exactly that tool)."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()
    vendor: Json = NOTHING


class OutputFormat(msgspec.Struct, frozen=True):
    """What the text of the answer must be: `json` any object, `schema` one that fits `schema`."""

    kind: Literal["json", "schema"]
    schema: Json | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. At most one of `effort` and `budget` is set; neither means the model's own measure."""

    mode: Literal["off", "on", "adaptive"] = "on"
    """`adaptive`: the model decides whether and how much."""
    effort: str = ""
    """minimal, low, medium, high, xhigh, max."""
    budget: int | None = None
    """Tokens at most."""
    show: bool | None = None
    """Whether the client wants to see it; None where it did not say."""
    vendor: Json = NOTHING


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are drawn. None: the model's default. Ranges are the client's dialect's own, but `temperature`: 0 to 2."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Json | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Chat(msgspec.Struct, frozen=True):
    """A request."""

    dialect: str
    """The dialect it was read from, whose words `vendor` fields are."""
    model: str
    messages: tuple[Message, ...]
    """In the client's order; instructions given apart from the conversation are its first messages, of role `system`."""
    stream: bool = False
    tools: tuple[Tool | Other, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int | None = None
    """How many answers (OpenAI's `n`); None for one."""
    sampling: Sampling = Sampling()
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    user: str = ""
    """An opaque id of the end user."""
    cache: Cache = ""
    """A mark for the whole prompt."""
    vendor: Json = NOTHING
    needed: frozenset[str] = frozenset()
    """Names in `vendor` without which it would be another question (a cached prompt): they are refused where they cannot go."""
    hints: frozenset[str] = frozenset()
    """Names in `vendor` that the answer does not depend on (`store`, `service_tier`): leaving them out harms nobody."""


class Choice(msgspec.Struct, frozen=True):
    """One answer. No content is no parts."""

    parts: tuple[Part, ...]
    finish: FinishReason
    native_finish: str = ""
    """The provider's own word."""
    stop_sequence: str = ""
    """Which one ended it, where that is told."""
    logprobs: tuple[Json, ...] = ()
    """One object a token, in OpenAI's form: token, logprob, bytes, top_logprobs."""
    vendor: Json = NOTHING


class Reply(msgspec.Struct, frozen=True):
    """An answer. `id` and `model` are the provider's, empty where it names none; `created` is in seconds, 0 where unknown."""

    dialect: str
    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage = NO_USAGE
    raw_usage: str = ""
    created: int = 0
    vendor: Json = NOTHING
