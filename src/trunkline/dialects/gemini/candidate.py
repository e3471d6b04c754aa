"""One candidate of a streamed answer: its pieces of text grown together to parts, its calls made whole.

Pieces of the same kind that follow each other are one part. A signature ends the part it stands in or, in an empty text,
the part before it; the part is closed only when the next begins, for what is told of it at the end (citations).
"""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import NOTHING, Json, Part, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Cite, Close, Delta, Event, Finished, Open
from trunkline.dialects.gemini.citing import Kept, Sources
from trunkline.dialects.gemini.logprobs import read_logprobs
from trunkline.dialects.gemini.partial import PartialArguments
from trunkline.dialects.gemini.read_answer import Ids, answer_part, candidate_rest, parts_of, text_of
from trunkline.dialects.gemini.words import NAME, read_finish
from trunkline.dialects.state import seal_of

_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_TEXT, _THOUGHT = Text(""), Thinking("")


class Numbers:
    """Counts the parts and makes the ids of all candidates of one stream."""

    def __init__(self, new_id: Ids) -> None:
        self.new_id = new_id
        self._next = 0

    def index(self) -> int:
        """The number of the next part."""
        self._next += 1
        return self._next - 1


class _Growing:
    """The open text or thought."""

    def __init__(self, index: int, kind: type[Part]) -> None:
        self.index = index
        self.kind = kind
        self.seal: Seal | None = None
        self.kept = Kept()


class _Call:
    """A call whose arguments come in pieces."""

    def __init__(self, index: int, seal: Seal | None) -> None:
        self.index = index
        self.seal = seal
        self.arguments = PartialArguments()


class CandidateReader:
    """Reads what chunks tell of one candidate. Every method adds to the events it is given."""

    def __init__(self, number: int, numbers: Numbers) -> None:
        self.finished = False
        self._number = number
        self._numbers = numbers
        self._open: _Growing | None = None
        self._call: _Call | None = None
        self._content = False
        self._calls = False
        self._vendor: dict[str, object] = {}

    def read(self, candidate: Json, events: list[Event]) -> None:
        """One chunk's candidate. After its end it says nothing more."""
        if self.finished:
            return
        for value in parts_of(candidate):
            self._part(value, events)
        self._logprobs(candidate, events)
        self._vendor |= candidate_rest(candidate)
        word = text_of(candidate, "finishReason")
        if not word or word == _UNSPECIFIED:
            return
        self.finished = True
        self._close_call(events)
        self._cite(events)
        self._close(events)
        reason = read_finish(word, calls=self._calls, content=self._content)
        events.append(Finished(reason, word, choice=self._number, vendor=self._vendor or NOTHING))

    def say(self, text: str, thought: bool, signature: str, events: list[Event]) -> None:
        """A part that is text and nothing else."""
        if not self.finished:
            self._grow(_THOUGHT if thought else _TEXT, text, seal_of(signature, NAME), events)

    def _part(self, value: object, events: list[Event]) -> None:
        told = value.get("functionCall") if isinstance(value, dict) else None
        if isinstance(told, dict) and self._goes_on(told, events):
            return
        part = answer_part(value, self._numbers.new_id)
        if isinstance(part, Text | Thinking):
            self._grow(msgspec.structs.replace(part, text="", seal=None), part.text, part.seal, events)
            return
        self._close(events)
        self._close_call(events)
        self._content = True
        index = self._numbers.index()
        if not isinstance(part, ToolCall):
            events += [Open(index, part, self._number), Close(index)]
            return
        self._calls = True
        goes_on = isinstance(told, dict) and told.get("willContinue") is True
        vendor = NOTHING if goes_on else part.vendor
        # With its seal: where a client's dialect puts that before the call, it would otherwise come too late.
        events.append(Open(index, msgspec.structs.replace(part, arguments="", vendor=vendor), self._number))
        if isinstance(told, dict) and goes_on:
            self._call = _Call(index, part.seal)
            self._call.arguments.add(told)
        else:
            events += [Delta(index, part.arguments), Close(index, part.seal)]

    def _goes_on(self, call: Json, events: list[Event]) -> bool:
        """A piece of a call that has begun: it has no name. The last is one that says it will not go on."""
        if self._call is None or text_of(call, "name"):
            return False
        self._call.arguments.add(call)
        if call.get("willContinue") is not True:
            self._close_call(events)
        return True

    def _close_call(self, events: list[Event]) -> None:
        if self._call is not None:
            index = self._call.index
            events += [Delta(index, self._call.arguments.text()), Close(index, self._call.seal)]
            self._call = None

    def _grow(self, empty: Text | Thinking, text: str, seal: Seal | None, events: list[Event]) -> None:
        """More text; `empty` is the part that begins with it where no such part is open."""
        if not text and seal is None:
            return
        growing = self._open
        if growing is None or growing.kind is not type(empty) or growing.seal is not None:
            self._close(events)
            self._close_call(events)
            growing = self._open = _Growing(self._numbers.index(), type(empty))
            events.append(Open(growing.index, empty, self._number))
            self._content = True
        if text:
            growing.kept.add(text)
            events.append(Delta(growing.index, text))
        growing.seal = seal

    def _logprobs(self, candidate: Json, events: list[Event]) -> None:
        """Of the text that is open; they come with its pieces."""
        tokens = read_logprobs(candidate.get("logprobsResult"))
        if tokens and self._open is not None and self._open.kind is Text:
            events.append(Delta(self._open.index, "", tokens))

    def _cite(self, events: list[Event]) -> None:
        growing = self._open
        if growing is not None and growing.kind is Text:
            events += [Cite(growing.index, one) for one in Sources(self._vendor).of(growing.kept.text())]

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(Close(self._open.index, self._open.seal))
            self._open = None
