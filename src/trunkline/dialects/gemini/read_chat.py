"""A client's request, read whole: into canon, or refused with the path of the field that is wrong."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Chat, Message
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.dialects.gemini.read_contents import ContentReader
from trunkline.dialects.gemini.read_parts import read_part
from trunkline.dialects.gemini.read_settings import HINTS, NEEDED, read_generation, read_tool_config, read_tools
from trunkline.dialects.gemini.words import COUNT, NAME
from trunkline.dialects.google_shape.fields import Fields
from trunkline.dialects.shallow import bad


def read_chat(ask: Ask) -> Chat:
    """The request. A question for a count holds it in `generateContentRequest`, or is it itself."""
    try:
        return _read(ask, {name: msgspec.json.decode(raw) for name, raw in ask.fields.items()})
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError as error:
        reason = f"is not valid JSON: {error}"
    raise GatewayError(Kind.BAD_REQUEST, f"The request body {reason}.", code="invalid_json")


def _read(ask: Ask, told: dict[str, Any]) -> Chat:
    fields = Fields(told, "")
    if ask.form == COUNT:
        fields = fields.fields("generateContentRequest") or fields
    fields.any("model")  # the path has told it
    system, contents = fields.any("systemInstruction"), fields.items("contents")
    tools = read_tools(fields.items("tools"))
    choice, of_tools = read_tool_config(fields.fields("toolConfig"))
    asked, of_generation = read_generation(fields.fields("generationConfig"))
    vendor: dict[str, Any] = {**fields.left(), **of_tools, **of_generation}
    reader = ContentReader()
    for at, content in enumerate(contents):
        reader.read(content, f"contents[{at}]")
    return Chat(
        dialect=NAME,
        model=ask.model,
        messages=(*_system(system), *reader.messages()),
        stream=ask.stream,
        tools=tools,
        tool_choice=choice,
        vendor=vendor or NOTHING,
        needed=NEEDED,
        hints=HINTS,
        **asked,
    )


def _system(value: Any) -> list[Message]:
    """The instruction: a content, whose role means nothing, or a text."""
    if value is None:
        return []
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    content = Fields(value, "systemInstruction")
    found = enumerate(content.items("parts"))
    parts = tuple(read_part(one, f"systemInstruction.parts[{at}]", _no_calls) for at, one in found)
    return [Message("system", parts)] if parts else []


def _no_calls() -> str:
    raise bad("systemInstruction", "must not call functions")
