"""What is asked of the model beside the conversation, written for a provider: tools, tool choice, `generationConfig`."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Other, Tool
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.foreign import own_part
from trunkline.dialects.gemini.words import NAME
from trunkline.dialects.gemini.write_parts import fitting
from trunkline.dialects.gemini.write_thinking import write_thinking
from trunkline.dialects.parameters import max_tokens, may_choose, taken

#: Parameters by canon's names, and by Google's. `n` is what OpenAI's clients call it.
_GENERATION = {
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "n": "candidateCount",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_SAMPLING = tuple(name for name in _GENERATION if name not in {"max_tokens", "stop", "n"})
_STOPS = 5
"""How many stop sequences Gemini takes."""
_NO_FIELD = "Gemini has no such field"
_JSON = "application/json"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def write_generation(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The `generationConfig`, without the client's own fields."""
    accepted = _accepted(chat, facts, loss)
    told = {google: accepted[name] for name, google in _GENERATION.items() if name in accepted}
    thinking = write_thinking(chat, facts, loss)
    if thinking:
        told["thinkingConfig"] = thinking
    return told | _output(chat, facts, loss)


def _accepted(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The parameters that the model takes, by canon's names."""
    asked: dict[str, Any] = {name: getattr(chat.sampling, name) for name in _SAMPLING}
    asked |= {"max_tokens": chat.max_tokens, "stop": list(chat.stop) or None, "n": chat.choices}
    accepted = taken(asked, facts, loss)
    if len(accepted.get("stop", ())) > _STOPS:
        loss.drop("stop", f"Gemini takes {_STOPS} at most")
        accepted["stop"] = accepted["stop"][:_STOPS]
    if "max_tokens" in accepted:
        accepted["max_tokens"] = max_tokens(chat, facts, loss)
    for name, value in (("min_p", chat.sampling.min_p), ("logit_bias", chat.sampling.logit_bias)):
        if value:
            loss.drop(name, _NO_FIELD)
    return accepted


def _output(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    output = chat.output
    if output is None:
        return {}
    if output.kind == "json" or output.schema is None:
        return {"responseMimeType": _JSON}
    if not facts.schema:
        loss.drop("response_format", "the model takes no schema")
        return {"responseMimeType": _JSON}
    return {"responseMimeType": _JSON, "responseJsonSchema": output.schema}


def write_tools(chat: Chat, facts: Facts, loss: Loss, *, thinking: bool) -> dict[str, Any]:
    """`tools` and `toolConfig`, where there are any. `thinking`: the model is told to think."""
    if chat.tools and not facts.tools:
        loss.drop("tools", "the model takes none")
        return {}
    declared: list[dict[str, Any]] = []
    others: list[Any] = []
    for at, tool in enumerate(chat.tools):
        if isinstance(tool, Tool):
            declared.append(_tool(tool, chat, loss, f"tools[{at}]"))
        elif tool.dialect == NAME:
            others.append(tool.value)
        else:
            loss.drop(f"tools[{at}]", "it is another provider's own")
    if chat.parallel_tools is False:
        loss.drop("parallel_tool_calls", _NO_FIELD)
    tools = [*([{"functionDeclarations": declared}] if declared else []), *others]
    if declared and may_choose(chat, facts, loss, thinking=thinking):
        return {"tools": tools, **_choice(chat, loss)}
    return {"tools": tools} if tools else {}


def _tool(tool: Tool, chat: Chat, loss: Loss, place: str) -> dict[str, Any]:
    if tool.cache:
        loss.note("cache_control")
    if tool.strict:
        loss.note(f"{place}.strict")
    told: dict[str, Any] = {"name": fitting(tool.name)}
    if tool.description:
        told["description"] = tool.description
    if tool.parameters is not None:
        told["parametersJsonSchema"] = tool.parameters
    return {**told, **own_part(tool.vendor, chat, NAME, loss, place)}


def _choice(chat: Chat, loss: Loss) -> dict[str, Any]:
    """The `toolConfig`. An `auto` among named tools is a VALIDATED, which is the only mode beside ANY that takes names."""
    choice = chat.tool_choice
    if choice is None:
        return {}
    vendor = own_part(choice.vendor, chat, NAME, loss, "tool_choice")
    mode = "VALIDATED" if choice.mode == "auto" and choice.names else _MODES[choice.mode]
    names = [fitting(name) for name in choice.names] if choice.mode != "none" else []
    config = {"mode": mode, **({"allowedFunctionNames": names} if names else {}), **vendor}
    return {"toolConfig": {"functionCallingConfig": config}}


def renamed(chat: Chat) -> dict[str, str]:
    """Functions that the provider knows by another name than the client: its name to the client's."""
    names = [tool.name for tool in chat.tools if not isinstance(tool, Other)]
    return {fitting(name): name for name in names if fitting(name) != name}
