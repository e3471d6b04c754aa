"""A streamed answer read in passing: usage, how it ended and errors, without changing a byte.

The events that only announce an answer do not open its stream: providers tell them before they know whether there will be
one, and an error that follows is still an ordinary error to the client.
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_responses.errors import event_fields
from trunkline.dialects.openai_responses.failure import event_error, failed
from trunkline.dialects.openai_responses.reply import FILTERED, Answer, finish_of
from trunkline.dialects.openai_responses.skim import Skim
from trunkline.dialects.openai_responses.usage import read_usage
from trunkline.dialects.shallow import encode
from trunkline.dialects.sse import parse
from trunkline.dialects.watch import HOLD, EventWatch

ANNOUNCING = frozenset({"response.created", "response.in_progress", "response.queued"})
"""Events that only say that there will be an answer."""
ENDING = frozenset({"response.completed", "response.incomplete"})
FAILING = frozenset({"response.failed", "response.cancelled", "error"})
_HELD = 32 * 1024
"""Bytes of announcements, which repeat the request's tools, until a stream is open all the same."""
_ABSENT = msgspec.Raw(b"")


class _Event(msgspec.Struct, gc=False):
    type: Any = ""
    sequence_number: Any = None
    delta: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


class ResponsesTap(EventWatch):
    """The tap of one stream; its attributes are those of `dialects.dialect.Tap`.

    Whatever the slices the bytes arrive in, what goes out is what came in.
    """

    __slots__ = ("_announced", "_last", "_skim")

    def __init__(self, ask: Ask, *, hide_usage: bool) -> None:  # noqa: ARG002 - usage is told unasked, nothing is hidden
        super().__init__()
        self._announced = 0
        self._last = -1
        self._skim = Skim()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the events that are now whole."""
        raws = self._cut.feed(data)
        for raw in raws:
            self._see(raw)
        if self._loose or len(self._cut.held) > HOLD:
            piece = self._loosened()
            self._skim.take(piece)
            raws.append(piece)
        return raws[0] if len(raws) == 1 else b"".join(raws)

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back. Some servers leave out the last blank line."""
        raw = self._cut.release()
        self._see(raw)
        return raw

    def fail(self, error: GatewayError) -> bytes:
        """The event that ends the stream as broken, after a blank line where the beginning of an event went out."""
        return (b"\n\n" if self._loose else b"") + _error_event(error, self._last + 1)

    @override
    def _means_filter(self, finish: str) -> bool:
        return finish == FILTERED

    def _see(self, raw: bytes) -> None:
        """Read one event as far as it must be read."""
        if self._loose:  # the end of an event whose beginning went out before it was whole
            self._loose = False
            self._skimmed(raw)
        elif len(raw) > HOLD:  # that it came in one piece is chance, and must make no difference
            self._skip()
            self._skimmed(raw)
        elif (event := parse(raw)) is not None and event.data:
            self._read(event.event, event.data, len(raw))

    def _skimmed(self, raw: bytes) -> None:
        """An event that passed unread ends here."""
        skim, self._skim = self._skim, Skim()
        skim.take(raw)
        self._count(skim.usage)
        self._ending(skim.name, "", None, b"")

    def _read(self, name: str, data: bytes, size: int) -> None:
        if data.startswith(b"[DONE]"):  # OpenRouter's
            self.complete = self.ended = True
            self._open()
            return
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            event = _Event(error=data.decode("utf-8", "replace") if name == "error" else None)
            self.unread += name != "error"
        kind = event.type if isinstance(event.type, str) and event.type else name
        if type(event.sequence_number) is int:
            self._last = event.sequence_number
        delta = bytes(event.delta)
        if delta.startswith(b'"'):
            self._weigh(len(delta) - 2)  # its quotes
        elif kind in ANNOUNCING:
            self._announced += size
            if self._announced <= _HELD:
                return
        elif event.error or kind in ENDING or kind in FAILING:
            self._tell(kind, event, data)
        self._open()

    def _tell(self, kind: str, event: _Event, data: bytes) -> None:
        """What only the last event says: how it ended, and what it cost; or that it went wrong."""
        answer = _answer(event.response)
        self._count(answer.usage, answer.service_tier)
        error = event_error(msgspec.structs.asdict(event)) if kind == "error" or event.error else answer.error
        self._ending(kind, finish_of(answer), error, data)

    def _ending(self, kind: str, finish: str, error: object, data: bytes) -> None:
        if kind in ENDING:
            self.complete = self.ended = True
            self.finish = finish or kind.removeprefix("response.")
        elif (error or kind in FAILING) and self.error is None:
            self.error = failed(error, data, streamed=True)

    def _count(self, raw: msgspec.Raw, tier: object = None) -> None:
        usage, text = read_usage(raw, tier)
        if usage is not NO_USAGE:
            self.usage, self.raw_usage = usage, text


def _answer(raw: msgspec.Raw) -> Answer:
    try:
        return _decode_answer(raw)
    except (ValueError, RecursionError):
        return Answer()


def _error_event(error: GatewayError, number: int) -> bytes:
    """The SDKs raise it; Codex, which does not know it, misses the end and tries again. Both are right."""
    told = {"type": "error", **event_fields(error), "sequence_number": number}
    return b"event: error\ndata: " + encode(told) + b"\n\n"


tap = ResponsesTap
