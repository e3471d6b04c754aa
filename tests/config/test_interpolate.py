"""`${…}`: what is put in, and what cannot be."""

from __future__ import annotations

import os

import pytest

from trunkline.config.document import Document
from trunkline.config.interpolate import Interpolator
from trunkline.config.mistakes import Mistakes

ENVIRON = {"A": "one", "EMPTY": "", "ODD": "${A}", "LONG": "0123456789abcdef0"}


def fill(text: str, tmp_path) -> tuple[str, list[str]]:
    mistakes = Mistakes()
    interpolate = Interpolator(tmp_path, ENVIRON, mistakes)
    value = interpolate(("a",), text)
    interpolate.report(Document("f"))
    return value, [mistake.message for mistake in mistakes.error().mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain $A $ {A}", "plain $A $ {A}"),
        ("${A}", "one"),
        ("x${A}y${A}", "xoneyone"),
        ("${EMPTY}", ""),
        ("${EMPTY:-two}", "two"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("${A:-two}", "one"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("${ODD}", "${A}"),
        ("${file:key}", "sk-1"),
        ("${file:crlf}", "sk-2"),
        ("${file:two}", "a\nb\n"),
    ],
)
def test_pieces(text: str, value: str, tmp_path):
    """A key would be sent as the name of its variable, or be filled in twice."""
    (tmp_path / "key").write_bytes(b"sk-1\n")
    (tmp_path / "crlf").write_bytes(b"sk-2\r\n")
    (tmp_path / "two").write_bytes(b"a\nb\n\n")
    assert fill(text, tmp_path) == (value, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${NONE}", "the environment variable NONE is not set"),
        ("${A", "without its '}'"),
        ("${}", "there must be"),
        ("${1A}", "there must be"),
        ("${A-b}", "there must be"),
        ("${file:none}", "there is no file none"),
        ("${file:}", "there is no file"),
        ("${file:\0}", "no file"),
        ("${file:" + "x" * 300 + "}", "cannot be read"),
        ("${file:pipe}", "there is no file pipe"),
        ("${file:big}", "larger than 64 KiB"),
        ("${file:latin}", "not UTF-8"),
    ],
)
def test_what_cannot_be_filled_in(text: str, says: str, tmp_path):
    """A missing key would be sent as an empty one; a pipe would stop the start for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"x" * (64 * 1024 + 1))
    (tmp_path / "latin").write_bytes(b"\xff")
    value, wrong = fill(text, tmp_path)
    assert value == text
    assert len(wrong) == 1
    assert says in wrong[0]


def test_one_inside_another_is_told(tmp_path):
    """Who nests them would read that a brace is missing which is there."""
    _, wrong = fill("${EMPTY:-${A}}", tmp_path)
    assert ["one inside another is not supported" in message for message in wrong] == [True]


def test_long_values_are_kept_as_secrets(tmp_path):
    """A key put into the wrong field would be printed in the message about that field."""
    mistakes = Mistakes()
    interpolate = Interpolator(tmp_path, ENVIRON, mistakes)
    interpolate(("a",), "${LONG}${A}")
    assert mistakes.secrets == {"0123456789abcdef0"}
    assert interpolate.filled == {("a",)}
