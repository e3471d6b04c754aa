"""A whole request, written for a provider's model.

What is written is a function of the conversation and the model's facts alone: the same history gives the same bytes turn
after turn, or prompt caches and the signatures of thinking would not hold.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Json, Other, Tool, ToolCall, ToolChoice
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import claude
from trunkline.dialects.anthropic.thinking import BINDING_BETA, Thought, write_reasoning
from trunkline.dialects.anthropic.words import NAME, PATH, STRICT_VERSION, VERSION
from trunkline.dialects.anthropic.write_blocks import fit, mark
from trunkline.dialects.anthropic.write_messages import Turns, holds_thinking, limit_marks, needs_thinking
from trunkline.dialects.closed import subset
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.parameters import max_tokens, may_choose, taken
from trunkline.dialects.shallow import encode

_MAX_TOKENS = 4096
"""Tokens of an answer where neither the client nor the model's facts name a bound; Anthropic has no default."""
_NO_SPACE = "Anthropic's API takes no sequence of white space"


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001
    """The request. Usage is told unasked. Raises what `loss` raises."""
    body, renamed = write_body(chat, model, facts, loss)
    return Outgoing(PATH, encode(body), head(facts, body), renamed)


def head(facts: Facts, body: Json) -> bytes:
    """The version, which tells the provider how to read the request, and what of it is in beta."""
    version = b"anthropic-version: %b\r\n" % (facts.version or VERSION).encode("ascii", "replace")
    return version + (b"anthropic-beta: %b\r\n" % BINDING_BETA if "block_binding" in body.get("thinking", {}) else b"")


def write_body(chat: Chat, model: str, facts: Facts, loss: Loss) -> tuple[dict[str, Any], dict[str, str]]:
    """The request's fields, and the tools that go by another name (its name there to the client's)."""
    turns = Turns(chat, facts, loss).write()
    if not turns.messages and chat.dialect != NAME:
        raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
    asked = max_tokens(chat, facts, loss)
    thought = write_reasoning(chat, facts, loss, max_tokens=asked if asked is not None else facts.max_output)
    if thought.thinking.get("type") == "enabled" and chat.dialect != NAME and needs_thinking(turns.messages):
        loss.note("reasoning_effort")
        thought.thinking = {}
    if facts.binds_thinking and chat.dialect != NAME and holds_thinking(turns.messages):
        thought.unbind()
    tools, renamed = _tools(chat, facts, loss)
    body: dict[str, Any] = {"model": model, "max_tokens": _max_tokens(asked, facts, thought)}
    output = _output(chat, facts, loss, turns.system)
    config = ({"effort": thought.effort} if thought.effort else {}) | output
    optional = {
        "system": turns.system,
        "messages": turns.messages,
        "tools": tools,
        "tool_choice": _tool_choice(chat, facts, loss, bool(tools), thought),
        "thinking": thought.thinking,
        "output_config": config,
        "stop_sequences": claude.stops(chat, facts, loss, _NO_SPACE),
        **_sampling(chat, facts, loss, thought),
        "metadata": {"user_id": chat.user} if chat.user else {},
        "cache_control": mark(chat.cache) if chat.cache else None,
    }
    body |= {name: value for name, value in optional.items() if value not in (None, [], {})}
    body.setdefault("messages", [])
    if chat.stream:
        body["stream"] = True
    if chat.choices not in {None, 1}:
        loss.drop("n", "Anthropic's API gives one answer")
    _add_own(body, chat, loss)
    spaces = [tools, turns.system, *(message["content"] for message in turns.messages)]
    limit_marks(spaces, claude.MARKS - (body.get("cache_control") is not None), loss)
    return body, renamed


def _add_own(body: dict[str, Any], chat: Chat, loss: Loss) -> None:
    """What rides in `vendor`; into `output_config` and `metadata` it goes beside what canon has words for."""
    for name, value in own_fields(chat, NAME, loss).items():
        both = isinstance(value, dict) and isinstance(body.get(name), dict) and name in {"output_config", "metadata"}
        body[name] = {**body[name], **value} if both else value


def _max_tokens(asked: int | None, facts: Facts, thought: Thought) -> int:
    if asked is not None:
        return asked
    return facts.max_output or _MAX_TOKENS + int(thought.thinking.get("budget_tokens", 0))


