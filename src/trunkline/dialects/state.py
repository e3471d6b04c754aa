"""Opaque state of one family, carried through a client that speaks another dialect.

A dialect with a slot for state of its own (Anthropic's `signature` and `data`, Gemini's `thoughtSignature`, the details of
reasoning in OpenAI's form) carries that of others in the same slot, wrapped: base64 of `tl1` and a msgpack list. So a slot
that must hold base64 does, and three bytes are four letters: every wrapped seal begins with `SEALED`, whatever is in it.
A history without slots is mended from the gateway's memory, which belongs in `pipeline`.
"""

from __future__ import annotations

import base64
from typing import Literal

import msgspec

from trunkline.canon.chat import Seal

SEALED = "dGwx"
"""How every wrapped seal begins."""
UNSIGNED = "skip_thought_signature_validator"
"""What Google documents in place of a thought signature that is not there (ai.google.dev, "Thought signatures"); Gemini CLI
puts it beside every call that came without one."""
_MAGIC = b"tl1"

Place = Literal["own", "next", "last", "empty"]
"""Whose seal it is: of the part it stands in; of the part that follows; of the part before; of a text without a letter that
stood here (Gemini ends answers with such)."""


class Carried(msgspec.Struct, frozen=True, array_like=True):
    """What a wrapping holds."""

    family: str
    data: str
    place: Place = "own"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Carried).decode


def wrap(seal: Seal, place: Place = "own") -> str:
    """The seal as standard base64, for a slot of another dialect."""
    return base64.b64encode(_MAGIC + _encode(Carried(seal.family, seal.data, place))).decode("ascii")


def unwrap(slot: str) -> tuple[Seal, Place] | None:
    """What `wrap` made; None for anything else, which is the dialect's own."""
    if not slot.startswith(SEALED):
        return None
    try:
        # Gemini's SDKs send the URL alphabet, and who writes that may leave the padding out
        standard = slot.replace("-", "+").replace("_", "/").rstrip("=")
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        carried = _decode(raw[len(_MAGIC) :])
    except (ValueError, RecursionError):  # it may be anything: a client wrote it
        return None
    return Seal(carried.family, carried.data), carried.place


def slot(seal: Seal | None, dialect: str) -> str:
    """What goes into a slot of `dialect`: its own state as it is, another's wrapped, nothing for none."""
    if seal is None:
        return ""
    return seal.data if seal.family == dialect else wrap(seal)


def seal_of(text: str, dialect: str) -> Seal | None:
    """The seal that a slot of `dialect` holds; None where it is empty, or holds Google's word for no seal."""
    if not text or text == UNSIGNED:
        return None
    found = unwrap(text)
    return found[0] if found is not None else Seal(dialect, text)
