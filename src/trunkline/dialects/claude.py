"""What Claude takes of a request's parameters, whoever hosts it: Anthropic's dialect and Bedrock's say it in their own words.

How much it thinks belongs in their own folders.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, OutputFormat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.shallow import encode

SAMPLING = ("temperature", "top_p", "top_k")
MARKS = 4
"""Cache marks that a request may have (Anthropic's and AWS's pages on prompt caching)."""
_NO_TOP_P_BELOW = 0.95
"""While it thinks, it takes no lower `top_p`, no `top_k`, and no `temperature` but 1 (Anthropic's page on thinking)."""
_JSON = "Answer with a JSON object only: no other text, no code fence."
#: Parameters that have no counterpart, and what of them asks for nothing.
_NONE: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("min_p", (None, 0)),
    ("seed", (None,)),
    ("frequency_penalty", (None, 0)),
    ("presence_penalty", (None, 0)),
    ("logit_bias", (None, {})),
    ("logprobs", (None, False)),
    ("top_logprobs", (None, 0)),
)


def sampling(chat: Chat, loss: Loss, api: str) -> dict[str, Any]:
    """What was asked for of `SAMPLING`; the rest is lost. `api`: whose it is."""
    for name, nothing in _NONE:
        if getattr(chat.sampling, name) not in nothing:
            loss.drop(name, f"{api}'s API has no such parameter")
    return {name: value for name in SAMPLING if (value := getattr(chat.sampling, name)) is not None}


def beside_thinking(wanted: dict[str, Any], loss: Loss, *, none: bool = False) -> dict[str, Any]:
    """What of it may stand beside thinking; `none`: nothing."""
    kept = {} if none else {name: value for name, value in wanted.items() if _may_stand(name, value)}
    for name in wanted:
        if name not in kept:
            loss.drop(name, "the model does not take it while it thinks")
    return kept


def _may_stand(name: str, value: float) -> bool:
    return value >= _NO_TOP_P_BELOW if name == "top_p" else name == "temperature" and value == 1


def cooled(wanted: dict[str, Any], loss: Loss) -> dict[str, Any]:
    """With a temperature of 1 at most."""
    if wanted.get("temperature", 0) <= 1:
        return wanted
    loss.note("temperature")
    return wanted | {"temperature": 1.0}


def stops(chat: Chat, facts: Facts, loss: Loss, why: str) -> list[str]:
    """The sequences that end an answer; those of white space are lost, which `why` gives the reason for."""
    if chat.stop and "stop" in facts.refuses:
        loss.drop("stop", "this model does not take it")
        return []
    kept = [stop for stop in chat.stop if stop.strip()]
    if len(kept) < len(chat.stop):
        loss.drop("stop", why)
    return kept


def asked_in_words(output: OutputFormat, loss: Loss) -> str:
    """What is said at the end of the instructions for an output that the API or the model cannot promise."""
    if output.kind == "schema":
        loss.drop("response_format", "this model takes no schema")
    else:
        loss.note("response_format")
    if output.schema is None:
        return _JSON
    return f"{_JSON} It must fit this JSON Schema: {encode(output.schema).decode()}"
