"""The items of a client's `input`, read into canon's messages.

What a model said and called, item by item, is one message until somebody else speaks; so are the results of its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Json, Media, Message, Other, Part, Role, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects import state
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.read_content import read_content
from trunkline.dialects.openai_responses.read_tools import required
from trunkline.dialects.openai_responses.words import ADDED, CUSTOM_CALL, CUSTOM_OUTPUT, NAME, NAMESPACE, custom_arguments
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

_ROLES: Mapping[str, Role] = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant"}
#: Items that stand for what was said before: a model without them would be asked another question.
_STANDING = frozenset({"compaction", "compaction_summary", "context_compaction"})


def read_items(told: list[Any], offered: Offered) -> list[Message]:
    """The messages. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    return _Conversation(offered).read(told)


class _Conversation:
    """Reads one `input`."""

    def __init__(self, offered: Offered) -> None:
        self._offered = offered
        self._messages: list[Message] = []
        self._role: Role | None = None
        self._parts: list[Part] = []
        """Of the message that is not whole yet, and its role."""
        self._next: Seal | None = None

    def read(self, told: list[Any]) -> list[Message]:
        for at, one in enumerate(told):
            self._item(one, f"input[{at}]")
        self._flush()
        return self._messages

    def _item(self, one: Any, path: str) -> None:
        item = Taken(one, path)
        kind = item.text("type") or ("message" if "role" in one else "item_reference")
        if kind == "item_reference":
            raise bad(path, "is for providers that speak the Responses API, and this model's does not: send the item itself")
        read = _READERS.get(kind)
        if read is not None:
            read(self, item)
        elif kind in _STANDING:
            self._whole(Message("user", (Other(NAME, one),)))
        elif kind != ADDED:
            self._say(Other(NAME, one))

    def message(self, item: Taken) -> None:
        """Somebody speaks."""
        role = _ROLES.get(item.text("role"))
        if role is None:
            raise bad(item.place("role"), "must be system, developer, user or assistant")
        content = item.any("content")
        if content is None:
            raise bad(item.place("content"), "is required", "missing_required_parameter")
        place = item.place("content")
        if role == "assistant":
            self._say(*read_content(content, place, item.left()))
        else:
            self._whole(Message(role, read_content(content, place), vendor=item.left()))

    def call(self, item: Taken) -> None:
        """A function is called."""
        ident, name, space = required(item, "call_id"), required(item, "name"), item.text(NAMESPACE)
        arguments = item.text("arguments") or "{}"
        self._call(ident, name, space, arguments, item.left())

    def custom_call(self, item: Taken) -> None:
        """A tool is given a text."""
        ident, name, space = required(item, "call_id"), required(item, "name"), item.text(NAMESPACE)
        arguments = custom_arguments(item.text("input"))
        self._call(ident, name, space, arguments, {"type": CUSTOM_CALL, **item.left()})

    def result(self, item: Taken) -> None:
        """What a function answered."""
        self._result(item, {})

    def custom_result(self, item: Taken) -> None:
        """What a tool answered that was given a text."""
        self._result(item, {"type": CUSTOM_OUTPUT})

    def reasoning(self, item: Taken) -> None:
        """What the model thought. State of another family is wrapped, and may be that of what stands beside it."""
        summary, content = item.items("summary"), item.items("content")
        text = "\n\n".join(_texts(summary, item.place("summary"))) or "".join(_texts(content, item.place("content")))
        slot = item.text("encrypted_content")
        found = state.unwrap(slot)
        if found is None:
            plain = slot and not content and summary == [{"type": "summary_text", "text": text}]
            beside = {"summary": () if plain else summary, "content": content, **item.left()}
            vendor = {name: value for name, value in beside.items() if value} or NOTHING
            self._say(Thinking(text, Seal(NAME, slot) if slot else None, redacted=bool(slot) and not text, vendor=vendor))
        elif found[1] == "own":
            seal = found[0] if found[0].data else None
            self._say(Thinking(text, seal, redacted=seal is not None and not text))
        else:
            self._carried(*found)

    def _carried(self, seal: Seal, place: state.Place) -> None:
        if place == "next":
            self._next = seal
        elif place == "empty":
            self._say(Text("", seal))
        elif self._role == "assistant" and isinstance(last := self._parts[-1], Text | ToolCall):
            self._parts[-1] = msgspec.structs.replace(last, seal=seal)

    def _call(self, ident: str, name: str, space: str, arguments: str, vendor: Json) -> None:
        vendor = {**({NAMESPACE: space} if space else {}), **vendor}
        self._say(ToolCall(ident, self._offered.whole(space, name), arguments, vendor=vendor or NOTHING))

    def _result(self, item: Taken, vendor: Json) -> None:
        ident, output = required(item, "call_id"), item.any("output")
        parts = read_content("" if output is None else output, item.place("output"))
        fitting = tuple(part for part in parts if isinstance(part, Text | Media | Other))
        result = ToolResult(ident, "", fitting, vendor={**vendor, **item.left()} or NOTHING)
        self._append("tool", (result,))

    def _say(self, *parts: Part) -> None:
        """The model's own. State that was carried beside them is the first's."""
        if self._next is not None and parts and isinstance(first := parts[0], Text | ToolCall):
            parts = (msgspec.structs.replace(first, seal=self._next), *parts[1:])
        if parts:
            self._next = None
            self._append("assistant", parts)

    def _append(self, role: Role, parts: tuple[Part, ...]) -> None:
        if self._role != role:
            self._flush()
            self._role = role
        self._parts += parts

    def _whole(self, message: Message) -> None:
        self._flush()
        self._messages.append(message)

    def _flush(self) -> None:
        if self._role is not None:
            self._messages.append(Message(self._role, tuple(self._parts)))
        self._role, self._parts = None, []


_READERS: Mapping[str, Callable[[_Conversation, Taken], None]] = {
    "message": _Conversation.message,
    "function_call": _Conversation.call,
    "function_call_output": _Conversation.result,
    CUSTOM_CALL: _Conversation.custom_call,
    CUSTOM_OUTPUT: _Conversation.custom_result,
    "reasoning": _Conversation.reasoning,
}


def _texts(told: list[Any], path: str) -> list[str]:
    """The texts of a reasoning item's summary or content."""
    return [Taken(one, f"{path}[{at}]").text("text") for at, one in enumerate(told)]
