"""A provider's streamed answer, read into canon's events, whichever way it is framed."""

from __future__ import annotations

from typing import Literal

import msgspec

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
from trunkline.dialects.google_shape.usage import Told, read_usage

_DONE = b"[DONE]"
_CANDIDATES = 64
"""More than any provider gives; a number beyond is not one."""
_ABSENT = msgspec.Raw(b"")


class _Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    text: str
    thought: bool = False
    thought_signature: str = ""


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_Part, ...]
    role: str = ""


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Content
    index: Literal[0] = 0


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    """A piece that holds more text of the only candidate, and nothing else that matters after the first: nearly every one."""

    candidates: tuple[_Candidate]
    usage_metadata: msgspec.Raw = _ABSENT
    error: None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class GeminiReader:
    """Reads one stream; any slicing of the same bytes gives the same events."""

    def __init__(self, seed: str) -> None:
        """`seed`: unique to the request."""
        self._cut = Cutter()
        self._numbers = Numbers(Ids(seed))
        self._candidates: dict[int, CandidateReader] = {}
        self._told = Told()
        """Counts that came with text, and that no event has told yet."""
        self._begun = False
        self._blocked = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events of the next bytes. Never raises."""
        events: list[Event] = []
        if self._over:
            return events
        if line := self._cut.lone(data):
            self._piece(line, len(data), events)
            return events
        for piece in self._cut.feed(data):
            self._piece(piece.data, len(piece.raw), events)
        if self._cut.held > LIMIT:
            self._fail(_overlong(), events)
        return events

    def close(self) -> list[Event]:
        """The rest; an `End` where every candidate has finished, or the prompt was blocked."""
        events: list[Event] = []
        if not self._over:
            for piece in self._cut.close():
                self._piece(piece.data, len(piece.raw), events)
            self._end(events)
        return events

    def count(self) -> Count | None:
        """See `dialects.dialect.Reader`."""
        usage, raw = self._told.read()
        return None if usage is NO_USAGE else Count(usage, raw)

    def _end(self, events: list[Event]) -> None:
        if not self._over and self._complete():
            count = self.count()
            events += [End()] if count is None else [count, End()]
        self._over = True

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
        if self._begun and self._plain(data, events):
            return
        told = decode(data)
        if not isinstance(told, dict):
            self._fail(protocol("The provider sent a piece of its answer that is not a JSON object.", data), events)
        elif told.get("error"):
            self._fail(reported(told["error"], data), events)
        else:
            try:
                self._chunk(told, events)
            except RecursionError:  # arguments that are told in pieces, by paths, may go deeper than any JSON
                self._fail(protocol("The provider sent a piece of its answer that is nested too deeply.", data), events)

    def _plain(self, data: bytes, events: list[Event]) -> bool:
        """Read a piece with text; False where it says anything else."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            return False
        candidate = self._candidate(0)
        for part in chunk.candidates[0].content.parts:
            candidate.say(part.text, part.thought, part.thought_signature, events)
        self._told.keep(chunk.usage_metadata)
        return True

    def _candidate(self, number: int) -> CandidateReader:
        found = self._candidates.get(number)
        if found is None:
            found = self._candidates[number] = CandidateReader(number, self._numbers)
        return found

    def _chunk(self, told: Json, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(Begin(text_of(told, "responseId"), text_of(told, "modelVersion"), created(told), rest(told)))
        for one in rows(told.get("candidates")):
            index = one.get("index")
            number = index if type(index) is int and 0 <= index < _CANDIDATES else 0
            self._candidate(number).read(one, events)
        reason = block_reason(told)
        if reason and not self._candidates and not self._blocked:
            self._blocked = True
            events.append(Finished("content_filter", reason))
        usage, raw = read_usage(told.get("usageMetadata"))
        if usage is not NO_USAGE:
            self._told = Told()
            events.append(Count(usage, raw))


def _overlong() -> GatewayError:
    return protocol(f"The provider sent a piece of more than {LIMIT} bytes.", b"")
