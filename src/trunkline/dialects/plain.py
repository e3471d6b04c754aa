"""Media as text: documents for models that read no files, and what models draw for clients that read no media."""

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


def shown(media: Media) -> str:
    """What a model has drawn or said, as Markdown, for an API whose answers hold no media or whose clients cannot read them."""
    place = media.url or f"data:{media.media_type};base64,{media.data}"
    return f"{'!' if media.kind == 'image' else ''}[{media.name or media.kind}]({place})"
