"""A client's requests and the answers to them, for the tests of this folder."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai

from trunkline.canon.chat import Chat, Choice, Message, Part, Reply
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.openai_responses.read_chat import read_chat
from trunkline.dialects.openai_responses.request import read_request

USED = Usage(input=10, cache_read=2, output=5, reasoning=1, basis="reported")
EXEC = {
    "type": "namespace",
    "name": "functions",
    "description": "Tools.",
    "tools": [{"type": "custom", "name": "exec", "format": {"type": "grammar", "syntax": "lark", "definition": "start: ANY"}}],
}
"""A custom tool in a namespace, as Codex offers its shell to the newest models."""
LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": False}
AGENTS = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [{**LOOK, "name": "spawn"}]}


def ask(*items: Any, **fields: Any) -> Ask:
    """A client's request of these items and fields."""
    return read_request(json.dumps({"model": "asked", "input": list(items), **fields}).encode())


def chat(*items: Any, **fields: Any) -> Chat:
    """What canon makes of it."""
    return read_chat(ask(*items, **fields))


def messages(*items: Any, **fields: Any) -> tuple[Message, ...]:
    """Its messages."""
    return chat(*items, **fields).messages


def said(*items: Any) -> tuple[Part, ...]:
    """The parts of its only message."""
    (message,) = messages(*items)
    return message.parts


def frame(*items: Any, **fields: Any) -> Frame:
    """What the answer to such a request needs."""
    return Frame(ask(*items, **fields), "ours", 1700000000)


def reply(*parts: Part, finish: Any = "stop", dialect: str = "anthropic", **rest: Any) -> Reply:
    """An answer of one choice."""
    return Reply(dialect, "msg_1", "claude", (Choice(parts, finish),), USED, **rest)


def sdk(*bodies: bytes, content_type: str = "application/json") -> openai.OpenAI:
    """OpenAI's own SDK, which is answered so, one answer after another."""
    answers = iter(bodies)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=next(answers), headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http, max_retries=0)
