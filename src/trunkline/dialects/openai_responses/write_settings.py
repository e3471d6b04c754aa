"""A request's parameters, written for a provider of the Responses API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Json
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.effort import nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.openai_responses.words import ENCRYPTED, NAME
from trunkline.dialects.openai_shape import settings
from trunkline.dialects.parameters import taken

LOGPROBS = "message.output_text.logprobs"
"""What `include` asks for, that the probabilities of tokens be told."""
_LEAST = 16
"""Tokens that an answer must be allowed to have."""
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
    wanted = settings.wanted(chat, facts, loss) | {"logprobs": chat.sampling.logprobs or None}
    told = taken(wanted | calling, facts, loss, _NO_WORD)
    most = told.pop("max_tokens", None)
    if most is not None:
        told["max_output_tokens"] = max(most, _LEAST)
        if most < _LEAST:
            loss.note("max_tokens")
    own = dict(_own(chat, loss))
    include = _include(own.pop("include", ()), chat, facts, loss, logprobs=bool(told.pop("logprobs", 0)))
    text = {**_format(chat, facts, loss), **own.pop("text", {})}
    beside = {"text": text, "reasoning": write_reasoning(chat, facts, loss), "include": include}
    kept = {name: value for name, value in beside.items() if value}
    store = {} if chat.dialect == NAME else {"store": False}
    return {**store, **told, **kept, **settings.user(chat, facts, loss), **own}


def _include(own: Sequence[str], chat: Chat, facts: Facts, loss: Loss, *, logprobs: bool) -> list[str]:
    """What the answer shall hold beside what it holds anyway; `own` is what the client itself named."""
    if "include" not in facts.refuses:
        return [*own, *([ENCRYPTED] if facts.thinks or _asks_state(chat) else ()), *([LOGPROBS] if logprobs else ())]
    if own or logprobs:
        loss.drop("include", _NOT_TAKEN)
    return []


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
    effort = settings.effort(asked, facts, loss)
    if not effort and chat.dialect != NAME:  # to think, and nothing said how much: the default of newer models is not to
        effort = nearest(_USUAL, facts.efforts)
    shown = chat.dialect in _SHOWN if asked.show is None else asked.show
    return {**({"effort": effort} if effort else {}), **({"summary": "auto"} if shown else {}), **own}


def _off(facts: Facts, loss: Loss) -> dict[str, Any]:
    if facts.thinking_off:
        return {"effort": "none"}
    loss.drop("reasoning_effort", "this model cannot be kept from thinking")
    return {"effort": facts.efforts[0]} if facts.efforts else {}


def _format(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """What the text of the answer must be."""
    output = settings.output(chat, facts, loss)
    if output is None:
        return {}
    return {"format": {"type": "json_object"} if output.kind == "json" else {"type": "json_schema", **settings.schema(output)}}


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
