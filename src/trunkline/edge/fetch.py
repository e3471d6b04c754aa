"""Fetching a picture or a file that a request names by URL, from the open internet and nowhere else.

Every host is looked up once, every one of its addresses is checked, and the connection goes to exactly a checked address;
each redirect anew. No proxy, no cookie, no credential. Which places are allowed is told in `fetch_guard`.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, TlsSettings, WireRequest
from trunkline.edge.answer import Answer
from trunkline.edge.client import Client
from trunkline.edge.fetch_guard import Address, Place, Policy, Refused, is_public, moved, place_of
from trunkline.edge.names import Lookups, Resolve

_MAX_ADDRESSES = 32
_TRIES = 3
"""Addresses of one host that are tried before it counts as down."""
_CONNECT = 3.0
"""Seconds before the next address is tried."""
_REDIRECTS = {301, 302, 303, 307, 308}
_HEAD = (
    b"host: %b\r\nuser-agent: trunkline\r\naccept: image/png, image/jpeg, image/gif, image/webp, application/pdf\r\n"
    b"accept-encoding: identity\r\nconnection: close\r\n"
)
_ANY = {"", "application/octet-stream", "binary/octet-stream"}
"""Content types that say nothing."""
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
"""What files begin with; WebP's two marks stand apart."""
_SLACK = 1024 * 1024
"""Above `max_bytes`, where the connection's own bound lies: ours says what happened."""
_SVG = "image/svg+xml"
WHY = {
    Kind.UPSTREAM_UNREACHABLE: "its host could not be reached",
    Kind.UPSTREAM_TLS: "its host has no certificate that can be trusted for its name",
    Kind.UPSTREAM_TIMEOUT: "its host took too long",
    Kind.UPSTREAM_BROKEN: "its host broke off in the middle",
    Kind.UPSTREAM_PROTOCOL: "its host's answer is not sound HTTP",
}
"""What goes wrong with a host that is no provider, in words that follow a colon."""


class Limits(msgspec.Struct, frozen=True):
    """What one fetch may be and take."""

    max_bytes: int = 20 * 1024 * 1024
    seconds: float = 15.0
    """From the wish to the last byte, all redirects and the wait for a turn included."""
    redirects: int = 3
    allow_http: bool = False
    ports: frozenset[int] = frozenset({443, 80})


class Fetched(msgspec.Struct, frozen=True):
    """What was at a URL. `media_type` is what its first bytes are: png, jpeg, gif, webp or pdf."""

    media_type: str
    data: bytes


class Fetcher:
    """Fetches for all requests. Used from the loop's thread."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        *,
        policy: Policy = is_public,
        resolve: Resolve | None = None,
        tls: TlsSettings | None = None,
        at_once: int = 16,
    ) -> None:
        """`client`: one of its own, not the providers'. `at_once`: fetches at the same time, each with up to `max_bytes`."""
        self._client = client
        self._limits = limits
        self._policy = policy
        self._resolve = resolve or Lookups()
        self._tls = tls or TlsSettings()
        self._turns = asyncio.Semaphore(at_once)

    async def fetch(self, url: str) -> Fetched:
        """What is at `url`. Raises `GatewayError(BAD_REQUEST)` that says why not, and nothing about our own network."""
        try:
            async with asyncio.timeout(self._limits.seconds), self._turns:
                return await self._follow(url)
        except Refused as refused:
            raise _error("url_refused", f"A URL of the request is not fetched: {refused}.") from None
        except TimeoutError:
            raise _failed(f"it took longer than {self._limits.seconds:g} seconds") from None

    async def _follow(self, url: str) -> Fetched:
        limits = self._limits
        schemes = frozenset({"https", "http"}) if limits.allow_http else frozenset({"https"})
        for _ in range(limits.redirects + 1):
            place = place_of(url, schemes=schemes, ports=limits.ports)
            answer = await self._ask(place)
            if answer.status not in _REDIRECTS:
                return await self._content(answer)
            answer.close()
            location = answer.headers.get(b"location")
            if location is None:
                raise _failed("it redirects to nowhere")
            url = moved(place, location.decode("latin-1"))
        raise _failed(f"it redirects more than {limits.redirects} times")

    async def _ask(self, place: Place) -> Answer:
        """The answer of the first address that can be reached."""
        error = _failed("its host has no address")
        for address in (await self._addresses(place))[:_TRIES]:
            request = WireRequest(
                origin=Origin(place.scheme, place.host, place.port, self._tls, address=str(address), keep_idle=0.0),
                path=place.path,
                head=_HEAD % place.authority.encode("ascii"),
                body=b"",
                deadlines=Deadlines(connect=_CONNECT, total=self._limits.seconds),
                limit=self._limits.max_bytes + _SLACK,
                method="GET",
            )
            try:
                return await self._client.send(request)
            except GatewayError as failure:
                error = failure
                if failure.kind not in {Kind.UPSTREAM_UNREACHABLE, Kind.UPSTREAM_TIMEOUT}:
                    break
        raise _told(error)

    async def _addresses(self, place: Place) -> list[Address]:
        """Every address of the place, each allowed. An unknown host and a forbidden one are told alike."""
        if (literal := place.literal) is not None:
            found = [literal]
        else:
            try:
                found = [ip_address(text) for text in await self._resolve(place.host, place.port)]
            except (OSError, ValueError):
                found = []
        if not found or len(found) > _MAX_ADDRESSES or not all(self._policy(address) for address in found):
            raise Refused("its host is unknown or not on the public internet")
        return found

    async def _content(self, answer: Answer) -> Fetched:
        most = self._limits.max_bytes
        body = bytearray()

        def take(data: bytes) -> None:
            body.extend(data)
            if len(body) > most:
                raise _too_large(most)

        try:
            _check_head(answer, most)
            await answer.pump(take)
        except GatewayError as error:
            raise _told(error) from None
        finally:
            answer.close()
        return Fetched(_checked_type(bytes(body[:16]), answer.headers.get(b"content-type", b"")), bytes(body))


def _check_head(answer: Answer, most: int) -> None:
    if answer.status != 200:
        raise _failed(f"its host answered {answer.status}")
    if answer.headers.get(b"content-encoding", b"identity").strip().lower() not in {b"identity", b""}:
        raise _failed("its host sent it compressed, which was not asked for")
    length = answer.headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)


def _checked_type(begin: bytes, told: bytes) -> str:
    """The media type by the first bytes, where what the host told does not contradict it."""
    known = next((media_type for magic, media_type in _MAGIC if begin.startswith(magic)), "")
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        known = "image/webp"
    if not known:
        raise _error("wrong_media_type", "A URL of the request holds no PNG, JPEG, GIF or WebP picture and no PDF.")
    said = told.decode("latin-1").partition(";")[0].strip().lower()
    same_kind = said.startswith("image/") and said != _SVG and known.startswith("image/")  # a JPEG is often called a PNG
    if not same_kind and said not in _ANY and said != known:
        raise _error("wrong_media_type", f"A URL of the request holds {known}, but its host calls it something else.")
    return known


def _error(code: str, message: str) -> GatewayError:
    return GatewayError(Kind.BAD_REQUEST, message, code=code)


def _failed(why: str) -> GatewayError:
    return _error("url_not_fetched", f"A URL of the request could not be fetched: {why}. Send the file itself, as data.")


def _told(error: GatewayError) -> GatewayError:
    """What went wrong with a host, in words for whoever sent its URL; anything else is told as it is."""
    return _failed(WHY[error.kind]) if error.kind in WHY else error


def _too_large(most: int) -> GatewayError:
    return _failed(f"it is larger than {most} bytes")
