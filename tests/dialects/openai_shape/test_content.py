"""Media in OpenAI's form."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Media
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_shape.content import (
    audio_format,
    audio_type,
    check,
    data_url,
    file_kind,
    from_url,
    split_data_url,
)


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("data:image/png;base64,QUJD", ("image/png", "QUJD")),
        ("DATA:Image/PNG;base64,QUJD", ("image/png", "QUJD")),
        ("data:text/plain;charset=utf-8;base64,QUJD", ("text/plain", "QUJD")),
        ("data:text/plain,A%42C", ("text/plain", "QUJD")),
        ("data:,ABC", ("", "QUJD")),
        ("data:", ("", "")),
        ("https://x/y.png", None),
    ],
)
def test_a_data_url_is_taken_apart(url: str, inside: tuple[str, str] | None) -> None:
    """Other APIs want the type and the content apart; a wrong type is an error there."""
    assert split_data_url(url) == inside


@given(st.sampled_from(["image/png", "application/pdf", "video/mp4"]), st.binary(min_size=1))
def test_a_medium_survives(media_type: str, data: bytes) -> None:
    """Not a byte of a picture may change on the way."""
    media = Media("image", media_type, data=b64encode(data).decode())
    assert from_url("image", data_url(media)) == media


def test_urls_stay_urls() -> None:
    """Who fetches them is decided elsewhere."""
    assert from_url("image", "https://x/y.png", detail="low") == Media("image", url="https://x/y.png", detail="low")
    assert data_url(Media("image", url="https://x/y.png")) == "https://x/y.png"
    assert data_url(Media("document", data="QUJD")) == "data:application/octet-stream;base64,QUJD"


@pytest.mark.parametrize(
    ("media_type", "word"),
    [("audio/wav", "wav"), ("audio/x-wav", "wav"), ("audio/mpeg", "mp3"), ("audio/flac", "flac"), ("", "wav")],
)
def test_sounds_have_short_names(media_type: str, word: str) -> None:
    """OpenAI takes `wav` and `mp3`, not media types."""
    assert audio_format(media_type) == word


@pytest.mark.parametrize("word", ["wav", "mp3", "flac"])
def test_a_sounds_name_survives(word: str) -> None:
    """There and back."""
    assert audio_format(audio_type(word)) == word


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("application/pdf", "document"), ("image/png", "image"), ("audio/wav", "audio"), ("video/mp4", "video"), ("", "document")],
)
def test_a_file_is_what_its_type_says(media_type: str, kind: str) -> None:
    """A picture sent as a file is a picture."""
    assert file_kind(media_type) == kind


TEXTS_ONLY = Facts(media=frozenset(), media_urls=False)


@pytest.mark.parametrize(
    ("media", "facts", "own", "why"),
    [
        (Media("image", "image/png", "QUJD"), NO_FACTS, False, ""),
        (Media("image", "image/png", "QUJD"), TEXTS_ONLY, False, "takes no image"),
        (Media("document", "text/plain", "QUJD"), TEXTS_ONLY, False, ""),
        (Media("document", file_id="f"), NO_FACTS, False, "kept by another provider"),
        (Media("document", file_id="f"), NO_FACTS, True, ""),
        (Media("image", url="https://x"), NO_FACTS, False, ""),
        (Media("image", url="https://x"), Facts(media_urls=False), False, "fetches no links"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(media: Media, facts: Facts, own: bool, why: str) -> None:
    """The model would answer about a picture that it never saw."""
    if not why:
        check(media, facts, Loss(strict=True), "messages[0].content[0]", own=own)
        return
    with pytest.raises(GatewayError, match=why):
        check(media, facts, Loss(strict=False), "messages[0].content[0]", own=own)
