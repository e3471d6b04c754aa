"""The words of the completions API that more than one file here needs."""

from __future__ import annotations

NAME = "openai_completions"
PATH = "/completions"
USUAL_TOKENS = 16
"""Tokens of an answer where the client says no number, as OpenAI documents it (API reference, `max_tokens`)."""
