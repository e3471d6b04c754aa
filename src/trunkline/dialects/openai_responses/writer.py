"""A streamed answer for a client: named events, numbered from 0 without a gap, that end with the whole answer and no mark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Finished, Open
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_responses.answer_items import Items
from trunkline.dialects.openai_responses.errors import answer_error, event_fields
from trunkline.dialects.openai_responses.read_chat import read_offered
from trunkline.dialects.openai_responses.write_answer import around, ending

_encode = msgspec.json.Encoder().encode


class ResponsesWriter:
    """The writer of one stream; see `dialects.dialect.Writer`."""

    __slots__ = ("_answer", "_finished", "_frame", "_items", "_number", "_out", "_usage", "error")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._out = bytearray()
        self._number = 0
        self._answer: dict[str, Any] | None = None
        """What stands around the items; None before the answer begins."""
        self._items = Items(frame.id, read_offered(frame.ask), self._tell)
        self._finished = Finished("")
        self._usage: Usage = NO_USAGE
        self.error: GatewayError | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        """The events for these."""
        for event in events:
            match event:
                case Delta() | Open() | Close() | Cite():
                    self._items.take(event)
                case Begin():
                    self._begin(event)
                case Count():
                    self._usage = event.usage
                case Finished() if event.choice == 0:
                    self._finished = event
                case End():
                    self._end()
                case _:
                    pass
        return self._taken()

    def fail(self, error: GatewayError) -> bytes:
        """An error event, and the answer as one that failed: some clients read the one, some the other."""
        self._fail(error)
        return self._taken()

    def _begin(self, begin: Begin) -> dict[str, Any]:
        answer = self._answer = around(self._frame, begin)
        for kind in ("created", "in_progress"):
            self._tell(kind, {"response": answer})
        return answer

    def _end(self) -> None:
        self.error = unfinished(self._finished.reason, self._finished.native)
        if self.error is not None:
            self._items.finish("incomplete")
            self._fail(self.error)
            return
        told = ending(self._finished.reason, self._usage)
        self._items.finish(told["status"])
        self._tell(told["status"], {"response": self._whole(told)})

    def _fail(self, error: GatewayError) -> None:
        self._event("error", event_fields(error))
        told = {**ending("", self._usage), "status": "failed", "error": answer_error(error)}
        self._tell("failed", {"response": self._whole(told)})

    def _whole(self, told: dict[str, Any]) -> dict[str, Any]:
        answer = self._answer or around(self._frame, Begin("", ""))
        return {**answer, **told, "output": self._items.output}

    def _tell(self, kind: str, fields: dict[str, Any]) -> None:
        self._event(f"response.{kind}", fields)

    def _event(self, kind: str, fields: dict[str, Any]) -> None:
        told = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._out += b"event: %b\ndata: %b\n\n" % (kind.encode("ascii"), told)
        self._number += 1

    def _taken(self) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out
