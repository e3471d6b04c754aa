"""What a model takes and can, as far as a writer must know it to write a request that the model accepts.

The rows are data of `providers`; which model they hold for is decided there. Every default means: like any other model.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Thinks = Literal["", "budget", "adaptive", "level", "effort", "switch"]
"""How thinking is asked for. Empty: not at all. `budget`: a number of tokens (Claude up to 4.5, Gemini 2.5). `adaptive`:
the model decides, steered by an effort (Claude from 4.6). `level`: by name (Gemini 3). `effort`: `reasoning_effort`
(OpenAI's form). `switch`: on or off, perhaps with an effort (Ollama's `think`; DeepSeek's and z.ai's `thinking`)."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one model at one provider. Parameters are spelled as OpenAI does: `temperature`, `n`, `response_format`."""

    context: int | None = None
    """Tokens of prompt and answer together."""
    max_output: int | None = None
    """Tokens an answer may have."""
    refuses: frozenset[str] = frozenset()
    """Parameters that are an error, such as temperature, top_p, top_k, stop, seed, logprobs, prefill."""
    exclusive: tuple[frozenset[str], ...] = ()
    """Parameters that are an error together, such as temperature with top_p: the first by name stays."""
    thinks: Thinks = ""
    thinking_off: bool = True
    """Thinking can be switched off."""
    efforts: tuple[str, ...] = ()
    """Effort or level names it takes, from the least to the most; empty: any."""
    between_tools: bool = False
    """Off is spelled `between_tools` (Claude Sonnet 5.5)."""
    forced_tools: Literal["always", "not_thinking", "never"] = "always"
    """When a tool choice of `required` or a named tool is accepted."""
    system_midway: bool = False
    """Takes instructions in the middle of a conversation; else they are hoisted to its start."""
    media: frozenset[str] | None = None
    """Of image, document, audio, video: what it can take; None where that is not known."""
    media_urls: bool = True
    """Fetches http(s) URLs itself."""
    tools: bool = True
    schema: bool = True
    """Takes a JSON Schema for its output."""
    binds_thinking: bool = False
    """A signature holds for its conversation's very prefix (Claude Opus 5.5, Fable 5.1): the model is told to drop a thinking
    block whose prefix changed, which would else be an error for good."""
    signatures: bool = False
    """A tool call in history without its seal is an error (Gemini 3)."""
    reasoning_field: str = ""
    """OpenAI's form: what reasoning is called in a message sent back (`reasoning_content`, `reasoning`, `reasoning_details`,
    or `content` for Mistral's list); empty: it is not sent back."""
    max_tokens_field: str = "max_tokens"
    """OpenAI's form: `max_completion_tokens` where the old name is an error."""
    call_ids: Literal["any", "alnum9"] = "any"
    """`alnum9`: ids of tool calls must be nine letters or digits (Mistral)."""
    cache_field: Literal["", "cache_control", "prompt_cache_breakpoint"] = ""
    """OpenAI's form: what a prompt-cache mark on a part is called; empty: there are none, or caching goes by itself."""
    caches: frozenset[str] = frozenset()
    """Bedrock: where a prompt-cache mark may stand (`tools`, `system`, `messages`), and `1h` where one may hold an hour; empty:
    there are none."""
    result_status: bool = False
    """Bedrock: that a tool failed is told in a field of its own; else in the words of its result."""
    effort_with_tools: bool = True
    """OpenAI's form: takes `reasoning_effort` beside tools (GPT-5.4 and later do so in the Responses API only)."""
    speaks: tuple[str, ...] = ()
    """The dialects in which alone this model is spoken to, of those that its provider speaks; empty: any of them."""
    takes: frozenset[str] = frozenset()
    """OpenAI's form: parameters beyond OpenAI's own that it takes: top_k, min_p."""
    form: Literal["", "predict", "config", "titan", "titan_image", "cohere"] = ""
    """Which body a model beside chat takes, where an API has several: Google's `:predict`, and Vertex AI's
    `embedContentConfig`; Bedrock's makers of embeddings."""
    aspects: tuple[str, ...] = ()
    """Google's pictures: the aspect ratios that can be asked for, such as `16:9`."""
    picture_sizes: tuple[str, ...] = ()
    """Google's pictures: the sizes that can be asked for, such as `2K`."""
    version: str = ""
    """Anthropic's `anthropic-version` to send; empty: the dialect's default."""


NO_FACTS = Facts()
