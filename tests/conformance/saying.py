"""The same request for each SDK: `asked.Asked` as the arguments that a user of that SDK would write.

`can` says what an API has no words for; that is left out before it is sent. Sending belongs in `clients`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from conformance.asked import Asked, Item, Turn
from conformance.said import Json

MAX_TOKENS = 4096
"""What a client says that must say something (Anthropic)."""
BUDGET = 1024


def numbered(asked: Asked) -> Asked:
    """With an id for every call and result that has none, and the tool's name for every result."""
    waiting: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    turns: list[Turn] = []
    for turn in asked.turns:
        items: list[Item] = []
        for item in turn.items:
            if item.kind == "call":
                ident = item.id or f"call_{len(names)}"
                names[ident] = item.text
                waiting.append((ident, item.text))
                items.append(item._replace(id=ident))
            elif item.kind == "result":
                ident = item.id or next(ident for ident, name in waiting if item.name in {"", name})
                waiting = [pair for pair in waiting if pair[0] != ident]
                items.append(item._replace(id=ident, name=item.name or names.get(ident, "")))
            else:
                items.append(item)
        turns.append(turn._replace(items=tuple(items)))
    return asked._replace(turns=tuple(turns))


def _given(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, "", [], (), {})}


def merged(turns: Iterable[Turn]) -> list[Turn]:
    """One message for each change of speaker, results first."""
    found = []
    for role, same in groupby(turns, key=lambda turn: turn.role):
        items = [item for turn in same for item in turn.items]
        found.append(Turn(role, tuple(sorted(items, key=lambda item: role == "user" and item.kind != "result"))))
    return found


def _link(item: Item) -> str:
    return f"data:{item.media_type};base64,{item.data}" if item.media_type else item.data


# OpenAI ------------------------------------------------------------------------------------------------------------------


def openai(asked: Asked) -> Json:
    """For `chat.completions.create`."""
    messages: list[Json] = [{"role": "system", "content": text} for text in asked.system]
    for turn in asked.turns:
        messages += _openai_turn(turn)
    choice: Any = asked.choice
    if choice not in {"", "auto", "none", "required"}:
        choice = {"type": "function", "function": {"name": choice}}
    tools = [
        {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema}}
        for tool in asked.tools
    ]
    output = {"type": "json_schema", "json_schema": {"name": "answer", "schema": asked.schema}} if asked.schema else None
    effort = asked.effort or {None: "", True: "medium", False: "none"}[asked.thinks]
    return _given(
        messages=messages,
        tools=tools,
        tool_choice=choice,
        max_completion_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        stop=list(asked.stop),
        response_format=output or ({"type": "json_object"} if asked.json else None),
        reasoning_effort=effort,
    )


def _openai_turn(turn: Turn) -> list[Json]:
    results = [{"role": "tool", "tool_call_id": item.id, "content": item.text} for item in turn.items if item.kind == "result"]
    parts = [_openai_part(item) for item in turn.items if item.kind in {"text", "image", "document"}]
    calls = [
        {"id": item.id, "type": "function", "function": {"name": item.text, "arguments": json.dumps(item.arguments)}}
        for item in turn.items
        if item.kind == "call"
    ]
    content: Any = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts or None
    message = {"role": turn.role, "content": content, **_given(tool_calls=calls)}
    return [*results, message] if parts or calls else results


def _openai_part(item: Item) -> Json:
    match item.kind:
        case "image":
            return {"type": "image_url", "image_url": {"url": _link(item)}}
        case "document":
            return {"type": "file", "file": {"file_data": _link(item), "filename": "document.pdf"}}
        case _:
            return {"type": "text", "text": item.text}


# Responses ---------------------------------------------------------------------------------------------------------------


def responses(asked: Asked) -> Json:
    """For `responses.create`, as programs ask that keep the conversation themselves."""
    items: list[Json] = [{"role": "developer", "content": text} for text in asked.system[1:]]
    for turn in asked.turns:
        items += (_responses_item(turn.role, item) for item in turn.items if item.kind != "thinking")
    choice: Any = asked.choice
    if choice not in {"", "auto", "none", "required"}:
        choice = {"type": "function", "name": choice}
    tools = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.schema, "strict": False}
        for tool in asked.tools
    ]
    output = {"type": "json_schema", "name": "answer", "schema": asked.schema} if asked.schema else None
    form = output or ({"type": "json_object"} if asked.json else None)
    effort = asked.effort or {None: "", True: "medium", False: "none"}[asked.thinks]
    return _given(
        input=items,
        instructions="".join(asked.system[:1]),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        text={"format": form} if form else None,
        reasoning={"effort": effort, **({} if effort == "none" else {"summary": "auto"})} if effort else None,
    ) | {"store": False, "include": ["reasoning.encrypted_content"]}


