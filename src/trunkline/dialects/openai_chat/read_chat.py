"""A client's whole request read into canon: its messages. Its parameters are read in `read_options`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any

import msgspec

from trunkline.canon.chat import (
    Chat,
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Role,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.dialects.dialect import Ask
from trunkline.dialects.names import made_id
from trunkline.dialects.openai_chat.details import NAME, read_extra, read_thinking
from trunkline.dialects.openai_chat.read_options import listed, optional, read_cache, read_options, rest_of, struct, text
from trunkline.dialects.openai_shape.content import audio_type, file_kind, from_url, link, split_data_url
from trunkline.dialects.shallow import bad

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_COMMON = frozenset({"role", "content", "name"})
_ASSISTANT = _COMMON | {
    "refusal", "tool_calls", "function_call", "reasoning_content", "reasoning", "reasoning_details", "extra_content",
}  # fmt: skip
_RESULT = _COMMON | {"tool_call_id"}
_CALL = frozenset({"id", "type", "function", "custom", "index", "extra_content"})
_PART = frozenset({"type", "cache_control", "prompt_cache_breakpoint"})


def read_chat(ask: Ask) -> Chat:
    """The whole request. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    fields = {name: _decoded(raw, name) for name, raw in ask.fields.items()}
    messages: list[Message] = []
    for results, run in groupby(_messages(fields["messages"]), key=lambda message: message.role == "tool"):
        if results:  # of one turn: one message
            messages.append(Message("tool", tuple(chain.from_iterable(message.parts for message in run))))
        else:
            messages += run
    return read_options(ask, fields, tuple(messages))


