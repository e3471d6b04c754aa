"""Numbers of a provider's usage, whichever dialect tells them, and its text as records keep it. What the numbers mean belongs
in each dialect's `usage`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.errors import protocol

MOST_TOKENS = 10**12
"""A count above this is nonsense and is taken as absent."""
_RAW_BYTES = 4096
"""Usage that is longer is not kept word for word: it is stored with every record."""


class _Count(msgspec.Struct):
    input_tokens: int


_decode = msgspec.json.Decoder(_Count).decode


def count(value: object) -> int | None:
    """A number of tokens; None for whatever else stands in its place, a negative number and `true` among it."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def raw_text(raw: bytes) -> str:
    """The JSON text of a usage object; empty where it is too long to be kept."""
    return raw.decode("utf-8", "replace") if len(raw) <= _RAW_BYTES else ""


def input_alone(name: str, value: object) -> tuple[Usage, str]:
    """The usage of an answer that counts its input only, in the field `name`, and a text of it."""
    found = count(value)
    return (NO_USAGE, "") if found is None else (Usage(input=found, basis="reported"), f'{{"{name}":{found}}}')


def read_count(body: bytes) -> int:
    """A provider's answer to the question how many tokens a request has, as Anthropic and OpenAI tell it. Raises
    `GatewayError(UPSTREAM_PROTOCOL)` where it is none.
    """
    try:
        told = _decode(body).input_tokens
    except (ValueError, RecursionError):
        told = -1
    if told < 0:
        raise protocol("The provider's answer is not a number of tokens.", body)
    return told
