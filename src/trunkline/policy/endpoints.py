"""The names of the data plane's endpoints, to which keys are limited. Where each is, and what it does, belongs in `gateway`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from trunkline.dialects.families import NAMES as PASSING

ENDPOINTS: tuple[str, ...] = (
    "chat.completions", "completions", "responses", "responses.input_tokens", "embeddings", "images.generations",
    "messages", "messages.count_tokens", "models", "model",
    "gemini.generateContent", "gemini.streamGenerateContent", "gemini.countTokens", "gemini.embedContent",
    "gemini.batchEmbedContents", "gemini.models", "gemini.model",
    "ollama.chat", "ollama.generate", "ollama.embed", "ollama.embeddings", "ollama.tags", "ollama.show", "ollama.version",
    *PASSING,
)  # fmt: skip
"""All that ask for a key."""


def named(glob: str) -> list[str]:
    """The endpoints that a name, or a glob such as `chat.*`, means; none where it means nothing."""
    return [name for name in ENDPOINTS if fnmatchcase(name, glob)]