def _responses_item(role: str, item: Item) -> Json:
    match item.kind:
        case "call":
            return {"type": "function_call", "call_id": item.id, "name": item.text, "arguments": json.dumps(item.arguments)}
        case "result":
            return {"type": "function_call_output", "call_id": item.id, "output": item.text}
        case "image":
            part: Json = {"type": "input_image", "image_url": _link(item), "detail": "auto"}
        case "document":
            held = {"file_data": _link(item), "filename": "document.pdf"} if item.media_type else {"file_url": item.data}
            part = {"type": "input_file", **held}
        case _:
            part = {"type": "output_text" if role == "assistant" else "input_text", "text": item.text}
    return {"type": "message", "role": role, "content": [part]}


# Anthropic ---------------------------------------------------------------------------------------------------------------


def anthropic(asked: Asked) -> Json:
    """For `messages.create`; sampling is no longer an argument of this SDK, but of the API for older models."""
    choice: Json | None = None
    if asked.choice:
        kind = {"required": "any"}.get(asked.choice, asked.choice)
        choice = {"type": kind} if kind in {"auto", "none", "any"} else {"type": "tool", "name": kind}
    thinking = {None: None, False: {"type": "disabled"}, True: {"type": "enabled", "budget_tokens": BUDGET}}[asked.thinks]
    schema = {"format": {"type": "json_schema", "schema": asked.schema}} if asked.schema else {}
    if thinking and asked.effort in _LEVELS - {"minimal"}:
        thinking, schema["effort"] = {"type": "adaptive"}, asked.effort
    return _given(
        messages=[_anthropic_turn(turn) for turn in merged(asked.turns)],
        system=[{"type": "text", "text": text} for text in asked.system],
        tools=[_given(name=tool.name, description=tool.description) | {"input_schema": tool.schema} for tool in asked.tools],
        tool_choice=choice,
        max_tokens=asked.max_tokens or MAX_TOKENS,
        stop_sequences=list(asked.stop),
        thinking=thinking,
        output_config=schema,
        extra_body=_given(temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k),
    )


def _anthropic_turn(turn: Turn) -> Json:
    return {"role": turn.role, "content": [_anthropic_block(item) for item in turn.items if item.kind != "thinking"]}


def _anthropic_block(item: Item) -> Json:
    match item.kind:
        case "call":
            return {"type": "tool_use", "id": item.id, "name": item.text, "input": item.arguments}
        case "result":
            failed = {"is_error": True} if item.failed else {}
            return {"type": "tool_result", "tool_use_id": item.id, "content": item.text, **failed}
        case "image" | "document":
            where = {"type": "base64", "media_type": item.media_type, "data": item.data}
            if item.media_type == "text/plain":
                where = {**where, "type": "text", "data": base64.b64decode(item.data).decode()}
            return {"type": item.kind, "source": where if item.media_type else {"type": "url", "url": item.data}}
        case _:
            return {"type": "text", "text": item.text}


# Gemini ------------------------------------------------------------------------------------------------------------------


def gemini(asked: Asked) -> Json:
    """For `models.generate_content`."""
    calling: Json | None = None
    if asked.choice:
        mode = {"auto": "AUTO", "none": "NONE"}.get(asked.choice, "ANY")
        named = [] if asked.choice in {"auto", "none", "required"} else [asked.choice]
        calling = {"function_calling_config": _given(mode=mode, allowed_function_names=named)}
    declared = [
        _given(name=tool.name, description=tool.description, parameters_json_schema=tool.schema) for tool in asked.tools
    ]
    config = _given(
        system_instruction=[{"text": text} for text in asked.system],
        tools=[{"function_declarations": declared}] if declared else None,
        tool_config=calling,
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        seed=asked.seed,
        stop_sequences=list(asked.stop),
        response_mime_type="application/json" if asked.schema or asked.json else None,
        response_json_schema=asked.schema,
        thinking_config=_levelled(asked),
    )
    return {"contents": [_gemini_turn(turn) for turn in merged(asked.turns)], "config": config}


def _levelled(asked: Asked) -> Json | None:
    if not asked.thinks:
        return None if asked.thinks is None else {"thinking_budget": 0}
    return {"include_thoughts": True, **({"thinking_level": asked.effort.upper()} if asked.effort in _LEVELS else {})}


