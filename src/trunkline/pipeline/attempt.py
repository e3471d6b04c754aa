"""One try at one target: the request is written, sent, and an error answer is turned into an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import WireRequest
from trunkline.dialects.dialect import Ask
from trunkline.pipeline.echo import EchoAnswer
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import scrub
from trunkline.providers.provider import Provider, Target

_MAX_ERROR = 1024 * 1024
"""Bytes of a provider's error answer; a longer one cannot be used."""
_MAX_ID = 128
_MAX_RETRY_AFTER = 64


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

    def pause(self) -> None:
        """Bring no more for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


async def attempt(exchange: Exchange, parts: Parts, target: Target) -> Incoming:
    """A 2xx answer of `target`. Raises `GatewayError` for anything else."""
    provider, ask = target.provider, cast("Ask", exchange.ask)
    if provider.dialect == "echo":
        return EchoAnswer(ask, exchange.id, exchange.started_ns // 1_000_000_000)
    body = exchange.dialect.write_request(ask, target.model, ask_usage=provider.stream_usage == "ask")
    answer = await parts.client.send(
        WireRequest(
            provider.origin,
            provider.base_path + exchange.dialect.path,
            _head(exchange, provider),
            body,
            exchange.deadlines,
            provider.max_stream if ask.stream else provider.max_answer,
        ),
        exchange.mark_sent,
    )
    exchange.upstream_id = _told(exchange, answer, b"x-request-id", _MAX_ID)
    if 200 <= answer.status < 300:
        exchange.answered = True
        return answer
    raise await _refusal(exchange, answer)


async def read_at_most(answer: Incoming, most: int) -> bytes:
    """The whole body where less may come than was agreed with `send`. Raises `GatewayError` and closes where it is longer."""
    body = bytearray()

    def sink(data: bytes) -> None:
        body.extend(data)
        if len(body) > most:
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider's answer cannot be used. It is larger than {most} bytes.")

    await answer.pump(sink)
    return bytes(body)


async def _refusal(exchange: Exchange, answer: Incoming) -> GatewayError:
    """What the provider's error answer means, with its own word on when to try again."""
    body = await read_at_most(answer, _MAX_ERROR)
    error = exchange.dialect.read_error(answer.status, _content_type(answer.headers), body)
    if error.upstream is not None:
        after = _told(exchange, answer, b"retry-after", _MAX_RETRY_AFTER)
        error.upstream = msgspec.structs.replace(error.upstream, retry_after=after)
    return error


def _told(exchange: Exchange, answer: Incoming, name: bytes, most: int) -> str:
    """A header of the provider's that we keep or show: ASCII, cut to a bound, without our credential."""
    value = answer.headers.get(name)
    return "" if value is None else scrub(exchange, value)[:most].decode("ascii", "replace")


def _head(exchange: Exchange, provider: Provider) -> bytes:
    head, headers = provider.head, exchange.request.headers
    for name in provider.forward:
        value = headers.get(name)
        if value is not None:
            head += name + b": " + value + b"\r\n"
    return head


def _content_type(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
