"""Parts of a message's content: text, pictures, recordings and files, read and written."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote_to_bytes

from trunkline.canon.chat import Media, Medium
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss

#: `input_audio.format` by media type, where it is not simply its second half.
_AUDIO = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav"}
_AUDIO_TYPES = {"mp3": "audio/mpeg"}


def split_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 of a data URL; None for any other URL (RFC 2397)."""
    if url[:5].lower() != "data:":
        return None
    head, _, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode("ascii")
    return media_type.strip().lower(), data


def link(url: str) -> str | None:
    """A web address, its scheme in small letters (RFC 3986, 3.1: any case is the same); None for anything else."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme.lower()}{mark}{rest}" if mark and scheme.lower() in {"http", "https"} else None


def data_url(media: Media) -> str:
    """The URL of a medium: its own, or its content as a data URL."""
    return media.url or f"data:{media.media_type or 'application/octet-stream'};base64,{media.data}"


def check(media: Media, facts: Facts, loss: Loss, place: str, *, own: bool) -> None:
    """Raises `GatewayError` where a model or its provider cannot take it; `own`: the client speaks the provider's API."""
    if facts.media is not None and media.kind not in facts.media and not media.media_type.startswith("text/"):
        raise loss.refuse(place, f"this model takes no {media.kind}")
    if media.file_id and not own:
        raise loss.refuse(place, "the file is kept by another provider")
    if media.url and not facts.media_urls:
        raise loss.refuse(place, "the provider fetches no links")


def from_url(kind: Medium, url: str, **rest: Any) -> Media:
    """A medium that a URL names or holds."""
    inside = split_data_url(url)
    if inside is None:
        return Media(kind, url=url, **rest)
    return Media(kind, media_type=inside[0], data=inside[1], **rest)


def audio_format(media_type: str) -> str:
    """OpenAI's word for a recording's format."""
    return _AUDIO.get(media_type, media_type.partition("/")[2] or "wav")


def audio_type(word: str) -> str:
    """The media type of OpenAI's word."""
    return _AUDIO_TYPES.get(word, f"audio/{word}")


def file_kind(media_type: str) -> Medium:
    """What a file is, by its type: a document unless it says otherwise."""
    first = media_type.partition("/")[0]
    return first if first in {"image", "audio", "video"} else "document"  # type: ignore[return-value]
