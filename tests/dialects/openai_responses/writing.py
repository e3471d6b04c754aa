"""What a provider is sent, for the tests of those who write it."""

from __future__ import annotations

import json
from typing import Any

from trunkline.canon.chat import Chat, Message, Part, Text
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_responses.read_chat import read_chat
from trunkline.dialects.openai_responses.request import read_request
from trunkline.dialects.openai_responses.write_chat import write_chat

HI = Message("user", (Text("Hi"),))


def chat(*messages: Message, dialect: str = "anthropic", **fields: Any) -> Chat:
    """A conversation of another API's client."""
    return Chat(dialect=dialect, model="asked", messages=messages or (HI,), **fields)


def own(**fields: Any) -> Chat:
    """A request of a client of this API."""
    return read_chat(read_request(json.dumps({"model": "asked", "input": "Hi", **fields}).encode()))


def sent(asked: Chat, facts: Facts = NO_FACTS, *, strict: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The request, and what was lost."""
    loss = Loss(strict=strict)
    return json.loads(write_chat(asked, "m", facts, loss, ask_usage=True).body), list(loss.names)


def items(*messages: Message, facts: Facts = NO_FACTS, dialect: str = "anthropic") -> tuple[list[dict[str, Any]], list[str]]:
    """The items of a conversation, and what was lost."""
    body, lost = sent(chat(*messages, dialect=dialect), facts)
    return body["input"], lost


def said(*parts: Part, role: Any = "assistant", **fields: Any) -> Message:
    """A message of these parts."""
    return Message(role, parts, **fields)
