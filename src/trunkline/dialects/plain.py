"""Documents of plain text, for dialects whose models read text and no files."""

from __future__ import annotations

import base64

from trunkline.canon.chat import Media


def document(media: Media) -> str:
    """What a plain-text document says, its title above it. Base64 that cannot be read is shown as it is."""
    try:
        text = base64.b64decode(media.data).decode("utf-8", "replace")
    except ValueError:
        text = media.data
    return f"{media.name}\n{text}" if media.name else text
