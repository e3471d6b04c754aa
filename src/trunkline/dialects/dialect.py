"""The interface of a dialect, as far as the same-dialect path needs it.

One object per dialect, stateless; `tap()` makes the state of one stream. Translating readers and writers join this
interface when a second dialect lands.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import Usage


class Ask(msgspec.Struct, frozen=True):
    """A client's request, decoded one level deep."""

    fields: dict[str, msgspec.Raw]
    """Every top-level field, in order, values untouched. A key that stood twice is here once, with its last value."""
    model: str
    stream: bool
    include_usage: bool
    """The client itself asked for the usage chunk of a stream."""


class Whole(msgspec.Struct, frozen=True):
    """What a whole answer told us in passing."""

    usage: Usage
    raw_usage: str
    finish: str
    estimate: int = 0
    """Output tokens guessed from its size where it reports no usage."""


class Tap(Protocol):
    """Reads one streamed answer in passing. Forwards complete events only, so that a broken stream can end cleanly."""

    usage: Usage
    """As reported so far; `basis` is `none` until the provider reports."""
    raw_usage: str
    finish: str
    opened: bool
    """A first event with data was seen, and it was no error. Comments and pings do not open a stream."""
    complete: bool
    """The answer came to its own end: every choice has its finish reason, or the end mark was seen."""
    ended: bool
    """The end mark itself was seen: whatever happens now, the client has all there is."""
    error: GatewayError | None
    """The provider reported an error inside the stream."""
    unread: int
    """Events that could not be read and were passed on as they were."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that may go to the client now (often `data` itself, unchanged)."""
        ...

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back."""
        ...

    def separator(self) -> bytes:
        """What must go before an event of ours: the end of an event that is half sent, usually nothing."""
        ...

    def estimate(self) -> int:
        """Output tokens seen so far, guessed from what was streamed; for streams that broke before usage was reported."""
        ...


class Dialect(Protocol):
    """One wire API, as both sides speak it."""

    name: str
    path: str
    """Where a provider of this dialect takes requests, below its base path."""

    def read_request(self, body: bytes) -> Ask:
        """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names what is wrong."""
        ...

    def write_request(self, ask: Ask, model: str, *, ask_usage: bool) -> bytes:
        """The body for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
        ...

    def read_reply(self, body: bytes) -> Whole:
        """Read a 2xx whole answer in passing. Raises `GatewayError` when it is an error or not of this dialect."""
        ...

    def read_error(self, status: int, content_type: str, body: bytes) -> GatewayError:
        """Map a provider's error answer, whatever its shape. `upstream.verbatim` says whether `body` may go out as it is."""
        ...

    def write_error(self, error: GatewayError) -> bytes:
        """A JSON error body."""
        ...

    def write_stream_error(self, error: GatewayError) -> bytes:
        """The event that ends a stream which broke after it began."""
        ...

    def tap(self, *, hide_usage: bool) -> Tap:
        """A fresh tap. `hide_usage`: keep the extra usage chunk, which only we asked for, from the client."""
        ...

    def estimate_input(self, ask: Ask) -> int:
        """Prompt tokens guessed from the request's size; for answers that broke before usage was reported."""
        ...
