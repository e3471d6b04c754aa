"""Cases and properties of masking: what must not be seen, and what must not be lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telemetry.mask import HIDDEN, Mask

OUR_KEY = "tl-" + "A1b_-" * 8 + "xyz"
REGISTERED = "p@ss:word/with\\odd\"chars'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {OUR_KEY} end", f"key {HIDDEN} end"),
        (f"({OUR_KEY}{OUR_KEY})", f"({HIDDEN})"),
        ("Incorrect API key provided: sk-proj-abcdEFGH12345678.", f"Incorrect API key provided: {HIDDEN}."),
        ("sk-ant-api03-abcdefgh", HIDDEN),
        ("Authorization: Bearer abc.def-ghi=", f"Authorization: {HIDDEN}"),
        ("authorization: bEaReR   abc", f"authorization: {HIDDEN}"),
        (f"x {REGISTERED} y", f"x {HIDDEN} y"),
        (f"Bearer {REGISTERED}!", f"{HIDDEN}!"),
        ("task-scheduler and risk-assessment", "task-scheduler and risk-assessment"),
        ("tl-short", "tl-short"),
        ("plain words", "plain words"),
        ("", ""),
    ],
)
def test_credentials_are_masked_and_words_are_not(text: str, shown: str) -> None:
    """An operator who shares a log would publish a credential; or could not read the log for false alarms."""
    assert Mask([REGISTERED.encode()]).text(text, 512) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\nc", "a\\nb\\r\\nc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("nul\x00del\x7f", "nul\\x00del\\x7f"),
        ("line\u2028sep", "line\\u2028sep"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("grüße 世界 🚀", "grüße 世界 🚀"),
    ],
)
def test_control_characters_become_text(text: str, shown: str) -> None:
    """A client could forge a log line or command the operator's terminal (docs/faults.md S11)."""
    assert Mask().text(text, 512) == shown


def test_a_long_text_is_cut_at_its_end_or_its_beginning() -> None:
    """A client could fill the disk with one request; a traceback would lose the line that says what went wrong."""
    assert Mask().text("x" * 600, 512) == "x" * 512 + "…"
    assert Mask().tail("y" + "x" * 512, 512) == "…" + "x" * 512
    assert Mask().tail("short", 512) == "short"


def test_a_secret_too_short_to_protect_is_not_masked() -> None:
    """`api_key: none` would blank out the word none in every line."""
    assert Mask([b"none", b""]).text("none of it", 512) == "none of it"


@given(before=st.text(max_size=60), after=st.text(max_size=60), cap=st.integers(1, 60))
def test_no_part_of_a_registered_secret_survives_a_cut(before: str, after: str, cap: int) -> None:
    """A secret that straddles the cap would show its first half."""
    secret = "9f8e7d6c5b4a"
    mask = Mask([secret.encode()])
    for shown in (mask.text(before + secret + after, cap), mask.tail(before + secret + after, cap)):
        clean = shown.replace(HIDDEN, "")
        for start in range(len(secret) - 3):
            piece = secret[start : start + 4]
            assert piece not in clean or piece in before or piece in after


@given(st.text(max_size=200))
def test_what_is_called_clean_is_left_as_it_is(text: str) -> None:
    """The fast path would let through what the slow one masks."""
    mask = Mask([b"known-value"])
    if mask.clean([text], 512):
        assert mask.text(text, 512) == text


@given(st.text(max_size=200))
def test_a_cleaned_text_is_printable_and_one_line(text: str) -> None:
    """Some character nobody thought of would break a line in two."""
    shown = Mask().text(text, 512)
    assert len(shown.splitlines()) <= 1
    shown.encode()
