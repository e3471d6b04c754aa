"""Probabilities: Cohere tells a piece of text with those of its tokens, canon a token each.

A piece of several tokens stays one, as nothing says which letters are whose; its probability is their product.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Json
from trunkline.dialects.cohere.words import objects, text


def read_logprobs(told: object) -> tuple[Json, ...]:
    """Those of a list of pieces, or of one; a piece without any is left out."""
    found = (_token(one) for one in objects(told if isinstance(told, list) else [told]))
    return tuple(token for token in found if token)


def _token(one: dict[str, Any]) -> dict[str, Any]:
    said, told = text(one.get("text")), one.get("logprobs")
    values = [value for value in told if type(value) in {int, float}] if isinstance(told, list) else []
    if not values:
        return {}
    return {"token": said, "logprob": sum(values), "bytes": list(said.encode("utf-8", "replace")), "top_logprobs": []}
