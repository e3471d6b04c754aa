"""One whole question to a place that the operator named and that is no provider: an issuer's keys, a receiver of alerts.

The answer is held whole and is bounded; redirects are not followed. What a request of a client names is fetched in `fetch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.edge.answer import Answer
from trunkline.edge.client import Client
from trunkline.edge.fetch import WHY

_T = TypeVar("_T")
_CONNECT = 5.0
_UNREAD = 1 << 40
"""A bound for what is never read: the connection is closed behind the head."""
_PORTS = {"http": 80, "https": 443}
_OWN = b"user-agent: trunkline\r\naccept-encoding: identity\r\nconnection: close\r\n"


class Place(msgspec.Struct, frozen=True):
    """Where, and what there."""

    origin: Origin
    path: str
    """With its query."""


class Said(msgspec.Struct, frozen=True):
    """The answer."""

    status: int
    body: bytes


class CallFailed(Exception):  # noqa: N818 - a name that reads well where it is caught
    """There is no answer. `str` says why, in words that follow a colon; it names no host and holds nothing of the request."""


async def get(client: Client, place: Place, limit: int, seconds: float) -> Said:
    """What is there: `limit` bytes at most, in so many seconds. Raises `CallFailed`."""

    async def read(answer: Answer) -> Said:
        return Said(answer.status, await answer.read())

    return await _ask(client, WireRequest(place.origin, place.path, _head(place), b"", _in(seconds), limit, "GET"), read)


async def post(client: Client, place: Place, lines: bytes, body: bytes, seconds: float) -> int:
    """Tell it JSON; the status of the answer, whose body nobody reads. `lines`: further header lines. Raises `CallFailed`."""

    async def look(answer: Answer) -> int:
        return answer.status

    head = _head(place) + lines
    return await _ask(client, WireRequest(place.origin, place.path, head, body, _in(seconds), _UNREAD), look)


async def _ask(client: Client, request: WireRequest, take: Callable[[Answer], Awaitable[_T]]) -> _T:
    try:
        async with asyncio.timeout(request.deadlines.total):
            answer = await client.send(request)
            try:
                return await take(answer)
            finally:
                answer.close()
    except TimeoutError:
        raise CallFailed(WHY[Kind.UPSTREAM_TIMEOUT]) from None
    except GatewayError as error:
        raise CallFailed(WHY.get(error.kind, "it could not be asked")) from None


def _head(place: Place) -> bytes:
    origin = place.origin
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    authority = host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"
    return b"host: %b\r\n%b" % (authority.encode("ascii"), _OWN)


def _in(seconds: float) -> Deadlines:
    return Deadlines(connect=min(_CONNECT, seconds), first_byte=seconds, idle=seconds, total=seconds)
