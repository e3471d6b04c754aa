"""An answer streamed to a client of Gemini's, in the framing that it asked for.

Text goes out as it comes, a function call whole, and the finish reasons and the usage in the last piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import Citation, Json, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Finished, Open
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.dialect import Frame
from trunkline.dialects.gemini.citing import Cited, Kept
from trunkline.dialects.gemini.framing import Framer
from trunkline.dialects.gemini.logprobs import write_logprobs
from trunkline.dialects.gemini.usage import write_usage
from trunkline.dialects.gemini.write_answer import (
    content,
    ending,
    envelope,
    is_blocked,
    malformed,
    signed,
    write_part,
)


class _Writing:
    """A part that is being written."""

    def __init__(self, opened: Open) -> None:
        self.part: Part = opened.part
        self.choice = opened.choice
        self.arguments: list[str] = []
        self.kept = Kept()
        self.citations: list[Citation] = []
        self.last: dict[str, Any] | None = None
        """What stands of it in the piece that has not gone out yet."""


class _Candidate:
    """What is told of a choice at its end."""

    def __init__(self) -> None:
        self.finished: Finished | None = None
        self.broken: list[str] = []
        self.cited = Cited()
        self.parts = 0


class GeminiWriter:
    """Writes one stream."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._framer = Framer(frame.ask.form)
        self._begin = Begin("", "")
        self._count = Count(NO_USAGE)
        self._writing: dict[int, _Writing] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._pending: list[tuple[int, dict[str, Any]]] = []
        self._logprobs: dict[int, list[Json]] = {}

    def write(self, events: Iterable[Event]) -> bytes:
        """The bytes for these events: a piece for each choice that says something in them, and the end."""
        end = b""
        for event in events:
            match event:
                case Delta():
                    self._delta(event)
                case Open():
                    self._opened(event)
                case Close():
                    self._closed(self._writing.pop(event.index), event.seal)
                case Cite():
                    self._writing[event.index].citations.append(event.citation)
                case _:
                    end += self._around(event)
        return end or self._flush()

    def _around(self, event: Event) -> bytes:
        """What is told of the whole answer; at its end its last bytes."""
        match event:
            case Finished():
                self._candidate(event.choice).finished = event
            case Count():
                self._count = event
            case Begin():
                self._begin = event
            case End():
                return self._flush() + self._last()
            case _:
                pass
        return b""

    def fail(self, error: GatewayError) -> bytes:
        """An error event; of an array an error element and its end."""
        return self._flush() + self._framer.broken(error)

    def _candidate(self, choice: int) -> _Candidate:
        return self._candidates.setdefault(choice, _Candidate())

    def _opened(self, event: Open) -> None:
        self._candidate(event.choice)
        writing = self._writing[event.index] = _Writing(event)
        if not isinstance(event.part, Text | Thinking | Refusal | ToolCall):
            self._add(writing, write_part(event.part))

    def _add(self, writing: _Writing, part: dict[str, Any] | None) -> None:
        if part is not None:
            writing.last = part
            self._pending.append((writing.choice, part))
            self._candidate(writing.choice).parts += 1

    def _delta(self, event: Delta) -> None:
        writing = self._writing[event.index]
        if event.logprobs:
            self._logprobs.setdefault(writing.choice, []).extend(event.logprobs)
        if not event.text:
            return
        if isinstance(writing.part, ToolCall):
            writing.arguments.append(event.text)
            return
        writing.kept.add(event.text)
        if writing.last is not None and self._pending and self._pending[-1][1] is writing.last:
            writing.last["text"] += event.text
        else:
            thought = {"thought": True} if isinstance(writing.part, Thinking) else {}
            self._add(writing, {"text": event.text, **thought})

    def _closed(self, writing: _Writing, told: Seal | None) -> None:
        part, candidate = writing.part, self._candidate(writing.choice)
        if isinstance(part, ToolCall):
            whole = msgspec.structs.replace(part, arguments="".join(writing.arguments), seal=told or part.seal)
            call = write_part(whole)
            self._add(writing, call)
            if call is None:
                candidate.broken.append(malformed(whole.name, whole.arguments))
        elif isinstance(part, Text | Thinking):
            self._sign(writing, told or part.seal)
            for citation in writing.citations:
                candidate.cited.add(citation, writing.kept.text())

    def _sign(self, writing: _Writing, seal: Seal | None) -> None:
        """The signature of a text: with its last piece where that has not gone out, else in an empty one, as Gemini does."""
        if seal is None:
            return
        if writing.last is not None and self._pending and self._pending[-1][1] is writing.last:
            writing.last.update(signed(seal))
        else:
            self._add(writing, write_part(msgspec.structs.replace(writing.part, seal=seal)))

    def _envelope(self) -> dict[str, Any]:
        frame, begin = self._frame, self._begin
        return envelope(begin.id or frame.id, begin.model or frame.ask.model, begin.vendor)

    def _flush(self) -> bytes:
        """The pieces for what has come; each holds one choice, as Gemini's do."""
        choices = dict.fromkeys([*(choice for choice, _ in self._pending), *self._logprobs])
        out = b""
        for choice in choices:
            parts = [part for one, part in self._pending if one == choice]
            candidate: dict[str, Any] = {"content": content(parts), "index": choice}
            if choice in self._logprobs:
                candidate["logprobsResult"] = write_logprobs(self._logprobs[choice])
            out += self._framer.chunk(msgspec.json.encode({"candidates": [candidate], **self._envelope()}))
        self._pending.clear()
        self._logprobs.clear()
        return out

    def _last(self) -> bytes:
        told = self._envelope()
        if not is_blocked(self._begin.vendor, any(one.parts for one in self._candidates.values())):
            candidates = self._candidates or {0: _Candidate()}
            told = {"candidates": [self._ended(number, one) for number, one in sorted(candidates.items())], **told}
        usage = write_usage(self._count.usage, self._count.raw)
        if usage is not None:
            told["usageMetadata"] = usage
        return self._framer.chunk(msgspec.json.encode(told)) + self._framer.end()

    def _ended(self, number: int, candidate: _Candidate) -> dict[str, Any]:
        finished = candidate.finished or Finished("")
        told = ending(finished.reason, finished.native, finished.vendor, candidate.broken, candidate.cited)
        return {"content": content([]), "index": number, **told}
