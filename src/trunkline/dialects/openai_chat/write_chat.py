"""A whole request, written for a provider of OpenAI's form: its parameters. Its messages are written in `write_messages`.

A pure function of the conversation and the model's facts: the same history gives the same bytes turn after turn.
"""

from __future__ import annotations

import re
from typing import Any

from trunkline.canon.chat import Chat, Other, Reasoning, Tool, ToolChoice
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.effort import effort_of, nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.openai_chat.details import NAME
from trunkline.dialects.openai_chat.request import PATH
from trunkline.dialects.openai_chat.write_messages import Messages, fit_name, mark
from trunkline.dialects.shallow import encode

_LONGEST_USER = 64
_ANY = re.compile(r"(?!)")
_NOT_OFF = "this model cannot be kept from thinking"
_NOT_TAKEN = "this model does not take it"
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
    body |= _parameters(chat, facts, loss, bool(tools))
    body |= _output(chat, facts, loss)
    body |= _reasoning(chat, facts, loss)
    body |= _user(chat, facts, loss)
    body |= _cache(chat, facts, loss)
    for name, value in own_fields(chat, NAME, loss).items():
        body.setdefault(name, value)
    if ask_usage and chat.stream:
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    renamed = {
        fit_name(tool.name): tool.name for tool in chat.tools if isinstance(tool, Tool) and fit_name(tool.name) != tool.name
    }
    return Outgoing(PATH, encode(body), names=renamed)


def _parameters(chat: Chat, facts: Facts, loss: Loss, tools: bool) -> dict[str, Any]:
    sampling = chat.sampling
    wanted: dict[str, Any] = {
        "max_tokens": _max_tokens(chat, facts, loss),
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
        "tool_choice": _tool_choice(chat, facts, loss) if tools else None,
        "parallel_tool_calls": chat.parallel_tools if tools else None,
    }
    told = {name: value for name, value in wanted.items() if value is not None}
    foreign = set() if chat.dialect == NAME else _EXTRAS - facts.takes
    for name in [name for name in told if name in facts.refuses or name in foreign]:
        loss.drop(name, _NOT_TAKEN)
        del told[name]
    for together in facts.exclusive:
        for name in sorted(together & told.keys())[1:]:
            loss.drop(name, f"this model does not take it together with '{min(together & told.keys())}'")
            del told[name]
    if "max_tokens" in told:
        told = {facts.max_tokens_field: told.pop("max_tokens"), **told}
    return told


def _max_tokens(chat: Chat, facts: Facts, loss: Loss) -> int | None:
    """The client's own bound, not above the model's."""
    if chat.max_tokens is None or facts.max_output is None or chat.max_tokens <= facts.max_output:
        return chat.max_tokens
    loss.note("max_tokens")
    return facts.max_output


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


def _narrowed(chat: Chat) -> tuple[str, ...]:
    """Of a choice of some tools only these are sent: OpenAI alone has words for it."""
    choice = chat.tool_choice
    if chat.dialect == NAME or choice is None or (choice.mode == "required" and len(choice.names) == 1):
        return ()
    return choice.names


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


def _tool_choice(chat: Chat, facts: Facts, loss: Loss) -> Any:
    choice = chat.tool_choice
    if choice is None:
        return None
    thinks = chat.reasoning is not None and chat.reasoning.mode != "off"
    if choice.mode == "required" and (facts.forced_tools == "never" or (facts.forced_tools == "not_thinking" and thinks)):
        loss.drop("tool_choice", "this model does not let itself be made to call a tool")
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
    output = chat.output
    if output is None:
        return {}
    if "response_format" in facts.refuses or (output.kind == "schema" and not facts.schema):
        loss.drop("response_format", _NOT_TAKEN)
        return {}
    if output.kind == "json":
        return {"response_format": {"type": "json_object"}}
    told: dict[str, Any] = {"name": output.name or "answer", "schema": output.schema or {}}
    if output.description:
        told["description"] = output.description
    if output.strict is not None:
        told["strict"] = output.strict
    return {"response_format": {"type": "json_schema", "json_schema": told}}


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
    effort = _effort(asked, facts)
    return {"reasoning_effort": effort} if effort else {}


def _effort(asked: Reasoning, facts: Facts) -> str:
    """The word for it that the model takes; none where the measure is the model's own."""
    effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "")
    return nearest(effort, facts.efforts) if effort else ""


def _switch(asked: Reasoning, facts: Facts, loss: Loss, own: dict[str, Any]) -> dict[str, Any]:
    """DeepSeek's and z.ai's `thinking`, with an effort where the model knows any."""
    if asked.mode == "off" and not facts.thinking_off:
        loss.drop("reasoning_effort", _NOT_OFF)
        return {}
    told: dict[str, Any] = {"thinking": {"type": "disabled" if asked.mode == "off" else "enabled", **own}}
    effort = _effort(asked, facts) if asked.mode != "off" and facts.efforts else ""
    return {**told, "reasoning_effort": effort} if effort else told


def _router(asked: Reasoning, facts: Facts, loss: Loss) -> dict[str, Any]:
    """OpenRouter's `reasoning`, which it spells to each model in its own way."""
    if asked.mode == "off":
        if not facts.thinking_off:
            loss.drop("reasoning_effort", _NOT_OFF)
        return {"enabled": False} if facts.thinking_off else {"enabled": True}
    told: dict[str, Any] = {"enabled": True}
    if asked.effort:
        told = {"effort": nearest(asked.effort, facts.efforts)}
    elif asked.budget is not None:
        told = {"max_tokens": asked.budget}
    return told if asked.show is None else {**told, "exclude": not asked.show}


def _user(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """Who asks; an id that is too long goes out cut, with its hash."""
    if not chat.user:
        return {}
    if "user" in facts.refuses:
        loss.note("user")
        return {}
    return {"user": names.fit(chat.user, _ANY, _LONGEST_USER)}


def _cache(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """A mark for the whole prompt: OpenRouter's is called as those on parts; OpenAI's own caches go by themselves."""
    if chat.cache and facts.cache_field != "cache_control":
        loss.note("cache_control")
        return {}
    return mark(chat.cache, facts, loss)
