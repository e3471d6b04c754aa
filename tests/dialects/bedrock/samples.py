"""Hand-written frames and requests of Bedrock's shape, and what tests do with them again and again."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from trunkline.canon.chat import Chat, Message, Part, Reply, Role, Text
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Event, Fold
from trunkline.dialects.bedrock.reader import ConverseReader
from trunkline.dialects.bedrock.write_chat import write_chat

HELLO: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "Hello"}]}]


def text_header(name: str, value: str) -> bytes:
    """A header that holds text."""
    return bytes((len(name),)) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()


def frame(headers: bytes, payload: bytes = b"") -> bytes:
    """A frame with right checksums."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    raw = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return raw + struct.pack(">I", zlib.crc32(raw))


def told(kind: str, word: str, payload: bytes) -> bytes:
    """A frame of the kinds that Bedrock sends: an event or an exception."""
    names = text_header(f":{kind}-type", word) + text_header(":content-type", "application/json")
    return frame(names + text_header(":message-type", kind), payload)


def event(kind: str, **fields: Any) -> bytes:
    """An event, with its padding."""
    return told("event", kind, json.dumps({**fields, "p": "abc"}).encode())


def begin() -> bytes:
    """The first event."""
    return event("messageStart", role="assistant")


def delta(at: int, **fields: Any) -> bytes:
    """A piece of a block."""
    return event("contentBlockDelta", contentBlockIndex=at, delta=fields)


def start(at: int, **fields: Any) -> bytes:
    """A block that is announced."""
    return event("contentBlockStart", contentBlockIndex=at, start=fields)


def stop(at: int) -> bytes:
    """A block's end."""
    return event("contentBlockStop", contentBlockIndex=at)


def text(at: int, *pieces: str) -> bytes:
    """A text."""
    return b"".join(delta(at, text=piece) for piece in pieces) + stop(at)


def call(at: int, *pieces: str, **fields: Any) -> bytes:
    """A tool's call."""
    begun = start(at, toolUse={"toolUseId": f"tooluse_{at}", "name": "look", **fields})
    return begun + b"".join(delta(at, toolUse={"input": piece}) for piece in pieces) + stop(at)


def thought(at: int, *pieces: str, signature: str = "c2lnbmVk") -> bytes:
    """A thought."""
    said = b"".join(delta(at, reasoningContent={"text": piece}) for piece in pieces)
    return said + (delta(at, reasoningContent={"signature": signature}) if signature else b"") + stop(at)


def end(reason: str = "end_turn", usage: Any = None, **more: Any) -> bytes:
    """The last two events."""
    used = usage or {"inputTokens": 10, "outputTokens": 9, "totalTokens": 19}
    return event("messageStop", stopReason=reason) + event("metadata", usage=used, metrics={"latencyMs": 1}, **more)


def events(data: bytes) -> list[Event]:
    """What a reader makes of these bytes."""
    reader = ConverseReader("seed")
    return reader.feed(data) + reader.close()


def folded(data: bytes) -> Reply:
    """The answer that a stream tells."""
    fold = Fold("bedrock")
    fold.add(events(data))
    return fold.reply()


def user(*parts: Part | str, role: Role = "user") -> Message:
    """A message; a string is a text."""
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    """A model's."""
    return user(*parts, role="assistant")


def chat(*messages: Message, **fields: Any) -> Chat:
    """A request of another dialect, as all are."""
    return Chat(fields.pop("dialect", "openai_chat"), "m", messages or (user("Hello"),), **fields)


def written(asked: Chat, facts: Facts = NO_FACTS, lost: Iterable[str] = (), model: str = "m") -> dict[str, Any]:
    """The body for a provider; fails where it lost anything else than `lost`."""
    loss = Loss(strict=False)
    body: dict[str, Any] = json.loads(write_chat(asked, model, facts, loss, ask_usage=True).body)
    assert list(loss.names) == list(lost)
    return body
