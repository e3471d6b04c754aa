"""A request for a provider of this dialect, always to `/api/chat`. How messages are written is in `write_messages`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Json, Other, Reasoning, Tool
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.effort import effort_of, nearest
from trunkline.dialects.foreign import own_fields, own_part
from trunkline.dialects.ollama.read_answer import NAME
from trunkline.dialects.ollama.read_chat import GENERATES, OPTION
from trunkline.dialects.ollama.write_messages import MessageWriter, beside_function, of_function, says
from trunkline.dialects.parameters import taken

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
    body: dict[str, Any] = {"model": model, "messages": _messages(chat, facts, loss), "stream": chat.stream}
    fields = {"tools": _tools(chat, facts, loss), "format": _format(chat, facts, loss), "options": options}
    body |= {name: value for name, value in fields.items() if value}
    think = _think(chat.reasoning, facts, loss)
    if think is not None:
        body["think"] = think
    body |= {name: taken[name] for name in ("logprobs", "top_logprobs") if name in taken}
    _leave_out(chat, loss)
    return Outgoing("/api/chat", msgspec.json.encode(body | _beside(vendor)))


def _messages(chat: Chat, facts: Facts, loss: Loss) -> list[dict[str, Any]]:
    """The history. One that says nothing is Ollama's request to load the model, which others do not mean."""
    written = MessageWriter(chat, facts, loss).write()
    if chat.dialect != NAME and not says(written):
        raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
    return written


def _vendor(chat: Chat, loss: Loss) -> Json:
    """The client's own fields, where they are of this dialect; those of the generate form have no place here."""
    own = own_fields(chat, NAME, loss)
    if chat.dialect != NAME:
        return _WHOLE
    for name in GENERATES:
        if name in own:
            raise loss.refuse(name, "only /api/generate takes it")
    return own


def _accepted(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The parameters that the model takes, by canon's names."""
    sampling = chat.sampling
    asked = {name: getattr(sampling, name) for name in (*_OPTIONS, "logprobs", "top_logprobs")}
    asked |= {"stop": list(chat.stop) or None, "max_tokens": chat.max_tokens}
    return taken(asked, facts, loss)


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
    return _level(asked, facts, loss) or True


def _level(asked: Reasoning, facts: Facts, loss: Loss) -> str:
    """The nearest level for an effort; for a budget only where the model is known to have levels. Noted where it differs."""
    levels = [level for level in facts.efforts if level in _LEVELS]
    wanted = effort_of(asked.budget) if asked.budget is not None and levels else asked.effort
    level = nearest(wanted, levels or _LEVELS) if wanted else ""
    if level != asked.effort or asked.budget is not None:
        loss.note("reasoning_effort")
    return level


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
