"""The built-in provider, which answers without any account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from openai import OpenAI

from harness.gateway import KEY
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError
from trunkline.dialects.openai_chat.request import read_request
from trunkline.pipeline.echo import EchoAnswer

T = TypeVar("T")


def answer(text: str = "one two three", **fields: object) -> EchoAnswer:
    """The answer to a small request."""
    body = json.dumps({"model": "echo/echo", "messages": [{"role": "user", "content": text}], **fields})
    return EchoAnswer(read_request(body.encode()), "id1", 7)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, on a loop of its own."""

    async def within() -> T:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(within())


def test_whole() -> None:
    """It says back what it was told, under the id it was given."""
    made = answer()
    assert (made.status, made.headers) == (200, {b"content-type": b"application/json"})
    told = json.loads(finished(made.read()))
    assert (told["id"], told["created"]) == ("id1", 7)
    assert told["choices"][0]["message"]["content"] == "one two three"


def test_streamed() -> None:
    """Usage is always told, as other providers are asked to; the tap keeps it from who did not ask."""
    made, pieces = answer(stream=True), list[bytes]()
    assert made.headers == {b"content-type": b"text/event-stream"}
    finished(made.pump(pieces.append))
    assert pieces[-1] == b"data: [DONE]\n\n"
    assert json.loads(pieces[-2][6:])["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("stream", [False, True])
def test_what_it_cannot_read(inside: Inside, stream: bool) -> None:
    """It refuses as a provider would; the request was accepted, so it has its row."""
    reply = inside.chat(model="echo/echo", messages=[1], stream=stream)
    assert (reply.status, reply.error["param"]) == (400, "messages")
    assert inside.last().outcome == "refused"
    with pytest.raises(GatewayError):
        finished(answer(max_tokens=0).read())


def test_it_waits_for_a_slow_client() -> None:
    """A long text is a hundred times as long as a stream: it must not all wait in memory."""

    async def life() -> tuple[int, int, int]:
        made, pieces = answer("a " * 999 + "a", stream=True), list[bytes]()

        def sink(piece: bytes) -> None:
            pieces.append(piece)
            if len(pieces) == 10:
                made.pause()

        task = asyncio.ensure_future(made.pump(sink))
        await asyncio.sleep(0.01)
        held = len(pieces)
        made.resume()
        await asyncio.sleep(0)
        turn = len(pieces)
        await task
        return held, turn, len(pieces)

    held, turn, all_of_it = finished(life())
    assert held == 10
    assert turn < 200, "others get their turn"
    assert all_of_it == 1000 + 4


def test_nothing_to_close() -> None:
    """It looks like an answer from a socket, closing included."""
    answer().close()


def test_the_official_sdk(inside: Inside) -> None:
    """The first thing anybody tries: OpenAI's own client, whole and streaming, with no account at all."""
    messages: Any = [{"role": "user", "content": "Hello, trunk line!"}]
    host, port = inside.listen
    with OpenAI(base_url=f"http://{host}:{port}/v1", api_key=KEY, max_retries=0) as client:
        whole = client.chat.completions.create(model="echo/echo", messages=messages)
        assert whole.choices[0].message.content == "Hello, trunk line!"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 3
        chunks = list(client.chat.completions.create(model="echo/echo", messages=messages, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello, trunk line!"
        assert all(chunk.usage is None for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
        options: Any = {"include_usage": True}
        asked = list(client.chat.completions.create(model="echo/echo", messages=messages, stream=True, stream_options=options))
        assert asked[-1].choices == []
        assert asked[-1].usage is not None
        assert "echo/echo" in [model.id for model in client.models.list()]
        assert client.models.retrieve("echo/echo").owned_by == "echo"
    assert inside.last().usage.basis == "reported"
