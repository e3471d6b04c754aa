"""A provider's streamed answer, read into canon's events.

Anthropic's blocks follow one another, but nothing here hangs on that: each block is known by its index. A block that canon
has no part for is gathered and told whole when it ends.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Json, Other, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Fail, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import names
from trunkline.dialects.anthropic.checks import rest
from trunkline.dialects.anthropic.errors import reported
from trunkline.dialects.anthropic.read_answer import refusal, word
from trunkline.dialects.anthropic.read_blocks import read_arguments, read_citation
from trunkline.dialects.anthropic.usage import merge, read_usage
from trunkline.dialects.anthropic.words import NAME, is_call, read_stop
from trunkline.dialects.errors import protocol
from trunkline.dialects.sse import SseEvent, SseReader

_GATHERED = 1024 * 1024
"""Characters of a block that is told whole."""
_BEGUN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"})


class _Delta(msgspec.Struct, gc=False):
    """Whatever a delta holds. Nothing is typed: a strange field must not cost the others."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    citation: Any = None


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    index: Any = 0
    delta: _Delta | None = None


class _Rare(msgspec.Struct, gc=False):
    """The fields of the few events that are no delta of a part."""

    index: Any = 0
    message: Any = None
    content_block: Any = None
    delta: Any = None
    usage: Any = None
    context_management: Any = None
    error: Any = None


class _Block:
    """A block that has not ended. `index` is the part's; it is -1 while a block is gathered."""

    __slots__ = ("index", "kind", "more", "signature", "size", "value")

    def __init__(self, kind: str, index: int, value: dict[str, Any]) -> None:
        self.kind = kind
        self.index = index
        self.value = value
        self.signature = word(value, "signature")
        self.size = 0
        self.more: dict[str, list[str]] = {}
        """Pieces of text that follow a text of `value`."""


_decode = msgspec.json.Decoder(_Event).decode
_decode_rare = msgspec.json.Decoder(_Rare).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


