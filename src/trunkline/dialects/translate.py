"""A streamed answer translated: a provider's reader and a client's writer behind the interface of a tap."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

import msgspec

from trunkline.canon.chat import Part, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Fold, Open
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects import guess
from trunkline.dialects.dialect import Reader, Writer

_KEPT = 256 * 1024
"""Characters of an answer that are kept for `kept`; a longer one is not remembered."""


class Translation:
    """The tap of a translated stream; its attributes are those of `dialects.dialect.Tap`."""

    __slots__ = (
        "_choices",
        "_count",
        "_filtered",
        "_finished",
        "_fold",
        "_names",
        "_reader",
        "_size",
        "_stateful",
        "_tokens",
        "_writer",
        "complete",
        "ended",
        "error",
        "finish",
        "opened",
        "unread",
    )

    def __init__(self, dialect: str, reader: Reader, writer: Writer, names: Mapping[str, str]) -> None:
        """`dialect`: the provider's. `names`: as in `Outgoing`."""
        self._reader = reader
        self._writer = writer
        self._names = names
        self._fold: Fold | None = Fold(dialect)
        self._size = 0
        self._tokens = 0
        self._stateful = False
        self._choices: set[int] = set()
        self._finished: set[int] = set()
        self._filtered = True
        self._count = Count(NO_USAGE)
        self.finish = ""
        self.opened = False
        self.complete = False
        self.ended = False
        self.error: GatewayError | None = None
        self.unread = 0

    @property
    def usage(self) -> Usage:
        """As reported so far."""
        return (self._reader.count() or self._count).usage

    @property
    def raw_usage(self) -> str:
        """The provider's own JSON of it."""
        return (self._reader.count() or self._count).raw

    def feed(self, data: bytes) -> bytes:
        """The client's bytes for the provider's."""
        return self._carry(self._reader.feed(data))

    def close(self) -> bytes:
        """What the provider's end brings."""
        rest = self._carry(self._reader.close())
        self.error = self.error or self._writer.error  # only now: usage may have followed
        return rest

    def fail(self, error: GatewayError) -> bytes:
        """The broken end, in the client's dialect."""
        return self._writer.fail(error)

    def filtered(self) -> bool:
        """Whether a filter ended all of it before anything was said."""
        return bool(self._finished) and self._filtered and not self._tokens

    def estimate(self) -> int:
        """Four characters a token, and a token at least for every piece: providers stream about one a piece."""
        return max(self._tokens, guess.tokens(self._size))

    def kept(self) -> Reply | None:
        """The answer, where it holds thinking or state that a client may fail to hand back; else None."""
        return self._fold.reply() if self._fold is not None and self._stateful else None

    def _carry(self, events: list[Event]) -> bytes:
        if self.error is not None:
            return b""
        if self._names:
            events = [_renamed(event, self._names) for event in events]
        for event in events:
            if isinstance(event, Delta):  # nearly every one
                self._size += len(event.text)
                self._tokens += 1
            else:
                self._see(event)
        if self._fold is not None:
            self._fold.add(events)
            if self._size > _KEPT:
                self._fold = None
        if self.error is None:
            return self._writer.write(events)
        before = list(takewhile(lambda event: not isinstance(event, Fail), events))
        return self._writer.write(before) + self._writer.fail(self.error) if self.opened else b""

    def _see(self, event: Event) -> None:
        match event:
            case Open():
                self._choices.add(event.choice)
                self.complete = self.complete and event.choice in self._finished
                self._stateful = self._stateful or _has_state(event.part)
            case Close():
                self._stateful = self._stateful or event.seal is not None
            case Count():
                self._count = event
            case Finished():
                self.finish = event.native or event.reason
                self._finished.add(event.choice)
                self._filtered = self._filtered and event.reason == "content_filter"
                self.complete = self._choices <= self._finished
            case End():
                self.complete = self.ended = True
            case Fail():
                self.error = event.error
            case Begin():
                self.opened = True
            case _:
                pass


def renamed(reply: Reply, names: Mapping[str, str]) -> Reply:
    """The answer with its tools called as the client calls them."""
    if not names:
        return reply
    choices = tuple(
        msgspec.structs.replace(choice, parts=tuple(_called(part, names) for part in choice.parts)) for choice in reply.choices
    )
    return msgspec.structs.replace(reply, choices=choices)


def has_state(reply: Reply) -> bool:
    """The answer holds thinking or state that a client may fail to hand back."""
    return any(_has_state(part) for choice in reply.choices for part in choice.parts)


def emptied(reply: Reply) -> bool:
    """A filter left nothing of the answer: what it thought before, and the filter's own words, are no answer."""
    return all(choice.finish == "content_filter" and not any(map(_says, choice.parts)) for choice in reply.choices)


def _says(part: Part) -> bool:
    return bool(part.text.strip()) if isinstance(part, Text) else not isinstance(part, Thinking | Refusal)


def _renamed(event: Event, names: Mapping[str, str]) -> Event:
    return msgspec.structs.replace(event, part=_called(event.part, names)) if isinstance(event, Open) else event


def _called(part: Part, names: Mapping[str, str]) -> Part:
    return msgspec.structs.replace(part, name=names.get(part.name, part.name)) if isinstance(part, ToolCall) else part


def _has_state(part: Part) -> bool:
    return isinstance(part, Thinking) or getattr(part, "seal", None) is not None
