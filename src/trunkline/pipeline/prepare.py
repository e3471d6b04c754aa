"""Which way an exchange takes to a target, and the two ways: bytes that pass, or words translated through canon.

What the words are belongs in the dialects.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trunkline.canon.chat import Reply
from trunkline.canon.errors import GatewayError
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Delta, unfold
from trunkline.dialects import guess
from trunkline.dialects.dialect import Ask, Dialect, Frame, Outgoing, ProviderDialect, Tap, Whole
from trunkline.dialects.names import MADE
from trunkline.dialects.state import SEALED
from trunkline.dialects.table import SPOKEN
from trunkline.dialects.translate import Translation, emptied, has_state, renamed
from trunkline.pipeline.exchange import Answered, Exchange, Parts, Passage
from trunkline.pipeline.media import inline
from trunkline.providers.provider import Target
from trunkline.routing.speech import choose, may_turn, turn

Keep = Callable[[Reply], None]
"""Takes an answer whose state the client may fail to hand back."""

_OURS = re.compile(f'"(?:{SEALED}|{MADE})'.encode("ascii"))
"""How state that was wrapped and ids that were made begin in JSON. One pass of a regular expression, which looks for quotes
first, takes a third of what two searches for bytes take: those cost up to 2 ms for a megabyte."""
_URL = re.compile(rb'"http')


class Shallow:
    """The answer passes as it is, only seen; nearly always so does the request."""

    shallow = True

    def __init__(self, dialect: Dialect, ask: Ask, target: Target, outgoing: Outgoing, dropped: tuple[str, ...] = ()) -> None:
        self.dialect = dialect
        self.outgoing = outgoing
        self.dropped = dropped
        self._ask = ask
        self._hide = target.provider.stream_usage == "ask" and not ask.include_usage

    def whole(self, body: bytes) -> Answered:
        """The answer as it is."""
        told = self.dialect.read_reply(body)
        return Answered(told, body, b"application/json", filtered=told.filtered and self._emptied(body))

    def tap(self) -> Tap:
        """The dialect's own tap."""
        return self.dialect.tap(self._ask, hide_usage=self._hide)

    def _emptied(self, body: bytes) -> bool:
        try:
            return emptied(self.dialect.read_answer(body, ""))
        except GatewayError:
            return False

    def done(self, tap: Tap) -> None:
        """Nothing is kept: the client has the provider's own state."""


class Translated:
    """Everything goes through canon."""

    shallow = False

    def __init__(
        self, client: Dialect, spoken: ProviderDialect, outgoing: Outgoing, dropped: tuple[str, ...], frame: Frame, keep: Keep
    ) -> None:
        self.dialect = spoken
        self.outgoing = outgoing
        self.dropped = dropped
        self._client = client
        self._frame = frame
        self._keep = keep

    def read(self, body: bytes) -> Reply:
        """The answer in canon. Raises `GatewayError`."""
        return renamed(self.dialect.read_answer(body, self._frame.id), self.outgoing.names)

    def whole(self, body: bytes) -> Answered:
        """The answer in the client's dialect; as a stream where the client asked for one."""
        reply = self.read(body)
        if has_state(reply):
            self._keep(reply)
        return written(self._client, self._frame, reply)

    def tap(self) -> Tap:
        """A reader of the provider's dialect, a writer of the client's."""
        frame = self._frame
        return Translation(self.dialect.name, self.dialect.reader(frame.id), self._client.writer(frame), self.outgoing.names)

    def done(self, tap: Tap) -> None:
        """Remember what the client has no slot for."""
        kept = tap.kept() if isinstance(tap, Translation) else None
        if kept is not None:
            self._keep(kept)


def estimated(reply: Reply) -> int:
    """Output tokens guessed from what an answer says: what stands around it may be much longer."""
    return guess.tokens(sum(len(event.text) for event in unfold(reply) if isinstance(event, Delta)))


def written(client: Dialect, frame: Frame, reply: Reply) -> Answered:
    """A whole answer in the client's dialect; as a stream where the client asked for one."""
    told = Whole(
        usage=reply.usage,
        raw_usage=reply.raw_usage,
        finish=reply.choices[-1].native_finish,
        estimate=0 if reply.usage.basis == "reported" else estimated(reply),
    )
    filtered = emptied(reply)
    if frame.ask.stream:
        return Answered(told, client.writer(frame).write(unfold(reply)), client.stream_type(frame.ask), filtered=filtered)
    try:
        return Answered(told, client.write_answer(reply, frame), b"application/json", filtered=filtered)
    except GatewayError as error:
        return Answered(told, b"", b"", error)


async def prepare(exchange: Exchange, parts: Parts, ask: Ask, target: Target) -> Passage:
    """The way to `target`, its request written. Raises `GatewayError` for what the target cannot express."""
    client, asks = exchange.dialect, target.provider.stream_usage == "ask"
    spoken = choose(target, client.name)
    turns = may_turn(target, spoken) and "tools" in ask.fields
    if spoken == client.name and not turns and passes(exchange, ask, target):
        return Shallow(client, ask, target, client.write_request(ask, target.model, ask_usage=asks))
    chat = client.read_chat(ask)
    spoken = turn(target, spoken, chat)
    if fetches(client, target, spoken):
        chat = await inline(chat, parts.fetch)
    tenant = f"{exchange.principal.digest.hex()} {target.provider.name}/{target.model}"  # one model's state is no other's
    chat = parts.memory.restore(tenant, chat)
    loss = Loss(strict=target.strict)
    provider = SPOKEN[spoken]
    outgoing = provider.write_chat(chat, target.model, target.facts, loss, ask_usage=asks)
    dropped = tuple(loss.names)
    if provider is client and not outgoing.names:  # the client's own version and opt-ins go with it, as they always do
        return Shallow(client, ask, target, Outgoing(outgoing.path, outgoing.body), dropped)
    frame = Frame(ask, exchange.id, exchange.started_ns // 1_000_000_000)
    return Translated(client, provider, outgoing, dropped, frame, lambda reply: parts.memory.keep(tenant, reply, chat))


def passes(exchange: Exchange, ask: Ask, target: Target) -> bool:
    """Whether a request for a provider of the same dialect may go out as bytes.

    Not where it holds state that another family's model made, which its own dialect's writer leaves out, or ids of calls that
    we made, which its provider does not know, or perhaps the URL of something that we fetch: all are looked for by how they
    begin in JSON.
    """
    if exchange.dialect.only_bytes(ask):
        return True
    client, body = exchange.dialect, exchange.request.body
    if _OURS.search(body):
        return False
    return not (fetches(client, target, client.name) and _URL.search(body))


def fetches(client: Dialect, target: Target, spoken: str) -> bool:
    """Whether what a client names by URL is fetched by us, for a provider that is spoken to in `spoken`."""
    own = client.own_urls and spoken == client.name
    return not target.facts.media_urls and not own
