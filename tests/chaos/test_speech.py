"""How chaos reads answers: were it lenient, a broken stream would pass for a whole one."""

from __future__ import annotations

import pytest

from chaos import speech
from chaos.plays import PLAYS, TONGUES, Part
from chaos.speech import DIALECTS
from harness.script import Seen, head
from real.tongues import Asked, Said


def spoken(dialect: str, play: str = "ok") -> bytes:
    """The bytes of a stream's chunks."""
    asked = Asked(Seen(1, 1, b"", b"{}"), "m", True, {}, [])
    steps = PLAYS[play].steps(Part(dialect, asked, Said(text="a text that is long enough to be cut " * 5), 0.5))
    pieces = [step for step in steps if isinstance(step, bytes) and not step.startswith(head(200)[:12])]
    return b"".join(piece.partition(b"\r\n")[2].removesuffix(b"\r\n") for piece in pieces)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_is_clean_broken_or_cut(dialect: str) -> None:
    """These three are what a client can tell apart, and what the model holds against the gateway."""
    whole, broken, cut = spoken(dialect), spoken(dialect, "error midway"), spoken(dialect, "unfinished")
    told = "a text that is long enough to be cut " * 5
    assert (speech.stream(dialect, whole).text, speech.stream(dialect, whole).ending) == (told, "clean")
    assert told.startswith(speech.stream(dialect, broken).text)
    assert speech.stream(dialect, broken).ending == "broken"
    assert speech.stream(dialect, cut).ending == "cut"
    assert 0 < len(speech.stream(dialect, cut).text) < len(told)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "gemini"])
def test_good_and_bad_ends_together_are_neither(dialect: str) -> None:
    """A client that reads the first of them believes that it has everything."""
    both = spoken(dialect) + spoken(dialect, "error first")
    with pytest.raises(ValueError, match="both"):
        speech.stream(dialect, both)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_errors_have_the_shape_of_their_dialect(dialect: str) -> None:
    """An SDK that cannot read an error raises another, which nobody handles."""
    path, fields = speech.question(dialect, "m", "n-1", stream=False)
    assert TONGUES[dialect].serves(path.partition("?")[0])
    assert b"chaos:n-1;" in str(fields).encode()
    assert not speech.refusal(dialect, b'{"error": {"message": "", "type": "x", "code": 0, "status": ""}, "type": "error"}')
