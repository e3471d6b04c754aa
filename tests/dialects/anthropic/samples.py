"""Hand-written messages and streams of Anthropic's shape, and what tests do with them again and again.

The shapes are those of recorded traffic, the words are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from trunkline.canon.chat import Chat, Reply
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Event, Fold
from trunkline.dialects.anthropic.read_chat import read_chat
from trunkline.dialects.anthropic.reader import MessagesReader
from trunkline.dialects.anthropic.request import read_request
from trunkline.dialects.anthropic.write_chat import write_chat
from trunkline.dialects.dialect import Ask, Frame

ASK = Ask(fields={}, model="asked", stream=True, include_usage=True)
FRAME = Frame(ask=ASK, id="msg_ours", created=1)
HELLO: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]


def event(kind: str, **fields: Any) -> bytes:
    """One event as Anthropic sends it, with its padding."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})[:-1]}   }}\n\n".encode()


def begin(**usage: Any) -> bytes:
    """The first event."""
    usage = usage or {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    return event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """A whole block."""
    return b"".join(
        (
            event("content_block_start", index=index, content_block=start),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        )
    )


def text(index: int, *pieces: str) -> bytes:
    """A text block."""
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def tool(index: int, *pieces: str, **start: Any) -> bytes:
    """A tool's call."""
    told = {"type": "tool_use", "id": f"toolu_{index}", "name": "look", "input": {}, **start}
    return block(index, told, *({"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces)))


def thought(index: int, *pieces: str, signature: str = "c2lnbmVk") -> bytes:
    """A thinking block."""
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signed = [{"type": "signature_delta", "signature": signature}] if signature else []
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas, *signed)


def end(stop: str = "end_turn", usage: dict[str, Any] | None = None, **delta: Any) -> bytes:
    """The last two events."""
    told = {"stop_reason": stop, "stop_sequence": None, **delta}
    return event("message_delta", delta=told, usage=usage or {"output_tokens": 9}) + event("message_stop")


WHOLE_STREAM = b"".join(
    (
        begin(input_tokens=10, cache_read_input_tokens=5, cache_creation={"ephemeral_1h_input_tokens": 2}, output_tokens=1),
        event("ping"),
        thought(0, "Let me ", "see."),
        text(1, "I ", "look."),
        tool(2, '{"a":', " 1}"),
        tool(3),
        end("tool_use"),
    )
)


def events(data: bytes, seed: str = "seed") -> list[Event]:
    """What a reader makes of a stream in one piece."""
    reader = MessagesReader(seed)
    return reader.feed(data) + reader.close()


def folded(data: bytes) -> Reply:
    """The answer a stream tells."""
    fold = Fold("anthropic")
    fold.add(events(data))
    return fold.reply()


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects of a stream that a writer made; each must be named as its `event:` line names it."""
    found = []
    for raw in data.decode().split("\n\n")[:-1]:
        name, _, line = raw.partition("\n")
        told = json.loads(line.removeprefix("data: "))
        assert name == f"event: {told['type']}"
        found.append(told)
    return found


def slices(data: bytes) -> Iterator[list[bytes]]:
    """Every way to cut once, and byte by byte."""
    for cut in range(len(data)):
        yield [data[:cut], data[cut:]]
    yield [data[at : at + 1] for at in range(len(data))]


def ask(request: dict[str, Any]) -> Ask:
    """A request, read one level deep."""
    return read_request(json.dumps({"model": "m", "messages": HELLO, **request}).encode())


def chat(**request: Any) -> Chat:
    """A client's request in canon."""
    return read_chat(ask(request))


def foreign(**fields: Any) -> Chat:
    """A request that came in another dialect."""
    return Chat(**{"dialect": "openai_chat", "model": "m", "messages": (), **fields})


def written(told: Chat, facts: Facts = NO_FACTS, *, strict: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The fields of the provider's request, and what was lost."""
    loss = Loss(strict=strict)
    out = write_chat(told, told.model, facts, loss, ask_usage=True)
    return json.loads(out.body), list(loss.names)


def plain(value: Any) -> Any:
    """A request or an answer in its normal form: what this dialect spells in several ways is spelled in one.

    Null is absent; a string is one block of text; a mark without a time is five minutes; a result that did not fail says so
    by saying nothing.
    """
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = {name: plain(one) for name, one in value.items() if one is not None}
    if told.get("type") == "ephemeral" and told.get("ttl") == "5m":
        del told["ttl"]
    if told.get("type") == "tool_result" and not told.get("is_error"):
        told.pop("is_error", None)
    if "input_schema" in told and not told.get("description"):
        told.pop("description", None)
    content = told.get("content")
    if isinstance(content, str) and ("role" in told or told.get("type") == "tool_result"):
        told["content"] = [{"type": "text", "text": content}]
    return told


def request_plain(value: dict[str, Any]) -> dict[str, Any]:
    """As `plain`, for a whole request."""
    told: dict[str, Any] = plain(value)
    if isinstance(told.get("system"), str):
        told["system"] = [{"type": "text", "text": told["system"]}]
    if not told.get("stream"):
        told.pop("stream", None)
    return told


def without_raw(reply: Reply) -> Reply:
    """An answer without the provider's own spelling of its usage."""
    return msgspec.structs.replace(reply, raw_usage="")


def joined(writes: Iterable[bytes]) -> bytes:
    """What several writes gave."""
    return b"".join(writes)
