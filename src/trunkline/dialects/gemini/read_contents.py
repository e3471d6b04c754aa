"""The conversation of a request, read: contents into messages, results matched with the calls they answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from trunkline.canon.chat import Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects.gemini.read_parts import is_nothing, read_part
from trunkline.dialects.gemini.words import NAME
from trunkline.dialects.google_shape.fields import Fields
from trunkline.dialects.names import made_id
from trunkline.dialects.shallow import bad

_PLACE = "history"
"""Calls without ids are numbered through a history, so that they are called the same turn after turn."""
_USERS = frozenset({"", "user", "function", "tool"})
"""Roles of all that is not the model's; `function` and `tool` are older words for a user's content with results."""


class ContentReader:
    """Reads the contents of one request."""

    def __init__(self) -> None:
        self._turns: list[tuple[Role, list[Part]]] = []
        self._made = 0
        self._ids: set[str] = set()
        self._open = _Open()

    def read(self, value: object, place: str) -> None:
        """Add one content. Raises `GatewayError(BAD_REQUEST)` with the path of what is wrong."""
        if isinstance(value, str):  # what the SDKs take for a content of the user's
            value = {"parts": [{"text": value}]}
        content = Fields(value, place)
        role = content.text("role")
        parts = [read_part(one, f"{place}.parts[{at}]", self._new_id) for at, one in enumerate(content.items("parts"))]
        if role == "model":
            self._model(parts)
        elif role in _USERS:
            self._user(parts)
        else:
            raise bad(f"{place}.role", "must be user or model")

    def messages(self) -> list[Message]:
        """What was read."""
        return [Message(role, _joined(parts) if role == "assistant" else tuple(parts)) for role, parts in self._turns]

    def _new_id(self) -> str:
        self._made += 1
        return made_id(_PLACE, self._made - 1)

    def _turn(self, role: Role) -> list[Part]:
        """The parts of the turn that goes on, or of a new one."""
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        return self._turns[-1][1]

    def _model(self, parts: list[Part]) -> None:
        """Contents that follow each other are one answer: Google's SDK keeps the pieces of a stream so."""
        if not self._turns or self._turns[-1][0] != "assistant":
            self._open = _Open()
        for part in parts:
            if isinstance(part, ToolCall):
                self._open.add(part)
                self._ids.add(part.id)
        self._turn("assistant").extend(parts)

    def _user(self, parts: list[Part]) -> None:
        """Results stand alone in canon, those of one turn together and before what else is said."""
        results = [self._answered(part) for part in parts if isinstance(part, ToolResult)]
        if results:
            self._turn("tool").extend(results)
        rest: list[Part] = [part for part in parts if not isinstance(part, ToolResult)]
        if rest or not results:
            self._turns.append(("user", rest))

    def _answered(self, result: ToolResult) -> Part:
        """The result with the id of its call: told, or of the first open call of that name, or a new one."""
        key = ("id", result.id) if result.id in self._ids else ("name", result.name)
        found = self._open.take(key) or result.id or self._new_id()
        return ToolResult(found, result.name, result.parts, result.failed, vendor=result.vendor)


class _Open:
    """Calls of the model's last turn that no result has answered, to be found by id or by name, in their order."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], deque[list[str]]] = {}
        """Each call stands under both as a list of its id, which is empty once it is answered."""

    def add(self, call: ToolCall) -> None:
        """One more."""
        entry = [call.id]
        for key in (("id", call.id), ("name", call.name)):
            self._calls.setdefault(key, deque()).append(entry)

    def take(self, key: tuple[str, str]) -> str:
        """The id of the first one, which is answered now; empty where there is none."""
        waiting = self._calls.get(key)
        while waiting:
            entry = waiting.popleft()
            if entry:
                return entry.pop()
        return ""


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The pieces of a text or a thought as the one part that they were, with the seal that came at its end: another family's
    thinking is refused where it comes back in pieces. A seal of Gemini's own stays in the part it stands in, as Google asks.
    An empty piece says nothing.
    """
    found: list[list[Part]] = []
    for part in parts:
        if found and isinstance(part, Text) and is_nothing(part) and not part.vendor:
            continue
        if found and _goes_on(found[-1][-1], part):
            found[-1].append(part)
        else:
            found.append([part])
    return tuple(map(_whole, found))


def _goes_on(last: Part, part: Part) -> bool:
    """`part` is another piece of `last`."""
    if not isinstance(last, Text | Thinking) or not isinstance(part, Text | Thinking) or type(last) is not type(part):
        return False
    if last.seal is not None or last.vendor or part.vendor:
        return False
    own = part.seal is not None and part.seal.family == NAME
    return not own and not (isinstance(part, Thinking) and part.redacted)


def _whole(pieces: list[Part]) -> Part:
    """The part that these pieces are."""
    texts = [piece for piece in pieces if isinstance(piece, Text | Thinking)]
    if len(texts) < 2:
        return pieces[0]
    return msgspec.structs.replace(texts[0], text="".join(piece.text for piece in texts), seal=texts[-1].seal)
