"""Arguments of calls: canon's text, and the object that some dialects want."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.dialects.arguments import object_of, text_of, wrapped

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("{}", {}),
        ("", {}),
        (" \n", {}),
        ('{"a"', None),
        ("[1]", None),
        ("null", None),
        ('"x"', None),
        (DEEP, None),
    ],
)
def test_what_is_no_object_is_wrapped(text: str, told: dict[str, Any] | None) -> None:
    """A provider answers 400 to arguments that are no object; what a model got wrong must still be seen by it."""
    assert object_of(text) == told
    assert wrapped(text) == ({"_raw": text} if told is None else told)


@pytest.mark.parametrize("text", ['{"a":1}', "{}", '{"a"', "[1]", DEEP])
def test_a_history_gives_back_what_the_model_wrote(text: str) -> None:
    """What stood under a key of ours is not sent on as if the model had written that key."""
    assert text_of(wrapped(text)) == text


@pytest.mark.parametrize("told", [{"_raw": 1}, {"_raw": "a", "b": 2}, {"_raw": '{"a":1}'}, {"_raw": ""}])
def test_a_key_like_ours_is_the_models(told: dict[str, Any]) -> None:
    """Only what we make is unmade: a tool may have an argument of that name."""
    assert msgspec.json.decode(text_of(told)) == told
