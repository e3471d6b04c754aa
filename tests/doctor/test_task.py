"""What models are asked, and whether they did it."""

from __future__ import annotations

import base64

import pytest

from trunkline.doctor import task
from trunkline.doctor.finding import Broken


def test_what_is_right() -> None:
    """A good model would be called broken."""
    task.arguments('{"city": "Berlin"}')
    task.arguments({"city": "Berlin", "more": 1})
    task.number('{"number": 42}')
    assert base64.b64decode(task.PICTURE).startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"town": 1}', {}, None])
def test_arguments_that_are_none(text: object) -> None:
    """A client would run its tool with nothing."""
    with pytest.raises(Broken, match="arguments"):
        task.arguments(text)


@pytest.mark.parametrize("text", ["", "42", '{"number": "42"}', '{"n": 1}', None, "```json"])
def test_an_answer_of_another_schema(text: object) -> None:
    """A program would fail to read it."""
    with pytest.raises(Broken, match="schema"):
        task.number(text)