def _sampling(chat: Chat, facts: Facts, loss: Loss, thought: Thought) -> dict[str, Any]:
    wanted = claude.sampling(chat, loss, "Anthropic")
    if thought.on and chat.dialect != NAME:
        wanted = claude.beside_thinking(wanted, loss)
    strict = (facts.version or VERSION) >= STRICT_VERSION
    return claude.cooled(taken(wanted, facts, loss, claude.SAMPLING if strict else ()), loss)


def _tools(chat: Chat, facts: Facts, loss: Loss) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The tools. Where a history calls tools and none are there, those it calls: Anthropic will not read it without."""
    if chat.tools and not facts.tools:
        loss.drop("tools", "this model takes no tools")
        return [], {}
    own = chat.dialect == NAME
    written: list[dict[str, Any]] = []
    renamed: dict[str, str] = {}
    for at, tool in enumerate(_allowed(chat)):
        if isinstance(tool, Tool):
            written.append({**_tool(tool, own=own), **own_part(tool.vendor, chat, NAME, loss, f"tools[{at}]")})
            if written[-1]["name"] != tool.name:
                renamed[written[-1]["name"]] = tool.name
        elif tool.dialect == NAME:
            written.append(dict(tool.value))
        else:
            loss.drop(f"tools[{at}]", "it is a tool of another provider's")
    if not chat.tools and not own:
        written = [{"name": fit(name), "input_schema": {"type": "object"}} for name in _called(chat)]
    return written, renamed


def _allowed(chat: Chat) -> list[Tool | Other]:
    """Of a choice of several tools only these are sent: Anthropic can name one or none."""
    choice = chat.tool_choice
    if choice is None or not choice.names or (choice.mode == "required" and len(choice.names) == 1):
        return list(chat.tools)
    names = frozenset(choice.names)
    return [tool for tool in chat.tools if isinstance(tool, Tool) and tool.name in names]


def _called(chat: Chat) -> list[str]:
    calls = (part.name for message in chat.messages for part in message.parts if isinstance(part, ToolCall))
    return list(dict.fromkeys(calls))


def _tool(tool: Tool, *, own: bool) -> dict[str, Any]:
    schema: dict[str, Any] = dict(tool.parameters or {"type": "object", "properties": {}})
    schema.setdefault("type", "object")
    if tool.strict and not own:
        schema = subset(schema)
    told: dict[str, Any] = {"name": fit(tool.name)}
    if tool.description:
        told["description"] = tool.description
    told["input_schema"] = schema
    if tool.strict or (own and tool.strict is not None):
        told["strict"] = tool.strict
    if tool.cache:
        told["cache_control"] = mark(tool.cache)
    return told


def _tool_choice(chat: Chat, facts: Facts, loss: Loss, tools: bool, thought: Thought) -> dict[str, Any]:
    if not tools:
        return {}
    if not chat.tools:
        return {"type": "none"}  # tools that only the history needs
    choice = chat.tool_choice or ToolChoice("auto")
    if not may_choose(chat, facts, loss, thinking=thought.on):
        choice = ToolChoice("auto")
    if choice.mode != "required":
        told: dict[str, Any] = {"type": choice.mode}
    else:
        told = {"type": "tool", "name": fit(choice.names[0])} if len(choice.names) == 1 else {"type": "any"}
    told |= own_part(choice.vendor, chat, NAME, loss, "tool_choice")
    if chat.parallel_tools is not None and choice.mode != "none":
        told["disable_parallel_tool_use"] = not chat.parallel_tools
    if chat.tool_choice is None and chat.parallel_tools is not False:
        return {}
    return told


def _output(chat: Chat, facts: Facts, loss: Loss, system: list[dict[str, Any]]) -> dict[str, Any]:
    """`output_config.format`. What the API or the model cannot promise is asked for in words, at the end of `system`."""
    output = chat.output
    if output is None:
        return {}
    if output.kind == "schema" and output.schema is not None and facts.schema:
        schema = dict(output.schema) if chat.dialect == NAME else subset(output.schema)
        return {"format": {"type": "json_schema", "schema": schema}}
    system.append({"type": "text", "text": claude.asked_in_words(output, loss)})
    return {}
