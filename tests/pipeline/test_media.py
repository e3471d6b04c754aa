"""URLs of a request become data: everywhere they may stand, each once, few at a time."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from trunkline.canon.chat import Chat, Media, Message, Text, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.fetch import Fetched
from trunkline.pipeline import media
from trunkline.pipeline.media import AT_ONCE, MAX_URLS, inline


class Web:
    """What there is to fetch: every URL holds itself, as a PNG unless its name says PDF. Remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.inside = self.most = 0

    async def __call__(self, url: str) -> Fetched:
        """The file at a URL."""
        self.asked.append(url)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if "broken" in url:
                raise GatewayError(Kind.BAD_REQUEST, "not there")
        finally:
            self.inside -= 1
        return Fetched("application/pdf" if url.endswith(".pdf") else "image/png", url.encode())


def chat(*parts: Any) -> Chat:
    """A conversation with these parts in its message."""
    return Chat("openai_chat", "m", (Message("user", parts), Message("assistant", (Text("hm"),))))


def run(conversation: Chat, web: Web) -> Chat:
    """As the pipeline does it."""
    return asyncio.run(inline(conversation, web))


def image(name: str, **fields: Any) -> Media:
    """A picture by URL."""
    return Media("image", url=f"https://pictures.test/{name}", **fields)


def filled(picture: Media, media_type: str = "image/png") -> Media:
    """The same, with its content."""
    data = base64.b64encode(picture.url.encode()).decode()
    return Media(
        picture.kind, media_type, data, name=picture.name, detail=picture.detail, cache=picture.cache, vendor=picture.vendor
    )


def test_urls_become_data_wherever_they_stand() -> None:
    """In a message and in the result of a tool; detail, cache mark and name stay. What has data or a file id is left alone."""
    one = image("1", detail="low", cache="5m", vendor={"x": 1})
    two = Media("document", url="https://pictures.test/a.pdf", name="a.pdf")
    data, kept = Media("image", "image/png", "AAAA"), Media("image", file_id="file_1")
    call = ToolCall("c", "look", "{}")
    result = ToolResult("c", "look", (Text("seen"), image("2"), data), failed=True)
    web = Web()
    found = run(chat(Text("a"), one, two, data, kept, call, result), web)
    inner = ToolResult("c", "look", (Text("seen"), filled(image("2")), data), failed=True)
    assert found == chat(Text("a"), filled(one), filled(two, "application/pdf"), data, kept, call, inner)
    assert web.asked == [one.url, two.url, image("2").url]


def test_nothing_to_fetch_is_nothing_done() -> None:
    """The same chat, untouched."""
    conversation = chat(Text("a"), Media("image", "image/png", "AAAA"))
    assert run(conversation, Web()) is conversation


def test_messages_without_urls_stay_the_same_objects() -> None:
    """A history of a thousand messages is not copied for one picture."""
    conversation = chat(image("1"))
    assert run(conversation, Web()).messages[1] is conversation.messages[1]


def test_a_url_is_fetched_once() -> None:
    """A conversation names its picture in every turn."""
    web = Web()
    found = run(chat(image("1"), image("1", detail="high"), ToolResult("c", "", (image("1"),))), web)
    assert web.asked == [image("1").url]
    assert [part.data for part in found.messages[0].parts if isinstance(part, Media)] == [filled(image("1")).data] * 2


def test_so_many_at_the_same_time() -> None:
    """One request must not take all turns of the gateway."""
    web = Web()
    run(chat(*(image(str(n)) for n in range(MAX_URLS))), web)
    assert web.most == AT_ONCE
    assert len(web.asked) == MAX_URLS


def test_too_many_urls_are_refused_before_the_first() -> None:
    """A request of a thousand URLs would make the gateway a weapon against others."""
    web = Web()
    with pytest.raises(GatewayError, match="21 URLs") as refused:
        run(chat(*(image(str(n)) for n in range(MAX_URLS + 1))), web)
    assert refused.value.kind is Kind.BAD_REQUEST
    assert web.asked == []


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty large files would fill the memory, and no provider takes them."""
    monkeypatch.setattr(media, "MAX_BYTES", 3 * len(image("1").url))
    run(chat(*(image(str(n)) for n in range(3))), Web())
    web = Web()
    with pytest.raises(GatewayError, match="bytes together") as refused:
        run(chat(*(image(str(n)) for n in range(4))), web)
    assert refused.value.kind is Kind.TOO_LARGE


def test_one_that_fails_ends_all() -> None:
    """The request fails with the reason of the first; what else was being fetched is given up, what waits never begins."""
    web = Web()
    with pytest.raises(GatewayError, match="not there"):
        run(chat(image("broken"), *(image(str(n)) for n in range(10))), web)
    assert web.inside == 0
    assert len(web.asked) <= 2 * AT_ONCE


@pytest.mark.parametrize(("kind", "name"), [("image", "a.pdf"), ("document", "a.png"), ("audio", "a.png"), ("video", "a.pdf")])
def test_what_came_is_not_what_was_said(kind: Any, name: str) -> None:
    """A PDF in the place of a picture would be an error of the provider's that nobody understands."""
    with pytest.raises(GatewayError, match=f"for a {kind}") as refused:
        run(chat(Media(kind, url=f"https://pictures.test/{name}")), Web())
    assert refused.value.code == "wrong_media_type"


def test_a_client_that_leaves_ends_the_fetching() -> None:
    """Nothing more is fetched for nobody."""
    web = Web()

    async def main() -> None:
        task = asyncio.ensure_future(inline(chat(*(image(str(n)) for n in range(10))), web))
        while not web.inside:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert web.inside == 0
    assert len(web.asked) == AT_ONCE
