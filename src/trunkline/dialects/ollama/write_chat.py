"""A request for a provider of this dialect, always to `/api/chat`. How messages are written is in `write_messages`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Json, Other, Reasoning, Tool
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.effort import effort_of, nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.ollama.read_answer import NAME
from trunkline.dialects.ollama.read_chat import GENERATES, OPTION
from trunkline.dialects.ollama.write_messages import MessageWriter, beside_function, of_function

#: Parameters of canon that stand in `options` under their own names.
_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty")
#: A prompt longer than the context is an error: by default Ollama cuts its beginning off and says nothing, as its own clients
#: know and no other does.
_WHOLE: Json = {"truncate": False}
_NO_FIELD = "Ollama has no such field"
_LEVELS = ("low", "medium", "high", "max")


def write_chat(chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:  # noqa: ARG001 - told unasked
    """The request. A pure function of `chat` and `facts`; what cannot be said is told to `loss`, which may raise."""
    vendor = _vendor(chat, loss)
    taken = _accepted(chat, facts, loss)
    options = _options(taken) | _nested(vendor)
    body: dict[str, Any] = {"model": model, "messages": MessageWriter(chat, facts, loss).write(), "stream": chat.stream}
    fields = {"tools": _tools(chat, facts, loss), "format": _format(chat, facts, loss), "options": options}
    body |= {name: value for name, value in fields.items() if value}
    think = _think(chat.reasoning, facts, loss)
    if think is not None:
        body["think"] = think
    body |= {name: taken[name] for name in ("logprobs", "top_logprobs") if name in taken}
    _leave_out(chat, loss)
    return Outgoing("/api/chat", msgspec.json.encode(body | _beside(vendor)))


def _vendor(chat: Chat, loss: Loss) -> Json:
    """The client's own fields, where they are of this dialect; those of the generate form have no place here."""
    own = own_fields(chat, NAME, loss)
    if chat.dialect != NAME:
        return _WHOLE
    for name in GENERATES:
        if name in own:
            loss.drop(name, "only /api/generate takes it")
    return {name: value for name, value in own.items() if name not in GENERATES}


def _accepted(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The parameters that the model takes, by canon's names."""
    sampling = chat.sampling
    asked = {name: getattr(sampling, name) for name in (*_OPTIONS, "logprobs", "top_logprobs")}
    asked |= {"stop": list(chat.stop) or None, "max_tokens": chat.max_tokens}
    asked = {name: value for name, value in asked.items() if value is not None}
    for name in [name for name in asked if name in facts.refuses]:
        loss.drop(name, "the model refuses it")
        del asked[name]
    for group in facts.exclusive:
        for name in sorted(group & asked.keys())[1:]:
            loss.drop(name, "the model refuses it together with another")
            del asked[name]
    return asked


def _options(taken: dict[str, Any]) -> dict[str, Any]:
    found = {name: taken[name] for name in (*_OPTIONS, "stop") if name in taken}
    return found | ({"num_predict": taken["max_tokens"]} if "max_tokens" in taken else {})


def _nested(vendor: Json) -> dict[str, Any]:
    return {name.removeprefix(OPTION): value for name, value in vendor.items() if name.startswith(OPTION)}


def _beside(vendor: Json) -> dict[str, Any]:
    return {name: value for name, value in vendor.items() if not name.startswith(OPTION)}


def _tools(chat: Chat, facts: Facts, loss: Loss) -> list[dict[str, Any]]:
    """The tools; none where the choice is `none`, which Ollama cannot say otherwise."""
    choice = chat.tool_choice
    if choice is not None and (choice.mode == "required" or choice.names):
        loss.drop("tool_choice", _NO_FIELD)
    if not chat.tools or (choice is not None and choice.mode == "none"):
        return []
    if not facts.tools:
        loss.drop("tools", "the model takes none")
        return []
    written = []
    for at, tool in enumerate(chat.tools):
        if isinstance(tool, Other):
            loss.drop(f"tools[{at}]", "it is another provider's own")
        else:
            written.append(_tool(tool, chat, loss, f"tools[{at}]"))
    return written


def _tool(tool: Tool, chat: Chat, loss: Loss, place: str) -> dict[str, Any]:
    vendor = own_part(tool.vendor, chat, NAME, loss, place)
    if tool.cache:
        loss.note("cache_control")
    if tool.strict:
        loss.note(f"{place}.strict")
    parameters = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    described = {"description": tool.description} if tool.description else {}
    inner = {"name": tool.name, **described, "parameters": parameters, **of_function(vendor)}
    return {"type": "function", "function": inner, **beside_function(vendor)}


def _format(chat: Chat, facts: Facts, loss: Loss) -> Json | str | None:
    output = chat.output
    if output is None:
        return None
    if output.kind == "json" or not output.schema:
        return "json"
    if not facts.schema:
        loss.drop("response_format", "the model takes no schema")
        return "json"
    return output.schema


def _think(asked: Reasoning | None, facts: Facts, loss: Loss) -> bool | str | None:
    """`think`: a model that cannot refuses the field, so it is sent only where the facts say how thinking is asked for."""
    if asked is None:
        return None
    if not facts.thinks:
        if asked.mode != "off":
            loss.drop("reasoning_effort", "the model does not think")
        return None
    if asked.mode == "off":
        if not facts.thinking_off:
            loss.drop("reasoning_effort", "the model's thinking cannot be switched off")
        return False if facts.thinking_off else None
    return _level(asked, facts) or True


def _level(asked: Reasoning, facts: Facts) -> str:
    """The nearest level for an effort; for a budget only where the model is known to have levels."""
    levels = [level for level in facts.efforts if level in _LEVELS]
    if asked.budget is not None:
        return nearest(effort_of(asked.budget), levels) if levels else ""
    return nearest(asked.effort, levels or _LEVELS) if asked.effort else ""


def _leave_out(chat: Chat, loss: Loss) -> None:
    """What Ollama has no field for."""
    if chat.choices is not None and chat.choices > 1:
        loss.drop("n", _NO_FIELD)
    if chat.sampling.logit_bias:
        loss.drop("logit_bias", _NO_FIELD)
    if chat.parallel_tools is False:
        loss.drop("parallel_tool_calls", _NO_FIELD)
    if chat.user:
        loss.note("user")
    if chat.cache:
        loss.note("cache_control")
    if chat.reasoning is not None:
        own_part(chat.reasoning.vendor, chat, NAME, loss, "reasoning")
    if chat.tool_choice is not None:
        own_part(chat.tool_choice.vendor, chat, NAME, loss, "tool_choice")
