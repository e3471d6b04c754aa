"""Realtime sessions through the real process: OpenAI's own SDK and plain WebSockets, before a scripted provider."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from harness.client import request
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY, Gateway, settings
from harness.invariants import eventually

FRAMES = 10_000
Talk = Callable[[ServerConnection], None]


def usage(number: int) -> dict[str, Any]:
    """What one answer used."""
    into = {"text_tokens": 12, "audio_tokens": 8, "cached_tokens": 4, "cached_tokens_details": {"audio_tokens": 2}}
    return {
        "total_tokens": 30 + number,
        "input_tokens": 20 + number,
        "output_tokens": 10,
        "input_token_details": into,
        "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
    }


def answers(line: ServerConnection) -> None:
    """Greets; to each `response.create` an answer with its usage; anything else comes back."""
    line.send(json.dumps({"type": "session.created", "event_id": "e0", "session": {"type": "realtime", "model": "tiny"}}))
    number = 0
    for message in line:
        if isinstance(message, str) and '"response.create"' in message:
            line.send(json.dumps({"type": "response.output_text.delta", "event_id": "e1", "delta": "hel", "response_id": "r"}))
            done = {
                "type": "response.done",
                "event_id": "e2",
                "response": {"id": "r", "object": "realtime.response", "usage": usage(number)},
            }
            line.send([json.dumps(done)[:50], json.dumps(done)[50:]])  # in two fragments
            number += 1
        else:
            line.send(message)


class Provider:
    """A WebSocket server of the provider's side; what it does is set by the test."""

    def __init__(self) -> None:
        self.talk: Talk = answers
        self.seen: list[Any] = []
        """The opening requests."""
        self.compression = ""
        self._server: Server = serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._asked,
            select_subprotocol=lambda _, offered: next(iter(offered), None),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"
        self.refuses = False

    def _asked(self, line: ServerConnection, asked: Any) -> Any:
        self.seen.append(asked)
        if self.refuses:
            answer = line.respond(
                401, json.dumps({"error": {"message": f"Incorrect API key: {PROVIDER_KEY}", "code": "invalid_api_key"}})
            )
            answer.headers["content-type"] = "application/json"
            return answer
        return None

    def _serve(self, line: ServerConnection) -> None:
        self.talk(line)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(5)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """The scripted provider."""
    running = Provider()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process."""
    config = settings(provider.url, server={"drain_timeout": "1s"})
    config["models"]["priced"] = {"targets": ["lab/gpt-realtime"]}
    with Gateway(config, tmp_path_factory.mktemp("realtime")) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(provider: Provider) -> None:
    """Every test begins with a provider that answers."""
    provider.talk, provider.refuses = answers, False
    provider.seen.clear()


def rows(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """The records of sessions, once there are so many."""
    found: list[dict[str, Any]] = []

    def stored() -> bool:
        found[:] = [row for row in gateway.ledger() if row["endpoint"] == "realtime"]
        return len(found) >= count

    eventually(stored, f"{count} records")
    return found


def url(gateway: Gateway, query: str = "?model=m") -> str:
    """Where a session begins."""
    return f"ws://{gateway.listen[0]}:{gateway.listen[1]}/v1/realtime{query}"


def session(gateway: Gateway, query: str = "?model=m", key: str = KEY, **options: Any) -> ClientConnection:
    """A session of our own."""
    return connect(url(gateway, query), additional_headers={"authorization": f"Bearer {key}"}, **options)


def test_the_sdk_talks_and_its_answers_are_counted(gateway: Gateway, provider: Provider) -> None:
    """Two answers in one session are one record with the usage of both, and a price for each kind of token."""
    before = len(gateway.ledger())

    async def talk() -> list[str]:
        host, port = gateway.listen
        async with (
            openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key=KEY) as client,
            client.realtime.connect(model="priced") as line,
        ):
            kinds = [(await line.recv()).type]
            for _ in range(2):
                await line.response.create()
                kinds += [(await line.recv()).type, (await line.recv()).type]
        return kinds

    assert asyncio.run(talk()) == ["session.created", *["response.output_text.delta", "response.done"] * 2]
    asked = provider.seen[-1]
    assert asked.path == "/v1/realtime?model=gpt-realtime"
    assert asked.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert "sec-websocket-extensions" not in asked.headers
    assert KEY not in str(asked.headers)
    found = rows(gateway, before + 1)[-1]
    assert (found["outcome"], found["status"], found["model"], found["target"]) == ("ok", 101, "priced", "gpt-realtime")
    assert (found["input_tokens"], found["cache_read_tokens"], found["audio_input_tokens"]) == (41, 8, 12)
    assert (found["output_tokens"], found["audio_output_tokens"]) == (20, 12)
    assert found["cost_nano"] == 8 * 400 + 12 * 32_000 + 21 * 4_000 + 12 * 64_000 + 8 * 16_000


def test_ten_thousand_frames_both_ways(gateway: Gateway, provider: Provider) -> None:
    """A long session: text, binary, fragments, of all sizes, byte for byte, while pings and pongs pass."""
    sizes = [0, 1, 125, 126, 1000, 65_535, 65_536]

    async def talk() -> int:
        seen = 0
        async with connect_async(url(gateway), additional_headers={"authorization": f"Bearer {KEY}"}, max_size=None) as line:
            await line.recv()
            await (await line.ping())
            for start in range(0, FRAMES, 100):
                batch: list[str | bytes] = []
                for number in range(start, start + 100):
                    size = sizes[number % len(sizes)] if number % 50 == 0 else number % 300
                    batch.append(bytes([number % 256]) * size if number % 2 else "ü" * size)
                for message in batch:
                    await line.send(message)
                for message in batch:
                    assert await line.recv() == message
                    seen += 1
            await (await line.ping())
        return seen

    assert asyncio.run(talk()) == FRAMES


def test_a_browser_s_key(gateway: Gateway, provider: Provider) -> None:
    """A web page sends its key as a subprotocol; the provider is not shown it."""
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{KEY}")]
    with connect(url(gateway), subprotocols=offered) as line:
        assert json.loads(line.recv())["type"] == "session.created"
        assert line.subprotocol == "realtime"
    assert provider.seen[-1].headers["sec-websocket-protocol"] == "realtime"


def refused(gateway: Gateway, query: str = "?model=m", key: str = KEY) -> tuple[int, dict[str, Any]]:
    """Status and error of a session that was not to be."""
    with pytest.raises(InvalidStatus) as caught, session(gateway, query, key):
        pass
    error = json.loads(caught.value.response.body or b"{}")["error"]
    return caught.value.response.status_code, error


def test_refusals_come_before_the_session(gateway: Gateway, provider: Provider) -> None:
    """Whatever is wrong is an ordinary error, in OpenAI's form; the provider's credential is in none."""
    assert refused(gateway, key="tl-wrong-key-0123456789")[0] == 401
    assert refused(gateway, "?model=nobody")[0] == 404
    assert refused(gateway, "?model=echo/echo")[1]["code"] == "unsupported_endpoint"
    assert refused(gateway, "?model=costly", NARROW_KEY)[0] == 403
    assert refused(gateway, "", NARROW_KEY)[0] == 403
    assert provider.seen == []
    provider.refuses = True
    status, error = refused(gateway)
    assert (status, error["message"]) == (401, "Incorrect API key: ***")
    with gateway.connect() as wire:
        wire.send(request("GET", "/v1/realtime?model=m", [("authorization", f"Bearer {KEY}")]))
        plain = wire.read_reply()
    assert plain is not None
    assert (plain.status, plain.error["code"], plain.header("upgrade")) == (426, "upgrade_required", "websocket")


def test_a_session_without_a_model(gateway: Gateway, provider: Provider) -> None:
    """Transcriptions name their model later; the rest of the query goes on, and never a key."""
    with session(gateway, "?intent=transcription&key=tl-mistaken&x=%C3%BC") as line:
        line.recv()
    assert provider.seen[-1].path == "/v1/realtime?intent=transcription&x=%C3%BC"


def test_a_session_has_one_model(gateway: Gateway, provider: Provider) -> None:
    """A second one, however it is spelled, was not asked for by a key that may use it."""
    with session(gateway, "?x=1&model=m&Model=costly&%6Dodel=costly&DEPLOYMENT=costly") as line:
        line.recv()
    assert provider.seen[-1].path == "/v1/realtime?model=tiny&x=1"


def test_who_breaks_off_is_told_in_the_ledger(gateway: Gateway, provider: Provider) -> None:
    """A session that was cut is not called good, and what it used until then is counted."""
    before = len(rows(gateway, 0))

    def cut(line: ServerConnection) -> None:
        line.send(json.dumps({"type": "response.done", "response": {"usage": usage(0)}}))
        line.recv()
        line.socket.close()

    provider.talk = cut
    with session(gateway) as line:
        line.recv()
        line.send("go")
        with pytest.raises(ConnectionClosedError):
            line.recv()
    found = rows(gateway, before + 1)[-1]
    assert (found["outcome"], found["input_tokens"]) == ("upstream_broken", 20)
    provider.talk = answers
    with session(gateway) as line:
        line.recv()
        line.socket.shutdown(socket.SHUT_RDWR)
    assert rows(gateway, before + 2)[-1]["outcome"] == "client_cancelled"


def test_a_kill_and_a_stop(provider: Provider, gateway: Gateway) -> None:
    """A session that a crash ended is in the books as interrupted; one that a stop ended was told so."""
    before = len(rows(gateway, 0))
    with session(gateway) as line:
        line.recv()
        gateway.kill()
        with pytest.raises(ConnectionClosed):
            line.recv()
    gateway.restart()
    assert rows(gateway, before + 1)[-1]["outcome"] == "interrupted"
    with session(gateway) as line:
        line.recv()
        gateway.terminate()
        with pytest.raises(ConnectionClosed) as caught:
            line.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
    assert gateway.wait() == 0
    gateway.restart()
    assert rows(gateway, before + 2)[-1]["outcome"] == "shutdown"
