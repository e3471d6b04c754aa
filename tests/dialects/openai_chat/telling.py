"""Streams and answers for the tests of this folder, and what canon makes of them, in short."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trunkline.canon.chat import Part, Reply, Seal
from trunkline.canon.stream import Event, Fail, Fold
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.openai_chat.reader import ChatReader
from trunkline.dialects.openai_chat.request import read_request


def ask(**fields: Any) -> Ask:
    """A client's request with these fields."""
    return read_request(json.dumps({"model": "asked", "messages": [], **fields}).encode())


def frame(**fields: Any) -> Frame:
    """What the answer to such a request needs."""
    return Frame(ask(**fields), "ours", 1700000000)


def stream(*deltas: dict[str, Any], finish: str | None = "stop", done: bool = True, **rest: Any) -> bytes:
    """An OpenAI-shaped stream of one choice with these deltas."""
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    if finish is not None:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish, **rest})
    chunks = [{"id": "c1", "created": 7, "model": "m", "choices": [choice]} for choice in choices]
    return b"".join(event(chunk) for chunk in chunks) + (b"data: [DONE]\n\n" if done else b"")


def event(chunk: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read(body: bytes) -> list[Event]:
    """All events of a stream."""
    reader = ChatReader("seed")
    return reader.feed(body) + reader.close()


def folded(events: Iterable[Event]) -> Reply:
    """The answer they tell."""
    fold = Fold("openai_chat")
    fold.add(events)
    return fold.reply()


def parts(body: bytes) -> tuple[Part, ...]:
    """The parts of a stream's first choice."""
    return folded(read(body)).choices[0].parts


def failure(events: list[Event]) -> str:
    """The message it ends with; empty where it ends well."""
    last = events[-1] if events else None
    return last.error.message if isinstance(last, Fail) else ""


CLAUDE = Seal("anthropic", "sig")
GEMINI = Seal("gemini", "c2ln")
OTHER = Seal("openai-responses-v1", "enc")
