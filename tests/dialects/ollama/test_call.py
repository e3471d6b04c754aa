"""Arguments of calls: always an object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.ollama.call import arguments, as_text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("{}", {}),
        ("", {}),
        (" \n", {}),
        ('{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ('{"a"', {"_raw": '{"a"'}),
        ("[1]", {"_raw": "[1]"}),
        ("null", {"_raw": "null"}),
        ('"x"', {"_raw": '"x"'}),
        ("[" * 100_000, {"_raw": "[" * 100_000}),
    ],
)
def test_arguments(text: str, told: dict[str, Any]) -> None:
    """A provider answers 400 to arguments that are no object; what a model got wrong must still be seen by it."""
    assert json.loads(bytes(arguments(text))) == told


@pytest.mark.parametrize("text", ['{"a":1}', "{}", '{"a"', "[1]"])
def test_a_history_gives_back_what_the_model_wrote(text: str) -> None:
    """What stood under a key of ours is not sent on as if the model had written that key."""
    assert as_text(json.loads(bytes(arguments(text)))) == text


@pytest.mark.parametrize("told", [{"_raw": 1}, {"_raw": "a", "b": 2}])
def test_a_key_like_ours_is_the_models(told: dict[str, Any]) -> None:
    """Only what we make is unmade."""
    assert json.loads(as_text(told)) == told


def test_spelling_is_the_models_own() -> None:
    """Numbers that decoding would change; but a line end inside would end the line of a stream."""
    assert bytes(arguments('{"a": 1.50}')) == b'{"a": 1.50}'
    assert bytes(arguments('{\n  "a": 1.50\n}')) == bytes(arguments('{"a":\r1.5}')) == b'{"a":1.5}'
