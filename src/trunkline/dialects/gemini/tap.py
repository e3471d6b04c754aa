"""A streamed answer read in passing: usage, finish and errors. Its bytes pass, or are framed anew where the client asked for
the other framing; what stands in the frames is never changed.
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask
from trunkline.dialects.errors import protocol
from trunkline.dialects.gemini.errors import reported
from trunkline.dialects.gemini.framing import LIMIT, Cutter, Framer, Piece, one_line
from trunkline.dialects.gemini.words import SSE, means_filter
from trunkline.dialects.google_shape.usage import Told
from trunkline.dialects.watch import Watch

_FINISH_LENGTH = 64
_ABSENT = msgspec.Raw(b"")
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: msgspec.Raw = _ABSENT
    function_call: msgspec.Raw = _ABSENT


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    index: Any = 0
    content: _Content | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    usage_metadata: msgspec.Raw = _ABSENT
    prompt_feedback: Any = None
    error: Any = None


class _Told(msgspec.Struct, rename="camel", gc=False):
    """What must not be lost of a chunk whose candidates have a shape unknown here."""

    usage_metadata: msgspec.Raw = _ABSENT
    prompt_feedback: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_told = msgspec.json.Decoder(_Told).decode


class GeminiTap(Watch):
    """The tap of one stream; its attributes are those of `dialects.dialect.Tap`.

    `ended` is known only at `close`: there is no end mark, and a candidate that has finished may still be told more about.
    """

    __slots__ = ("_blocked", "_cut", "_finished", "_form", "_framer", "_loose", "_seen", "_told", "_unusable")

    def __init__(self, ask: Ask) -> None:
        """`ask.form` is the framing that the client asked for."""
        super().__init__()
        self._form = ask.form
        self._framer = Framer(ask.form)
        self._cut = Cutter()
        self._loose = False
        self._unusable = False
        self._blocked = False
        self._seen: set[Any] = set()
        self._finished: set[Any] = set()
        self._told = Told()

    @property
    def usage(self) -> Usage:
        """As reported so far."""
        return self._told.read()[0]

    @property
    def raw_usage(self) -> str:
        """The provider's own JSON of it."""
        return self._told.read()[1]

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the pieces that are now whole."""
        if self._unusable:
            return b""
        if self._form == SSE and len(data) <= LIMIT and (line := self._cut.lone(data)):
            self._read(line)
            return data
        out = [self._carried(piece) for piece in self._cut.feed(data)]
        if self._holds_too_much():
            out.append(self._overlong())
        return out[0] if len(out) == 1 else b"".join(out)

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back."""
        if self._unusable:
            return b""
        pieces = self._cut.close()
        out = b"".join(map(self._carried, pieces))
        self.ended = self.complete
        over = self.complete or self.error is not None
        if over and not (self._same and pieces[-1].raw.rstrip().endswith(b"]")):
            out += self._framer.end()
        return out

    def fail(self, error: GatewayError) -> bytes:
        """The bytes that end this stream as broken: an error event, or an error element and the end of the array."""
        return (b"\r\n\r\n" if self._loose else b"") + self._framer.broken(error)

    @override
    def _means_filter(self, finish: str) -> bool:
        return self._blocked or means_filter(finish)

    @property
    def _same(self) -> bool:
        """The provider's framing is the client's."""
        return self._cut.framing == self._form

    def _carried(self, piece: Piece) -> bytes:
        """What goes out of one piece."""
        if self._unusable:
            return b""
        if self._loose:  # the end of an event whose beginning went out before it was whole
            self._loose = False
            return piece.raw
        if len(piece.raw) > LIMIT:  # that it came in one slice is chance, and must make no difference
            return self._unheld() or piece.raw
        readable = bool(piece.data) and self._read(piece.data)
        if self._same:
            if piece.data:
                self._framer.passed()
            return piece.raw
        line = one_line(piece.data) if readable else b""
        return self._framer.chunk(line) if line else b""

    def _holds_too_much(self) -> bool:
        return not self._unusable and (self._loose or self._cut.held > LIMIT)

    def _overlong(self) -> bytes:
        if not self._loose and (out := self._unheld()):
            return out
        self._loose = True
        return self._cut.loosen()

    def _unheld(self) -> bytes:
        """A piece is too long to be held. An event of the client's own framing passes unread; what else is an error."""
        if self._same and self._cut.framing == "sse":
            self._skip()
            return b""
        self._unusable = True
        self.error = protocol(f"The provider sent a piece of more than {LIMIT} bytes.", b"")
        return self._framer.broken(self.error)

    def _read(self, data: bytes) -> bool:
        """Read one chunk; False where it is no JSON object."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            self.unread += 1
            try:
                told = _decode_told(data)
            except (ValueError, RecursionError):
                self._open()
                return False
            chunk = _Chunk(None, told.usage_metadata, told.prompt_feedback, told.error)
        if chunk.error and self.error is None:
            self.error = reported(chunk.error, data)
        self._open()
        self._note(chunk)
        return True

    def _note(self, chunk: _Chunk) -> None:
        for candidate in chunk.candidates or ():
            self._content(candidate.content)
            index = candidate.index if type(candidate.index) is int else 0
            self._seen.add(index)
            word = candidate.finish_reason
            if isinstance(word, str) and word != _UNSPECIFIED:
                self._end(index, word)
        feedback = chunk.prompt_feedback
        if isinstance(feedback, dict) and isinstance(word := feedback.get("blockReason"), str) and not self._seen:
            self._blocked = True
            self._end(0, word)
        self.complete = bool(self._finished) and self._seen <= self._finished
        self._told.keep(chunk.usage_metadata)

    def _end(self, index: int, word: str) -> None:
        self.finish = word[:_FINISH_LENGTH]
        self._finished.add(index)

    def _content(self, content: _Content | None) -> None:
        for part in (content.parts if content is not None else None) or ():
            self._weigh(len(bytes(part.text)) + len(bytes(part.function_call)) - 2)  # the quotes, or the braces