def _decoded(raw: msgspec.Raw, name: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise bad(name, f"cannot be read: {error}") from None


def _messages(told: object) -> Iterator[Message]:
    called: dict[str, str] = {}
    for at, one in enumerate(listed(told, "messages")):
        message = _message(struct(one, f"messages[{at}]"), f"messages[{at}]", called)
        called |= {part.name: part.id for part in reversed(message.parts) if isinstance(part, ToolCall)}
        yield message


def _message(one: dict[str, Any], path: str, called: Mapping[str, str]) -> Message:
    """`called`: the last call of each tool so far, for results of the old form, which name only that."""
    role = _ROLES.get(text(one.get("role"), f"{path}.role"))
    if role is None:
        raise bad(f"{path}.role", "must be system, developer, user, assistant, tool or function")
    name = text(one.get("name"), f"{path}.name") if one.get("name") is not None else ""
    if role == "tool":
        return Message("tool", (_result(one, path, name, called),))
    if role == "assistant":
        return Message(role, _assistant(one, path), name, rest_of(one, _ASSISTANT))
    return Message(role, _content(one.get("content"), f"{path}.content"), name, rest_of(one, _COMMON))


def _assistant(one: dict[str, Any], path: str) -> tuple[Part, ...]:
    content = one.get("content")
    _check_thinking(one, path)
    parts = [*read_thinking(one), *(() if content is None else _content(content, f"{path}.content"))]
    if one.get("refusal") is not None:
        parts.append(Refusal(text(one["refusal"], f"{path}.refusal")))
    calls = listed(one.get("tool_calls") or [], f"{path}.tool_calls")
    found = [_call(struct(call, f"{path}.tool_calls[{at}]"), f"{path}.tool_calls[{at}]") for at, call in enumerate(calls)]
    old = one.get("function_call")
    if old is not None:
        told = {"id": _function_id(path), "function": old}
        found.append(_call(told, path, "function_call"))
    seal = read_extra(one.get("extra_content"))
    return _with_seal([*parts, *found], seal) if seal is not None else (*parts, *found)


def _check_thinking(one: dict[str, Any], path: str) -> None:
    """What it was thought in must be as it is read: a state that is left out here would be missed only much later."""
    optional(one, ("reasoning_content", "reasoning"), path)
    told = one.get("reasoning_details")
    for at, entry in enumerate([] if told is None else listed(told, f"{path}.reasoning_details")):
        place = f"{path}.reasoning_details[{at}]"
        optional(struct(entry, place), ("type", "text", "summary", "data", "signature", "format", "id"), place)


def _with_seal(parts: list[Part], seal: Seal) -> tuple[Part, ...]:
    """The state of the message on its last text, or else on its first call, or else on an empty text."""
    texts = [at for at, part in enumerate(parts) if isinstance(part, Text) and part.text]
    calls = [at for at, part in enumerate(parts) if isinstance(part, ToolCall) and part.seal is None]
    at = texts[-1] if texts else calls[0] if calls else None
    if at is None:
        return (*parts, Text("", seal))
    parts[at] = msgspec.structs.replace(parts[at], seal=seal)
    return tuple(parts)


def _call(call: dict[str, Any], path: str, place: str = "function") -> ToolCall:
    custom = call.get("type") == "custom"
    place = "custom" if custom else place
    function = struct(call.get(place if custom else "function"), f"{path}.{place}")
    told = function.get("input" if custom else "arguments")
    if custom:
        arguments = msgspec.json.encode({"input": told}).decode()
    elif isinstance(told, dict):
        arguments = msgspec.json.encode(told).decode()
    else:
        arguments = "{}" if told is None or told == "" else text(told, f"{path}.{place}.arguments")
    return ToolCall(
        id=text(call.get("id"), f"{path}.id"),
        name=text(function.get("name"), f"{path}.{place}.name"),
        arguments=arguments,
        seal=read_extra(call.get("extra_content")),
        vendor={**rest_of(call, _CALL), **({"type": "custom"} if custom else {})},
    )


def _result(one: dict[str, Any], path: str, name: str, called: Mapping[str, str]) -> ToolResult:
    if one["role"] == "function":
        ident = called.get(name) or _function_id(path)
    else:
        ident = text(one.get("tool_call_id"), f"{path}.tool_call_id")
    parts = _content(one.get("content"), f"{path}.content")
    fitting = tuple(part for part in parts if isinstance(part, Text | Media | Other))
    return ToolResult(ident, name, fitting, vendor=rest_of(one, _RESULT))


def _function_id(path: str) -> str:
    """An id for a call of the old form, which has none: by its message's place, the same in every turn."""
    return made_id("function", int(path[path.index("[") + 1 : -1]))


def _content(content: object, path: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    if not isinstance(content, list):
        raise bad(path, "must be a string or an array of parts")
    return tuple(_part(struct(one, f"{path}[{at}]"), f"{path}[{at}]") for at, one in enumerate(content))


def _part(one: dict[str, Any], path: str) -> Part:
    kind = one.get("type")
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise bad(f"{path}.type", "is not a kind of content that is known")
    return read(one, path)


def _text_part(one: dict[str, Any], path: str) -> Text:
    return Text(text(one.get("text"), f"{path}.text"), cache=read_cache(one, path), vendor=rest_of(one, _PART | {"text"}))


def _refusal_part(one: dict[str, Any], path: str) -> Refusal:
    return Refusal(text(one.get("refusal"), f"{path}.refusal"))


def _thinking_part(one: dict[str, Any], path: str) -> Thinking:
    """Mistral's."""
    told = one.get("thinking")
    pieces = [{"text": told}] if isinstance(told, str) else listed(told, f"{path}.thinking")
    words = [piece.get("text") for piece in pieces if isinstance(piece, dict)]
    signature = one.get("signature")
    return Thinking(
        "".join(word for word in words if isinstance(word, str)),
        Seal(NAME, signature) if isinstance(signature, str) and signature else None,
        vendor=rest_of(one, _PART | {"thinking", "signature"}),
    )


def _image_part(one: dict[str, Any], path: str) -> Media:
    told = one.get("image_url")
    inner = {"url": told} if isinstance(told, str) else struct(told, f"{path}.image_url")
    vendor = {**rest_of(one, _PART | {"image_url"}), **_nested(inner, "image_url", {"url", "detail"})}
    detail = text(inner["detail"], f"{path}.image_url.detail") if inner.get("detail") is not None else ""
    return from_url("image", _url(inner, f"{path}.image_url.url"), detail=detail, cache=read_cache(one, path), vendor=vendor)


def _video_part(one: dict[str, Any], path: str) -> Media:
    """OpenRouter's, vLLM's and Moonshot's."""
    told = one.get("video_url")
    inner = {"url": told} if isinstance(told, str) else struct(told, f"{path}.video_url")
    return from_url(
        "video", _url(inner, f"{path}.video_url.url"), cache=read_cache(one, path), vendor=rest_of(one, _PART | {"video_url"})
    )


def _audio_part(one: dict[str, Any], path: str) -> Media:
    told = struct(one.get("input_audio"), f"{path}.input_audio")
    data = text(told.get("data"), f"{path}.input_audio.data")
    media_type = audio_type(text(told.get("format"), f"{path}.input_audio.format"))
    inside = split_data_url(data)
    vendor = rest_of(one, _PART | {"input_audio"})
    return Media("audio", media_type, data=inside[1] if inside else data, cache=read_cache(one, path), vendor=vendor)


def _file_part(one: dict[str, Any], path: str) -> Media:
    told = struct(one.get("file"), f"{path}.file")
    name = text(told["filename"], f"{path}.file.filename") if told.get("filename") is not None else ""
    vendor = {**rest_of(one, _PART | {"file"}), **_nested(told, "file", {"filename", "file_data", "file_id"})}
    if told.get("file_id"):
        ident = text(told["file_id"], f"{path}.file.file_id")
        return Media("document", file_id=ident, name=name, cache=read_cache(one, path), vendor=vendor)
    data = text(told.get("file_data"), f"{path}.file.file_data")
    inside = split_data_url(data)
    if inside is not None:
        return Media(file_kind(inside[0]), inside[0], data=inside[1], name=name, cache=read_cache(one, path), vendor=vendor)
    url = link(data)
    if url is not None:  # OpenRouter takes them
        return Media("document", url=url, name=name, cache=read_cache(one, path), vendor=vendor)
    media_type = "application/pdf" if name.lower().endswith(".pdf") or not name else ""
    return Media("document", media_type, data=data, name=name, cache=read_cache(one, path), vendor=vendor)


_PARTS: Mapping[str, Callable[[dict[str, Any], str], Part]] = {
    "text": _text_part,
    "refusal": _refusal_part,
    "thinking": _thinking_part,
    "image_url": _image_part,
    "video_url": _video_part,
    "input_audio": _audio_part,
    "file": _file_part,
}


def _url(inner: dict[str, Any], path: str) -> str:
    told = text(inner.get("url"), path)
    url = told if told[:5].lower() == "data:" else link(told)
    if url is None:
        raise bad(path, "must be a data URL or a link")
    return url


def _nested(inner: dict[str, Any], name: str, known: set[str]) -> Json:
    """What stands beside the known fields of a part's own object."""
    left = {key: value for key, value in inner.items() if key not in known and value is not None}
    return {name: left} if left else {}
