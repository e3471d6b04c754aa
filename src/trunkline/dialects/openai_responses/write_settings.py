"""A request's parameters, written for a provider of the Responses API."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Json, Reasoning
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names
from trunkline.dialects.effort import effort_of, nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.openai_responses.words import ENCRYPTED, NAME
from trunkline.dialects.parameters import max_tokens, taken

LOGPROBS = "message.output_text.logprobs"
"""What `include` asks for, that the probabilities of tokens be told."""
_LEAST = 16
"""Tokens that an answer must be allowed to have."""
_LONGEST_USER = 64
_ANY = re.compile(r"(?!)")
_USUAL = "medium"
_NOT_TAKEN = "this model does not take it"
#: What the API has no word for.
_NO_WORD = frozenset({
    "n", "stop", "seed", "top_k", "min_p", "frequency_penalty", "presence_penalty", "logit_bias",
})  # fmt: skip
_SIBLING = "openai_chat"
#: What OpenAI's two APIs call by the same name. `store` is none of them: here it would keep the conversation.
_SHARED = frozenset({
    "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier",
})  # fmt: skip
_VERBOSITY = "verbosity"
#: Clients of these dialects are shown what a model thinks once it is asked to.
_SHOWN = frozenset({"anthropic", "ollama"})


def write_settings(chat: Chat, facts: Facts, loss: Loss, calling: dict[str, Any]) -> dict[str, Any]:
    """All of them; `calling` is what was said of calling tools. Raises what the loss does."""
    sampling = chat.sampling
    wanted: dict[str, Any] = {
        "max_tokens": max_tokens(chat, facts, loss),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": sampling.logit_bias or None,
        "logprobs": sampling.logprobs or None,
        "top_logprobs": sampling.top_logprobs,
        "n": chat.choices,
        "stop": chat.stop or None,
        **calling,
    }
    told = taken(wanted, facts, loss, _NO_WORD)
    most = told.pop("max_tokens", None)
    if most is not None:
        told["max_output_tokens"] = max(most, _LEAST)
        if most < _LEAST:
            loss.note("max_tokens")
    own = dict(_own(chat, loss))
    include = [
        *own.pop("include", ()),
        *([ENCRYPTED] if facts.thinks or _asks_state(chat) else ()),
        *([LOGPROBS] if told.pop("logprobs", 0) else ()),
    ]
    text = {**_format(chat, facts, loss), **own.pop("text", {})}
    beside = {"text": text, "reasoning": write_reasoning(chat, facts, loss), "include": include}
    kept = {name: value for name, value in beside.items() if value}
    store = {} if chat.dialect == NAME else {"store": False}
    return {**store, **told, **kept, **_user(chat, facts, loss), **own}


def _asks_state(chat: Chat) -> bool:
    """A client of this API asks a model without facts to think, and keeps nothing there: it hands back what was thought."""
    return chat.dialect == NAME and chat.reasoning is not None and chat.vendor.get("store") is False


def write_reasoning(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """How much to think, and whether to tell of it; empty for nothing. Raises what the loss does."""
    asked = chat.reasoning
    if asked is None:
        return {}
    own = dict(own_part(asked.vendor, chat, NAME, loss, "reasoning"))
    if not facts.thinks:
        if chat.dialect == NAME:  # a model without facts is the client's to know
            said = {"effort": asked.effort or "none"} if asked.effort or asked.mode == "off" else {}
            return {**said, **({"summary": "auto"} if asked.show else {}), **own}
        if asked.mode != "off":
            loss.drop("reasoning_effort", "this model does not think")
        return {}
    if asked.mode == "off":
        return {**_off(facts, loss), **own}
    effort = _effort(asked, facts, loss)
    if not effort and chat.dialect != NAME:  # to think, and nothing said how much: the default of newer models is not to
        effort = nearest(_USUAL, facts.efforts)
    shown = chat.dialect in _SHOWN if asked.show is None else asked.show
    return {**({"effort": effort} if effort else {}), **({"summary": "auto"} if shown else {}), **own}


def _off(facts: Facts, loss: Loss) -> dict[str, Any]:
    if facts.thinking_off:
        return {"effort": "none"}
    loss.drop("reasoning_effort", "this model cannot be kept from thinking")
    return {"effort": facts.efforts[0]} if facts.efforts else {}


def _effort(asked: Reasoning, facts: Facts, loss: Loss) -> str:
    """The word for it that the model takes, noted where it is not the client's own; none where it named no measure."""
    wanted = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "")
    given = nearest(wanted, facts.efforts) if wanted else ""
    if given != asked.effort:
        loss.note("reasoning_effort")
    return given


def _format(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """What the text of the answer must be."""
    output = chat.output
    if output is None:
        return {}
    if "response_format" in facts.refuses or (output.kind == "schema" and not facts.schema):
        loss.drop("response_format", _NOT_TAKEN)
        return {}
    if output.kind == "json":
        return {"format": {"type": "json_object"}}
    told: dict[str, Any] = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema or {}}
    if output.description:
        told["description"] = output.description
    if output.strict is not None:
        told["strict"] = output.strict
    return {"format": told}


def _user(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """Who asks; an id that is too long goes out cut, with its hash."""
    if not chat.user:
        return {}
    if "user" in facts.refuses:
        loss.note("user")
        return {}
    return {"user": names.fit(chat.user, _ANY, _LONGEST_USER)}


def _own(chat: Chat, loss: Loss) -> Json:
    """The request's own fields, of this dialect or of OpenAI's other, as this one spells them."""
    if chat.cache:
        loss.note("cache_control")
    if chat.dialect != _SIBLING:
        return own_fields(chat, NAME, loss)
    shared = {name: value for name, value in chat.vendor.items() if name in _SHARED}
    if _VERBOSITY in chat.vendor:
        shared["text"] = {_VERBOSITY: chat.vendor[_VERBOSITY]}
    rest = {name: value for name, value in chat.vendor.items() if name not in _SHARED and name != _VERBOSITY}
    own_fields(msgspec.structs.replace(chat, vendor=rest), NAME, loss)
    return shared
