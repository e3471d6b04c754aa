"""Log probabilities of tokens: Google's `logprobsResult`, and OpenAI's form, which is canon's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.canon.chat import Json


def read_logprobs(told: object) -> tuple[Json, ...]:
    """One object a token; nothing where there is nothing to read."""
    if not isinstance(told, dict):
        return ()
    chosen, tops = _rows(told.get("chosenCandidates")), _rows(told.get("topCandidates"))
    found: list[Json] = []
    for at, one in enumerate(chosen):
        top = tops[at] if at < len(tops) and isinstance(tops[at], dict) else {}
        others = [_token(other) for other in _rows(top.get("candidates")) if isinstance(other, dict)]
        if isinstance(one, dict):
            found.append({**_token(one), "top_logprobs": others})
    return tuple(found)


def write_logprobs(tokens: Sequence[Json]) -> dict[str, Any]:
    """A `logprobsResult`. What is no token in OpenAI's form is left out."""
    tokens = [token for token in tokens if isinstance(token.get("token"), str)]
    tops = [{"candidates": [_candidate(one) for one in _rows(token.get("top_logprobs"))]} for token in tokens]
    return {"chosenCandidates": [_candidate(token) for token in tokens], "topCandidates": tops}


def _token(one: Json) -> dict[str, Any]:
    token = one.get("token")
    text = token if isinstance(token, str) else ""
    return {"token": text, "logprob": one.get("logProbability", 0.0), "bytes": list(text.encode())}


def _candidate(token: Json) -> dict[str, Any]:
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", 0.0)}


def _rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
