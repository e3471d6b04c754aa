"""What is known of each family of models, and how it is put together."""

from __future__ import annotations

import fnmatch
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.dialects.effort import ORDER
from trunkline.providers.catalog import catalog
from trunkline.providers.models import facts, rows

SAMPLING = {"temperature", "top_p", "top_k"}
OPENAI_SAMPLING = {
    "temperature", "top_p", "stop", "logprobs", "top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias",
}  # fmt: skip
ALL = ("low", "medium", "high", "xhigh", "max")
WITHOUT_MAX = ALL[:-1]

ADAPTIVE: dict[str, Any] = {
    "context": 1_000_000, "max_output": 128_000, "thinks": "adaptive", "thinking_off": True, "between_tools": False,
    "efforts": ALL, "forced_tools": "always", "system_midway": True, "refuses": SAMPLING | {"prefill"}, "exclusive": (),
}  # fmt: skip
BUDGET: dict[str, Any] = {
    "context": 200_000, "max_output": 64_000, "thinks": "budget", "thinking_off": True, "efforts": (),
    "forced_tools": "not_thinking", "system_midway": False, "refuses": set(), "exclusive": (),
}  # fmt: skip
TOGETHER = (frozenset({"temperature", "top_p"}),)
CACHED: dict[str, Any] = {
    "caches": {"tools", "system", "messages", "1h"},
    "result_status": True,
    "media": {"image", "document"},
}
NOVA: dict[str, Any] = {"forced_tools": "always", "caches": {"system", "messages"}, "result_status": True, "schema": False}
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
CLAUDE: dict[str, dict[str, Any]] = {
    "claude-3-opus-20240229": {"max_output": 4096, "thinks": "", "media": {"image"}, "refuses": set(), "schema": False},
    "claude-3-5-haiku-latest": {"max_output": 8192, "thinks": "", "forced_tools": "always", "media": {"image", "document"}},
    "claude-3.5-sonnet": {"max_output": 8192, "thinks": ""},
    "claude-3-7-sonnet-20250219": BUDGET | {"schema": False},
    "claude-sonnet-4-20250514": BUDGET | {"schema": False},
    "claude-opus-4-20250514": BUDGET | {"max_output": 32_000},
    "claude-opus-4-1-20250805": BUDGET | {"max_output": 32_000, "exclusive": TOGETHER, "schema": True},
    "claude-sonnet-4-5-20250929": BUDGET | {"exclusive": TOGETHER, "schema": True},
    "claude-sonnet-4-5@20250929": BUDGET | {"exclusive": TOGETHER},
    "claude-haiku-4.5": BUDGET | {"exclusive": TOGETHER},
    "claude-opus-4-5": BUDGET | {"exclusive": TOGETHER},
    "claude-sonnet-4-6": ADAPTIVE
    | {"max_output": 64_000, "efforts": ("low", "medium", "high", "max"), "refuses": {"prefill"}, "exclusive": TOGETHER}
    | {"system_midway": False},
    "claude-opus-4-6": ADAPTIVE
    | {"efforts": ("low", "medium", "high", "max"), "refuses": {"prefill"}, "exclusive": TOGETHER, "system_midway": False},
    "claude-opus-4-7": ADAPTIVE | {"system_midway": False},
    "claude-opus-4-8-20260528": ADAPTIVE,
    "claude-opus-5": ADAPTIVE,
    "claude-sonnet-5": ADAPTIVE,
    "claude-fable-5": ADAPTIVE | {"thinking_off": False},
    "claude-fable-5-1": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "claude-fable-5-2": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "claude-mythos-5-1": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "claude-opus-5-5": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "claude-sonnet-5-5": ADAPTIVE | {"between_tools": True, "forced_tools": "never"},
    "claude-haiku-5-5": ADAPTIVE,
    "claude-opus-7": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "anthropic/claude-opus-5.5": ADAPTIVE | {"thinking_off": False, "forced_tools": "never"},
    "deepseek-v4-pro": {"thinks": "switch", "efforts": ORDER},
    "a-model-of-ones-own": {"thinks": "budget", "refuses": set(), "context": None},
}
LEVEL: dict[str, Any] = {
    "thinks": "level",
    "thinking_off": False,
    "signatures": True,
    "media_urls": False,
    "context": 1_048_576,
}
GEMINI: dict[str, dict[str, Any]] = {
    "gemini-1.5-pro": {"thinks": "", "signatures": False, "refuses": set(), "max_output": 8192},
    "gemini-2.0-flash": {"thinks": "", "signatures": False, "refuses": set()},
    "gemini-2.5-flash": {"thinks": "budget", "thinking_off": True, "signatures": False, "efforts": ()},
    "models/gemini-2.5-pro": {"thinks": "budget", "thinking_off": False, "refuses": {"frequency_penalty", "presence_penalty"}},
    "gemini-2.5-flash-image": {"thinks": "", "tools": False, "schema": False},
    "gemini-3-pro-preview": LEVEL | {"efforts": ("low", "high")},
    "gemini-3-flash-preview": LEVEL | {"efforts": ("minimal", "low", "medium", "high")},
    "gemini-3.1-pro-preview": LEVEL | {"efforts": ("low", "medium", "high")},
    "gemini-3.1-flash-lite": LEVEL | {"efforts": ("minimal", "low", "medium", "high")},
    "gemini-3.5-flash-lite": LEVEL | {"efforts": ("minimal", "low", "medium", "high")},
    "gemini-3.7-flash": LEVEL | {"efforts": ("low", "medium", "high")},
    "gemini-3.8-flash": LEVEL | {"efforts": ("low", "medium", "high")},
    "gemini-pro-latest": LEVEL,
    "gemini-4-argon": LEVEL,
    "gemma-3-27b-it": {"thinks": "", "tools": False, "signatures": False},
}
OLD: dict[str, Any] = {"thinks": "", "refuses": set(), "max_tokens_field": "max_completion_tokens", "reasoning_field": ""}
THINKER: dict[str, Any] = {
    "thinks": "effort", "refuses": OPENAI_SAMPLING, "max_tokens_field": "max_completion_tokens", "reasoning_field": "",
    "system_midway": True, "takes": set(),
}  # fmt: skip
OPENAI: dict[str, dict[str, Any]] = {
    "gpt-3.5-turbo": OLD | {"context": 16_385, "media": set(), "schema": False},
    "gpt-4": OLD | {"context": 8192},
    "gpt-4-turbo": OLD | {"context": 128_000, "max_output": 4096},
    "gpt-4o": OLD
    | {
        "context": 128_000,
        "max_output": 16_384,
        "media": {"image", "document"},
        "speaks": ("openai_chat", "openai_responses"),
    },
    "gpt-4o-mini-2024-07-18": OLD,
    "ft:gpt-4o-mini-2024-07-18:org::id": OLD,
    "gpt-4o-audio-preview": OLD | {"media": {"audio"}},
    "gpt-4.1": OLD | {"context": 1_047_576, "max_output": 32_768},
    "chatgpt-4o-latest": OLD | {"tools": False},
    "o1": THINKER
    | {"refuses": OPENAI_SAMPLING | {"parallel_tool_calls"}, "thinking_off": False, "efforts": ("low", "medium", "high")},
    "o3-mini": {"thinks": "effort", "media": set()},
    "o4-mini-2025-04-16": {"thinks": "effort", "thinking_off": False, "max_output": 100_000},
    "o1-mini": {"thinks": "", "tools": False},
    "gpt-5": THINKER | {"thinking_off": False, "efforts": ("minimal", "low", "medium", "high"), "effort_with_tools": True},
    "gpt-5-mini-2025-08-07": THINKER | {"thinking_off": False, "efforts": ("minimal", "low", "medium", "high")},
    "gpt-5-pro": THINKER | {"efforts": ("high",), "speaks": ("openai_responses",)},
    "gpt-5-chat-latest": OLD,
    "gpt-5.1": THINKER | {"thinking_off": True, "efforts": ("low", "medium", "high"), "effort_with_tools": True},
    "gpt-5.1-codex-max": THINKER | {"thinking_off": False, "efforts": WITHOUT_MAX, "speaks": ("openai_responses",)},
    "gpt-5.2": THINKER | {"thinking_off": True, "efforts": WITHOUT_MAX, "context": 400_000},
    "gpt-5.2-pro": THINKER | {"thinking_off": False, "speaks": ("openai_responses",)},
    "gpt-5.3-chat-latest": THINKER | {"thinking_off": False, "efforts": ("medium",)},
    "gpt-5.4": THINKER | {"thinking_off": True, "effort_with_tools": False, "context": 1_050_000},
    "gpt-5.5": THINKER | {"thinking_off": True, "efforts": WITHOUT_MAX, "effort_with_tools": False, "cache_field": ""},
    "gpt-5.6-luna": THINKER
    | {"thinking_off": True, "efforts": ALL, "effort_with_tools": False, "cache_field": "prompt_cache_breakpoint"},
    "gpt-6-astra": THINKER | {"thinking_off": False, "efforts": WITHOUT_MAX, "effort_with_tools": False},
    "gpt-6-luna": THINKER | {"thinking_off": True, "efforts": ALL, "effort_with_tools": False},
    "gpt-6.1-sol": THINKER | {"thinking_off": False, "efforts": WITHOUT_MAX, "effort_with_tools": False},
    "gpt-6.2-astra": THINKER | {"thinking_off": False, "efforts": WITHOUT_MAX, "effort_with_tools": False},
    "gpt-7": THINKER | {"thinking_off": False},
    "gpt-oss-120b": {"max_tokens_field": "max_tokens", "refuses": set(), "reasoning_field": "reasoning_content"},
    "gpt-3.5-turbo-instruct": {"speaks": ("openai_completions",), "context": 4096, "tools": False},
    "ft:davinci-002:org:name:id": {"speaks": ("openai_completions",), "max_output": 16_384},
    "tiny": {
        "thinks": "effort", "max_tokens_field": "max_tokens", "reasoning_field": "reasoning_content", "refuses": set(),
        "system_midway": False, "takes": {"top_k", "min_p"}, "context": None, "speaks": (),
    },
}  # fmt: skip
NO_XAI = {"stop", "frequency_penalty", "presence_penalty", "logit_bias"}
NO_GROQ = {"n", "logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "include"}
OTHERS: dict[tuple[str, str], dict[str, Any]] = {
    ("deepseek", "deepseek-v4-pro"): {"thinks": "switch", "efforts": ORDER, "forced_tools": "never"},
    ("deepseek", "deepseek-chat"): {"reasoning_field": "reasoning_content", "forced_tools": "not_thinking", "schema": False},
    ("deepseek", "deepseek-reasoner"): {"reasoning_field": "reasoning_content", "thinking_off": False},
    ("xai", "grok-3"): {"thinks": "", "refuses": set()},
    ("xai", "grok-3-mini"): {"thinks": "effort", "efforts": ("low", "medium", "high")},
    ("xai", "grok-4"): {"thinks": "", "context": 256_000},
    ("xai", "grok-4-1-fast-reasoning"): {"thinks": "", "refuses": NO_XAI},
    ("xai", "grok-4-1-fast-non-reasoning"): {"thinks": "", "refuses": {"logit_bias"}, "context": 2_000_000},
    ("xai", "grok-4.3"): {"thinks": "effort", "thinking_off": True, "efforts": WITHOUT_MAX},
    ("xai", "grok-4.5"): {"thinks": "effort", "thinking_off": False, "efforts": ("low", "medium", "high")},
    ("groq", "llama-3.3-70b-versatile"): {"thinks": "", "refuses": NO_GROQ, "reasoning_field": "reasoning"},
    ("groq", "openai/gpt-oss-120b"): {"thinks": "effort", "thinking_off": False, "refuses": NO_GROQ},
    ("groq", "qwen/qwen3-32b"): {"thinks": "effort", "efforts": ("default",)},
    ("mistral", "mistral-small-latest"): {"call_ids": "alnum9", "reasoning_field": "content", "efforts": ("high",)},
    ("mistral", "mistral-large-4-0"): {"thinks": "effort", "efforts": ("low", "medium", "high")},
    ("mistral", "codestral-latest"): {"thinks": "", "call_ids": "alnum9", "system_midway": False},
    ("openrouter", "anthropic/claude-opus-5.5"): {
        "reasoning_field": "reasoning_details", "cache_field": "cache_control", "thinks": "effort", "refuses": set(),
    },
    ("openrouter", "openai/gpt-4o"): {"reasoning_field": "reasoning_details", "takes": {"top_k", "min_p"}},
    ("blackbox", "blackboxai/openai/gpt-4"): {"thinks": "effort"},
    ("together", "Qwen/Qwen3-235B-A22B"): {"thinks": "effort", "takes": {"top_k", "min_p"}},
    ("fireworks", "accounts/fireworks/models/llama-v3p1-8b-instruct"): {"thinks": ""},
    ("perplexity", "sonar-pro"): {"tools": False, "thinks": ""},
    ("perplexity", "sonar-reasoning-pro"): {"thinks": "effort", "thinking_off": False},
    ("cerebras", "gpt-oss-120b"): {"thinks": "effort", "thinking_off": False, "reasoning_field": "reasoning"},
    ("cerebras", "zai-glm-4.7"): {"thinks": "effort", "thinking_off": True},
    ("cerebras", "llama3.1-8b"): {"thinks": ""},
    ("ollama", "llama3.2"): {"thinks": "", "media_urls": False, "forced_tools": "never", "media": {"image"}},
    ("ollama", "qwen3:8b"): {"thinks": "switch", "thinking_off": True},
    ("ollama", "hf.co/Qwen/Qwen3-8B-GGUF:Q4"): {"thinks": "switch"},
    ("ollama", "qwen3-coder:30b"): {"thinks": ""},
    ("ollama", "gpt-oss:20b"): {"thinks": "switch", "thinking_off": False, "efforts": ("low", "medium", "high")},
    ("cohere", "command-a-03-2025"): {"thinks": "", "context": 256_000, "max_output": 8000, "media": set(), "tools": True},
    ("cohere", "command-a-reasoning-08-2025"): {"thinks": "budget", "thinking_off": True, "max_output": 32_000, "media": set()},
    ("cohere", "command-a-vision-07-2025"): {"thinks": "", "media": {"image"}, "tools": False, "context": 128_000},
    ("cohere", "command-a-translate-08-2025"): {"thinks": "", "context": 8000},
    ("cohere", "command-a-plus-05-2026"): {"thinks": "budget", "media": {"image"}, "max_output": None},
    ("cohere", "command-r7b-12-2024"): {"thinks": "", "context": 128_000, "max_output": 4000, "refuses": set()},
    ("cohere", "command-r-plus-08-2024"): {"thinks": "", "refuses": {"tool_choice"}},
    ("azure", "my-deployment"): {"thinks": "effort", "takes": set(), "reasoning_field": "", "speaks": ()},
    ("azure", "gpt-35-turbo"): {"thinks": "", "context": 16_385, "max_output": 4096, "refuses": set()},
    ("azure", "gpt-5-mini"): {"thinks": "effort", "max_tokens_field": "max_completion_tokens", "media": {"image", "document"}},
    ("vertex", "gemini-2.5-flash"): {"thinks": "budget", "speaks": ("gemini",), "media_urls": False, "signatures": False},
    ("vertex", "gemini-3-pro-preview"): {"thinks": "level", "efforts": ("low", "high"), "signatures": True},
    ("vertex", "claude-sonnet-4-5@20250929"): BUDGET | {"exclusive": TOGETHER, "schema": True, "speaks": ("anthropic",)},
    ("vertex", "claude-opus-5-5"): {"thinks": "adaptive", "binds_thinking": True, "signatures": False, "media_urls": False},
    ("vertex", "meta/llama-3.3-70b-instruct-maas"): {"thinks": "effort", "speaks": ("openai_chat",), "signatures": False},
    ("echo", "echo"): {"media_urls": True, "system_midway": True, "thinks": ""},
    ("unheard-of", "x"): {"thinks": "", "context": None},
}  # fmt: skip
#: Embeddings and pictures.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("openai", "text-embedding-ada-002"): {"refuses": {"dimensions"}},
    ("openai", "text-embedding-3-small"): {"form": ""},
    ("azure", "text-embedding-ada-002"): {"refuses": {"dimensions"}},
    ("openai", "gpt-image-2.5-flare"): {"refuses": {"style", "response_format"}},
    ("openai", "chatgpt-image-latest"): {"refuses": {"style", "response_format"}},
    ("xai", "grok-2-image-1212"): {
        "refuses": {"size", "quality", "style", "background", "output_format", "output_compression"}
    },
    ("gemini", "gemini-3-pro-image"): {"form": "", "picture_sizes": ("1K", "2K", "4K")},
    ("gemini", "gemini-2.5-flash-image"): {"form": "", "picture_sizes": ()},
    ("gemini", "imagen-4.0-generate-001"): {"form": "predict", "picture_sizes": ("1K", "2K")},
    ("gemini", "imagen-4.0-fast-generate-001"): {"form": "predict", "picture_sizes": ()},
    ("vertex", "imagen-3.0-generate-002"): {"form": "predict", "picture_sizes": (), "speaks": ("gemini",)},
    ("gemini", "gemini-embedding-001"): {"form": "", "speaks": ()},
    ("gemini", "models/embedding-001"): {"refuses": {"dimensions"}},
    ("vertex", "text-embedding-005"): {"form": "predict", "speaks": ("gemini",)},
    ("vertex", "gemini-embedding-001"): {"form": "config", "speaks": ("gemini",)},
    ("cohere", "embed-english-v3.0"): {"refuses": {"dimensions"}},
    ("cohere", "embed-v4.0"): {"refuses": set()},
}
MARKS = {"tools", "system", "messages"}
DOCUMENTS = {"media": {"document"}}
BEDROCK: dict[str, dict[str, Any]] = {
    "us.anthropic.claude-opus-5-5": ADAPTIVE | CACHED | {"thinking_off": False, "forced_tools": "never"},
    "global.anthropic.claude-opus-5-v1:0": ADAPTIVE | CACHED | {"media_urls": False, "takes": {"top_k"}},
    "us.anthropic.claude-sonnet-5": ADAPTIVE | CACHED,
    "anthropic.claude-fable-5-v1:0": ADAPTIVE | CACHED | {"thinking_off": False, "forced_tools": "always"},
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0": BUDGET | CACHED | {"exclusive": TOGETHER, "schema": True},
    "apac.anthropic.claude-sonnet-4-20250514-v1:0": BUDGET | {"caches": MARKS, "schema": False},
    ARN + "us.anthropic.claude-3-7-sonnet-20250219-v1:0": BUDGET | {"caches": MARKS},
    "anthropic.claude-3-haiku-20240307-v1:0": {"caches": set(), "media": {"image", "document"}, "forced_tools": "always"},
    "anthropic.claude-v2:1": {"caches": set(), **DOCUMENTS, "tools": False, "result_status": False},
    "us.amazon.nova-pro-v1:0": NOVA | {"context": 300_000, "media": {"image", "document", "video"}, "thinks": ""},
    "amazon.nova-micro-v1:0": NOVA | {"context": 128_000, "media": set()},
    "us.amazon.nova-premier-v1:0": NOVA | {"context": 1_000_000},
    "global.amazon.nova-2-lite-v1:0": NOVA | {"thinks": "level", "efforts": ALL[:3], "thinking_off": True},
    "amazon.titan-text-express-v1": {"tools": False, "schema": False, "media": {"document"}},
    "us.meta.llama3-3-70b-instruct-v1:0": {"tools": True, "forced_tools": "never", **DOCUMENTS},
    "meta.llama3-8b-instruct-v1:0": {"tools": False},
    "us.meta.llama3-2-3b-instruct-v1:0": {"tools": False},
    "us.meta.llama4-maverick-17b-instruct-v1:0": {"tools": True, "media": {"image", "document"}},
    "mistral.mixtral-8x7b-instruct-v0:1": {"tools": False, "takes": {"top_k"}},
    "mistral.mistral-large-2402-v1:0": {"tools": True, "schema": False},
    "us.deepseek.r1-v1:0": {"tools": False, "thinks": "", "media": {"document"}},
    "openai.gpt-oss-120b-1:0": {"thinks": "effort", "thinking_off": False, "media": set(), "schema": True},
    "cohere.command-r-plus-v1:0": {"schema": False, "tools": True},
    ARN + "abcdefghijkl": {"thinks": "", "forced_tools": "never", "caches": set(), "media": None},
    "amazon.titan-embed-text-v2:0": {"form": "titan", "refuses": set()},
    "amazon.titan-embed-text-v1": {"form": "titan", "refuses": {"dimensions"}},
    "us.amazon.titan-embed-image-v1": {"form": "titan_image"},
    "cohere.embed-multilingual-v3": {"form": "cohere", "refuses": {"dimensions"}},
    "us.cohere.embed-v4:0": {"form": "cohere", "refuses": set()},
}
TABLE = [
    *((("anthropic", model), known) for model, known in CLAUDE.items()),
    *((("gemini", model), known) for model, known in GEMINI.items()),
    *((("openai", model), known) for model, known in OPENAI.items()),
    *((("bedrock", model), known) for model, known in BEDROCK.items()),
    *OTHERS.items(),
    *BESIDE.items(),
]


