"""A provider's streamed answer, read into canon's events, whichever way it is framed."""

from __future__ import annotations

from trunkline.canon.chat import Json
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Count, End, Event, Fail, Finished
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.errors import protocol
from trunkline.dialects.gemini.candidate import CandidateReader, Numbers
from trunkline.dialects.gemini.errors import reported
from trunkline.dialects.gemini.framing import LIMIT, Cutter
from trunkline.dialects.gemini.read_answer import Ids, block_reason, created, rest, rows, text_of
from trunkline.dialects.gemini.reply import decode
from trunkline.dialects.gemini.usage import read_usage

_DONE = b"[DONE]"
_CANDIDATES = 64
"""More than any provider gives; a number beyond is not one."""


class GeminiReader:
    """Reads one stream; any slicing of the same bytes gives the same events."""

    def __init__(self, seed: str) -> None:
        """`seed`: unique to the request."""
        self._cut = Cutter()
        self._numbers = Numbers(Ids(seed))
        self._candidates: dict[int, CandidateReader] = {}
        self._begun = False
        self._blocked = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events of the next bytes. Never raises."""
        events: list[Event] = []
        if self._over:
            return events
        for piece in self._cut.feed(data):
            self._piece(piece.data, len(piece.raw), events)
        if self._cut.held > LIMIT:
            self._fail(_overlong(), events)
        return events

    def close(self) -> list[Event]:
        """The rest; an `End` where every candidate has finished, or the prompt was blocked."""
        events: list[Event] = []
        if self._over:
            return events
        for piece in self._cut.close():
            self._piece(piece.data, len(piece.raw), events)
        failed = any(isinstance(event, Fail) for event in events)
        if not failed and self._complete():
            events.append(End())
        self._over = True
        return events

    def _complete(self) -> bool:
        if not self._candidates:
            return self._blocked
        return all(candidate.finished for candidate in self._candidates.values())

    def _fail(self, error: GatewayError, events: list[Event]) -> None:
        if not self._over:
            events.append(Fail(error))
            self._over = True

    def _piece(self, data: bytes, size: int, events: list[Event]) -> None:
        if self._over or not data or data == _DONE:
            return
        if size > LIMIT:  # that it came in one slice is chance, and must make no difference
            self._fail(_overlong(), events)
            return
        told = decode(data)
        if not isinstance(told, dict):
            self._fail(protocol("The provider sent a piece of its answer that is not a JSON object.", data), events)
        elif told.get("error"):
            self._fail(reported(told["error"], data), events)
        else:
            self._chunk(told, events)

    def _chunk(self, told: Json, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(Begin(text_of(told, "responseId"), text_of(told, "modelVersion"), created(told), rest(told)))
        for one in rows(told.get("candidates")):
            index = one.get("index")
            number = index if type(index) is int and 0 <= index < _CANDIDATES else 0
            candidate = self._candidates.get(number)
            if candidate is None:
                candidate = self._candidates[number] = CandidateReader(number, self._numbers)
            error = candidate.read(one, events)
            if error is not None:
                self._fail(error, events)
                return
        reason = block_reason(told)
        if reason and not self._candidates and not self._blocked:
            self._blocked = True
            events.append(Finished("content_filter", reason))
        usage, raw = read_usage(told.get("usageMetadata"))
        if usage is not NO_USAGE:
            events.append(Count(usage, raw))


def _overlong() -> GatewayError:
    return protocol(f"The provider sent a piece of more than {LIMIT} bytes.", b"")
