"""The interface of a dialect: one wire API, as clients and providers speak it.

Two ways lead through it. Same dialect on both sides: `read_request`, `write_request`, `read_reply`, `tap`; bytes pass and
only what must be seen is seen. Different dialects: `read_chat`, `write_chat`, `read_answer`, `write_answer`, `reader`,
`writer`; everything goes through canon. One object per dialect, stateless; streams have objects of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from trunkline.canon.chat import NOTHING, Chat, Reply
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Count, Event
from trunkline.canon.usage import Usage


class Named(msgspec.Struct, frozen=True):
    """What a request's path told, where a dialect tells there what others tell in the body."""

    form: str = ""
    """Which of the dialect's endpoints, in its own word; empty for its main one.
    anthropic: "" | "count". gemini: "" (generateContent) | "sse" | "array" (streamGenerateContent without alt=sse) | "count".
    ollama: "" (chat) | "generate"."""
    model: str = ""


NOT_NAMED = Named()


class Ask(msgspec.Struct, frozen=True):
    """A client's request, decoded one level deep."""

    fields: dict[str, msgspec.Raw]
    """Every top-level field, in order, values untouched. A key that stood twice is here once, with its last value."""
    model: str
    stream: bool
    include_usage: bool
    """The client itself asked for the usage chunk of a stream; always true where the dialect tells usage unasked."""
    form: str = ""
    """As in `Named`."""


class Outgoing(msgspec.Struct, frozen=True):
    """A request for a provider."""

    path: str
    """Below the provider's base path, with its query: `/chat/completions`, `/models/x:streamGenerateContent?alt=sse`."""
    body: bytes
    head: bytes = b""
    """Header lines (each ending CRLF) that the dialect itself asks for, such as a version."""
    names: Mapping[str, str] = NOTHING
    """Tools that the provider knows by another name than the client: the provider's name to the client's."""
    method: Literal["POST", "GET", "DELETE"] = "POST"


class Frame(msgspec.Struct, frozen=True):
    """What a client's answer needs besides the provider's."""

    ask: Ask
    id: str
    """Ours; used where the provider names no id."""
    created: int
    """Seconds since the epoch; used where the provider tells no time."""


class Listed(msgspec.Struct, frozen=True):
    """A model as a list shows it."""

    name: str
    owner: str
    """The provider's configured name."""
    facts: Facts


class Whole(msgspec.Struct, frozen=True):
    """What a whole answer told us in passing."""

    usage: Usage
    raw_usage: str
    finish: str
    estimate: int = 0
    """Output tokens guessed from its size where it reports no usage."""
    filtered: bool = False
    """It was ended by the provider's filter, in the provider's own word; there may be something in it all the same."""


class Tap(Protocol):
    """One streamed answer on its way to the client: read in passing, or translated.

    Forwards complete events only, so that a broken stream can end cleanly.
    """

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

    @property
    def usage(self) -> Usage:
        """As reported so far; `basis` is `none` until the provider reports."""
        ...

    @property
    def raw_usage(self) -> str:
        """The provider's own JSON text of it."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that may go to the client now (often `data` itself, unchanged)."""
        ...

    def close(self) -> bytes:
        """The provider ended cleanly: return what was still held back."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The bytes that end this stream as broken, after whatever event of it is half sent. Nothing follows them."""
        ...

    def filtered(self) -> bool:
        """Whether the provider's filter ended it before anything was said."""
        ...

    def estimate(self) -> int:
        """Output tokens seen so far, guessed from what was streamed; for streams that broke before usage was reported."""
        ...


class Reader(Protocol):
    """Reads one streamed answer of a provider into canon. Any slicing of the same bytes gives the same events."""

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes. Never raises: what cannot be read ends in a `Fail`, and nothing follows it.

        The first event of a good stream is `Begin`; comments and pings give no event.
        """
        ...

    def close(self) -> list[Event]:
        """The provider ended cleanly: the rest. An answer that was complete ends in `End`; one cut short does not."""
        ...

    def count(self) -> Count | None:
        """Usage that came after the last `Count`, for a stream that breaks: a provider that tells it with every piece of text
        would make as many events for numbers that only the end needs.
        """
        ...


class Writer(Protocol):
    """Writes one streamed answer for a client. Each call returns whole events of the dialect, or nothing."""

    error: GatewayError | None
    """What it ended the stream with by itself, where the model could not finish."""

    def write(self, events: Iterable[Event]) -> bytes:
        """The bytes for these events, among which is no `Fail`. A writer may hold back what its dialect cannot say yet."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The bytes that end the stream as broken; never a clean end."""
        ...


