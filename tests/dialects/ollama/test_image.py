"""Pictures by their first bytes."""

from __future__ import annotations

import base64

import pytest

from dialects.ollama.samples import PNG
from trunkline.canon.chat import Media
from trunkline.dialects.ollama.image import picture

KINDS = [
    (b"\x89PNG\r\n\x1a\n----------", "image/png"),
    (b"\xff\xd8\xff\xe0------------", "image/jpeg"),
    (b"GIF89a------", "image/gif"),
    (b"GIF87a", "image/gif"),
    (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt ", ""),
    (b"BM----------", "image/bmp"),
    (b"II*\x00--------", "image/tiff"),
    (b"MM\x00*--------", "image/tiff"),
    (b"\x00\x00\x00\x18ftypheic----", "image/heic"),
    (b"\x00\x00\x00\x1cftypavif----", "image/avif"),
    (b"what is this", ""),
    (b"x", ""),
]


@pytest.mark.parametrize(("raw", "kind"), KINDS, ids=[str(raw[:12]) for raw, _ in KINDS])
def test_the_type_is_seen(raw: bytes, kind: str) -> None:
    """Anthropic and Gemini answer 400 to a picture whose type is not the real one."""
    encoded = base64.b64encode(raw).decode()
    assert picture(encoded) == Media("image", media_type=kind, data=encoded)


def test_line_ends_in_base64_are_left_out() -> None:
    """`base64` on the command line breaks its output; other providers take no such breaks."""
    assert picture(f"{PNG[:20]}\r\n{PNG[20:]}\n") == picture(PNG)


@pytest.mark.parametrize("text", ["", " ", "https://example.com/a.png", "data:image/png;base64,AAAA", "AAAAA", "\u00e9"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    """A URL sent on as if it were a picture is an error that nobody understands."""
    with pytest.raises(ValueError):
        picture(text)
