"""A provider's streamed answer, read into canon's events.

A text and a thought begin with their first piece; only calls, results and pictures are announced. Usage comes last, after
the stop reason, and is the end.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Json, Media, Other, Part, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Fail, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import names
from trunkline.dialects.bedrock.errors import reported
from trunkline.dialects.bedrock.frames import EventFrame, FrameReader
from trunkline.dialects.bedrock.read_answer import EXTRA, stop_sequence, table
from trunkline.dialects.bedrock.read_blocks import SERVER, call_vendor, picture, read_citation, seal, word
from trunkline.dialects.bedrock.usage import read_usage
from trunkline.dialects.bedrock.words import NAME, read_stop
from trunkline.dialects.errors import protocol

_GATHERED = 16 * 1024 * 1024
"""Characters of what is told whole: pictures and signatures."""
_OF_TEXT = frozenset({"toolUse", "redacted"})
"""Blocks that are told whole and whose pieces are texts."""
_PADDING = "p"
"""Random letters in every event, so that its length says nothing."""

_fields = msgspec.json.Decoder(dict[str, Any]).decode


class _Block:
    """A block that has not ended. `index` is the part's; it is -1 for one that is told whole at its end."""

    __slots__ = ("index", "kind", "pieces", "size", "start")

    def __init__(self, kind: str, index: int, start: Json) -> None:
        self.kind = kind
        self.index = index
        self.start = start
        self.pieces: list[Any] = []
        """Of a signature, of a redacted thought, or of what is told whole."""
        self.size = 0


