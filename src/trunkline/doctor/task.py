"""What the contracts ask of a model: the same small things in every dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.doctor.finding import Broken

HELLO = "Say hello in one short sentence."
MAX_TOKENS = 1024
"""Of an answer: thinking counts too."""
TOOL = "trunkline_lookup"
ABOUT = "Looks up the number of a city."
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL_IT = f"Call the tool {TOOL} for the city Berlin, and then tell me its number. Do not answer before you have called it."
RESULT = "The number of Berlin is 42."
NOT_CALLED = "the model answered without calling the tool, so that calls could not be tried"
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
ASK_JSON = "Which number is six times seven? Answer as JSON."
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""


def arguments(text: Any) -> None:
    """The arguments of a call must name the city. Raises `Broken`."""
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else text
    except msgspec.DecodeError:
        raise Broken(f"the arguments of the tool call are no JSON: {text!r}") from None
    if not isinstance(found, dict) or "city" not in found:
        raise Broken(f"the arguments of the tool call are not those of the tool: {text!r}")


def number(text: Any) -> None:
    """An answer by `ANSWER_SCHEMA`. Raises `Broken`."""
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("number"), int):
        raise Broken(f"the answer is not of the schema that was asked for: {text!r}")
