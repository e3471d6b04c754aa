"""Questions and answers about pictures, as values."""

from __future__ import annotations

from trunkline.canon.pictures import Draw, Pictures
from trunkline.canon.usage import NO_USAGE


def test_one_picture_of_any_size_is_what_is_asked_for() -> None:
    """Nobody is charged for more than was asked."""
    assert (Draw("m", "a cat").n, Draw("m", "a cat").size) == (1, None)


def test_no_pictures_are_an_answer_too() -> None:
    """A provider that holds them back was asked all the same."""
    assert Pictures((), "blocked").usage == NO_USAGE