class ConverseReader:
    """The reader of one stream; see `dialects.dialect.Reader`."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._frames = FrameReader()
        self._out: list[Event] = []
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._gathered = 0
        self._calls = False
        self._begun = False
        self._finished = False
        self._told = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes."""
        if self._over:
            return []
        for frame in self._frames.feed(data):
            if not self._over:
                self._read(frame)
        return self._taken()

    def close(self) -> list[Event]:
        """The provider ended cleanly. An answer whose stop reason came is whole, with or without its usage."""
        if self._over:
            return []
        self._frames.close()
        if self._finished and self._frames.broken is None:
            self._end(End())
        return self._taken()

    def count(self) -> None:
        """Usage is told in an event of its own at once."""

    def _taken(self) -> list[Event]:
        if self._frames.broken is not None and not self._over:
            self._end(Fail(self._frames.broken))
        out, self._out = self._out, []
        return out

    def _read(self, frame: EventFrame) -> None:
        kind = frame.word(":message-type")
        if kind == "event":
            try:
                told = _fields(frame.payload or b"{}")
            except (ValueError, RecursionError):
                self._end(Fail(protocol("The provider's stream holds an event that cannot be read.", frame.payload)))
                return
            self._event(frame.word(":event-type"), told)
        elif kind == "exception":
            self._end(Fail(reported(frame.word(":exception-type"), "", frame.payload)))
        elif kind == "error":
            self._end(Fail(reported(frame.word(":error-code"), frame.word(":error-message"), frame.payload)))

    def _event(self, kind: str, told: dict[str, Any]) -> None:
        if self._finished and kind.startswith("contentBlock"):
            return  # nothing more belongs to an answer that has ended
        match kind:
            case "contentBlockDelta":
                self._grow(_place(told), table(told.get("delta")))
            case "messageStart":
                self._begin()
            case "contentBlockStart":
                self._start(_place(told), table(told.get("start")))
            case "contentBlockStop":
                self._close(_place(told))
            case "messageStop":
                self._finish(told)
            case "metadata":
                self._count(told)
            case _ if self._begun:
                self._out.append(Extra(NAME, {kind: told}))
            case _:
                pass

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(Begin("", ""))

    def _start(self, at: int, start: dict[str, Any]) -> None:
        self._close(at)
        self._begin()
        kind = next((name for name, value in start.items() if isinstance(value, dict)), "")
        told = table(start.get(kind))
        if kind == "toolUse" and told.get("type") != SERVER:
            call_id = word(told, "toolUseId") or names.made_id(self._seed, at)
            self._calls = True
            self._open(at, "toolUse", ToolCall(call_id, word(told, "name"), "", vendor=call_vendor(told)))
        elif kind:
            self._blocks[at] = _Block(kind, -1, told)

    def _open(self, at: int, kind: str, part: Part) -> _Block:
        block = self._blocks[at] = _Block(kind, self._parts, NOTHING)
        self._out.append(Open(self._parts, part))
        self._parts += 1
        return block

    def _grow(self, at: int, delta: dict[str, Any]) -> None:
        self._begin()
        block = self._blocks.get(at)
        if isinstance(text := delta.get("text"), str):
            self._text(at, block, text)
        elif isinstance(thought := delta.get("reasoningContent"), dict):
            self._thought(at, block, thought)
        elif isinstance(citation := delta.get("citation"), dict):
            block = block or self._open(at, "text", Text(""))
            if block.kind == "text":
                self._out.append(Cite(block.index, read_citation(citation)))
        elif block is not None and isinstance(call := delta.get("toolUse"), dict) and block.kind == "toolUse":
            self._piece(block, word(call, "input"))
        elif block is not None and block.index < 0 and block.kind not in _OF_TEXT and block.kind in delta:
            self._gather(block, delta[block.kind])

    def _text(self, at: int, block: _Block | None, text: str) -> None:
        if block is None and text:  # gpt-oss begins with a text that holds nothing
            block = self._open(at, "text", Text(""))
        if block is not None and block.kind == "text":
            self._piece(block, text)

    def _thought(self, at: int, block: _Block | None, thought: dict[str, Any]) -> None:
        redacted = word(thought, "redactedContent")
        if block is None and redacted:
            block = self._blocks[at] = _Block("redacted", -1, NOTHING)
        elif block is None:
            block = self._open(at, "thinking", Thinking(""))
        if block.kind == "thinking":
            self._piece(block, word(thought, "text"))
            if signature := word(thought, "signature"):
                self._gather(block, signature)
        elif block.kind == "redacted" and redacted:
            self._gather(block, redacted)

    def _piece(self, block: _Block, text: str) -> None:
        if not text:
            return
        block.size += len(text)
        if block.index < 0:  # the input of a call that Bedrock answers
            self._gather(block, text)
        else:
            self._out.append(Delta(block.index, text))

    def _gather(self, block: _Block, piece: object) -> None:
        block.pieces += piece if isinstance(piece, list) else [piece]
        self._gathered += len(msgspec.json.encode(piece))
        if self._gathered > _GATHERED:
            self._end(Fail(protocol(f"The provider sent more than {_GATHERED} bytes that are no text.", b"")))

    def _close(self, at: int) -> None:
        block = self._blocks.pop(at, None)
        if block is None:
            return
        if block.index < 0:
            part = _whole(block)
            self._out += [Open(self._parts, part), Close(self._parts, part.seal if isinstance(part, Thinking) else None)]
            self._parts += 1
            return
        if block.kind == "toolUse" and not block.size:
            self._out.append(Delta(block.index, "{}"))
        self._out.append(Close(block.index, seal("".join(block.pieces))))

    def _finish(self, told: dict[str, Any]) -> None:
        self._begin()
        for at in list(self._blocks):
            self._close(at)
        native = word(told, "stopReason")
        if self._finished or not native:
            return
        self._finished = True
        vendor = {EXTRA: told[EXTRA]} if told.get(EXTRA) is not None else NOTHING
        self._out.append(Finished(read_stop(native, calls=self._calls), native, stop_sequence(told), vendor=vendor))
        if self._told:
            self._end(End())

    def _count(self, told: dict[str, Any]) -> None:
        """What it cost, and the end."""
        self._begin()
        usage, raw = read_usage(told.get("usage"))
        if usage is not NO_USAGE:
            self._out.append(Count(usage, raw))
        if rest := {name: value for name, value in told.items() if name not in {"usage", "metrics", _PADDING}}:
            self._out.append(Extra(NAME, {"metadata": rest}))
        self._told = True
        if self._finished:
            self._end(End())

    def _end(self, event: Event) -> None:
        self._over = True
        self._out.append(event)


def _whole(block: _Block) -> Part:
    """What was gathered, as the same block of a whole answer is read."""
    if block.kind == "redacted":
        return Thinking("", seal(_joined(block.pieces)), redacted=True)
    if block.kind == "toolUse":
        return Other(NAME, {"toolUse": {**block.start, "input": _input("".join(block.pieces))}})
    if block.kind == "image":
        sources = [source for piece in block.pieces if isinstance(source := table(piece).get("source"), dict)]
        data = _joined([word(source, "bytes") for source in sources])
        found: Media | None = picture(block.start.get("format"), {"bytes": data})
        return found or Other(NAME, {"image": {**block.start, "source": sources}})
    return Other(NAME, {block.kind: {**block.start, "content": block.pieces}})


def _joined(pieces: list[str]) -> str:
    """Several pieces of base64 as one: each may end in padding of its own."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode("ascii")
    except ValueError:
        return "".join(pieces)


def _input(text: str) -> object:
    try:
        return msgspec.json.decode(text or "{}")
    except (ValueError, RecursionError):
        return text


def _place(told: Json) -> int:
    index = told.get("contentBlockIndex")
    return index if isinstance(index, int) else 0