@pytest.mark.parametrize(("which", "known"), TABLE, ids=["/".join(which) for which, _ in TABLE])
def test_what_is_known(which: tuple[str, str], known: dict[str, Any]) -> None:
    """A request would hold what the model refuses, or lose what it takes."""
    found = facts(*which)
    assert {name: getattr(found, name) for name in known} == known


def test_rows_are_sound() -> None:
    """A slip in the data would be ignored, or show only at the first request."""
    names = set(Facts.__struct_fields__)
    for row in rows():
        assert row.source
        assert row.models
        assert set(row.kinds) <= set(catalog())
        assert row.facts
        assert set(row.facts) <= names
        assert all(glob == glob.lower() for glob in row.models)
        made = msgspec.convert(row.facts, Facts)
        assert set(made.efforts) <= {*ORDER, "default"}, "off is said by thinking_off"
        assert list(made.efforts) == sorted(made.efforts, key=[*ORDER, "default"].index)


def test_every_row_is_tried() -> None:
    """A row whose globs match no name that is tried here may match none at all."""
    tried = [
        (kind, model.lower().rpartition("/")[2].removeprefix("ft:").rpartition("anthropic.")[2]) for (kind, model), _ in TABLE
    ]
    tried += [(kind, model) for kind, model in EXTRA]
    idle = [
        row.models
        for row in rows()
        if not any(kind in row.kinds and any(fnmatch.fnmatchcase(name, glob) for glob in row.models) for kind, name in tried)
    ]
    assert idle == []


EXTRA = [
    ("anthropic", "claude-2.1"),
    ("openai", "gpt-4o-search-preview"),
    ("xai", "grok-2-vision"),
]
"""Families that need no line in the table."""


def test_kinds_without_rows_and_models_without_facts() -> None:
    """A provider that is new would stop requests to it."""
    assert facts("unheard-of", "x") == NO_FACTS


def test_overrides_win_in_order_and_field_by_field() -> None:
    """What an operator knows would lose against what we believe."""
    overrides = [("*", {"context": 1, "tools": False}), ("QWEN*", {"context": 2}), ("other", {"context": 3})]
    found = facts("openai", "Qwen-7b", overrides)
    assert (found.context, found.tools, found.thinks) == (2, False, "effort")
    assert facts("openai", "org/qwen-7b", overrides).context == 1, "an override is matched by the whole name"
    assert facts("openai", "gpt-4o", [("gpt-4o", {"refuses": ["top_p"]})]).refuses == {"top_p"}


@given(kind=st.sampled_from([*catalog(), "x"]), model=st.text(max_size=80))
def test_any_name_has_facts(kind: str, model: str) -> None:
    """A client could stop a request's worker with a name."""
    assert isinstance(facts(kind, model), Facts)
