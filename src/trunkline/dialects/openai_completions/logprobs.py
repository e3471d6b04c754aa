"""Probabilities of tokens: four lists side by side here, one object a token in canon."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Json


def read_logprobs(told: object) -> tuple[Json, ...]:
    """Those of a choice. Some servers tell them in chat's form (llama.cpp: `content`), which is canon's own."""
    if not isinstance(told, dict):
        return ()
    if isinstance(told.get("content"), list):
        return tuple(
            _token(one.get("token"), one.get("logprob"), _tops(one)) for one in told["content"] if isinstance(one, dict)
        )
    tokens, values, tops = (_list(told, name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    values += [None] * (len(tokens) - len(values))
    tops += [None] * (len(tokens) - len(tops))
    return tuple(_token(*one) for one in zip(tokens, values, tops, strict=False))


def write_logprobs(tokens: tuple[Json, ...], offset: int) -> dict[str, Any] | None:
    """The four lists; None for no tokens. `offset`: characters of the answer before the first of them."""
    if not tokens:
        return None
    told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        word = _word(token)
        told["tokens"].append(word)
        told["token_logprobs"].append(token.get("logprob"))
        told["top_logprobs"].append({_word(top): top.get("logprob") for top in token.get("top_logprobs") or ()})
        told["text_offset"].append(offset)
        offset += len(word)
    return told


def _word(token: Json) -> str:
    """A token's text: canon's tokens are as their provider wrote them."""
    text = token.get("token")
    return text if isinstance(text, str) else ""


def _token(token: object, logprob: object, tops: object) -> dict[str, Any]:
    likeliest = tops.items() if isinstance(tops, dict) else ()
    return {
        "token": token if isinstance(token, str) else "",
        "logprob": logprob if isinstance(logprob, int | float) else None,
        "top_logprobs": [{"token": name, "logprob": value} for name, value in likeliest],
    }


def _tops(one: dict[str, Any]) -> dict[str, Any]:
    tops = (top for top in _list(one, "top_logprobs") if isinstance(top, dict))
    return {top["token"]: top.get("logprob") for top in tops if isinstance(top.get("token"), str)}


def _list(told: dict[str, Any], name: str) -> list[Any]:
    found = told.get(name)
    return list(found) if isinstance(found, list) else []
