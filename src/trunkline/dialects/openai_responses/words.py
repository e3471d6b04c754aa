"""The words of the Responses API that more than one file here needs, and how canon holds what it has no word for.

What only one direction needs stands where it is used. In canon an answer's items are parts of one assistant's message:

- a `message`'s texts are `Text` parts with its `id`, `phase` and `status` in `vendor`; those of one message stand together;
- `function_call` and `custom_tool_call` are a `ToolCall` with `id`, `status`, `namespace`, the latter with `type`, in `vendor`;
- `reasoning` is a `Thinking` sealed with `encrypted_content`, its `id`, `status`, `summary` and `content` in `vendor`;
- any other item is an `Other`, in an assistant's message, or in a user's where it stands for what was said before.

A choice among tools that canon has no word for stands whole in its `vendor`; what is left of `text` and `reasoning` in `vendor`
under these names, the former among the request's.
"""

from __future__ import annotations

from typing import Any

import msgspec

NAME = "openai_responses"
PATH = "/responses"
COUNT_PATH = "/responses/input_tokens"
COUNT = "count"
"""The form of a request that only asks for a number of tokens."""
ENCRYPTED = "reasoning.encrypted_content"
"""What `include` asks for, that reasoning can be handed back without being stored."""

CUSTOM = "custom"
"""A tool that is given a text and no arguments; its original stands in the canon tool's `vendor` under this name."""
CUSTOM_CALL = "custom_tool_call"
CUSTOM_OUTPUT = "custom_tool_call_output"
"""In canon both kinds of results are alike; this one's has it as `type` in `vendor`."""
NAMESPACE = "namespace"
"""A tool's or call's `vendor` field: of a tool the namespace as the client told it, its tools aside; of a call its name. Of a
tool that canon has no word for it stands among its own fields, as does the next."""
ADDED = "additional_tools"
"""A tool's `vendor` field: true where it was told by an input item of this type, not among the request's tools."""
INPUT = "input"
"""The only field of a custom tool's call in canon."""
CUSTOM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
    "additionalProperties": False,
}
"""What a custom tool takes, for models that know functions only."""


def folded(namespace: str, name: str) -> str:
    """What a tool of a namespace is called in canon, where names stand alone."""
    return f"{namespace}__{name}" if namespace else name


def custom_arguments(text: str) -> str:
    """Canon's arguments for the text that a custom tool is given."""
    return msgspec.json.encode({INPUT: text}).decode()


def custom_input(arguments: str) -> str:
    """The text that a custom tool is given; the arguments themselves where a model wrote something else."""
    try:
        told = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):
        return arguments
    found = told.get(INPUT) if isinstance(told, dict) else None
    return found if isinstance(found, str) else arguments
