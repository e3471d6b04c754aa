"""A client's parameters read into canon: what is asked for beside the messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from trunkline.canon.chat import Cache, Chat, Json, Message, Other, OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_chat.details import NAME
from trunkline.dialects.shallow import bad

_KNOWN = frozenset({
    "model", "messages", "stream", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
    "max_tokens", "max_completion_tokens", "stop", "n", "temperature", "top_p", "top_k", "min_p", "seed",
    "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format",
    "reasoning_effort", "reasoning", "thinking", "user", "cache_control",
})  # fmt: skip
#: What the answer does not depend on: accounts, caches, tiers, routing, and how a stream is dressed.
_HINTS = frozenset({
    "store", "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "safety_identifier", "stream_options", "prediction", "provider", "models", "route", "transforms", "usage",
    "include_reasoning", "session_id", "trace",
})  # fmt: skip
_TOOL = frozenset({"type", "function", "cache_control", "prompt_cache_breakpoint"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's
}


def read_options(ask: Ask, fields: dict[str, Any], messages: tuple[Message, ...]) -> Chat:
    """The request of these messages. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    vendor = rest_of(fields, _KNOWN)
    if fields.get("stream_options") in ({}, {"include_usage": ask.include_usage}):
        del vendor["stream_options"]
    if vendor.get("modalities") == ["text"]:
        del vendor["modalities"]
    output = _output(fields.get("response_format"))
    if output is None and (fields.get("response_format") or {"type": "text"}).get("type") != "text":
        vendor["response_format"] = fields["response_format"]
    user = fields.get("user")
    if user is None and vendor.get("safety_identifier") is not None:
        user = vendor.pop("safety_identifier")
    return Chat(
        dialect=NAME,
        model=ask.model,
        messages=messages,
        stream=ask.stream,
        tools=_tools(fields),
        tool_choice=_choice(fields),
        parallel_tools=_flag(fields, "parallel_tool_calls"),
        max_tokens=_whole(fields, "max_completion_tokens", "max_tokens"),
        stop=_stop(fields.get("stop")),
        choices=_more_than_one(_whole(fields, "n")),
        sampling=_sampling(fields),
        output=output,
        reasoning=_reasoning(fields),
        user="" if user is None else text(user, "user"),
        cache=read_cache(fields, ""),
        vendor=vendor,
        hints=_HINTS & vendor.keys(),
    )


