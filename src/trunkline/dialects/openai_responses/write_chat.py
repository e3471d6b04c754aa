"""A whole request, written for a provider of the Responses API. Its parts are written in files of their own.

Nothing is kept by the provider unless a client of this API wants it: the whole conversation goes with each request, and what
a model thought goes with it, encrypted. A pure function of the conversation and the model's facts.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.openai_responses.words import ADDED, NAME, PATH
from trunkline.dialects.openai_responses.write_items import Items
from trunkline.dialects.openai_responses.write_settings import write_reasoning, write_settings
from trunkline.dialects.openai_responses.write_tools import Tools
from trunkline.dialects.shallow import encode


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - told unasked
    """The request. Raises what `loss` raises."""
    return Outgoing(PATH, encode(write_fields(chat, model, facts, loss)), names=Tools(chat, facts, loss).renamed())


def write_fields(chat: Chat, model: str, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The request's fields. Raises what `loss` raises."""
    tools = Tools(chat, facts, loss)
    items = Items(chat, facts, loss).write()
    listed, added = tools.write()
    if added:
        items.insert(0, {"type": ADDED, "role": "developer", "tools": added})
    body: dict[str, Any] = {"model": model, "input": items}
    if chat.stream:
        body["stream"] = True
    if listed:
        body["tools"] = listed
    calling: dict[str, Any] = {}
    if listed or added or chat.dialect == NAME:
        thinking = write_reasoning(chat, facts, Loss(strict=False)).get("effort", "none") != "none"
        calling = {"tool_choice": tools.choice(thinking=thinking), "parallel_tool_calls": chat.parallel_tools}
    return {**body, **write_settings(chat, facts, loss, calling)}
