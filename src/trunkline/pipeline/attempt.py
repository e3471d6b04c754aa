"""One try at one target: the request is written, sent, and an error answer is turned into an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, WireRequest
from trunkline.dialects.dialect import Ask, Outgoing, ProviderDialect
from trunkline.dialects.table import DIALECTS
from trunkline.pipeline.echo import EchoAnswer
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import scrub
from trunkline.pipeline.patience import retry_after, should_retry
from trunkline.pipeline.prepare import prepare
from trunkline.pipeline.wire import wire
from trunkline.providers.allowances import read
from trunkline.providers.forward import forwarded, unused
from trunkline.providers.hosting import place
from trunkline.providers.provider import Target

_MAX_ERROR = 1024 * 1024
"""Bytes of a provider's error answer; a longer one cannot be used."""
_MAX_ID = 128
_MAX_RETRY_AFTER = 64
_IDS = (b"x-request-id", b"request-id", b"x-amzn-requestid")
"""Where providers tell their own id of a request: OpenAI's name, Anthropic's and AWS's."""


class Incoming(Protocol):
    """An answer whose head is in."""

    status: int
    headers: dict[bytes, bytes]

    async def read(self) -> bytes:
        """The whole body."""
        ...

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Push the body into `sink`, piece by piece."""
        ...

    def close(self) -> None:
        """Give it up, unread."""
        ...

    @property
    def size(self) -> int:
        """Bytes of body that have come."""
        ...

    def pause(self) -> None:
        """Bring no more for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


async def attempt(exchange: Exchange, parts: Parts, target: Target, part: Ask | None = None) -> Incoming:
    """A 2xx answer of `target`. Raises `GatewayError` for anything else. `part`: asked in place of the whole request."""
    ask = part or cast("Ask", exchange.ask)
    passage = exchange.passage = await prepare(exchange, parts, ask, target)
    lines, held = (
        forwarded(target.provider, exchange.request.headers) if passage.shallow else (b"", unused(exchange.request.headers))
    )
    exchange.dropped = (*passage.dropped, *held)
    if target.provider.builtin:
        asked = DIALECTS[passage.dialect.name].read_request(passage.outgoing.body)
        return EchoAnswer(asked, exchange.id, exchange.started_ns // 1_000_000_000)
    most = target.provider.max_stream if ask.stream else target.provider.max_answer
    return await ask_provider(exchange, parts, passage.dialect, passage.outgoing, lines, (exchange.deadlines, most))


async def ask_provider(
    exchange: Exchange, parts: Parts, dialect: ProviderDialect, outgoing: Outgoing, lines: bytes, bounds: tuple[Deadlines, int]
) -> Incoming:
    """Send one request and look at its answer's head. `lines` and `bounds` as for `wire`.

    Raises `GatewayError` for anything but a 2xx answer.
    """
    target = cast("Target", exchange.target)
    placed = place(target.provider, dialect.name, target.model, outgoing)
    request = await wire(target.provider, exchange.credentials, placed, lines, bounds)
    return await ask_for(exchange, parts, dialect, request)


async def ask_for(exchange: Exchange, parts: Parts, dialect: ProviderDialect, request: WireRequest) -> Incoming:
    """Send a request that is ready and look at its answer's head, as `ask_provider` does. `dialect` reads its errors."""
    if exchange.reply.gone:  # what is still read for it has its own end; nothing new is begun
        raise GatewayError(Kind.CLIENT_GONE, "The client closed the connection.")
    credential = exchange.credentials.get(cast("Target", exchange.target).provider.name)
    if credential is not None:
        exchange.secrets = credential.secrets
    return await judged(exchange, parts, await parts.client.send(request, exchange.mark_sent), dialect)


async def judged(exchange: Exchange, parts: Parts, answer: Incoming, dialect: ProviderDialect) -> Incoming:
    """An answer whose head is in, where it is a 2xx one. Raises `GatewayError` for any other, read by `dialect`."""
    allowed = read(answer.headers, parts.clock_ns() / 1e9)
    if allowed is not None and exchange.standing is not None:
        exchange.standing.told(allowed, parts.mono())
    for name in _IDS:
        exchange.upstream_id = _told(exchange, answer, name, _MAX_ID)
        if exchange.upstream_id:
            break
    if 200 <= answer.status < 300:
        exchange.answered = True
        return answer
    exchange.sent = False  # who refuses charges nothing, however long we listen to why
    raise await _refusal(exchange, parts, answer, dialect)


async def read_at_most(answer: Incoming, most: int) -> bytes:
    """The whole body where less may come than was agreed with `send`. Raises `GatewayError` and closes where it is longer."""
    body = bytearray()

    def sink(data: bytes) -> None:
        body.extend(data)
        if len(body) > most:
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider's answer cannot be used. It is larger than {most} bytes.")

    await answer.pump(sink)
    return bytes(body)


async def _refusal(exchange: Exchange, parts: Parts, answer: Incoming, dialect: ProviderDialect) -> GatewayError:
    """What the provider's error answer means, with its own word on when to try again."""
    body = await read_at_most(answer, _MAX_ERROR)
    error = dialect.read_error(answer.status, _content_type(answer.headers), body)
    if error.upstream is not None:
        after = _told(exchange, answer, b"retry-after", _MAX_RETRY_AFTER)
        error.upstream = msgspec.structs.replace(error.upstream, retry_after=after)
    error.retry_after = retry_after(answer.headers, parts.clock_ns() / 1e9) or error.retry_after
    again = should_retry(answer.headers)
    if again is not None and error.kind is Kind.UPSTREAM_FAILED:
        error.retryable = again
    return error


def _told(exchange: Exchange, answer: Incoming, name: bytes, most: int) -> str:
    """A header of the provider's that we keep or show: ASCII, cut to a bound, without our credential."""
    value = answer.headers.get(name)
    return "" if value is None else scrub(exchange, value)[:most].decode("ascii", "replace")


def _content_type(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
