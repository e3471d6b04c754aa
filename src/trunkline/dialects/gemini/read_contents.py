"""The conversation of a request, read: contents into messages, results matched with the calls they answer."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.canon.chat import Message, Part, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects.gemini.fields import Fields, bad
from trunkline.dialects.gemini.read_parts import is_nothing, read_part
from trunkline.dialects.gemini.words import NAME
from trunkline.dialects.names import made_id

_PLACE = "history"
"""Calls without ids are numbered through a history, so that they are called the same turn after turn."""
_USERS = frozenset({"", "user", "function", "tool"})
"""Roles of all that is not the model's; `function` and `tool` are older words for a user's content with results."""


class ContentReader:
    """Reads the contents of one request."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._made = 0
        self._ids: set[str] = set()
        self._open: list[ToolCall] = []
        """Calls of the model's last turn that no result has answered."""

    def read(self, value: object, place: str) -> None:
        """Add one content. Raises `GatewayError(BAD_REQUEST)` with the path of what is wrong."""
        if isinstance(value, str):  # what the SDKs take for a content of the user's
            value = {"parts": [{"text": value}]}
        content = Fields(value, place)
        role = content.text("role")
        parts = tuple(read_part(one, f"{place}.parts[{at}]", self._new_id) for at, one in enumerate(content.items("parts")))
        if role == "model":
            self._model(list(parts))
        elif role in _USERS:
            self._user(parts)
        else:
            raise bad(f"{place}.role", "must be user or model")

    def _new_id(self) -> str:
        self._made += 1
        return made_id(_PLACE, self._made - 1)

    def _model(self, parts: list[Part]) -> None:
        """Contents that follow each other are one answer: Google's SDK keeps the pieces of a stream so."""
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if self.messages and self.messages[-1].role == "assistant":
            parts = [*self.messages.pop().parts, *parts]
        else:
            self._open.clear()
        self._open += calls
        self._ids.update(call.id for call in calls)
        self.messages.append(Message("assistant", tuple(_joined(parts))))

    def _user(self, parts: tuple[Part, ...]) -> None:
        """Results stand alone in canon, those of one turn together and before what else is said."""
        results = tuple(self._answered(part) for part in parts if isinstance(part, ToolResult))
        if results:
            if self.messages and self.messages[-1].role == "tool":
                results = (*self.messages.pop().parts, *results)
            self.messages.append(Message("tool", results))
        rest = tuple(part for part in parts if not isinstance(part, ToolResult))
        if rest or not results:
            self.messages.append(Message("user", rest))

    def _answered(self, result: ToolResult) -> Part:
        """The result with the id of its call: told, or of the first open call of that name, or a new one."""
        matching = (
            call for call in self._open if (call.id == result.id if result.id in self._ids else call.name == result.name)
        )
        call = next(matching, None)
        if call is not None:
            self._open.remove(call)
            found = call.id
        else:
            found = result.id or self._new_id()
        return ToolResult(found, result.name, result.parts, result.failed, vendor=result.vendor)


def _joined(parts: Iterable[Part]) -> list[Part]:
    """The pieces of a text or a thought as the one part that they were, with the seal that came at its end: another family's
    thinking is refused where it comes back in pieces. A seal of Gemini's own stays in the part it stands in, as Google asks.
    An empty piece says nothing.
    """
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Text) and last is not None and is_nothing(part) and not part.vendor:
            continue
        if isinstance(part, Text | Thinking) and isinstance(last, Text | Thinking) and _goes_on(last, part):
            found[-1] = msgspec.structs.replace(last, text=last.text + part.text, seal=part.seal)
        else:
            found.append(part)
    return found


def _goes_on(last: Text | Thinking, part: Text | Thinking) -> bool:
    """`part` is another piece of `last`."""
    if type(last) is not type(part) or last.seal is not None or last.vendor or part.vendor:
        return False
    own = part.seal is not None and part.seal.family == NAME
    return not own and not (isinstance(part, Thinking) and part.redacted)
