"""Which way an exchange takes to a target, and the two ways: bytes that pass, or words translated through canon.

What the words are belongs in the dialects.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.canon.chat import Chat, Reply
from trunkline.canon.loss import Loss
from trunkline.canon.stream import unfold
from trunkline.dialects.dialect import Ask, Dialect, Frame, Tap, Whole
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.translate import Translation, has_state, renamed
from trunkline.pipeline.exchange import Answered, Exchange, Parts, Passage
from trunkline.pipeline.media import inline, media_of
from trunkline.providers.provider import Target

_BYTES_PER_TOKEN = 4


class Shallow:
    """Bytes pass; only what must be seen is seen."""

    shallow = True
    dropped: tuple[str, ...] = ()

    def __init__(self, dialect: Dialect, ask: Ask, target: Target) -> None:
        asks = target.provider.stream_usage == "ask"
        self.dialect = dialect
        self.outgoing = dialect.write_request(ask, target.model, ask_usage=asks)
        self._ask = ask
        self._hide = asks and not ask.include_usage

    def whole(self, body: bytes) -> Answered:
        """The answer as it is."""
        return Answered(self.dialect.read_reply(body), body, b"application/json")

    def tap(self) -> Tap:
        """The dialect's own tap."""
        return self.dialect.tap(self._ask, hide_usage=self._hide)

    def done(self, tap: Tap) -> None:
        """Nothing is kept: the client has the provider's own state."""


class Translated:
    """Everything goes through canon."""

    shallow = False

    def __init__(self, client: Dialect, chat: Chat, target: Target, frame: Frame, keep: Callable[[Reply], None]) -> None:
        """`keep` takes an answer whose state the client may fail to hand back."""
        loss = Loss(strict=target.strict)
        provider = target.provider
        self.dialect = DIALECTS[provider.dialect]
        self.outgoing = self.dialect.write_chat(
            chat, target.model, target.facts, loss, ask_usage=provider.stream_usage == "ask"
        )
        self.dropped = tuple(loss.names)
        self._client = client
        self._frame = frame
        self._keep = keep

    def whole(self, body: bytes) -> Answered:
        """The answer in the client's dialect; as a stream where the client asked for one."""
        frame, client = self._frame, self._client
        reply = renamed(self.dialect.read_answer(body, frame.id), self.outgoing.names)
        if has_state(reply):
            self._keep(reply)
        told = Whole(
            usage=reply.usage,
            raw_usage=reply.raw_usage,
            finish=reply.choices[-1].native_finish,
            estimate=0 if reply.usage.basis == "reported" else len(body) // _BYTES_PER_TOKEN,
        )
        if frame.ask.stream:
            return Answered(told, client.writer(frame).write(unfold(reply)), client.stream_type(frame.ask))
        return Answered(told, client.write_answer(reply, frame), b"application/json")

    def tap(self) -> Tap:
        """A reader of the provider's dialect, a writer of the client's."""
        frame = self._frame
        return Translation(self.dialect.name, self.dialect.reader(frame.id), self._client.writer(frame), self.outgoing.names)

    def done(self, tap: Tap) -> None:
        """Remember what the client has no slot for."""
        kept = tap.kept() if isinstance(tap, Translation) else None
        if kept is not None:
            self._keep(kept)


async def prepare(exchange: Exchange, parts: Parts, ask: Ask, target: Target) -> Passage:
    """The way to `target`, its request written. Raises `GatewayError` for what the target cannot express."""
    client, facts = exchange.dialect, target.facts
    same = target.provider.dialect == client.name
    if same and (facts.media_urls or client.own_urls or not _names_url(ask)):
        return Shallow(client, ask, target)
    chat = client.read_chat(ask)
    if not facts.media_urls and _has_url(chat):
        chat = await inline(chat, parts.fetch)
    elif same:
        return Shallow(client, ask, target)
    tenant = exchange.principal.digest.hex()
    chat = parts.memory.restore(tenant, chat)
    frame = Frame(ask, exchange.id, exchange.started_ns // 1_000_000_000)
    return Translated(client, chat, target, frame, lambda reply: parts.memory.keep(tenant, reply, chat))


def _names_url(ask: Ask) -> bool:
    """A string somewhere in the request begins as a URL does; whether it is a picture's is not known yet."""
    return any(b'"http' in bytes(raw) for raw in ask.fields.values())


def _has_url(chat: Chat) -> bool:
    return any(media.url for message in chat.messages for media in media_of(message))
