"""Tool calls of one choice on their way into canon: told whole or in pieces, in turn or all at once."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Seal, Thinking, ToolCall
from trunkline.canon.stream import Close, Delta, Event, Open
from trunkline.dialects.names import made_id
from trunkline.dialects.openai_chat.details import plain_text, read_extra

_MOST_UNNAMED = 64 * 1024
"""Characters of arguments that wait for their call's name."""
_MOST_KEPT = 64


class Numbers:
    """Numbers of parts and of calls, common to the choices of an answer."""

    __slots__ = ("_calls", "_parts", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._parts = 0
        self._calls = 0

    def part(self) -> int:
        """The next part's number."""
        self._parts += 1
        return self._parts - 1

    def call_id(self, told: str) -> str:
        """The id of the next call: the provider's, or one of ours."""
        self._calls += 1
        return told or made_id(self._seed, self._calls - 1)


class _Call:
    __slots__ = ("custom", "held", "id", "name", "number", "seal", "size", "told")

    def __init__(self, told: str, ident: str) -> None:
        self.told = told
        """The provider's id; empty where it gave none yet."""
        self.id = ident
        self.name = ""
        self.number = -1
        """The part's, once it is open."""
        self.held: list[str] = []
        """Pieces of arguments that cannot be told yet, and their characters."""
        self.size = 0
        self.custom = False
        self.seal: Seal | None = None


class Calls:
    """The calls of one choice. They stay open to the end: pieces of parallel calls may come in any order."""

    __slots__ = ("_all", "_at", "_by_id", "_choice", "_numbers", "_seals")

    def __init__(self, choice: int, numbers: Numbers) -> None:
        self._choice = choice
        self._numbers = numbers
        self._all: list[_Call] = []
        self._at: dict[int, _Call] = {}
        """By the provider's index."""
        self._by_id: dict[str, tuple[int, _Call]] = {}
        """With their places among all."""
        self._seals: dict[str, Seal] = {}

    @property
    def any(self) -> bool:
        """There is a call."""
        return bool(self._all)

    def take(self, told: object, legacy: object, out: list[Event]) -> None:
        """Take `tool_calls`, or `function_call`, the old form of the only one."""
        before = len(self._all)
        for one in told if isinstance(told, list) else ():
            if isinstance(one, dict):
                self._one(one, before, out)
        if isinstance(legacy, dict):
            self._one({"index": 0, "function": legacy}, before, out)

    def keep(self, call_id: str, seal: Seal) -> None:
        """State that OpenRouter tells apart from the call it belongs to."""
        if len(self._seals) < _MOST_KEPT:
            self._seals[call_id] = seal

    def seal(self, seal: Seal) -> bool:
        """State told for the whole message: the first call's, where it has none of its own. False where there is no call."""
        if self._all and self._all[0].seal is None:
            self._all[0].seal = seal
        return self.any

    def end(self, out: list[Event]) -> None:
        """Close all."""
        for call in self._all:
            self._open(call, out)
            held = "".join(call.held)
            if held:
                out.append(Delta(call.number, msgspec.json.encode({"input": held}).decode() if call.custom else held))
            out.append(Close(call.number, call.seal or self._seals.pop(call.told, None)))
        for seal in self._seals.values():
            number = self._numbers.part()
            out += [Open(number, Thinking("", redacted=True), self._choice), Close(number, seal)]

    def _one(self, one: dict[str, Any], before: int, out: list[Event]) -> None:
        """`before`: how many calls there were before this delta: it goes on with none that it begins itself."""
        custom = one.get("custom")
        told = custom if isinstance(custom, dict) else one.get("function")
        function = told if isinstance(told, dict) else {}
        call = self._find(one.get("index"), plain_text(one.get("id")), plain_text(function.get("name")), before)
        call.custom = call.custom or function is custom
        call.seal = read_extra(one.get("extra_content")) or call.seal
        arguments = function.get("input" if function is custom else "arguments")
        if isinstance(arguments, dict):  # as Ollama's own dialect has them
            arguments = msgspec.json.encode(arguments).decode()
        piece = plain_text(arguments)
        if piece:
            call.held.append(piece)
            call.size += len(piece)
        if call.name or call.size > _MOST_UNNAMED:
            self._open(call, out)
        if call.number >= 0 and call.held and not call.custom:
            out.append(Delta(call.number, "".join(call.held)))
            call.held.clear()

    def _find(self, index: object, told: str, name: str, before: int) -> _Call:
        """The call a piece belongs to. Some providers leave out the index, some count every call as the first."""
        if type(index) is int:
            call = self._at.get(index)
        elif told:
            place, found = self._by_id.get(told, (before, None))
            call = found if place < before else None
        else:
            call = None if name or not self._all else self._all[-1]
        if call is None or (told and call.told and told != call.told):
            twice = told in self._by_id  # some servers give a tool's name as the id
            call = _Call(told, self._numbers.call_id("" if twice else told))
            self._by_id[call.id] = len(self._all), call
            self._all.append(call)
        if type(index) is int:
            self._at[index] = call
        call.name = call.name or name
        return call

    def _open(self, call: _Call, out: list[Event]) -> None:
        if call.number < 0:
            call.number = self._numbers.part()
            vendor = {"type": "custom"} if call.custom else {}
            out.append(Open(call.number, ToolCall(call.id, call.name, "", vendor=vendor), self._choice))
