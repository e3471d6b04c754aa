"""A picture that is asked for, and the pictures that came back, in no provider's words.

As with embeddings, what passes between two sides of one dialect never gets here.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage


class Draw(msgspec.Struct, frozen=True):
    """A request."""

    model: str
    prompt: str
    n: int = 1
    size: tuple[int, int] | None = None
    """Width and height in pixels; None where the model may choose."""
    url: bool = False
    """The client wants URLs, not the pictures themselves."""
    shaping: tuple[str, ...] = ()
    """Fields beside these that shape the picture (`quality`, `style`, `background`): a loss wherever they are unknown."""
    hints: tuple[str, ...] = ()
    """Fields that do not (`user`, `moderation`)."""


class Picture(msgspec.Struct, frozen=True):
    """One picture, in standard base64."""

    data: str
    media_type: str = ""
    revised_prompt: str = ""
    """What the model drew, where it drew another prompt."""


class Pictures(msgspec.Struct, frozen=True):
    """An answer. No pictures: the provider held them back, and `refused` is its reason."""

    pictures: tuple[Picture, ...]
    refused: str = ""
    usage: Usage = NO_USAGE
    raw_usage: str = ""
