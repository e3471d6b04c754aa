"""The bytes that go over the wire: what clients ask, what the upstream answers. Fixed, so that both ends can compare.

No sockets and no clocks here; who sends these bytes is in `load` and `upstream`.
"""

from __future__ import annotations

import json

KIB = 1024
MODEL = "bench"
"""The name clients use; the gateway rewrites it to `TARGET`."""
TARGET = "gpt-4.1-mini"
"""A name with a known price, so that pricing is part of what is measured."""
PATH = "/v1/chat/completions"
UNBUFFERED = "/unbuffered"
"""Prefix under which nginx passes streams on at once."""
EVENT_BYTES = 300
ANSWER_BYTES = 1 * KIB

FILLER = 'The quick brown fox said "now" and jumped over 13 lazy dogs;\nnobody counted them twice, and that was that. '
_CHUNK = {
    "id": "chatcmpl-BqWJ2mXb0Yx8vFq3kT9dPz1LsNc7R",
    "object": "chat.completion.chunk",
    "created": 1750000000,
    "model": "gpt-4.1-mini-2025-04-14",
    "service_tier": "default",
    "system_fingerprint": "fp_6f2eabb9a5",
}
_USAGE = {
    "prompt_tokens": 212,
    "completion_tokens": 100,
    "total_tokens": 312,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def prompt(size: int, *, stream: tuple[int, int, int] | None = None, include_usage: bool = False) -> bytes:
    """A request body of exactly `size` bytes. `stream`: chunks to send back, milliseconds between them, and over
    how many moments of these the streams are spread (1: all in step).
    """
    body: dict[str, object] = {"model": MODEL, "temperature": 0.7, "max_tokens": 256}
    if stream is not None:
        body |= {"stream": True, "x_stream": list(stream)}
        if include_usage:
            body["stream_options"] = {"include_usage": True}
    messages = [{"role": "system", "content": "You are a helpful assistant."}]
    body["messages"] = messages
    turn = {"role": "user", "content": FILLER * 5}
    while len(_json(body)) + 2 * len(_json(turn)) < size and len(messages) < size:
        room = (size - len(_json(body))) // (len(_json(turn)) + 1)
        messages += [turn] * max(1, room - 1)
    messages.append({"role": "user", "content": ""})
    messages[-1]["content"] = "x" * (size - len(_json(body)))
    encoded = _json(body)
    if len(encoded) != size:
        raise ValueError(f"a prompt of {size} bytes cannot be made")
    return encoded


def request(key: str, port: int, body: bytes, *, prefix: str = "", path: str = PATH) -> bytes:
    """A whole HTTP request as an SDK sends it."""
    head = (
        f"POST {prefix}{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nUser-Agent: trunkline-bench\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _answer() -> bytes:
    def write(text: str) -> bytes:
        message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return _json(_CHUNK | {"object": "chat.completion", "choices": [choice], "usage": _USAGE})

    return write("y" * (ANSWER_BYTES - len(write(""))))


def _event(value: object) -> bytes:
    return b"data: %b\n\n" % _json(value)


def content_event(text: str) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return _event(_CHUNK | {"choices": [choice]})


ANSWER = _answer()
EVENT = content_event("z" * (EVENT_BYTES - len(content_event(""))))
FINISH = _event(_CHUNK | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]})
USAGE = _event(_CHUNK | {"choices": [], "usage": _USAGE})
DONE = b"data: [DONE]\n\n"


def stream_body(chunks: int, *, include_usage: bool) -> bytes:
    """What a client must receive of a stream, transfer coding removed."""
    return EVENT * chunks + FINISH + (USAGE if include_usage else b"") + DONE


def dechunk(data: bytes) -> bytes:
    """Remove the chunked transfer coding. Raises ValueError where it is broken or not at its end."""
    parts: list[bytes] = []
    at = 0
    while True:
        line = data.index(b"\r\n", at)
        size = int(data[at:line], 16)
        if size == 0:
            if data[line:] != b"\r\n\r\n":
                raise ValueError("bytes after the last chunk")
            return b"".join(parts)
        parts.append(data[line + 2 : line + 2 + size])
        at = line + size + 4
