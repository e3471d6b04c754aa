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
from trunkline.dialects.gemini.write_answer import (
    content,
    ending,
    envelope,
    is_blocked,
    malformed,
    signed,
    write_part,
)
from trunkline.dialects.google_shape.usage import write_usage

_encode = msgspec.json.Encoder().encode


class _Candidate:
    """What is told of a choice at its end."""

    def __init__(self) -> None:
        self.finished: Finished | None = None
        self.broken: list[str] = []
        self.cited = Cited()
        self.parts = 0


class _Writing:
    """A part that is being written."""

    def __init__(self, opened: Open, candidate: _Candidate) -> None:
        self.part: Part = opened.part
        self.choice = opened.choice
        self.candidate = candidate
        self.arguments: list[str] = []
        self.kept = Kept()
        self.citations: list[Citation] = []
        self.last: dict[str, Any] | None = None
        """What stands of it in the piece that has not gone out yet."""


class GeminiWriter:
    """Writes one stream."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._framer = Framer(frame.ask.form)
        self.error: GatewayError | None = None  # it has words for every way in which a model fails to finish
        self._begin = Begin("", "")
        self._after = self._told_after()
        self._count = Count(NO_USAGE)
        self._writing: dict[int, _Writing] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._pending: dict[int, list[dict[str, Any]]] = {}
        """Choice -> its parts that have not gone out yet."""
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
                self._after = self._told_after()
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
        writing = self._writing[event.index] = _Writing(event, self._candidate(event.choice))
        if not isinstance(event.part, Text | Thinking | Refusal | ToolCall):
            self._add(writing, write_part(event.part))

    def _add(self, writing: _Writing, part: dict[str, Any] | None) -> None:
        if part is not None:
            writing.last = part
            writing.candidate.parts += 1
            self._pending.setdefault(writing.choice, []).append(part)

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
        if (last := self._unsent(writing)) is not None:
            last["text"] += event.text
        else:
            self._add(writing, {"text": event.text} | ({"thought": True} if isinstance(writing.part, Thinking) else {}))

    def _unsent(self, writing: _Writing) -> dict[str, Any] | None:
        """The last piece of a part, where it has not gone out yet and nothing follows it."""
        pending = self._pending.get(writing.choice)
        return writing.last if pending and pending[-1] is writing.last else None

    def _closed(self, writing: _Writing, told: Seal | None) -> None:
        part, candidate = writing.part, writing.candidate
        if isinstance(part, ToolCall):
            whole = msgspec.structs.replace(part, arguments="".join(writing.arguments), seal=told or part.seal)
            call = write_part(whole)
            self._add(writing, call)
            if call is None:
                candidate.broken.append(malformed(whole.name, whole.arguments))
        elif isinstance(part, Text | Thinking):
            self._sign(writing, told or part.seal)
            text = writing.kept.text() if writing.citations else None
            for citation in writing.citations:
                candidate.cited.add(citation, text)

    def _sign(self, writing: _Writing, seal: Seal | None) -> None:
        """The signature of a text: with its last piece where that has not gone out, else in an empty one, as Gemini does."""
        if seal is None:
            return
        if (last := self._unsent(writing)) is not None:
            last.update(signed(seal))
        else:
            self._add(writing, write_part(msgspec.structs.replace(writing.part, seal=seal)))

    def _envelope(self) -> dict[str, Any]:
        frame, begin = self._frame, self._begin
        return envelope(begin.id or frame.id, begin.model or frame.ask.model, begin.vendor)

    def _told_after(self) -> bytes:
        """What stands in every piece after its candidates."""
        return _encode(self._envelope())[1:]

    def _flush(self) -> bytes:
        """The pieces for what has come; each holds one choice, as Gemini's do."""
        out: list[bytes] = []
        for choice in self._pending | self._logprobs:
            told = _encode(content(self._pending.get(choice, [])))
            tokens = self._logprobs.get(choice)
            beside = b',"logprobsResult":' + _encode(write_logprobs(tokens)) if tokens else b""
            chunk = b'{"candidates":[{"content":%b,"index":%d%b}],%b' % (told, choice, beside, self._after)
            out.append(self._framer.chunk(chunk))
        self._pending.clear()
        self._logprobs.clear()
        return b"".join(out)

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
