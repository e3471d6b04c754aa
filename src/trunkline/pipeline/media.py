"""Pictures and files that a request names by URL, put into the request, for providers that do not fetch them.

Where a URL may lead and how it is fetched belongs in `edge`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from trunkline.canon.chat import Chat, Media, Message, Part, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.fetch import Fetched

Fetch = Callable[[str], Awaitable[Fetched]]
"""What is at a URL. Raises `GatewayError`."""

AT_ONCE = 4
MAX_URLS = 20
"""Different URLs of one request."""
MAX_BYTES = 50 * 1024 * 1024
"""All that one request may make us fetch. Providers take less (Anthropic 32 MB, Gemini 20 MB a request)."""


async def no_fetching(url: str) -> Fetched:  # noqa: ARG001 - the shape of `Fetch`
    """What stands in for fetching where the operator forbids it (`server.media.enabled`)."""
    raise GatewayError(
        Kind.BAD_REQUEST, "This gateway does not fetch pictures and files by URL. Send them as data.", code="url_refused"
    )


async def inline(chat: Chat, fetch: Fetch) -> Chat:
    """The chat with the content of every http(s) URL in its place, also inside the results of tools; each is fetched once.

    Raises `GatewayError` where one cannot be fetched, where what came is not what the request says it is, or where there are
    more than `MAX_URLS` or `MAX_BYTES` of them. Nothing is fetched any more when it raises or is cancelled.
    """
    urls = list(dict.fromkeys(media.url for message in chat.messages for media in media_of(message) if media.url))
    if len(urls) > MAX_URLS:
        raise GatewayError(
            Kind.BAD_REQUEST,
            f"The request names {len(urls)} URLs of pictures and files; at most {MAX_URLS} can be fetched. Send them as data.",
            code="too_many_urls",
        )
    if not urls:
        return chat
    found = await _fetched(urls, fetch)
    return msgspec.structs.replace(chat, messages=tuple(_filled(message, found) for message in chat.messages))


async def _fetched(urls: list[str], fetch: Fetch) -> dict[str, Fetched]:
    left = iter(urls)
    found: dict[str, Fetched] = {}
    room = MAX_BYTES

    async def work() -> None:
        nonlocal room
        for url in left:
            found[url] = await fetch(url)
            room -= len(found[url].data)
            if room < 0:
                raise GatewayError(
                    Kind.TOO_LARGE, f"The pictures and files at the request's URLs are more than {MAX_BYTES} bytes together."
                )

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(urls))):
                group.create_task(work())
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return found


def media_of(message: Message) -> Iterator[Media]:
    """The media of a message, those in results of tools included."""
    for part in message.parts:
        for one in part.parts if isinstance(part, ToolResult) else (part,):
            if isinstance(one, Media):
                yield one


def _filled(message: Message, found: dict[str, Fetched]) -> Message:
    if not any(media.url for media in media_of(message)):
        return message
    return msgspec.structs.replace(message, parts=tuple(_with_data(part, found) for part in message.parts))


def _with_data(part: Part, found: dict[str, Fetched]) -> Part:
    match part:
        case ToolResult():
            inner = tuple(_with_data(one, found) for one in part.parts)
            return msgspec.structs.replace(part, parts=inner)
        case Media() if part.url:
            return _in_place(part, found[part.url])
        case _:
            return part


def _in_place(media: Media, fetched: Fetched) -> Media:
    kind = "document" if fetched.media_type == "application/pdf" else "image"
    if kind != media.kind:
        raise GatewayError(
            Kind.BAD_REQUEST,
            f"A URL that the request gives for a {media.kind} holds {fetched.media_type}.",
            code="wrong_media_type",
        )
    data = base64.b64encode(fetched.data).decode("ascii")
    return msgspec.structs.replace(media, media_type=fetched.media_type, data=data, url="")