_LEVELS = {"minimal", "low", "medium", "high"}


def _gemini_turn(turn: Turn) -> Json:
    role = "model" if turn.role == "assistant" else "user"
    return {"role": role, "parts": [_gemini_part(item) for item in turn.items if item.kind != "thinking"]}


def _gemini_part(item: Item) -> Json:
    match item.kind:
        case "call":
            return {"function_call": {"name": item.text, "args": item.arguments}}
        case "result":
            return {"function_response": {"name": item.name, "response": {"error" if item.failed else "output": item.text}}}
        case "image" | "document":
            if item.media_type:
                return {"inline_data": {"mime_type": item.media_type, "data": item.data}}
            return {
                "file_data": {"file_uri": item.data, "mime_type": "image/jpeg" if item.kind == "image" else "application/pdf"}
            }
        case _:
            return {"text": item.text}


# Ollama ------------------------------------------------------------------------------------------------------------------


def ollama(asked: Asked) -> Json:
    """For `chat`."""
    messages: list[Json] = [{"role": "system", "content": text} for text in asked.system]
    for turn in asked.turns:
        messages += _ollama_turn(turn)
    tools = [
        {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema}}
        for tool in asked.tools
    ]
    options = _given(
        num_predict=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        seed=asked.seed,
        stop=list(asked.stop),
    )
    return _given(messages=messages, tools=tools, options=options, format=asked.schema or ("json" if asked.json else None)) | (
        {} if asked.thinks is None else {"think": asked.effort if asked.effort in _LEVELS - {"minimal"} else asked.thinks}
    )


def _ollama_turn(turn: Turn) -> list[Json]:
    results = [{"role": "tool", "tool_name": item.name, "content": item.text} for item in turn.items if item.kind == "result"]
    text = "".join(item.text for item in turn.items if item.kind == "text")
    images = [item.data for item in turn.items if item.kind == "image"]
    calls = [{"function": {"name": item.text, "arguments": item.arguments}} for item in turn.items if item.kind == "call"]
    message = {"role": turn.role, "content": text, **_given(images=images, tool_calls=calls)}
    return [*results, message] if text or images or calls else results


# what cannot be said -----------------------------------------------------------------------------------------------------


def can(client: str, asked: Asked) -> Asked | None:
    """The request without what this API has no words for; None where it could not be asked at all."""
    media = [item for turn in asked.turns for item in turn.items if item.kind in {"image", "document"}]
    if not asked.turns or (client == "ollama" and any(item.kind == "document" or not _held(item) for item in media)):
        return None
    if client == "gemini" and any(_held(item) and not item.media_type for item in media):
        return None  # bare base64 (Ollama's) has no type here
    if client != "gemini":
        tools = tuple(tool._replace(schema=_small(tool.schema)) for tool in asked.tools)
        asked = asked._replace(tools=tools, schema=_small(asked.schema))
    if client in {"openai", "responses", "ollama"}:
        asked = asked._replace(turns=tuple(turn._replace(items=tuple(map(_told_failed, turn.items))) for turn in asked.turns))
    if client == "cohere" and any(item.kind == "document" and item.media_type != "text/plain" for item in media):
        return None
    match client:
        case "openai":
            return asked._replace(top_k=None)
        case "responses":
            return asked._replace(top_k=None, seed=None, stop=())
        case "anthropic":
            return asked._replace(seed=None, json=False, max_tokens=asked.max_tokens or MAX_TOKENS)
        case "ollama":
            turns = (turn._replace(items=tuple(sorted(turn.items, key=_no_image))) for turn in asked.turns)
            tools = () if asked.choice == "none" else asked.tools
            return asked._replace(choice="", tools=tools, turns=tuple(turns))
        case _:
            return asked


def _told_failed(item: Item) -> Item:
    """As users write it where there is no field for it."""
    return item._replace(text=f"Error: {item.text}") if item.failed else item


def _small(schema: Any) -> Any:
    """Google's schemas call their types in capitals."""
    if isinstance(schema, list):
        return [_small(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    pairs = {name: _small(inner) for name, inner in schema.items()}
    return {**pairs, "type": pairs["type"].lower()} if isinstance(pairs.get("type"), str) else pairs


def _no_image(item: Item) -> bool:
    """Ollama's stand beside the text, so nobody can say that they come after it."""
    return item.kind != "image"


def _held(item: Item) -> bool:
    return not item.data.startswith("http")
