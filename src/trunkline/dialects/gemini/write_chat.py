"""A request for a provider of this dialect: its parts put together, with what only Gemini's own clients can say."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Json
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.foreign import own_fields
from trunkline.dialects.gemini.request import path
from trunkline.dialects.gemini.words import NAME, SSE
from trunkline.dialects.gemini.write_contents import write_contents
from trunkline.dialects.gemini.write_settings import renamed, write_generation, write_tools
from trunkline.dialects.gemini.write_thinking import is_on

_NESTED = ("generationConfig", "toolConfig")


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - told unasked
    """The request. A pure function of `chat` and `facts`; what cannot be said is told to `loss`, which may raise."""
    try:
        body = msgspec.json.encode(request(chat, facts, loss))
    except RecursionError:
        raise GatewayError(Kind.BAD_REQUEST, "The request is nested too deeply.") from None
    return Outgoing(path(model, SSE if chat.stream else ""), body, names=renamed(chat))


def request(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The request's fields."""
    vendor = own_fields(chat, NAME, loss)
    if chat.user:
        loss.note("user")
    if chat.cache:
        loss.note("cache_control")
    told = write_contents(chat, facts, loss)
    generation = write_generation(chat, facts, loss)
    told |= write_tools(chat, facts, loss, thinking=is_on(generation.get("thinkingConfig", {})))
    if generation:
        told["generationConfig"] = generation
    return _with(told, vendor)


def _with(told: dict[str, Any], vendor: Json) -> dict[str, Any]:
    """The client's own fields, each put back to where its path says."""
    for path_of, value in vendor.items():
        *steps, name = path_of.split(".") if path_of.startswith(_NESTED) else [path_of]
        holder = told
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[name] = value
    return told