class ProviderDialect(Protocol):
    """One wire API as a provider speaks it: all that it takes to reach one. Some have no clients (Bedrock, Cohere)."""

    name: str

    def streams(self, content_type: bytes) -> bool:
        """Whether a provider's answer of this type, to a request that asked for a stream, is a stream, not a whole answer."""
        ...

    def read_error(self, status: int, content_type: str, body: bytes) -> GatewayError:
        """Map a provider's error answer, whatever its shape. `upstream.verbatim` says whether `body` may go out as it is
        to a client of this dialect.
        """
        ...

    def write_chat(self, chat: Chat, model: str, facts: Facts, loss: Loss, *, ask_usage: bool) -> Outgoing:
        """The request for a provider's `model`. A pure function of `chat` and `facts`: the same history gives the same
        bytes. What cannot be said is told to `loss`, which may raise.
        """
        ...

    def read_answer(self, body: bytes, seed: str) -> Reply:
        """A 2xx whole answer. Raises `GatewayError` when it is an error or not of this dialect.

        `seed` is unique to the request: ids of tool calls are made from it where the provider names none.
        """
        ...

    def reader(self, seed: str) -> Reader:
        """A fresh reader of one streamed answer; `seed` as for `read_answer`."""
        ...

    def write_count(self, chat: Chat, model: str, facts: Facts) -> Outgoing | None:
        """The question how many tokens `chat` has; None where providers of this dialect cannot be asked."""
        ...

    def read_count(self, body: bytes) -> int:
        """A provider's answer to that. Raises `GatewayError(UPSTREAM_PROTOCOL)` where it is none."""
        ...


class Dialect(ProviderDialect, Protocol):
    """One wire API as both sides speak it."""

    own_urls: bool
    """URLs in its requests may name what the provider itself keeps: to one of the same dialect they always go as they are."""

    id_header: bytes
    """The header of an answer in which its clients look for the request's id."""

    def stream_type(self, ask: Ask) -> bytes:
        """The `content-type` of a streamed answer to a client."""
        ...

    def write_error(self, error: GatewayError) -> bytes:
        """A JSON error body for a client."""
        ...

    def only_bytes(self, ask: Ask) -> bool:
        """Whether a request cannot be read and written anew for a provider of the same dialect: it names what that provider
        keeps, or is a text in which nothing is looked for.
        """
        ...

    # Same dialect: bytes pass ------------------------------------------------------------------------------------------

    def read_request(self, body: bytes, named: Named = NOT_NAMED) -> Ask:
        """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)` that names what is wrong."""
        ...

    def write_request(self, ask: Ask, model: str, *, ask_usage: bool) -> Outgoing:
        """The request for the provider: `model` replaced, stream usage asked for if `ask_usage`, the rest byte for byte."""
        ...

    def read_reply(self, body: bytes) -> Whole:
        """Read a 2xx whole answer in passing. Raises `GatewayError` when it is an error or not of this dialect."""
        ...

    def tap(self, ask: Ask, *, hide_usage: bool) -> Tap:
        """A fresh tap. `hide_usage`: keep the extra usage chunk, which only we asked for, from the client."""
        ...

    def estimate_input(self, ask: Ask) -> int:
        """Prompt tokens guessed from the request's size; for answers that broke before usage was reported."""
        ...

    # Different dialects: through canon ---------------------------------------------------------------------------------

    def read_chat(self, ask: Ask) -> Chat:
        """The whole request. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong, such as
        `messages[2].content[0].type`.
        """
        ...

    def write_answer(self, reply: Reply, frame: Frame) -> bytes:
        """The whole answer for a client."""
        ...

    def writer(self, frame: Frame) -> Writer:
        """A fresh writer of one streamed answer."""
        ...

    def write_count_answer(self, tokens: int) -> bytes:
        """The answer to a client that asked how many; of no use where the dialect has no such question."""
        ...

    # Lists -------------------------------------------------------------------------------------------------------------

    def write_model(self, model: Listed) -> bytes:
        """One model."""
        ...

    def write_models(self, models: Iterable[Listed]) -> bytes:
        """All models, without pages."""
        ...
