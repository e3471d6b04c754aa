"""Clients that leave early, and many at once: llama.cpp is free again at once, and the accounts are whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness.invariants import eventually
from real.llama import MODEL, SLOTS
from real.sides import CROWD_KEY, Sides

ENDLESS: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Tell me a story without an end"}],
    "max_tokens": 30_000,
    "temperature": 0,
    "stream": True,
}
"""Goes on for many seconds."""
READ = 20
"""Chunks that are read before leaving."""


def check_left(sides: Sides, ident: str) -> None:
    """llama.cpp is free within a second, and the row says what happened."""
    left = time.monotonic()
    eventually(lambda: sides.llama.busy() == 0, "llama.cpp goes on for nobody", 2.0)
    assert time.monotonic() - left < 1.0
    eventually(lambda: sides.gateway.in_flight() == 0, "in flight back to 0")
    row = sides.rows()[ident]
    assert (row["outcome"], row["basis"], row["status"]) == ("client_cancelled", "estimated", 200)
    assert READ <= row["output_tokens"] < 30_000
    assert row["input_tokens"] > 0


def test_a_closed_stream_frees_the_server(sides: Sides) -> None:
    """A user who presses stop must stop the GPU, and is charged for what was said until then."""
    stream = sides.through.chat.completions.create(**ENDLESS)
    for _, _ in zip(range(READ), stream, strict=False):
        pass
    assert sides.llama.busy() == 1
    stream.close()
    check_left(sides, stream.response.headers["x-request-id"])


def test_a_cancelled_task_frees_the_server(sides: Sides) -> None:
    """The async way to leave: the task that reads is cancelled."""

    async def leave(client: openai.AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(**ENDLESS)
        enough = asyncio.Event()

        async def read() -> None:
            async with stream:
                seen = 0
                async for _ in stream:
                    seen += 1
                    if seen == READ:
                        enough.set()

        task = asyncio.ensure_future(read())
        await enough.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return str(stream.response.headers["x-request-id"])

    check_left(sides, sides.run("through", leave))


def test_leaving_before_a_whole_answer_is_booked(sides: Sides) -> None:
    """A timeout in the client, with nothing received: the provider may charge for the prompt all the same.

    llama.cpp writes a whole answer to its end for nobody, asked directly too; so it is only waited for here.
    """
    before = set(sides.rows())
    with pytest.raises(openai.APITimeoutError):
        sides.through.with_options(timeout=0.1).chat.completions.create(**{**ENDLESS, "stream": False, "max_tokens": 3000})
    eventually(lambda: sides.gateway.in_flight() == 0, "in flight back to 0")
    (row,) = [row for ident, row in sides.rows().items() if ident not in before]
    assert (row["outcome"], row["status"], row["basis"]) == ("client_cancelled", 499, "estimated")
    assert (row["input_tokens"] > 0, row["output_tokens"]) == (True, 0)
    eventually(lambda: sides.llama.busy() == 0, "llama.cpp does not come to an end", 30.0)


def test_many_leave_and_the_next_is_served(sides: Sides) -> None:
    """More than there are slots: nobody's place stays taken."""
    streams = [sides.through.chat.completions.create(**ENDLESS) for _ in range(SLOTS)]
    for stream in streams:
        next(iter(stream))
    assert sides.llama.busy() == SLOTS
    for stream in streams:
        stream.close()
    answer = sides.through.chat.completions.create(**{**ENDLESS, "stream": False, "max_tokens": 3})
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    eventually(lambda: sides.llama.busy() == 0, "llama.cpp goes on for nobody", 2.0)


def test_parallel_streams_add_up(sides: Sides) -> None:
    """Eight at a time on four slots: each stream is whole, and the ledger's totals are the sums of what the SDK was told."""

    def ask(number: int) -> Any:
        with sides.client(CROWD_KEY) as client:
            chunks = list(
                client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": f"Number {number} " * (number + 1)}],
                    max_tokens=100 + 10 * number,
                    temperature=0,
                    stream=True,
                    stream_options={"include_usage": True},
                )
            )
        assert chunks[-2].choices[0].finish_reason == "length"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 100 + 10 * number
        return chunks[-1].usage

    with ThreadPoolExecutor(8) as pool:
        usages = list(pool.map(ask, [*range(8), *range(8)]))
    eventually(lambda: sides.gateway.in_flight() == 0, "in flight back to 0")
    done = sides.gateway.run("usage", "--by", "key", "--json", "--data", str(sides.gateway.data))
    (total,) = [one for one in json.loads(done.stdout) if one["name"] == "crowd"]
    assert total["requests"] == 16
    assert total["input_tokens"] == sum(usage.prompt_tokens for usage in usages)
    assert total["output_tokens"] == sum(usage.completion_tokens for usage in usages)
    cached = sum(usage.prompt_tokens_details.cached_tokens for usage in usages)
    assert total["cache_read_tokens"] == cached
