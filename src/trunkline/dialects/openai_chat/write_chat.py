"""A whole request, written for a provider of OpenAI's form: its parameters. Its messages are written in `write_messages`.

A pure function of the conversation and the model's facts: the same history gives the same bytes turn after turn.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Other, Reasoning, Tool, ToolChoice
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.effort import nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.openai_chat.details import NAME
from trunkline.dialects.openai_chat.request import PATH
from trunkline.dialects.openai_chat.write_messages import Messages, mark
from trunkline.dialects.openai_shape import settings
from trunkline.dialects.openai_shape.settings import fit_name
from trunkline.dialects.parameters import may_choose, taken
from trunkline.dialects.shallow import encode

_USUAL = "medium"
_NOT_OFF = "this model cannot be kept from thinking"
_EXTRAS = frozenset({"top_k", "min_p"})
"""Parameters that are not OpenAI's, though some of those who speak its form take them."""
_EMPTY_SCHEMA = {"type": "object", "properties": {}}


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:
    """The request. Raises what `loss` raises."""
    body: dict[str, Any] = {"model": model, "messages": Messages(chat, facts, loss).write()}
    if chat.stream:
        body["stream"] = True
    tools = _tools(chat, facts, loss)
    if tools:
        body["tools"] = tools
    reasoning = _reasoning(chat, facts, loss)
    calling = _calling(chat, facts, loss, thinking=_thinks(reasoning)) if tools else {}
    body |= _parameters(chat, facts, loss, calling)
    body |= _output(chat, facts, loss)
    body |= reasoning
    body |= settings.user(chat, facts, loss)
    body |= _cache(chat, facts, loss)
    for name, value in own_fields(chat, NAME, loss).items():
        body.setdefault(name, value)
    if ask_usage and chat.stream:
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    renamed = {
        fit_name(tool.name): tool.name for tool in chat.tools if isinstance(tool, Tool) and fit_name(tool.name) != tool.name
    }
    return Outgoing(PATH, encode(body), names=renamed)


def _parameters(chat: Chat, facts: Facts, loss: Loss, calling: dict[str, Any]) -> dict[str, Any]:
    """Whatever is a field of its own; `calling` is what was said of calling tools."""
    wanted = settings.wanted(chat, facts, loss) | calling
    told = taken(wanted, facts, loss, () if chat.dialect == NAME else _EXTRAS - facts.takes)
    if "max_tokens" in told:
        told = {facts.max_tokens_field: told.pop("max_tokens"), **told}
    return told


def _tools(chat: Chat, facts: Facts, loss: Loss) -> list[dict[str, Any]]:
    if chat.tools and not facts.tools:
        loss.drop("tools", "this model takes no tools")
        return []
    allowed = _narrowed(chat)
    written = []
    for at, tool in enumerate(chat.tools):
        if isinstance(tool, Other):
            if tool.dialect == NAME:
                written.append(dict(tool.value))
            else:
                loss.drop(f"tools[{at}]", "it is a tool of another provider's")
        elif not allowed or tool.name in allowed:
            written.append(_tool(tool, f"tools[{at}]", chat, facts, loss))
    return written


def _narrowed(chat: Chat) -> frozenset[str]:
    """Of a choice of some tools only these are sent: OpenAI alone has words for it."""
    choice = chat.tool_choice
    if chat.dialect == NAME or choice is None or (choice.mode == "required" and len(choice.names) == 1):
        return frozenset()
    return frozenset(choice.names)


