"""Tokens guessed from sizes, where nobody counted them."""

from __future__ import annotations

from collections.abc import Iterable

_BYTES_PER_TOKEN = 4
_MEDIA_BYTES = 256
"""Shorter strings are taken for text."""
_KIB = 1024
_PICTURES = (b"iVBOR", b"/9j/", rb"\/9j", b"R0lGOD")
"""How PNG, JPEG and GIF begin in base64, whose slashes JSON may escape."""
_RECORDINGS = (b"UklGR", b"SUQz", b"//", rb"\/", b"T2dn", b"ZkxhQ", b"AAAA", b"GkXf")
"""RIFF, MP3, AAC, Ogg, FLAC, MP4 and its kin, Matroska."""
_PER_KIB, _PAGES_PER_KIB = 2, 26
"""Tokens of a KiB in base64: 32 a second of sound at 128 kbit/s; a document's page in 64 KiB (both as in `pipeline.count`)."""


def tokens(size: int) -> int:
    """How many tokens `size` bytes of text are: about four bytes each in English and in JSON."""
    return size // _BYTES_PER_TOKEN


def prompt(texts: Iterable[bytes], marks: tuple[bytes, ...], picture: int) -> int:
    """Tokens of what is asked, in JSON, with the media encoded in it: a `picture` each, others more by their size. A linear
    search: no JSON is decoded for a guess.

    `marks`: what stands right before a medium. One that ends in a quote is a key, whose value begins after the next quote; it
    may have a text instead.
    """
    text = media = 0
    for value in texts:
        text += len(value)
        for mark in marks:
            at = value.find(mark)
            while at >= 0:
                start = at + len(mark)
                if mark.endswith(b'"'):
                    start = value.find(b'"', start) + 1
                end = value.find(b'"', start) if start else -1
                if end < 0:
                    break
                found = _medium(value, start, end, picture)
                if found:
                    text -= end - start
                    media += found
                at = value.find(mark, end)
    return tokens(text) + media


def _medium(value: bytes, start: int, end: int, picture: int) -> int:
    """Tokens of a medium between two places; 0 where it is none."""
    if end - start <= _MEDIA_BYTES:
        return 0
    if value.startswith(_PICTURES, start):
        return picture
    if value.find(b" ", start, end) >= 0 or not value[start:end].isascii():
        return 0
    rate = _PER_KIB if value.startswith(_RECORDINGS, start) else _PAGES_PER_KIB
    return max(picture, (end - start) * rate // _KIB)
