"""A request for Cohere's `/v2/chat`: its parameters. How messages are written is in `write_messages`.

A pure function of the conversation and the model's facts: the same history gives the same bytes turn after turn.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Other, Reasoning, Tool
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.cohere.words import NAME, PATH
from trunkline.dialects.cohere.write_messages import Messages, fit_name
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.effort import budget_of
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.parameters import max_tokens, may_choose, taken

#: canon's name -> Cohere's
_SPELLED = {"top_p": "p", "top_k": "k", "stop": "stop_sequences"}
#: What a number may be (API reference). `p` at its bounds means nearly the same as beyond them; a penalty does not.
_BOUNDS = {"top_p": (0.01, 0.99), "top_k": (0, 500), "frequency_penalty": (0.0, 1.0), "presence_penalty": (0.0, 1.0)}
_MOST_STOPS = 5
_ROOM = 1024
"""Tokens that thinking leaves to the answer, as Cohere advises (docs.cohere.com/docs/reasoning)."""
_NO_FIELD = "Cohere has no such field"
_EMPTY_SCHEMA = {"type": "object", "properties": {}}


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - told unasked
    """The request. What cannot be said is told to `loss`, which may raise."""
    own_fields(chat, NAME, loss)  # nobody speaks this dialect to us: all of it is another's
    messages = Messages(chat, facts, loss).write()
    if not messages:
        raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": chat.stream}
    tools = _tools(chat, facts, loss)
    if tools:
        body["tools"] = [written for _, written in tools]
        body |= _strict([tool for tool, _ in tools], loss)
    body |= _parameters(chat, facts, loss)
    body |= _output(chat, facts, loss, tools=bool(tools))
    thinking = _thinking(chat, facts, loss)
    body |= thinking
    if tools:
        body |= _choice(chat, facts, loss, thinking=thinking.get("thinking", {}).get("type") == "enabled")
    _leave_out(chat, loss)
    renamed = {fit_name(tool.name): tool.name for tool, _ in tools if fit_name(tool.name) != tool.name}
    return Outgoing(PATH, msgspec.json.encode(body), names=renamed)


def _parameters(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    sampling = chat.sampling
    wanted = {
        "max_tokens": max_tokens(chat, facts, loss),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logprobs": sampling.logprobs,
        "stop": list(chat.stop) or None,
    }
    told = taken(wanted, facts, loss)
    for name, (least, most) in _BOUNDS.items():
        if name in told and not least <= told[name] <= most:
            if name == "top_p":
                loss.note(name)
            else:
                loss.drop(name, f"Cohere takes {least:g} to {most:g}")
            told[name] = min(max(told[name], least), most)
    if len(told.get("stop", ())) > _MOST_STOPS:
        loss.drop("stop", f"Cohere takes {_MOST_STOPS} at most")
        told["stop"] = told["stop"][:_MOST_STOPS]
    return {_SPELLED.get(name, name): value for name, value in told.items()}


def _tools(chat: Chat, facts: Facts, loss: Loss) -> list[tuple[Tool, dict[str, Any]]]:
    """The tools with what is sent of each; of a choice of some only these, as there are no words for it; and none for a model
    that cannot be told not to call them.
    """
    if chat.tools and not facts.tools:
        loss.drop("tools", "the model takes none")
        return []
    choice = chat.tool_choice
    if choice is not None and choice.mode == "none" and "tool_choice" in facts.refuses:
        return []
    allowed = frozenset(choice.names) if choice is not None else ()
    found = []
    for at, tool in enumerate(chat.tools):
        if isinstance(tool, Other):
            loss.drop(f"tools[{at}]", "it is another provider's own")
        elif not allowed or tool.name in allowed:
            found.append((tool, _tool(tool, chat, loss, f"tools[{at}]")))
    return found


def _tool(tool: Tool, chat: Chat, loss: Loss, place: str) -> dict[str, Any]:
    own_part(tool.vendor, chat, NAME, loss, place)
    if tool.cache:
        loss.note("cache_control")
    described = {"description": tool.description} if tool.description else {}
    parameters = _EMPTY_SCHEMA if tool.parameters is None else tool.parameters
    return {"type": "function", "function": {"name": fit_name(tool.name), **described, "parameters": parameters}}


def _strict(tools: list[Tool], loss: Loss) -> dict[str, Any]:
    """`strict_tools` is of all tools, and an error for one that requires nothing (docs.cohere.com, "Structured outputs")."""
    if not any(tool.strict for tool in tools):
        return {}
    if all(tool.strict and (tool.parameters or {}).get("required") for tool in tools):
        return {"strict_tools": True}
    loss.note("tools.strict")
    return {}


def _choice(chat: Chat, facts: Facts, loss: Loss, *, thinking: bool) -> dict[str, Any]:
    choice = chat.tool_choice
    if choice is None:
        return {}
    own_part(choice.vendor, chat, NAME, loss, "tool_choice")
    if choice.mode == "auto" or not may_choose(chat, facts, loss, thinking=thinking):
        return {}
    return taken({"tool_choice": choice.mode.upper()}, facts, loss)


def _output(chat: Chat, facts: Facts, loss: Loss, *, tools: bool) -> dict[str, Any]:
    output = chat.output
    if output is None:
        return {}
    if tools:
        loss.drop("response_format", "Cohere does not take it beside tools")
        return {}
    if "response_format" in facts.refuses:
        loss.drop("response_format", "this model does not take it")
        return {}
    told: dict[str, Any] = {"type": "json_object"}
    if output.kind == "schema" and output.schema:
        if facts.schema:
            told["json_schema"] = output.schema
        else:
            loss.drop("response_format", "the model takes no schema")
    return {"response_format": told}


def _thinking(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """A model that thinks does so unless it is told not to; how much is a number of tokens."""
    asked = chat.reasoning
    if asked is None:
        return {}
    own_part(asked.vendor, chat, NAME, loss, "reasoning")
    if not facts.thinks:
        if asked.mode != "off":
            loss.drop("reasoning_effort", "the model does not think")
        return {}
    if asked.mode == "off":
        if not facts.thinking_off:
            loss.drop("reasoning_effort", "the model's thinking cannot be switched off")
        return {"thinking": {"type": "disabled"}} if facts.thinking_off else {}
    budget = _budget(asked, chat, loss)
    return {"thinking": {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}}


def _budget(asked: Reasoning, chat: Chat, loss: Loss) -> int | None:
    if asked.effort:
        loss.note("reasoning_effort")  # told in tokens
    budget = budget_of(asked.effort) if asked.effort else asked.budget
    if budget is None or chat.max_tokens is None:
        return budget
    return min(budget, max(1, chat.max_tokens - _ROOM))


def _leave_out(chat: Chat, loss: Loss) -> None:
    """What Cohere has no field for."""
    sampling = chat.sampling
    absent = {
        "n": chat.choices is not None and chat.choices > 1,
        "min_p": sampling.min_p is not None,
        "logit_bias": bool(sampling.logit_bias),
        "top_logprobs": bool(sampling.top_logprobs),
        "parallel_tool_calls": chat.parallel_tools is False,
    }
    for name, asked in absent.items():
        if asked:
            loss.drop(name, _NO_FIELD)
    if chat.user:
        loss.note("user")
    if chat.cache:
        loss.note("cache_control")
