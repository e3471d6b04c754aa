"""Many of everything: what a request or an answer costs grows with its size and no faster, as all share one processor."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from dialects.gemini.samples import COUNTS, chunk
from trunkline.canon.chat import Chat, Message, Text, ToolCall, ToolResult
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import unfold
from trunkline.dialects.dialect import Frame, Named
from trunkline.dialects.gemini.dialect import Gemini

GEMINI = Gemini()
N = 20_000
MOST = 3.0
"""Seconds of processor time: several times what it takes, and a fraction of what it took where it was quadratic."""
TEXT = {"text": "a" * 50}
CALL = {"functionCall": {"name": "f", "args": {}}}
RESULT = {"functionResponse": {"name": "f", "response": {}}}
CALLS = [{"functionCall": {"name": f"f{at}", "args": {}}} for at in range(N)]
RESULTS = [{"functionResponse": {"name": f"f{at}", "response": {}}} for at in reversed(range(N))]
SPAN = {"segment": {"startIndex": 0, "endIndex": 100_000}, "groundingChunkIndices": [0]}


@pytest.mark.parametrize(
    "told",
    [
        {"contents": [{"role": "model", "parts": [TEXT]}] * N},
        {"contents": [{"role": "model", "parts": [CALL]}] * N},
        {"contents": [{"role": "model", "parts": [TEXT] * N}]},
        {"contents": [{"role": "user", "parts": [RESULT]}] * N},
        {"contents": [{"role": "model", "parts": CALLS}, {"role": "user", "parts": RESULTS}]},
        {"contents": ["a"], "tools": [{"functionDeclarations": [{"name": f"f {at}"} for at in range(N)]}]},
    ],
    ids=["answers", "calls", "pieces", "results", "results of calls", "tools"],
)
def test_a_request_of_many_pieces_is_read_and_written(told: Any) -> None:
    """One caller's must not keep all others waiting."""
    ask = GEMINI.read_request(json.dumps(told).encode(), Named("", "m"))
    start = time.process_time()
    GEMINI.write_chat(GEMINI.read_chat(ask), "m", Facts(signatures=True), Loss(strict=False), ask_usage=True)
    assert time.process_time() - start < MOST


@pytest.mark.parametrize(
    "messages",
    [
        [Message("user", (Text("a"),)), Message("assistant", (Text("b"),)), *[Message("system", (Text("c"),))] * N],
        [
            Message("assistant", tuple(ToolCall(f"c{at}", "f", "{}") for at in range(N))),
            *(Message("tool", (ToolResult(f"c{at}", "f", (Text("r"),)),)) for at in reversed(range(N))),
        ],
    ],
    ids=["instructions", "results"],
)
def test_a_history_of_many_messages_is_written(messages: list[Message]) -> None:
    """The same of other dialects' clients."""
    start = time.process_time()
    GEMINI.write_chat(Chat("openai_chat", "m", tuple(messages)), "m", Facts(), Loss(strict=False), ask_usage=True)
    assert time.process_time() - start < MOST


@pytest.mark.parametrize(
    "told",
    [
        chunk(*[TEXT, CALL] * (N // 2), finish="STOP", usage=COUNTS),
        chunk(
            *[TEXT] * N,
            finish="STOP",
            groundingMetadata={
                "groundingChunks": [{"web": {"uri": "https://a.test"}}],
                "groundingSupports": [{**SPAN, "segment": {"partIndex": at, "endIndex": 2}} for at in range(N)],
            },
        ),
        chunk(
            {"text": "é" * 50_000},
            finish="STOP",
            groundingMetadata={
                "groundingChunks": [{"web": {"uri": "https://a.test"}}],
                "groundingSupports": [SPAN] * N,
            },
        ),
    ],
    ids=["parts", "cited parts", "cited text"],
)
def test_an_answer_of_many_pieces_is_read_and_written(told: Any) -> None:
    """A provider's must not either."""
    body = json.dumps(told).encode()
    frame = Frame(GEMINI.read_request(b'{"contents": []}', Named("sse", "m")), "r", 1)
    start = time.process_time()
    reply = GEMINI.read_answer(body, "s")
    assert GEMINI.write_answer(reply, frame)
    assert GEMINI.writer(frame).write(unfold(reply))
    reader = GEMINI.reader("s")
    assert GEMINI.writer(frame).write([*reader.feed(b"data: %b\r\n\r\n" % body), *reader.close()])
    assert time.process_time() - start < MOST
