"""The content of messages and results, as a provider is told it."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.writing import items, own, said, sent
from trunkline.canon.chat import Citation, Media, Other, Part, Refusal, Seal, Text
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts

PDF = Media("document", "application/pdf", data="JVBERi0=", name="a.pdf")
PNG = Media("image", "image/png", data="iVBO")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (PNG, {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}),
        (
            Media("image", url="https://a.example/b", detail="low"),
            {"type": "input_image", "image_url": "https://a.example/b", "detail": "low"},
        ),
        (PDF, {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}),
        (
            Media("document", "application/pdf", data="JVBERi0="),
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        ),
        (Media("document", url="https://a.example/b", name="n"), {"type": "input_file", "file_url": "https://a.example/b"}),
        (Media("document", "text/plain", data="SGV5", name="n"), {"type": "input_text", "text": "n\nHey"}),
        (
            Media("audio", "audio/mpeg", data="QUJD"),
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        ),
    ],
)
def test_media(part: Part, told: dict[str, Any]) -> None:
    """A picture that is told wrongly is not seen."""
    (item,), lost = items(said(Text("See"), part, role="user"))
    assert item == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "See"}, told]}
    assert lost == []


@pytest.mark.parametrize(
    ("part", "facts", "why"),
    [
        (PNG, Facts(media=frozenset()), "takes no image"),
        (Media("image", file_id="f"), NO_FACTS, "kept by another provider"),
        (Media("image", url="https://a"), Facts(media_urls=False), "fetches no links"),
        (Media("video", "video/mp4", data="QUJD"), NO_FACTS, "no place"),
        (Media("audio", url="https://a"), NO_FACTS, "no place"),
        (Other("anthropic", {"type": "container_upload"}), NO_FACTS, "no place"),
    ],
)
def test_what_the_model_would_need_is_refused(part: Part, facts: Facts, why: str) -> None:
    """It would answer another question."""
    with pytest.raises(GatewayError, match=why) as caught:
        items(said(part, role="user"), facts=facts)
    assert caught.value.param == "messages[0].content[0]"


def test_a_text_of_a_model_without_pictures_is_still_read() -> None:
    """A plain text is no file to it."""
    text = Media("document", "text/markdown", data="SGV5")
    assert items(said(text, role="user"), facts=Facts(media=frozenset()))[0][0]["content"] == "Hey"


def test_cache_marks() -> None:
    """GPT-5.6 and later know breakpoints; for others a mark is a hint that is left out."""
    message = said(Text("a", cache="5m"), Text("b", cache="1h"), role="user")
    facts = Facts(cache_field="prompt_cache_breakpoint")
    (item,), lost = items(message, facts=facts)
    assert [part["prompt_cache_breakpoint"] for part in item["content"]] == [
        {"mode": "explicit"},
        {"mode": "explicit", "ttl": "12h"},
    ]
    assert lost == []
    assert items(message)[1] == ["cache_control"]


def test_what_a_model_said() -> None:
    """Its texts are output; another's sources and state are not told to it."""
    message = said(Text("a", Seal("gemini", "x"), (Citation("https://a"),)), Text(""), Refusal("No."))
    (item,), lost = items(message)
    assert item["content"] == [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "No."}]
    assert lost == ["messages[0].content[0].citations", "reasoning"]


CONTENT = [
    {"type": "input_text", "text": "See"},
    {"type": "input_image", "file_id": "file_1", "detail": "high"},
    {"type": "input_file", "file_id": "file_2", "filename": "b.pdf"},
    {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "c.pdf"},
    {"type": "input_file", "file_data": "JVBERi0=", "filename": "c.bin"},
    {"type": "input_file", "file_data": "AAAA"},
    {"type": "input_file", "file_url": "https://a.example/d"},
    {"type": "input_later", "anything": 1},
]
SAID = {
    "id": "msg_1", "type": "message", "role": "assistant", "phase": "commentary", "status": "completed",
    "content": [{"type": "output_text", "text": "a", "annotations": [
        {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1},
        {"type": "file_citation", "file_id": "f", "filename": "b", "index": 1},
    ]}],
}  # fmt: skip


def test_a_client_of_this_api_loses_nothing() -> None:
    """What it said goes on as it said it, though it came through canon."""
    told = [{"type": "message", "role": "user", "content": CONTENT}, SAID]
    body, lost = sent(own(input=told))
    pdf = {**CONTENT[4], "file_data": "data:application/pdf;base64,JVBERi0="}
    assert body["input"] == [{**told[0], "content": [*CONTENT[:4], pdf, *CONTENT[5:]]}, SAID]
    assert lost == []
