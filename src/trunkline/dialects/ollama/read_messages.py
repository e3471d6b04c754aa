"""A client's history into canon, and the one question of the generate form.

Ollama's calls had no ids before 2026, and its Python client still drops them; so they are made from their places, the same
for the same history, and results find their calls by id, else by name and order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from trunkline.canon.chat import Media, Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects.arguments import text_of
from trunkline.dialects.names import made_id
from trunkline.dialects.ollama.image import picture
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def read_messages(top: Taken) -> tuple[Message, ...]:
    """The messages of the chat form; the results of one turn become one message."""
    waiting = _Waiting([])
    found: list[Message] = []
    for number, value in enumerate(top.items("messages")):
        message = _message(Taken(value, f"messages[{number}]"), number, waiting)
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            waiting = _Waiting(calls)
        found.append(message)
    return tuple(_joined(found))


def _joined(messages: list[Message]) -> Iterator[Message]:
    """The messages, with the results that follow one another in one."""
    for role, turn in groupby(messages, key=lambda message: message.role):
        if role == "tool":
            yield Message("tool", tuple(part for message in turn for part in message.parts))
        else:
            yield from turn


class _Waiting:
    """The calls of a turn that have no result yet."""

    def __init__(self, calls: list[ToolCall]) -> None:
        self._calls = calls
        self._answered: set[int] = set()
        self._all = deque(range(len(calls)))
        self._by_id: dict[str, deque[int]] = {}
        self._by_name: dict[str, deque[int]] = {}
        for at, call in enumerate(calls):
            self._by_id.setdefault(call.id, deque()).append(at)
            self._by_name.setdefault(call.name, deque()).append(at)

    def take(self, call_id: str, name: str) -> ToolCall | None:
        """The call that a result answers: the one of its id; else the first unanswered of its name; else the first."""
        for queue in (self._by_id.get(call_id), self._by_name.get(name) if name else self._all):
            while queue:
                at = queue.popleft()
                if at not in self._answered:
                    self._answered.add(at)
                    return self._calls[at]
        return None


def read_prompt(top: Taken) -> tuple[Message, ...]:
    """The question of the generate form. An empty prompt asks for the model to be loaded, and nothing of it."""
    system, prompt, pictures = top.text("system"), top.text("prompt"), _pictures(top)
    if not prompt:
        return ()
    question = Message("user", (*pictures, Text(prompt)))
    return (Message("system", (Text(system),)), question) if system else (question,)


def _message(taken: Taken, number: int, waiting: _Waiting) -> Message:
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
        arguments=text_of(arguments or {}),
        vendor=beside(taken, inner),
    )


def _result(taken: Taken, number: int, waiting: _Waiting) -> ToolResult:
    call_id, name, content, pictures = (
        taken.text("tool_call_id"),
        taken.text("tool_name"),
        taken.text("content"),
        _pictures(taken),
    )
    call = waiting.take(call_id, name)
    if call is not None:
        call_id, name = call.id, call.name
    parts = (*((Text(content),) if content else ()), *pictures)
    return ToolResult(call_id or made_id(str(number), 0), name, parts, vendor=taken.left())


def beside(outer: Taken, inner: Taken) -> dict[str, Any]:
    """What is left of an object and of the `function` in it, as `vendor` names it."""
    return {**outer.left(), **{f"function.{name}": value for name, value in inner.left().items()}}
