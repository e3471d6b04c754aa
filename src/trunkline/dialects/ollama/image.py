"""Pictures as this dialect has them: bare base64, whose kind stands nowhere but in their first bytes."""

from __future__ import annotations

import base64
import binascii

from trunkline.canon.chat import Media

_HEAD = 24
"""Letters that are decoded: 18 bytes, enough for every mark below."""
#: (where, mark, MIME type). Ollama decodes these in server/ and its image packages.
_MARKS = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
)


def picture(encoded: str) -> Media:
    """The picture that is encoded; its type is empty where its first bytes are not known.

    Raises `ValueError` where it does not begin as base64 does. The whole is not checked: it may be megabytes.
    """
    data = "".join(encoded.split())  # Go, in which Ollama is written, passes over line ends in base64
    head = data[:_HEAD]
    try:
        first = base64.b64decode(head + "=" * (-len(head) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if not first:
        raise ValueError("It is empty.")
    kind = next((kind for at, mark, kind in _MARKS if first.startswith(mark, at)), "")
    return Media("image", media_type=kind, data=data)