def _tool(tool: Tool, path: str, chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    own = chat.dialect == NAME
    function: dict[str, Any] = {"name": fit_name(tool.name)}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters is not None or not own:
        function["parameters"] = tool.parameters if tool.parameters is not None else _EMPTY_SCHEMA
    if tool.strict is not None:
        function["strict"] = tool.strict
    vendor = dict(own_part(tool.vendor, chat, NAME, loss, path))
    function |= vendor.pop("function", {})
    return {"type": "function", "function": function, **vendor, **mark(tool.cache, facts, loss)}


def _calling(chat: Chat, facts: Facts, loss: Loss, *, thinking: bool) -> dict[str, Any]:
    """What is said of calling tools; `thinking`: the request asks the model to think."""
    choice = _tool_choice(chat, loss) if may_choose(chat, facts, loss, thinking=thinking) else None
    return {"tool_choice": choice, "parallel_tool_calls": chat.parallel_tools}


def _tool_choice(chat: Chat, loss: Loss) -> Any:
    choice = chat.tool_choice
    if choice is None:
        return None
    own_part(choice.vendor, chat, NAME, loss, "tool_choice")
    custom = {
        tool.value.get("custom", {}).get("name") for tool in chat.tools if isinstance(tool, Other) and tool.dialect == NAME
    }
    named = [_named(name, custom) for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return _allowed(choice, named) if named and chat.dialect == NAME else choice.mode


def _allowed(choice: ToolChoice, named: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _named(name: str, custom: set[Any]) -> dict[str, Any]:
    return (
        {"type": "custom", "custom": {"name": name}}
        if name in custom
        else {"type": "function", "function": {"name": fit_name(name)}}
    )


def _output(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    output = settings.output(chat, facts, loss)
    if output is None:
        return {}
    if output.kind == "json":
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": settings.schema(output)}}


def _reasoning(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """How much to think, in the form that the model's facts name."""
    asked = chat.reasoning
    if asked is None:
        return {}
    vendor = own_part(asked.vendor, chat, NAME, loss, "reasoning")
    if not facts.thinks:
        if asked.mode != "off":
            loss.drop("reasoning_effort", "this model does not think")
        return {}
    if facts.reasoning_field == "reasoning_details":
        return {"reasoning": {**_router(asked, facts, loss), **vendor.get("reasoning", {})}}
    if facts.thinks == "switch":
        return _switch(asked, facts, loss, vendor.get("thinking", {}))
    return _word(asked, chat, facts, loss)


def _thinks(told: dict[str, Any]) -> bool:
    """What was written asks the model to think, in whichever form: what was asked for may have been dropped."""
    effort: str = told.get("reasoning_effort", "none")
    switch: str = told.get("thinking", {}).get("type", "")
    router: bool = told.get("reasoning", {"enabled": False}).get("enabled", True)
    return effort != "none" or switch == "enabled" or router


def _word(asked: Reasoning, chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """OpenAI's own `reasoning_effort`."""
    if asked.mode == "off":
        if facts.thinking_off:
            return {"reasoning_effort": "none"}
        loss.drop("reasoning_effort", _NOT_OFF)
        return {"reasoning_effort": facts.efforts[0]} if facts.efforts else {}
    if chat.tools and not facts.effort_with_tools:
        loss.drop("reasoning_effort", "it does not take it beside tools in this API")
        return {"reasoning_effort": "none"} if facts.thinking_off else {}
    # to think, and nothing said how much: the default of newer models is not to
    return {"reasoning_effort": settings.effort(asked, facts, loss) or nearest(_USUAL, facts.efforts)}


def _switch(asked: Reasoning, facts: Facts, loss: Loss, own: dict[str, Any]) -> dict[str, Any]:
    """DeepSeek's and z.ai's `thinking`, with an effort where the model knows any."""
    if asked.mode == "off":
        if not facts.thinking_off:
            loss.drop("reasoning_effort", _NOT_OFF)
        return {"thinking": {"type": "disabled", **own}} if facts.thinking_off else {}
    told: dict[str, Any] = {"thinking": {"type": "enabled", **own}}
    if facts.efforts:
        effort = settings.effort(asked, facts, loss)
        return {**told, "reasoning_effort": effort} if effort else told
    if asked.effort or asked.budget is not None:
        loss.note("reasoning_effort")
    return told


def _router(asked: Reasoning, facts: Facts, loss: Loss) -> dict[str, Any]:
    """OpenRouter's `reasoning`, which it spells to each model in its own way."""
    if asked.mode == "off":
        if not facts.thinking_off:
            loss.drop("reasoning_effort", _NOT_OFF)
        return {"enabled": False} if facts.thinking_off else {"enabled": True}
    told: dict[str, Any] = {"enabled": True}
    if asked.effort:
        told = {"effort": settings.effort(asked, facts, loss)}
    elif asked.budget is not None:
        told = {"max_tokens": asked.budget}
    return told if asked.show is None else {**told, "exclude": not asked.show}


def _cache(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """A mark for the whole prompt: OpenRouter's is called as those on parts; OpenAI's own caches go by themselves."""
    if chat.cache and facts.cache_field != "cache_control":
        loss.note("cache_control")
        return {}
    return mark(chat.cache, facts, loss)
