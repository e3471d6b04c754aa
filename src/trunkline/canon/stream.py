"""A streamed answer as events, and their relation to a whole one.

Order: one `Begin`; then for each part `Open`, any number of `Delta`, `Close`; a `Finished` for each choice; `Count`
whenever usage is told (the last one holds); one `End`. Parts of one choice may be open at the same time (parallel tool
calls); a part's `index` is its own in the whole stream, counted from 0 in the order of opening. `Fail` ends a stream that
broke: nothing follows it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.canon.chat import (
    NOTHING,
    Choice,
    Citation,
    FinishReason,
    Json,
    Part,
    Refusal,
    Reply,
    Seal,
    Text,
    Thinking,
    ToolCall,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE, Usage


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The answer begins. Fields as in `Reply`."""

    id: str
    model: str
    created: int = 0
    vendor: Json = NOTHING


class Open(msgspec.Struct, frozen=True, gc=False):
    """A part begins: `part` is a `Text`, `Thinking` or `Refusal` with empty text, a `ToolCall` with empty arguments, or a
    whole `Media` or `Other`, which has no deltas.
    """

    index: int
    part: Part
    choice: int = 0


class Delta(msgspec.Struct, frozen=True, gc=False):
    """More text, or more of a tool call's arguments. Never empty, but for one that carries logprobs."""

    index: int
    text: str
    logprobs: tuple[Json, ...] = ()


class Cite(msgspec.Struct, frozen=True, gc=False):
    """A citation of the open text `index`."""

    index: int
    citation: Citation


class Close(msgspec.Struct, frozen=True, gc=False):
    """A part is whole. `seal`, where one came, is the part's; it holds over one told at its opening."""

    index: int
    seal: Seal | None = None


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A choice is whole; fields as in `Choice`."""

    reason: FinishReason
    native: str = ""
    stop_sequence: str = ""
    choice: int = 0
    vendor: Json = NOTHING


class Count(msgspec.Struct, frozen=True, gc=False):
    """Usage so far: it replaces what was told before. `raw` is the provider's own JSON text."""

    usage: Usage
    raw: str = ""


class Extra(msgspec.Struct, frozen=True, gc=False):
    """What only one dialect knows, whole."""

    dialect: str
    value: Json


class Fail(msgspec.Struct, frozen=True, gc=False):
    """The provider reported an error inside its answer, or the answer cannot be read on."""

    error: GatewayError


class End(msgspec.Struct, frozen=True, gc=False):
    """The answer came to its own end."""


_PIECES = 64

Event = Begin | Open | Delta | Cite | Close | Finished | Count | Extra | Fail | End


class Fold:
    """Puts a stream's events together to the answer they tell."""

    def __init__(self, dialect: str) -> None:
        """`dialect`: the provider's, whose words `vendor` fields are."""
        self._dialect = dialect
        self._begin = Begin("", "")
        self._parts: dict[int, _Growing] = {}
        self._finished: dict[int, Finished] = {}
        self._count = Count(NO_USAGE)

    def add(self, events: Iterable[Event]) -> None:
        """Take the next events. `Extra` and `Fail` leave no trace."""
        for event in events:
            match event:
                case Delta():
                    self._parts[event.index].add(event)
                case Open():
                    self._parts[event.index] = _Growing(event)
                case Close():
                    self._parts[event.index].seal = event.seal
                case Cite():
                    self._parts[event.index].citations.append(event.citation)
                case Finished():
                    self._finished[event.choice] = event
                case Count():
                    self._count = event
                case Begin():
                    self._begin = event
                case _:
                    pass

    def reply(self) -> Reply:
        """The answer so far. There is always at least one choice."""
        begin = self._begin
        last = max([0, *self._finished, *(part.open.choice for part in self._parts.values())])
        return Reply(
            dialect=self._dialect,
            id=begin.id,
            model=begin.model,
            created=begin.created,
            choices=tuple(self._choice(number) for number in range(last + 1)),
            usage=self._count.usage,
            raw_usage=self._count.raw,
            vendor=begin.vendor,
        )

    def _choice(self, number: int) -> Choice:
        finished = self._finished.get(number, Finished(""))
        parts = [part for _, part in sorted(self._parts.items()) if part.open.choice == number]
        return Choice(
            parts=tuple(part.whole() for part in parts),
            finish=finished.reason,
            native_finish=finished.native,
            stop_sequence=finished.stop_sequence,
            logprobs=tuple(one for part in parts for one in part.logprobs),
            vendor=finished.vendor,
        )


class _Growing:
    """A part that is not whole yet."""

    def __init__(self, opened: Open) -> None:
        self.open = opened
        self._pieces: list[str] = []
        self.logprobs: list[Json] = []
        self.citations: list[Citation] = []
        self.seal: Seal | None = None

    def add(self, delta: Delta) -> None:
        pieces = self._pieces
        pieces.append(delta.text)
        if len(pieces) > _PIECES:  # many short strings take ten times the room of a long one
            pieces[:] = ["".join(pieces)]
        self.logprobs += delta.logprobs

    def whole(self) -> Part:
        part, text = self.open.part, "".join(self._pieces)
        match part:
            case Text():
                return msgspec.structs.replace(
                    part, text=part.text + text, seal=self.seal or part.seal, citations=part.citations + tuple(self.citations)
                )
            case Thinking():
                return msgspec.structs.replace(part, text=part.text + text, seal=self.seal or part.seal)
            case ToolCall():
                return msgspec.structs.replace(part, arguments=(part.arguments + text) or "{}", seal=self.seal or part.seal)
            case Refusal():
                return Refusal(part.text + text)
            case _:
                return part


def unfold(reply: Reply) -> list[Event]:
    """The events of an answer that came whole: what a client sees that asked for a stream where the provider gave none."""
    events: list[Event] = [Begin(reply.id, reply.model, reply.created, reply.vendor)]
    index = 0
    for number, choice in enumerate(reply.choices):
        bearer = _bearer(choice.parts)
        for at, part in enumerate(choice.parts):
            events += _opened(index, part, number, choice.logprobs if at == bearer else ())
            index += 1
        events.append(Finished(choice.finish, choice.native_finish, choice.stop_sequence, number, choice.vendor))
    events += [Count(reply.usage, reply.raw_usage), End()]
    return events


def _bearer(parts: tuple[Part, ...]) -> int | None:
    """Which part carries a choice's logprobs, as nothing tells whose they are: its first text, else the first with deltas."""
    texts = (at for at, part in enumerate(parts) if isinstance(part, Text))
    others = (at for at, part in enumerate(parts) if isinstance(part, Refusal | ToolCall | Thinking))
    return next(texts, next(others, None))


def _opened(index: int, part: Part, choice: int, logprobs: tuple[Json, ...]) -> list[Event]:
    match part:
        case Text():
            empty: Part = msgspec.structs.replace(part, text="", seal=None, citations=())
            text = part.text
        case Thinking():
            empty, text = msgspec.structs.replace(part, text="", seal=None), part.text
        case ToolCall():
            empty, text = msgspec.structs.replace(part, arguments=""), part.arguments
        case Refusal():
            empty, text = Refusal(""), part.text
        case _:
            empty, text = part, ""
    events: list[Event] = [Open(index, empty, choice)]
    if text or logprobs:
        events.append(Delta(index, text, logprobs))
    if isinstance(part, Text):
        events += [Cite(index, citation) for citation in part.citations]
    events.append(Close(index, part.seal if isinstance(part, Text | Thinking | ToolCall) else None))
    return events
