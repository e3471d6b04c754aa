"""A client's whole request, read into canon.

Blocks belong in `read_blocks`. Nothing is judged here that a provider would judge as well: only what cannot be read is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from trunkline.canon.chat import (
    NOTHING,
    Chat,
    Json,
    Message,
    Other,
    OutputFormat,
    Part,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolResult,
)
from trunkline.dialects.anthropic.checks import optional_text, rest, table, text
from trunkline.dialects.anthropic.read_blocks import read_cache, read_content
from trunkline.dialects.anthropic.thinking import read_reasoning
from trunkline.dialects.anthropic.words import NAME
from trunkline.dialects.dialect import Ask
from trunkline.dialects.shallow import bad

_KNOWN = frozenset({
    "model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "metadata", "cache_control",
})  # fmt: skip
_HINTS = frozenset({
    "service_tier", "speed", "diagnostics", "user_profile_id", "workspace_id", "context_management", "metadata", "betas",
    "cache_control",
})  # fmt: skip
"""Fields the answer does not depend on. `context_management` only says what the provider may leave out of a long prompt."""
_CHOICES = {"auto": "auto", "none": "none", "any": "required", "tool": "required"}
_PATH = re.compile(r" - at `\$(.*)`$")
_NULL = msgspec.Raw(b"null")

T = TypeVar("T")
_any: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(Any).decode
_table = msgspec.json.Decoder(dict[str, Any] | None).decode
_tables = msgspec.json.Decoder(list[dict[str, Any]] | None).decode
_texts = msgspec.json.Decoder(list[str] | None).decode
_whole = msgspec.json.Decoder(int | None).decode
_number = msgspec.json.Decoder(float | None).decode


def read_chat(ask: Ask) -> Chat:
    """The request in canon's words. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    messages = _system(ask) + _messages(_field(ask, "messages", _tables) or [])
    choice, parallel = _tool_choice(_field(ask, "tool_choice", _table) or {})
    config = _field(ask, "output_config", _table) or {}
    output, odd_output = _output(config, _field(ask, "output_format", _table) or {})
    cache, odd_cache = read_cache({"cache_control": _field(ask, "cache_control", _any)})
    user, odd_metadata = _metadata(_field(ask, "metadata", _table) or {})
    unknown = {name: value for name in ask.fields if name not in _KNOWN and (value := _field(ask, name, _any)) is not None}
    vendor = {**unknown, **odd_output, **odd_cache, **odd_metadata}
    return Chat(
        dialect=NAME,
        model=ask.model,
        messages=tuple(messages),
        stream=ask.stream,
        tools=tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(_field(ask, "tools", _tables) or [])),
        tool_choice=choice,
        parallel_tools=parallel,
        max_tokens=_field(ask, "max_tokens", _whole),
        stop=tuple(_field(ask, "stop_sequences", _texts) or ()),
        sampling=Sampling(
            temperature=_field(ask, "temperature", _number),
            top_p=_field(ask, "top_p", _number),
            top_k=_field(ask, "top_k", _whole),
        ),
        output=output,
        reasoning=read_reasoning(_field(ask, "thinking", _table) or {}, optional_text(config, "effort", "output_config")),
        user=user,
        cache=cache,
        vendor=vendor or NOTHING,
        hints=_HINTS & vendor.keys(),
    )


def _field(ask: Ask, name: str, decode: Callable[[msgspec.Raw], T]) -> T:
    try:
        return decode(ask.fields.get(name, _NULL))
    except (ValueError, RecursionError) as error:
        reason = str(error)
        path = _PATH.search(reason)
        raise bad(name + (path[1] if path else ""), f"is not valid: {_PATH.sub('', reason)}") from None


def _system(ask: Ask) -> list[Message]:
    system = _field(ask, "system", _any)
    parts = () if system is None else read_content(system, "system")
    return [Message("system", parts)] if parts else []


def _messages(told: list[dict[str, Any]]) -> list[Message]:
    messages: list[Message] = []
    for at, message in enumerate(told):
        place = f"messages[{at}]"
        role = text(message, "role", place)
        if role not in {"user", "assistant", "system"}:
            raise bad(f"{place}.role", "must be user, assistant or system")
        parts = read_content(message.get("content"), f"{place}.content")
        messages += _turns(cast("Role", role), parts, rest(message, {"role", "content"}))
    return messages


def _turns(role: Role, parts: tuple[Part, ...], vendor: Json) -> list[Message]:
    """One message, or two where it holds results: these answer the turn before, so they come first."""
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    if not results:
        return [Message(role, parts, vendor=vendor)]
    others = tuple(part for part in parts if not isinstance(part, ToolResult))
    if not others:
        return [Message("tool", results, vendor=vendor)]
    return [Message("tool", results), Message(role, others, vendor=vendor)]


def _tool(tool: dict[str, Any], place: str) -> Tool | Other:
    if tool.get("type") not in (None, "custom"):
        return Other(NAME, tool)
    schema, strict = tool.get("input_schema"), tool.get("strict")
    cache, odd = read_cache(tool)
    return Tool(
        name=text(tool, "name", place),
        description=optional_text(tool, "description", place),
        parameters=None if schema is None else table(schema, f"{place}.input_schema"),
        strict=strict if isinstance(strict, bool) else None,
        cache=cache,
        vendor={**rest(tool, {"type", "name", "description", "input_schema", "strict", "cache_control"}), **odd},
    )


def _tool_choice(told: dict[str, Any]) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether calls may be parallel."""
    if not told:
        return None, None
    kind = text(told, "type", "tool_choice")
    mode = _CHOICES.get(kind)
    if mode is None:
        raise bad("tool_choice.type", "must be auto, any, tool or none")
    names = (text(told, "name", "tool_choice"),) if kind == "tool" else ()
    disabled = told.get("disable_parallel_tool_use")
    parallel = not disabled if isinstance(disabled, bool) else None
    vendor = rest(told, {"type", "name", "disable_parallel_tool_use"})
    return ToolChoice(cast("Any", mode), names, vendor), parallel


def _output(config: dict[str, Any], retired: dict[str, Any]) -> tuple[OutputFormat | None, Json]:
    """The form of the answer, and what of `output_config` canon has no word for. `output_format` is the retired spelling."""
    odd = dict(rest(config, {"effort", "format"}))
    told = config.get("format")
    told = retired if told is None else table(told, "output_config.format")
    if not told:
        return None, {"output_config": odd} if odd else NOTHING
    schema = told.get("schema")
    if told.get("type") == "json_schema" and isinstance(schema, dict) and told.keys() <= {"type", "schema"}:
        return OutputFormat("schema", schema), {"output_config": odd} if odd else NOTHING
    return None, {"output_config": {**odd, "format": told}}


def _metadata(told: dict[str, Any]) -> tuple[str, Json]:
    odd = rest(told, {"user_id"})
    return optional_text(told, "user_id", "metadata"), {"metadata": odd} if odd else NOTHING
