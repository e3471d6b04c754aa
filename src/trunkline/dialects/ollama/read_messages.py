"""A client's history into canon, and the one question of the generate form.

Ollama's calls had no ids before 2026, and its Python client still drops them; so they are made from their places, the same
for the same history, and results find their calls by id, else by name and order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Media, Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects.names import made_id
from trunkline.dialects.ollama.call import as_text
from trunkline.dialects.ollama.image import picture
from trunkline.dialects.ollama.request import bad
from trunkline.dialects.ollama.taken import Taken

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def read_messages(top: Taken) -> tuple[Message, ...]:
    """The messages of the chat form; the results of one turn become one message."""
    waiting: list[ToolCall] = []
    found: list[Message] = []
    for number, value in enumerate(top.items("messages")):
        message = _message(Taken(value, f"messages[{number}]"), number, waiting)
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            waiting = calls
        if message.role == "tool" and found and found[-1].role == "tool":
            found[-1] = msgspec.structs.replace(found[-1], parts=found[-1].parts + message.parts)
        else:
            found.append(message)
    return tuple(found)


def read_prompt(top: Taken) -> tuple[Message, ...]:
    """The question of the generate form. An empty prompt asks for the model to be loaded, and nothing of it."""
    system, prompt, pictures = top.text("system"), top.text("prompt"), _pictures(top)
    if not prompt:
        return ()
    question = Message("user", (*pictures, Text(prompt)))
    return (Message("system", (Text(system),)), question) if system else (question,)


def _message(taken: Taken, number: int, waiting: list[ToolCall]) -> Message:
    role = _ROLES.get(taken.text("role"))
    if role is None:
        raise bad(taken.place("role"), f"must be one of {', '.join(_ROLES)}")
    if role == "tool":
        return Message(role, (_result(taken, number, waiting),))
    thinking, content, pictures = taken.text("thinking"), taken.text("content"), _pictures(taken)
    parts: tuple[Part, ...] = (
        *((Thinking(thinking),) if thinking else ()),
        *pictures,
        *((Text(content),) if content else ()),
        *_calls(taken, number),
    )
    return Message(role, parts, vendor=taken.left())


def _pictures(taken: Taken) -> tuple[Media, ...]:
    found = []
    for number, encoded in enumerate(taken.texts("images")):
        try:
            found.append(picture(encoded))
        except ValueError:
            raise bad(f"{taken.place('images')}[{number}]", "must be a picture in base64") from None
    return tuple(found)


def _calls(taken: Taken, number: int) -> list[ToolCall]:
    place = taken.place("tool_calls")
    return [_call(Taken(value, f"{place}[{at}]"), number, at) for at, value in enumerate(taken.items("tool_calls"))]


def _call(taken: Taken, number: int, at: int) -> ToolCall:
    inner = Taken(taken.any("function"), taken.place("function"))
    name, arguments = inner.text("name"), inner.any("arguments")
    inner.any("index")  # its place says the same
    taken.any("type")
    if not name:
        raise bad(inner.place("name"), "is required")
    if arguments is not None and not isinstance(arguments, dict):
        raise bad(inner.place("arguments"), "must be an object")
    return ToolCall(
        id=taken.text("id") or made_id(str(number), at),
        name=name,
        arguments=as_text(arguments or {}),
        vendor=beside(taken, inner),
    )


def _result(taken: Taken, number: int, waiting: list[ToolCall]) -> ToolResult:
    call_id, name, content, pictures = (
        taken.text("tool_call_id"),
        taken.text("tool_name"),
        taken.text("content"),
        _pictures(taken),
    )
    call = _asked(call_id, name, waiting)
    if call is not None:
        waiting.remove(call)
        call_id, name = call.id, call.name
    parts = (*((Text(content),) if content else ()), *pictures)
    return ToolResult(call_id or made_id(str(number), 0), name, parts, vendor=taken.left())


def _asked(call_id: str, name: str, waiting: list[ToolCall]) -> ToolCall | None:
    """The call that a result answers: the one of its id; else the first unanswered of its name; else the first."""
    by_id = (call for call in waiting if call.id == call_id)
    by_name = (call for call in waiting if not name or call.name == name)
    return next(by_id, None) or next(by_name, None)


def beside(outer: Taken, inner: Taken) -> dict[str, Any]:
    """What is left of an object and of the `function` in it, as `vendor` names it."""
    return {**outer.left(), **{f"function.{name}": value for name, value in inner.left().items()}}
