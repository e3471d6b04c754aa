"""Parameters of a request, written for OpenAI's APIs: what they say alike. What only one of them says belongs in its folder."""

from __future__ import annotations

import re
from typing import Any

from trunkline.canon.chat import Chat, OutputFormat, Reasoning
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names
from trunkline.dialects.effort import effort_of, nearest
from trunkline.dialects.parameters import max_tokens

_BAD_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
"""Characters of a tool's name, and of who asks."""


def fit_name(name: str) -> str:
    """A tool's name as OpenAI takes it: letters, digits, `_` and `-`, 64 at most."""
    return names.fit(name, _BAD_NAME, _LONGEST)


def wanted(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """Whatever is a parameter of its own in any of these APIs, whether it was asked for (is not None) or not."""
    sampling = chat.sampling
    return {
        "max_tokens": max_tokens(chat, facts, loss),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": dict(sampling.logit_bias) if sampling.logit_bias else None,
        "logprobs": sampling.logprobs,
        "top_logprobs": sampling.top_logprobs,
        "n": chat.choices,
        "stop": list(chat.stop) or None,
    }


def effort(asked: Reasoning, facts: Facts, loss: Loss) -> str:
    """The word for it that the model takes, noted where it is not the client's own; none where it named no measure."""
    told = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "")
    given = nearest(told, facts.efforts) if told else ""
    if given != asked.effort:
        loss.note("reasoning_effort")
    return given


def output(chat: Chat, facts: Facts, loss: Loss) -> OutputFormat | None:
    """What the text of the answer must be, where the model can be told."""
    asked = chat.output
    if asked is not None and ("response_format" in facts.refuses or (asked.kind == "schema" and not facts.schema)):
        loss.drop("response_format", "this model does not take it")
        return None
    return asked


def schema(asked: OutputFormat) -> dict[str, Any]:
    """The fields of a `json_schema`."""
    told: dict[str, Any] = {"name": asked.name or "answer", "schema": asked.schema or {}}
    if asked.description:
        told["description"] = asked.description
    if asked.strict is not None:
        told["strict"] = asked.strict
    return told


def user(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """Who asks; an id that is too long goes out cut, with its hash."""
    if not chat.user:
        return {}
    if "user" in facts.refuses:
        loss.note("user")
        return {}
    return {"user": names.cut(chat.user, _LONGEST)}