def rest_of(one: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The fields that canon has no word for; null is what was not said."""
    return {name: value for name, value in one.items() if name not in known and value is not None}


def struct(value: object, path: str) -> dict[str, Any]:
    """An object, or `GatewayError(BAD_REQUEST)`."""
    if isinstance(value, dict):
        return value
    raise bad(path, "must be an object") if value is not None else bad(path, "is required", "missing_required_parameter")


def text(value: object, path: str) -> str:
    """A string, or `GatewayError(BAD_REQUEST)`."""
    if isinstance(value, str):
        return value
    raise bad(path, "must be a string") if value is not None else bad(path, "is required", "missing_required_parameter")


def optional(one: dict[str, Any], names: Iterable[str], path: str) -> None:
    """Each of these is a string where it is told, or `GatewayError(BAD_REQUEST)`."""
    for name in names:
        if one.get(name) is not None:
            text(one[name], f"{path}.{name}")


def listed(value: object, path: str) -> list[Any]:
    """An array, or `GatewayError(BAD_REQUEST)`."""
    if isinstance(value, list):
        return value
    raise bad(path, "must be an array")


def _flag(fields: dict[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise bad(name, "must be a boolean")


def _whole(fields: dict[str, Any], *names: str) -> int | None:
    """The first of these that is told."""
    for name in names:
        value = fields.get(name)
        if type(value) is float and value.is_integer():
            return int(value)
        if value is not None:
            if type(value) is int:
                return value
            raise bad(name, "must be an integer")
    return None


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise bad(name, "must be a number")


def _more_than_one(n: int | None) -> int | None:
    return None if n == 1 else n


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    told = [value] if isinstance(value, str) else listed(value, "stop")
    return tuple(text(one, f"stop[{at}]") for at, one in enumerate(told))


def _sampling(fields: dict[str, Any]) -> Sampling:
    bias = fields.get("logit_bias")
    return Sampling(
        temperature=_number(fields, "temperature"),
        top_p=_number(fields, "top_p"),
        top_k=_whole(fields, "top_k"),
        min_p=_number(fields, "min_p"),
        seed=_whole(fields, "seed"),
        frequency_penalty=_number(fields, "frequency_penalty"),
        presence_penalty=_number(fields, "presence_penalty"),
        logit_bias=struct(bias, "logit_bias") if bias else None,
        logprobs=_flag(fields, "logprobs"),
        top_logprobs=_whole(fields, "top_logprobs"),
    )


def _tools(fields: dict[str, Any]) -> tuple[Tool | Other, ...]:
    """Functions are read; any other kind of tool stays as it is. `functions` is the old form."""
    found: list[Tool | Other] = []
    for at, one in enumerate(listed(fields.get("tools") or [], "tools")):
        path = f"tools[{at}]"
        tool = struct(one, path)
        optional(tool, ("type",), path)
        if tool.get("type", "function") == "function":
            function = struct(tool.get("function"), f"{path}.function")
            found.append(_tool(function, f"{path}.function", read_cache(tool, path), rest_of(tool, _TOOL)))
        else:
            if "custom" in tool:
                text(struct(tool["custom"], f"{path}.custom").get("name"), f"{path}.custom.name")
            found.append(Other(NAME, tool))
    for at, one in enumerate(listed(fields.get("functions") or [], "functions")):
        found.append(_tool(struct(one, f"functions[{at}]"), f"functions[{at}]", "", {}))
    return tuple(found)


def _tool(function: dict[str, Any], path: str, cache: Cache, beside: Json) -> Tool:
    description, parameters, strict = (function.get(name) for name in ("description", "parameters", "strict"))
    if strict is not None and not isinstance(strict, bool):
        raise bad(f"{path}.strict", "must be a boolean")
    inside = rest_of(function, _FUNCTION)
    return Tool(
        name=text(function.get("name"), f"{path}.name"),
        description="" if description is None else text(description, f"{path}.description"),
        parameters=None if parameters is None else struct(parameters, f"{path}.parameters"),
        strict=strict,
        cache=cache,
        vendor={**beside, **({"function": inside} if inside else {})},
    )


def _choice(fields: dict[str, Any]) -> ToolChoice | None:
    name = "tool_choice" if fields.get("tool_choice") is not None else "function_call"
    told = fields.get(name)
    if told is None:
        return None
    if isinstance(told, str):
        mode = _MODES.get(told)
        if mode is None:
            raise bad(name, "must be none, auto, required or an object")
        return ToolChoice(mode)
    choice = struct(told, name)
    if choice.get("type") == "allowed_tools":
        return _allowed(struct(choice.get("allowed_tools"), "tool_choice.allowed_tools"))
    kind = "custom" if choice.get("type") == "custom" else "function"
    inner, path = (choice, name) if name == "function_call" else (struct(choice.get(kind), f"{name}.{kind}"), f"{name}.{kind}")
    return ToolChoice("required", (text(inner.get("name"), f"{path}.name"),))


def _allowed(told: dict[str, Any]) -> ToolChoice:
    path = "tool_choice.allowed_tools"
    mode = told.get("mode")
    if mode not in ("auto", "required"):  # it may be anything, and not all of it goes into a set
        raise bad(f"{path}.mode", "must be auto or required")
    named = []
    for at, one in enumerate(listed(told.get("tools"), f"{path}.tools")):
        tool = struct(one, f"{path}.tools[{at}]")
        kind = "custom" if "custom" in tool else "function"
        inner = struct(tool.get(kind), f"{path}.tools[{at}].{kind}")
        named.append(text(inner.get("name"), f"{path}.tools[{at}].{kind}.name"))
    return ToolChoice(mode, tuple(named))


def _output(told: object) -> OutputFormat | None:
    if told is None:
        return None
    form = struct(told, "response_format")
    optional(form, ("type",), "response_format")
    if form.get("type") == "json_object":
        return OutputFormat("json")
    if form.get("type") != "json_schema":
        return None
    path = "response_format.json_schema"
    inner = struct(form.get("json_schema"), path)
    schema, strict = inner.get("schema"), inner.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise bad(f"{path}.strict", "must be a boolean")
    return OutputFormat(
        "schema",
        schema={} if schema is None else struct(schema, f"{path}.schema"),
        name=text(inner.get("name") or "", f"{path}.name"),
        description=text(inner.get("description") or "", f"{path}.description"),
        strict=strict,
    )


def _reasoning(fields: dict[str, Any]) -> Reasoning | None:
    """`reasoning_effort`; OpenRouter's `reasoning`; DeepSeek's and z.ai's `thinking`; the later of these may switch it."""
    effort, router, switch = (fields.get(name) for name in ("reasoning_effort", "reasoning", "thinking"))
    if effort is None and router is None and switch is None:
        return None
    told = {} if router is None else struct(router, "reasoning")
    switched = {} if switch is None else struct(switch, "thinking")
    word = effort if effort is not None else told.get("effort")
    word = "" if word is None else text(word, "reasoning_effort")
    budget = _whole(told, "max_tokens") or _whole(switched, "budget_tokens")
    off = word == "none" or told.get("enabled") is False or switched.get("type") == "disabled"
    exclude = told.get("exclude")
    vendor = {
        **_left("reasoning", rest_of(told, frozenset({"effort", "max_tokens", "exclude", "enabled"}))),
        **_left("thinking", rest_of(switched, frozenset({"type", "budget_tokens"}))),
    }
    return Reasoning(
        mode="off" if off else "adaptive" if switched.get("type") == "adaptive" else "on",
        effort="" if off or word == "default" else word,  # `default` is Groq's
        budget=None if off or word else budget,
        show=None if exclude is None else not exclude,
        vendor=vendor,
    )


def _left(name: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {name: rest} if rest else {}


def read_cache(one: dict[str, Any], path: str) -> Cache:
    """A prompt-cache mark, in Anthropic's spelling (OpenRouter, opencode) or in OpenAI's, whose times are 30m and 12h."""
    for name in ("cache_control", "prompt_cache_breakpoint"):
        if one.get(name) is not None:
            place = f"{path}.{name}" if path else name
            told = struct(one[name], place)
            optional(told, ("ttl",), place)
            return "1h" if told.get("ttl") in {"1h", "12h"} else "5m"
    return ""
