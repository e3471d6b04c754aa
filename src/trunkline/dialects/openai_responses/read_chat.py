"""A client's whole request read into canon. What its items, tools and parameters say belongs in their own files."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Message, Other, Text, Tool
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.read_items import read_items
from trunkline.dialects.openai_responses.read_settings import read_settings
from trunkline.dialects.openai_responses.read_tools import read_choice, read_tools
from trunkline.dialects.openai_responses.words import ADDED, NAME
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

#: What names a thing that a provider of this API keeps, and what the client can do without it.
_KEPT = {
    "previous_response_id": "send the whole history in 'input'",
    "conversation": "send the whole history in 'input'",
    "prompt": "send its text in 'instructions' and 'input'",
    "background": "ask without it, with 'stream' for a long answer",
}
_NOTHING = frozenset({b"null", b"false"})
_ADDED = ADDED.encode("ascii")
_CARRIED = frozenset({"model", "stream"})


def refers(ask: Ask) -> bool:
    """It names a thing that its provider keeps."""
    return any(bytes(ask.fields.get(name, b"null")) not in _NOTHING for name in _KEPT)


def read_chat(ask: Ask) -> Chat:
    """The whole request. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    told = Taken({name: _decoded(raw, name) for name, raw in ask.fields.items() if name not in _CARRIED}, "")
    for name, instead in _KEPT.items():
        if told.any(name):
            raise bad(
                name,
                f"is for providers that speak the Responses API, and this model's does not: {instead}",
                "unsupported_parameter",
            )
    items = _items(told)
    tools = _offered(told, items)
    offered = Offered(tools)
    instructions = told.text("instructions")
    first = [Message("system", (Text(instructions),))] if instructions else []
    chat = Chat(
        dialect=NAME,
        model=ask.model,
        messages=(*first, *read_items(items, offered)),
        stream=ask.stream,
        tools=tuple(tools),
        tool_choice=read_choice(told.any("tool_choice"), offered),
        parallel_tools=told.flag("parallel_tool_calls"),
        max_tokens=told.whole("max_output_tokens"),
    )
    return read_settings(chat, told)


def read_offered(ask: Ask) -> Offered:
    """The tools of a request, for its answer; none where they cannot be read, which is no fault of the answer's."""
    raws = {name: ask.fields[name] for name in ("input", "tools") if name in ask.fields}
    if _ADDED not in bytes(raws.get("input", b"")):
        raws.pop("input", None)
    try:
        told = Taken({name: _decoded(raw, name) for name, raw in raws.items()}, "")
        return Offered(_offered(told, _items(told)))
    except GatewayError:
        return Offered(())


def _items(told: Taken) -> list[Any]:
    spoken = told.any("input")
    if isinstance(spoken, str):
        return [{"type": "message", "role": "user", "content": spoken}]
    if spoken is not None and not isinstance(spoken, list):
        raise bad("input", "must be a string or an array")
    return spoken or []


def _offered(told: Taken, items: list[Any]) -> list[Tool | Other]:
    """The request's tools, and those that items of its input add."""
    tools = read_tools(told.items("tools"), "tools")
    for at, one in enumerate(items):
        if isinstance(one, dict) and one.get("type") == ADDED:
            tools += read_tools(Taken(one, f"input[{at}]").items("tools"), f"input[{at}].tools", added=True)
    return tools


def _decoded(raw: msgspec.Raw, name: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise bad(name, f"cannot be read: {error}") from None
