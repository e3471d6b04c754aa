"""Names and ids that one dialect takes and another does not: made to fit, the same way every time.

Pure functions of the name alone, so that a history is written the same turn after turn whatever tools stand beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from trunkline.canon.chat import Message, ToolCall

_NONE = re.compile(r"(?!)")
MADE = "tlc_"
"""How an id begins that the gateway made."""
_TAIL = 8
"""Hexadecimal digits of a name's hash that keep two names apart which would become one."""


def made_id(seed: str, number: int) -> str:
    """An id for the tool call `number` of an answer, where its provider gives none. `seed` is unique to the answer."""
    return f"{MADE}{seed}_{number}"


def is_made(call_id: str) -> bool:
    """The id is ours: the provider that made the call does not know it."""
    return call_id.startswith(MADE)


def fit(name: str, bad: re.Pattern[str], longest: int) -> str:
    """`name` where it fits; else with every match of `bad` made `_`, cut, and its hash behind it."""
    fitting = bad.sub("_", name)
    if fitting == name and len(name) <= longest:
        return name
    tail = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_TAIL]
    return f"{fitting[: longest - _TAIL - 1]}_{tail}"


def cut(text: str, longest: int) -> str:
    """As `fit` for a text in which any character may stand."""
    return fit(text, _NONE, longest)


def call_names(messages: Iterable[Message]) -> dict[str, str]:
    """The tool that each call in a history calls, by the call's id; for dialects whose results must name it."""
    return {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}