class MessagesReader:
    """The reader of one stream; see `dialects.dialect.Reader`."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._sse = SseReader()
        self._out: list[Event] = []
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._calls = False
        self._told: dict[str, Any] = {}
        self._begun = False
        self._finished = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes."""
        if self._over:
            return []
        events = self._take(self._sse.feed(data))
        if self._sse.overlong is not None and not self._over:
            self._end(Fail(self._sse.overlong))
            events += self._take([])
        return events

    def close(self) -> list[Event]:
        """The provider ended cleanly. An answer whose stop reason came is whole, with or without `message_stop`."""
        if self._over:
            return []
        events = self._take(self._sse.close())
        if self._finished and not self._over:
            self._stop()
            events += self._take([])
        return events

    def count(self) -> None:
        """Every usage is told in an event of its own at once."""

    def _take(self, events: list[SseEvent]) -> list[Event]:
        for event in events:
            if not self._over:
                self._read(event)
        out, self._out = self._out, []
        return out

    def _read(self, event: SseEvent) -> None:
        data = event.data
        if not data or data == b"[DONE]":
            return
        try:
            found = _decode(data)
            kind = found.type if isinstance(found.type, str) else event.event
            if kind == "content_block_delta":
                if found.delta is not None:
                    self._grow(_place(found.index), found.delta, data)
            elif kind != "ping":
                self._rare(kind, data)
        except (ValueError, RecursionError):
            if event.event == "error":
                self._end(Fail(reported(data.decode("utf-8", "replace"), data)))
            elif event.event != "ping":
                self._end(Fail(protocol("The provider's stream holds an event that cannot be read.", data)))

    def _rare(self, kind: str, data: bytes) -> None:
        if kind == "message_stop":
            self._stop()
            return
        event = _decode_rare(data)
        match kind:
            case "content_block_start":
                self._open(_place(event.index), _table(event.content_block))
            case "content_block_stop":
                self._close(_place(event.index))
            case "message_start":
                message = _table(event.message)
                self._begin(message)
                self._count(_table(message.get("usage")), final=False)
            case "message_delta":
                self._count(_table(event.usage), final=True)
                self._finish(_table(event.delta), event.context_management)
            case "error":
                self._end(Fail(reported(event.error, data)))
            case _ if self._begun:
                self._out.append(Extra(NAME, _decode_any(data)))
            case _:
                pass

    def _begin(self, message: Json) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(Begin(word(message, "id"), word(message, "model"), vendor=rest(message, _BEGUN)))

    def _open(self, at: int, block: dict[str, Any]) -> None:
        self._begin({})
        self._close(at)
        kind = word(block, "type")
        if kind == "text":
            self._grows(at, Text("", vendor=rest(block, {"type", "text", "citations"})), block)
            self._delta(at, word(block, "text"))
        elif kind == "thinking":
            self._grows(at, Thinking("", vendor=rest(block, {"type", "thinking", "signature"})), block)
            self._delta(at, word(block, "thinking"))
        elif kind == "tool_use":
            call_id = word(block, "id") or names.made_id(self._seed, self._parts)
            vendor = rest(block, {"type", "id", "name", "input"})
            call = ToolCall(call_id, word(block, "name"), "", vendor=vendor)
            self._calls = self._calls or is_call(call)
            self._grows(at, call, block)
        else:
            self._blocks[at] = _Block(kind, -1, block)

    def _grows(self, at: int, part: Text | Thinking | ToolCall, block: dict[str, Any]) -> None:
        self._blocks[at] = _Block(word(block, "type"), self._parts, block)
        self._out.append(Open(self._parts, part))
        self._parts += 1

    def _delta(self, at: int, text: object) -> None:
        block = self._blocks[at]
        if isinstance(text, str) and text:
            block.size += len(text)
            self._out.append(Delta(block.index, text))

    def _grow(self, at: int, delta: _Delta, data: bytes) -> None:
        block = self._blocks.get(at)
        if block is None:
            kind = "text" if isinstance(delta.text, str) else "thinking" if isinstance(delta.thinking, str) else ""
            if not kind:
                return
            self._open(at, {"type": kind})  # some servers leave the start of a block out
            block = self._blocks[at]
        if block.index < 0:
            self._gather(block, data)
        elif block.kind == "text":
            if isinstance(delta.citation, dict):
                self._out.append(Cite(block.index, read_citation(delta.citation)))
            self._delta(at, delta.text)
        elif block.kind == "tool_use":
            self._delta(at, delta.partial_json)
        else:
            if isinstance(delta.signature, str):
                block.signature = delta.signature
            self._delta(at, delta.thinking)

    def _gather(self, block: _Block, data: bytes) -> None:
        """Add a delta to a block that is told whole: text to text, JSON to JSON, anything else in its place."""
        block.size += len(data)
        if block.size > _GATHERED:
            self._end(Fail(protocol(f"The provider sent a block of more than {_GATHERED} bytes.", b"")))
            return
        for name, value in _table(_decode_rare(data).delta).items():
            if name == "type":
                continue
            if isinstance(block.value.get(name), str) and isinstance(value, str):
                block.more.setdefault(name, []).append(value)
            else:
                block.value[name] = value
                block.more.pop(name, None)

    def _close(self, at: int) -> None:
        block = self._blocks.pop(at, None)
        if block is None:
            return
        if block.index < 0:
            self._tell(block)
            return
        if block.kind == "tool_use" and not block.size:
            self._out.append(Delta(block.index, read_arguments(block.value.get("input"))))
        self._out.append(Close(block.index, Seal(NAME, block.signature) if block.signature else None))

    def _tell(self, block: _Block) -> None:
        value = block.value
        value |= {name: value[name] + "".join(pieces) for name, pieces in block.more.items()}
        if block.kind == "redacted_thinking" and (data := word(value, "data")):
            part: Thinking | Other = Thinking("", Seal(NAME, data), redacted=True)
        else:
            if isinstance(written := value.pop("partial_json", None), str) and written:
                value["input"] = _input(written)
            part = Other(NAME, value)
        self._out.append(Open(self._parts, part))
        self._out.append(Close(self._parts, part.seal if isinstance(part, Thinking) else None))
        self._parts += 1

    def _count(self, told: dict[str, Any], *, final: bool) -> None:
        self._told = merge(self._told, told)
        usage, text = read_usage(self._told, "reported" if final else "estimated")
        if usage is not NO_USAGE:
            self._out.append(Count(usage, text))

    def _finish(self, delta: Json, edits: object) -> None:
        native = word(delta, "stop_reason")
        if self._finished or not native:
            return
        self._begin({})
        for at in list(self._blocks):
            self._close(at)
        self._finished = True
        late = rest({**delta, "context_management": edits}, {"stop_reason", "stop_sequence"})
        for part in refusal(late):
            self._out += [Open(self._parts, Refusal("")), Delta(self._parts, part.text), Close(self._parts)]
            self._parts += 1
        self._out.append(Finished(read_stop(native, calls=self._calls), native, word(delta, "stop_sequence"), vendor=late))

    def _stop(self) -> None:
        """The end mark. Usage that only the beginning told is all there will be."""
        self._begin({})
        for at in list(self._blocks):
            self._close(at)
        self._count({}, final=True)
        self._end(End())

    def _end(self, event: Event) -> None:
        self._out.append(event)
        self._over = True


def _place(index: object) -> int:
    return index if isinstance(index, int) else 0


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _input(written: str) -> object:
    try:
        return msgspec.json.decode(written)
    except (ValueError, RecursionError):
        return written
