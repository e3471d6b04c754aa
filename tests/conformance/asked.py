"""What a request asks, read from any API with the standard library and no code of ours.

The yardstick of `test_requests`. What only one API knows (server tools, safety settings, cache names) is left out: no other
API could ask for it. Answers are read in `said`; `clients` asks the same through the SDKs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, Literal, NamedTuple

from conformance.said import Json, decoded, openai_seals, openai_text, openai_thinking


class Item(NamedTuple):
    """A piece of a turn: text, image, document, call, result or thinking."""

    kind: Literal["text", "image", "document", "call", "result", "thinking"]
    text: str = ""
    """The text, of a result too; of a call its name."""
    id: str = ""
    name: str = ""
    """Of a result: the tool's name, where it is told."""
    arguments: Any = None
    media_type: str = ""
    data: str = ""
    """Base64, or the URL."""
    seal: str = ""
    failed: bool = False


class Turn(NamedTuple):
    """One message; results of tools belong to the user's side."""

    role: Literal["user", "assistant"]
    items: tuple[Item, ...]


class Tool(NamedTuple):
    """A client's tool."""

    name: str
    description: str
    schema: Json


class Asked(NamedTuple):
    """One request. None or empty: not said."""

    system: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: str = ""
    """auto, none, required, or a tool's name."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinks: bool | None = None
    effort: str = ""
    schema: Json | None = None
    json: bool = False


def asked(endpoint: str, body: Json) -> Asked:
    """What this request asks."""
    return _READERS[endpoint.partition(".")[0] if endpoint.startswith(("gemini", "bedrock")) else endpoint](body)


def _texts(content: Any, kind: str = "text") -> tuple[str, ...]:
    if isinstance(content, str):
        return (content,) if content else ()
    return tuple(part["text"] for part in content or () if part.get("type", kind) == kind)


def _data(url: str, kind: Literal["image", "document"] = "image") -> Item:
    """Of a data URL or a link."""
    found = re.match(r"data:([^;,]*);base64,(.*)", url, re.DOTALL)
    return Item(kind, media_type=found[1], data=found[2]) if found else Item(kind, data=url)


# OpenAI ------------------------------------------------------------------------------------------------------------------


def _openai(body: Json) -> Asked:
    messages = body.get("messages") or []
    choice, output = body.get("tool_choice") or "", body.get("response_format") or {}
    if isinstance(choice, dict):
        choice = choice["function"]["name"]
    tools = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    tools += body.get("functions") or []  # their old name
    stop = body.get("stop") or ()
    effort = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort") or ""
    router = body.get("reasoning") or {}
    switched = (body.get("thinking") or {}).get("type") or effort or (router and router.get("enabled", True) and "on")
    return Asked(
        system=tuple(text for one in messages if one["role"] in _LEADS for text in _texts(one["content"])),
        turns=tuple(_openai_turn(one) for one in messages if one["role"] not in _LEADS),
        tools=tuple(Tool(one["name"], one.get("description") or "", one.get("parameters") or {}) for one in tools),
        choice={"any": "required"}.get(choice, choice),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        seed=body.get("seed"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        thinks=switched not in {"none", "disabled"} if switched else None,
        effort="" if effort == "none" else effort,
        schema=(output.get("json_schema") or {}).get("schema"),
        json=output.get("type") == "json_object",
    )


_LEADS = {"system", "developer"}


def _openai_turn(message: Json) -> Turn:
    content = message.get("content")
    if message["role"] == "tool":
        return Turn("user", (Item("result", openai_text(content), message["tool_call_id"], message.get("name") or ""),))
    items: list[Item] = []
    thinking, seals = openai_thinking(message), openai_seals({**message, "tool_calls": ()})
    if message["role"] == "assistant" and (thinking or seals):
        items.append(Item("thinking", thinking, seal=(seals or [""])[0]))
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else _listed(content):
        items += _openai_part(part)
    for call in message.get("tool_calls") or ():
        told, seals = call["function"], openai_seals({"tool_calls": [call]})
        items.append(Item("call", told["name"], call["id"], arguments=decoded(told.get("arguments", "")), seal="".join(seals)))
    return Turn("assistant" if message["role"] == "assistant" else "user", tuple(items))


def _listed(content: Any) -> Iterable[Json]:
    return [content] if isinstance(content, dict) else content or ()


def _openai_part(part: Json) -> Iterator[Item]:
    match part.get("type"):
        case "text" if part["text"]:
            yield Item("text", part["text"])
        case "image_url":
            yield _data(part["image_url"]["url"])
        case "file":
            yield _data(part["file"]["file_data"], "document")


# Anthropic ---------------------------------------------------------------------------------------------------------------


def _anthropic(body: Json) -> Asked:
    choice = body.get("tool_choice") or {}
    thinking, output = body.get("thinking") or {}, body.get("output_config") or {}
    messages = body["messages"]
    return Asked(
        system=(
            *_texts(body.get("system")),
            *(text for one in messages if one["role"] == "system" for text in _texts(one["content"])),
        ),
        turns=tuple(_anthropic_turn(one) for one in messages if one["role"] != "system"),
        tools=tuple(
            Tool(one["name"], one.get("description") or "", one["input_schema"])
            for one in body.get("tools") or ()
            if one.get("type") in {None, "custom"}
        ),
        choice=choice.get("name") or {"any": "required"}.get(choice.get("type", ""), choice.get("type", "")),
        max_tokens=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        stop=tuple(body.get("stop_sequences") or ()),
        thinks=thinking["type"] != "disabled" if thinking else None,
        effort=output.get("effort") or "",
        schema=(output.get("format") or body.get("output_format") or {}).get("schema"),
    )  # fmt: skip


def _anthropic_turn(message: Json) -> Turn:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return Turn(message["role"], tuple(item for block in blocks for item in _anthropic_block(block)))


def _anthropic_block(block: Json) -> Iterator[Item]:
    match block["type"]:
        case "text":
            yield Item("text", block["text"])
        case "thinking":
            yield Item("thinking", block["thinking"], seal=block["signature"])
        case "redacted_thinking":
            yield Item("thinking", seal=block["data"])
        case "tool_use":
            yield Item("call", block["name"], block["id"], arguments=block["input"])
        case "image" | "document" as kind:
            source = block["source"]
            data = source.get("data") or source.get("url") or ""
            plain = source["type"] == "text"
            data = base64.b64encode(data.encode()).decode() if plain else data
            yield Item(kind, name=block.get("title") or "", media_type=source.get("media_type", ""), data=data)
        case "tool_result":
            inner = block.get("content") or ()
            parts = inner if isinstance(inner, list) else []
            found = "".join(text for part in parts if part["type"] == "search_result" for text in _texts(part["content"]))
            text = "".join(_texts(inner)) + found
            yield Item("result", text, block["tool_use_id"], failed=bool(block.get("is_error")))
            yield from (item for part in parts if part["type"] != "text" for item in _anthropic_block(part))


# Gemini ------------------------------------------------------------------------------------------------------------------


def _camel(value: Any, *, fields: bool = True) -> Any:
    """Google takes its fields in either spelling; what stands in a schema, in arguments or in a result is no field."""
    if isinstance(value, list):
        return [_camel(inner, fields=fields) for inner in value]
    if not isinstance(value, dict) or not fields:
        return value
    pairs = ((re.sub(r"_([a-z])", lambda found: found[1].upper(), name), inner) for name, inner in value.items())
    return {name: _camel(inner, fields=name not in _OPAQUE) for name, inner in pairs}


_OPAQUE = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}


def _gemini(body: Json) -> Asked:
    body = _camel(body)
    config, system = body.get("generationConfig") or {}, body.get("systemInstruction") or {}
    parts = system.get("parts") or () if isinstance(system, dict) else [{"text": system}]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed, mode = calling.get("allowedFunctionNames") or [], (calling.get("mode") or "").upper()
    thinking = config.get("thinkingConfig") or {}
    tools = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    return Asked(
        system=tuple(part["text"] for part in ([parts] if isinstance(parts, dict) else parts)),
        turns=tuple(_gemini_turn(one) for one in body["contents"]),
        tools=tuple(
            Tool(one["name"], one.get("description") or "", one.get("parametersJsonSchema") or one.get("parameters") or {})
            for one in tools
        ),
        choice=allowed[0] if len(allowed) == 1 else {"AUTO": "auto", "ANY": "required", "NONE": "none"}.get(mode, ""),
        max_tokens=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=config.get("topK"),
        seed=config.get("seed"),
        stop=tuple(config.get("stopSequences") or ()),
        thinks=_gemini_thinks(thinking),
        effort=(thinking.get("thinkingLevel") or "").lower(),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        json=config.get("responseMimeType") == "application/json" and not _has_schema(config),
    )


def _gemini_thinks(thinking: Json) -> bool | None:
    if "thinkingBudget" in thinking:
        return bool(thinking["thinkingBudget"] != 0)
    return True if thinking.get("thinkingLevel") or thinking.get("includeThoughts") else None


def _has_schema(config: Json) -> bool:
    return "responseJsonSchema" in config or "responseSchema" in config


def _gemini_turn(content: Json) -> Turn:
    items: list[Item] = []
    for part in content["parts"]:
        items += _gemini_part(part, part.get("thoughtSignature") or "")
    return Turn("assistant" if content.get("role") == "model" else "user", tuple(items))


def _gemini_part(part: Json, seal: str) -> Iterator[Item]:
    if "text" in part:
        yield Item("thinking" if part.get("thought") else "text", part["text"], seal=seal)
    if call := part.get("functionCall"):
        yield Item("call", call["name"], call.get("id") or "", arguments=call.get("args") or {}, seal=seal)
    if result := part.get("functionResponse"):
        told = result["response"]
        text = next((told[name] for name in ("output", "error") if list(told) == [name]), told)
        yield Item("result", _spelled(text), result.get("id") or "", result["name"], failed=list(told) == ["error"])
        yield from (item for inner in result.get("parts") or () for item in _gemini_part(inner, ""))
    for name, place in (("inlineData", "data"), ("fileData", "fileUri")):
        if held := part.get(name):
            media_type = held.get("mimeType", "")
            data = held[place] if "://" in held[place] else held[place].replace("-", "+").replace("_", "/")  # either alphabet
            yield Item(
                "document" if media_type and not media_type.startswith("image/") else "image", media_type=media_type, data=data
            )


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Ollama ------------------------------------------------------------------------------------------------------------------


def _ollama(body: Json) -> Asked:
    options, form, think = body.get("options") or {}, body.get("format"), body.get("think")
    messages = body.get("messages") or [{"role": "user", "content": body.get("prompt") or "", "images": body.get("images")}]
    stop = options.get("stop") or ()
    tools = [tool["function"] for tool in body.get("tools") or ()]
    first = (body["system"],) if body.get("system") else ()
    return Asked(
        system=(*first, *(one["content"] for one in messages if one["role"] in _LEADS)),
        turns=tuple(_ollama_turn(one) for one in messages if one["role"] not in _LEADS),
        tools=tuple(Tool(one["name"], one.get("description") or "", one.get("parameters") or {}) for one in tools),
        max_tokens=options.get("num_predict"),
        temperature=options.get("temperature"),
        top_p=options.get("top_p"),
        top_k=options.get("top_k"),
        seed=options.get("seed"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        thinks=None if think is None else bool(think),
        effort=think if isinstance(think, str) else "",
        schema=form if isinstance(form, dict) else None,
        json=form == "json",
    )


def _ollama_turn(message: Json) -> Turn:
    text, items = message.get("content") or "", []
    if message["role"] == "tool":
        return Turn("user", (Item("result", text, message.get("tool_call_id") or "", message.get("tool_name") or ""),))
    if message.get("thinking"):
        items.append(Item("thinking", message["thinking"]))
    items += [Item("image", data=data) for data in message.get("images") or ()]
    items += [Item("text", text)] if text else []
    for call in message.get("tool_calls") or ():
        told = call["function"]
        items.append(Item("call", told["name"], call.get("id") or "", arguments=told.get("arguments") or {}))
    return Turn("assistant" if message["role"] == "assistant" else "user", tuple(items))


# Responses ---------------------------------------------------------------------------------------------------------------


def _responses(body: Json) -> Asked:
    told = body.get("input") or ()
    items = [{"type": "message", "role": "user", "content": told}] if isinstance(told, str) else told
    choice, output = body.get("tool_choice") or "", (body.get("text") or {}).get("format") or {}
    effort = (body.get("reasoning") or {}).get("effort") or ""
    first = (body["instructions"],) if body.get("instructions") else ()
    leads = [one for one in items if one.get("role") in _LEADS]
    return Asked(
        system=(*first, *(text for one in leads for text in _texts(_typed(one["content"])))),
        turns=tuple(
            Turn(role, tuple(item for turn in same for item in turn.items))
            for role, same in groupby(
                (_responses_turn(one) for one in items if one.get("role") not in _LEADS), key=lambda turn: turn.role
            )
        ),
        tools=tuple(
            Tool(one["name"], one.get("description") or "", one.get("parameters") or {})
            for one in body.get("tools") or ()
            if one["type"] == "function"
        ),
        choice=choice.get("name", "") if isinstance(choice, dict) else choice,
        max_tokens=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        thinks=effort != "none" if effort else None,
        effort="" if effort == "none" else effort,
        schema=output.get("schema"),
        json=output.get("type") == "json_object",
    )


def _typed(content: Any) -> Any:
    """Texts under their plain name."""
    if isinstance(content, str):
        return content
    return [{**part, "type": "text"} if part["type"] in {"input_text", "output_text"} else part for part in content]


def _responses_turn(item: Json) -> Turn:
    match item.get("type", "message"):
        case "message":
            role: Literal["user", "assistant"] = "assistant" if item["role"] == "assistant" else "user"
            content = _typed(item["content"])
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            return Turn(role, tuple(found for part in parts for found in _responses_part(part)))
        case "function_call":
            call = Item("call", item["name"], item["call_id"], arguments=decoded(item["arguments"]))
            return Turn("assistant", (call,))
        case "function_call_output":
            output = _typed(item["output"])
            parts = () if isinstance(output, str) else [one for one in output if one["type"] != "text"]
            result = Item("result", "".join(_texts(output)), item["call_id"])
            return Turn("user", (result, *(found for part in parts for found in _responses_part(part))))
        case "reasoning":
            text = "".join(part["text"] for name in ("summary", "content") for part in item.get(name) or ())
            return Turn("assistant", (Item("thinking", text, seal=item.get("encrypted_content") or ""),))
        case _:
            return Turn("assistant", ())


def _responses_part(part: Json) -> Iterator[Item]:
    match part["type"]:
        case "text" if part["text"]:
            yield Item("text", part["text"])
        case "input_image":
            yield _data(part["image_url"])
        case "input_file":
            yield _data(part.get("file_data") or part.get("file_url") or "", "document")


# Converse ----------------------------------------------------------------------------------------------------------------


def _converse(body: Json) -> Asked:
    config, tools = body.get("inferenceConfig") or {}, body.get("toolConfig") or {}
    own = body.get("additionalModelRequestFields") or {}
    output = body.get("outputConfig") or {}
    thinking = own.get("thinking") or own.get("reasoning_config") or {}
    choice = next(iter((tools.get("toolChoice") or {}).items()), ("", {}))
    text = (output.get("textFormat") or {}).get("structure") or {}
    specs = [tool["toolSpec"] for tool in tools.get("tools") or () if "toolSpec" in tool]
    return Asked(
        system=tuple(block["text"] for block in body.get("system") or () if "text" in block),
        turns=tuple(
            Turn(one["role"], tuple(item for block in one["content"] for item in _converse_block(block)))
            for one in body["messages"]
        ),
        tools=tuple(Tool(one["name"], one.get("description") or "", one["inputSchema"]["json"]) for one in specs),
        choice=choice[1].get("name") or {"any": "required"}.get(choice[0], choice[0]),
        max_tokens=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=own.get("top_k"),
        stop=tuple(config.get("stopSequences") or ()),
        thinks=thinking["type"] != "disabled" if thinking else None,
        effort=output.get("effort") or "",
        schema=json.loads(text["jsonSchema"]["schema"]) if text else None,
    )


def _converse_block(block: Json) -> Iterator[Item]:
    (kind, told), *_ = ((name, inner) for name, inner in block.items() if name != "type")
    match kind:
        case "text":
            yield Item("text", told)
        case "citationsContent":
            yield Item("text", "".join(one["text"] for one in told["content"]))
        case "toolUse" if told.get("type") != "server_tool_use":
            yield Item("call", told["name"], told["toolUseId"], arguments=told["input"])
        case "toolResult" if told.get("type") is None:
            texts = [one.get("text") or _spelled(one["json"]) for one in told["content"] if "text" in one or "json" in one]
            found = [text for one in told["content"] if "searchResult" in one for text in _found(one["searchResult"])]
            yield Item("result", "".join([*texts, *found]), told["toolUseId"], failed=told.get("status") == "error")
            yield from (item for one in told["content"] if one.keys() & _MEDIA for item in _converse_block(one))
        case "image":
            yield Item("image", media_type=f"image/{told['format']}", data=told["source"]["bytes"])
        case "document":
            source, plain = told["source"], told["format"] in {"txt", "md"} or "bytes" not in told["source"]
            text = source.get("text") or "".join(one["text"] for one in source.get("content") or ())
            data = source.get("bytes") or base64.b64encode(text.encode()).decode()
            yield Item("document", media_type="text/plain" if plain else f"application/{told['format']}", data=data)
        case "reasoningContent":
            text = told.get("reasoningText") or {}
            yield Item("thinking", text.get("text", ""), seal=text.get("signature") or told.get("redactedContent") or "")


_MEDIA = {"image", "document"}


def _found(result: Json) -> tuple[str, ...]:
    return tuple(one["text"] for one in result["content"])


# Cohere ------------------------------------------------------------------------------------------------------------------


def _cohere(body: Json) -> Asked:
    messages, form, thinking = body["messages"], body.get("response_format") or {}, body.get("thinking") or {}
    tools = [tool["function"] for tool in body.get("tools") or ()]
    return Asked(
        system=tuple(text for one in messages if one["role"] in _LEADS for text in _texts(one["content"])),
        turns=tuple(_cohere_turn(one) for one in messages if one["role"] not in _LEADS),
        tools=tuple(Tool(one["name"], one.get("description") or "", one.get("parameters") or {}) for one in tools),
        choice=(body.get("tool_choice") or "").lower(),
        max_tokens=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("p"),
        top_k=body.get("k"),
        seed=body.get("seed"),
        stop=tuple(body.get("stop_sequences") or ()),
        thinks=thinking["type"] != "disabled" if thinking else None,
        schema=form.get("json_schema"),
        json=form.get("type") == "json_object" and "json_schema" not in form,
    )


def _cohere_turn(message: Json) -> Turn:
    content = message.get("content") or ()
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] == "tool":
        data = [part["document"]["data"] for part in parts if part["type"] == "document"]
        text = "".join([*_texts(parts), *(one.get("text") or _spelled(one) for one in data)])
        return Turn("user", (Item("result", text, message["tool_call_id"]),))
    items = [Item("thinking", part["thinking"]) for part in parts if part["type"] == "thinking"]
    items += [Item("thinking", message["tool_plan"])] if message.get("tool_plan") else []
    items += [item for part in parts for item in _openai_part(part)]
    for call in message.get("tool_calls") or ():
        told = call["function"]
        items.append(Item("call", told["name"], call["id"], arguments=decoded(told.get("arguments", ""))))
    return Turn("assistant" if message["role"] == "assistant" else "user", tuple(items))


_READERS: dict[str, Callable[[Json], Asked]] = {
    "openai.chat": _openai,
    "anthropic.messages": _anthropic,
    "gemini": _gemini,
    "ollama.chat": _ollama,
    "ollama.generate": _ollama,
    "openai.responses": _responses,
    "bedrock": _converse,
    "cohere.chat": _cohere,
}
