"""Opaque state in a slot of another dialect."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Seal
from trunkline.dialects.state import SEALED, Place, seal_of, slot, unwrap, wrap

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SEALS = st.builds(Seal, TEXT, TEXT)
PLACES = st.sampled_from(["own", "next", "last", "empty"])


@given(SEALS, PLACES)
def test_any_seal_survives_its_wrapping(seal: Seal, place: Place) -> None:
    """A signature that is changed by a letter is refused by its provider."""
    wrapped = wrap(seal, place)
    assert wrapped.startswith(SEALED)
    assert base64.b64encode(base64.b64decode(wrapped, validate=True)).decode() == wrapped
    assert unwrap(wrapped) == (seal, place)


@given(SEALS, PLACES)
def test_spellings_of_base64_are_all_read(seal: Seal, place: Place) -> None:
    """Gemini's SDKs send it back in the URL alphabet; many who write that leave the padding out."""
    wrapped = wrap(seal, place)
    for spelled in (wrapped.replace("+", "-").replace("/", "_"), wrapped.rstrip("=")):
        assert unwrap(spelled) == (seal, place)


def packed(raw: bytes) -> str:
    """What a client might send that looks wrapped."""
    return base64.b64encode(b"tl1" + raw).decode()


BROKEN = [
    "",
    "EqQBCkgIDBABGAI",
    SEALED,
    SEALED + "!",
    SEALED + "\u00e9",
    SEALED + "A",
    wrap(Seal("anthropic", "signature"))[:-8],
    packed(b"\x91\xa1a"),
    packed(b"\x93\xa1\xff\xa1b\xa3own"),
    packed(b"\x93\xa1a\xa1b\xa3abc"),
    packed(b"\x93\xa1a\xa1b\xa3own\x00"),
    packed(b"\x94\xa1a\xa1b\xa3own" + b"\x91" * 100_000),
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_anything_else_is_the_dialects_own(text: str) -> None:
    """A client can write what it likes into a slot; the provider judges it."""
    assert unwrap(text) is None
    assert seal_of(text, "anthropic") == (Seal("anthropic", text) if text else None)


@given(TEXT)
def test_no_text_crashes(text: str) -> None:
    """Nor does one that begins as ours do."""
    assert unwrap(SEALED + text) is None or text


def test_a_slot_holds_its_own_as_it_is() -> None:
    """A provider's state goes back to it letter for letter."""
    own, foreign = Seal("anthropic", "sig"), Seal("gemini", "sig")
    assert slot(own, "anthropic") == "sig"
    assert slot(None, "anthropic") == ""
    assert slot(foreign, "anthropic") == wrap(foreign)


@given(
    SEALS.filter(lambda seal: seal.data != "" and not seal.data.startswith(SEALED)), st.sampled_from(["anthropic", "gemini"])
)
def test_what_a_slot_holds_is_read_again(seal: Seal, dialect: str) -> None:
    """Through any client's dialect, its own or not."""
    assert seal_of(slot(seal, dialect), dialect) == seal
