"""What every tap knows of the stream it reads in passing, and how much of an answer it has seen.

What an event or a line says, and so when a stream is complete, belongs in the dialects.
"""

from __future__ import annotations

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects import guess
from trunkline.dialects.sse import EventCutter

#: Bytes of one event that are held back until it is whole. A longer one is passed on as it comes, unread.
HOLD = 128 * 1024


class Watch:
    """The state of one stream; its attributes are those of `dialects.dialect.Tap`, usage aside."""

    __slots__ = ("_pieces", "_size", "complete", "ended", "error", "finish", "opened", "unread")

    def __init__(self) -> None:
        self.finish = ""
        self.opened = False
        self.complete = False
        self.ended = False
        self.error: GatewayError | None = None
        self.unread = 0
        self._pieces = 0
        self._size = 0

    def estimate(self) -> int:
        """Output tokens guessed: one for each piece of text, thought or call, and not fewer than a quarter of their bytes
        (some providers stream many tokens in a piece).
        """
        return max(self._pieces, guess.tokens(self._size))

    def filtered(self) -> bool:
        """Whether a filter ended it before anything was said."""
        return bool(self.finish) and not self._pieces and self._means_filter(self.finish)

    def _means_filter(self, finish: str) -> bool:  # noqa: ARG002 - for dialects that have such a word
        """Whether the provider's word for the end means that."""
        return False

    def _open(self) -> None:
        """An error that came first leaves the stream unopened for good, whatever follows it in the same read."""
        if self.error is None:
            self.opened = True

    def _skip(self) -> None:
        """Something passes unread."""
        self.unread += 1
        self._open()

    def _weigh(self, size: int) -> None:
        """A piece of the answer, of so many bytes or characters; none where there is nothing in it."""
        if size > 0:
            self._pieces += 1
            self._size += size


class EventWatch(Watch):
    """The same for server-sent events that pass as they are, and are held back until they are whole."""

    __slots__ = ("_cut", "_loose", "raw_usage", "usage")

    def __init__(self) -> None:
        super().__init__()
        self.usage: Usage = NO_USAGE
        self.raw_usage = ""
        self._cut = EventCutter()
        self._loose = False

    def _loosened(self) -> bytes:
        """The beginning of an event that is too long to be held."""
        if not self._loose:
            self._loose = True
            self._skip()
        return self._cut.loosen()
