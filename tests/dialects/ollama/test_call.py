"""Arguments of calls: always an object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.ollama.call import arguments


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


def test_spelling_is_the_models_own() -> None:
    """Numbers that decoding would change; but a line end inside would end the line of a stream."""
    assert bytes(arguments('{"a": 1.50}')) == b'{"a": 1.50}'
    assert bytes(arguments('{\n  "a": 1.50\n}')) == bytes(arguments('{"a":\r1.5}')) == b'{"a":1.5}'
