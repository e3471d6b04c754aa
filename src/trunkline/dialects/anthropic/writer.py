"""A streamed answer, written for a client.

Blocks of this dialect follow one another strictly, parts of canon may be open at the same time: what comes for a part while
another is open waits until that one is closed. A block begins with its first letter, so that an empty text or an empty
thought never shows. A thinking block's signature stands last in it, so a thought without a seal is closed only when the
next part is known, whose seal it may have to carry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import Media, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import state
from trunkline.dialects.anthropic.errors import write_event
from trunkline.dialects.anthropic.read_answer import LATE, refusal
from trunkline.dialects.anthropic.usage import write_usage
from trunkline.dialects.anthropic.words import NAME
from trunkline.dialects.anthropic.write_answer import UNSIGNED, carrier, citation, ending, start
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import broken
from trunkline.dialects.plain import shown

_DELTAS = {
    Text: ("text_delta", "text"),
    Thinking: ("thinking_delta", "thinking"),
    ToolCall: ("input_json_delta", "partial_json"),
}

_encode = msgspec.json.Encoder().encode
_PartEvent = Open | Delta | Cite | Close


class MessagesWriter:
    """The writer of one stream; see `dialects.dialect.Writer`. Of several choices only the first is written."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._out = bytearray()
        self._begin: Begin | None = None
        """Told, but not written: usage may follow it."""
        self._usage = NO_USAGE
        self._finished = Finished("")
        self.error: GatewayError | None = None
        self._parts: list[Part] = []
        """The parts that have begun, without their text but for refusals."""
        self._block = -1
        """The number of the block that was begun last."""
        self._open: int | None = None
        """The part whose events are written now."""
        self._part: Part = Text("")
        self._started = False
        self._unsigned = False
        """The last block is a thought that still wants a signature and its end."""
        self._waiting: OrderedDict[int, list[_PartEvent]] = OrderedDict()
        self._foreign: set[int] = set()
        self._refused: list[str] = []

    def write(self, events: Iterable[Event]) -> bytes:
        """The bytes for these events."""
        for event in events:
            if isinstance(event, Delta | Open | Close | Cite):
                self._flush_begin()
                self._take(event)
            else:
                self._around(event)
        self._flush_begin()
        out = bytes(self._out)
        self._out.clear()
        return out

    def fail(self, error: GatewayError) -> bytes:
        """An error event; the client takes the stream for broken."""
        return write_event(error)

    def _around(self, event: Event) -> None:
        match event:
            case Begin():
                self._begin = event
            case Count():
                self._usage = event.usage
            case Finished() if event.choice == 0:
                self._finished = event
            case End():
                self._flush_begin()
                self._end()
            case _:
                pass

    def _flush_begin(self) -> None:
        begin, self._begin = self._begin, None
        if begin is None:
            return
        message: dict[str, Any] = {
            "id": begin.id or self._frame.id,
            "type": "message",
            "role": "assistant",
            "model": begin.model or self._frame.ask.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage),
        }
        self._event("message_start", {"message": message})

    def _take(self, event: _PartEvent) -> None:
        """Write the event of the part that is open; keep that of another."""
        if isinstance(event, Open):
            if event.choice:
                self._foreign.add(event.index)
                return
            self._parts.append(event.part)
        elif event.index in self._foreign:
            return
        if self._open is None or self._open == event.index:
            self._put(event)
            self._next()
        else:
            self._waiting.setdefault(event.index, []).append(event)

    def _put(self, event: _PartEvent) -> None:
        match event:
            case Delta():
                self._grow(event.text)
            case Open():
                self._begins(event)
            case Close():
                self._closes(event.seal)
            case _:
                self._start()
                self._grown({"type": "citations_delta", "citation": citation(event.citation)})

    def _next(self) -> None:
        """Write what waited: the whole of parts that are closed, and what there is of the first that is not."""
        while self._open is None and self._waiting:
            _, events = self._waiting.popitem(last=False)
            for event in events:
                self._put(event)

    def _begins(self, event: Open) -> None:
        part = event.part
        seal = part.seal if isinstance(part, Text | ToolCall) else None
        if seal is not None and self._unsigned:
            self._sign(state.wrap(seal, "next"))
        else:
            self._sign(UNSIGNED)
            if seal is not None:
                self._carrier(seal, "next")
        self._open, self._part, self._started = event.index, part, False
        if not isinstance(part, Text | Thinking | Refusal):
            self._start()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        block = start(self._part)
        if block is None:
            return
        self._block += 1
        self._event("content_block_start", {"index": self._block, "content_block": block})
        if isinstance(self._part, ToolCall):
            self._grown({"type": "input_json_delta", "partial_json": ""})
        elif isinstance(self._part, Media):
            self._grown({"type": "text_delta", "text": shown(self._part)})

    def _grow(self, text: str) -> None:
        if isinstance(self._part, Refusal):
            self._refused.append(text)  # whether it stands in the text is known at the end
        elif text:
            self._start()
            kind, name = _DELTAS[type(self._part)]
            self._grown({"type": kind, name: text})

    def _grown(self, delta: dict[str, Any]) -> None:
        self._event("content_block_delta", {"index": self._block, "delta": delta})

    def _closes(self, seal: Seal | None) -> None:
        part, self._open = self._part, None
        if isinstance(part, Thinking):
            self._closes_thinking(part, seal or part.seal)
            return
        if isinstance(part, Refusal):
            return
        if self._started and start(part) is not None:
            self._stop()
        if seal is not None and isinstance(part, Text | ToolCall) and part.seal is None:
            self._carrier(seal, "last" if self._started else "empty")

    def _closes_thinking(self, part: Thinking, seal: Seal | None) -> None:
        signature = state.slot(seal, NAME)
        if part.redacted:
            if signature:
                self._block += 1
                self._event(
                    "content_block_start",
                    {"index": self._block, "content_block": {"type": "redacted_thinking", "data": signature}},
                )
                self._stop()
        elif signature:
            self._start()
            self._unsigned = True
            self._sign(signature)
        else:
            self._unsigned = self._started

    def _sign(self, signature: str) -> None:
        """End the thought that waits for its signature, if one does."""
        if self._unsigned:
            self._unsigned = False
            self._grown({"type": "signature_delta", "signature": signature})
            self._stop()

    def _carrier(self, seal: Seal, place: state.Place) -> None:
        block = carrier(seal, place)
        self._block += 1
        self._event("content_block_start", {"index": self._block, "content_block": block | {"signature": ""}})
        self._grown({"type": "signature_delta", "signature": block["signature"]})
        self._stop()

    def _stop(self) -> None:
        self._event("content_block_stop", {"index": self._block})

    def _end(self) -> None:
        """Close what is open, then tell the stop reason, the usage and the end; an error where the model could not finish."""
        if self._open is not None:
            self._put(Close(self._open))
        for index, events in self._waiting.items():
            if not isinstance(events[-1], Close):
                events.append(Close(index))
        self._next()
        self._sign(UNSIGNED)
        late = {name: value for name, value in self._finished.vendor.items() if name in LATE}
        self._refusal(told=bool(refusal(late)))
        if self._finished.reason == "error":
            self.error = broken(self._finished.native)
            self._out += write_event(self.error)
            return
        stop, sequence, details = ending(msgspec.structs.replace(self._finished, vendor=late), self._said())
        edits = {name: details.pop(name) for name in ("context_management",) if name in details}
        delta = {"stop_reason": stop, "stop_sequence": sequence, **details}
        self._event("message_delta", {"delta": delta, "usage": write_usage(self._usage), **edits})
        self._event("message_stop", {})

    def _refusal(self, *, told: bool) -> None:
        text = "".join(self._refused)
        if text and not told:
            self._open, self._part, self._started = 0, Text(""), False
            self._grow(text)
            self._closes(None)

    def _said(self) -> list[Part]:
        refused = [Refusal("".join(self._refused))] if self._refused else []
        return [*(part for part in self._parts if not isinstance(part, Refusal)), *refused]

    def _event(self, kind: str, fields: dict[str, Any]) -> None:
        self._out += b"event: %b\ndata: %b\n\n" % (kind.encode("ascii"), _encode({"type": kind, **fields}))
