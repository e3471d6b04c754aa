"""One gateway between the SDKs and a provider that plays a part: a recorded answer, or one that a test wrote.

Each part is a provider of its own in the gateway's configuration, with its own path at the mock, so that what is asked of
it has the model name that was recorded and nothing else tells the parts apart. What is asserted is in the tests.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from conformance.asked import Asked, Item, Turn
from conformance.clients import CLIENTS, Client, Heard
from conformance.recordings import Recording, recordings
from conformance.said import Json, Said, objects, said
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import END, Pause, Seen, Step, chunk, head
from harness.upstream import Upstream

ENDPOINTS = (
    "openai.chat", "anthropic.messages", "gemini.generate_content", "gemini.stream_generate_content", "ollama.chat",
    "ollama.generate", "openai.responses", "bedrock.converse", "bedrock.converse_stream", "cohere.chat",
)  # fmt: skip
CLIENT_ENDPOINTS = {
    "openai": "openai.chat",
    "responses": "openai.responses",
    "anthropic": "anthropic.messages",
    "gemini": "gemini.generate_content",
    "ollama": "ollama.chat",
}
PLAY_ENDPOINTS = {**CLIENT_ENDPOINTS, "bedrock": "bedrock.converse"}
CLIENT_DIALECTS = {
    "openai": "openai_chat",
    "responses": "openai_responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
}
DIALECTS = {**CLIENT_DIALECTS, "bedrock": "bedrock", "cohere": "cohere"}
"""Of providers too."""
OWN_KINDS = {"responses": "openai"}
"""The provider that speaks an API, where it is not called like it."""
KINDS = frozenset(
    {
        "openai", "anthropic", "gemini", "ollama", "deepseek", "xai", "openrouter", "mistral", "groq", "together", "perplexity",
        "cerebras",
    }
)  # fmt: skip
_NAMELESS = {
    "openai": "gpt-4.1", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "ollama": "qwen3",
    "responses": "gpt-5", "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0", "cohere": "command-a-03-2025",
}  # fmt: skip
_STREAMED = {"ollama": "application/x-ndjson", "bedrock": "application/vnd.amazon.eventstream"}
_EVERY_BYTE = 3000
_FRAMING = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive", "trailer"}
HELLO = Asked(turns=(Turn("user", (Item("text", "Hello"),)),), max_tokens=2048)


def spoken(endpoint: str) -> str:
    """The API of this endpoint, by the name that its clients have here, where it has any."""
    return "responses" if endpoint == "openai.responses" else endpoint.partition(".")[0]


class Part(NamedTuple):
    """What the provider plays."""

    name: str
    """Of the provider in the configuration, and the first piece of its path."""
    kind: str
    endpoint: str
    model: str
    answer: Callable[[Seen], tuple[int, dict[str, str], bytes]]
    """Status, headers and body."""

    @property
    def settings(self) -> Json:
        """The provider's configuration, but for its address."""
        return {"kind": self.kind, "dialect": DIALECTS[spoken(self.endpoint)], "api_key": PROVIDER_KEY}


class Scene(NamedTuple):
    """One request as both sides saw it."""

    heard: Heard
    seen: list[Seen]

    @property
    def sent(self) -> Json:
        """The one body that reached the provider."""
        assert len(self.seen) == 1, f"{len(self.seen)} requests reached the provider; the client saw {self.heard}"
        return dict(json.loads(self.seen[0].body))


class Stage:
    """The mock, the gateway and the SDKs. Parts are played one at a time."""

    def __init__(self, gateway_of: Callable[[Json], Gateway], parts: Iterable[Part]) -> None:
        self.parts = {part.name: part for part in parts}
        self.upstream = Upstream()
        self.upstream.script(self._play)
        self.cut = "whole"
        place = f"http://{self.upstream.host}:{self.upstream.port}"
        providers = {
            part.name: {**part.settings, "breaker": False, "base_url": f"{place}/{part.name}"} for part in self.parts.values()
        }
        self.gateway = gateway_of(
            {
                "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
                "providers": providers,
                "keys": [{"name": "tester", "secret": KEY}],
            }
        )
        self.clients: dict[str, Client] = {}
        self._scenes: dict[tuple[str, str], Scene] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self.gateway.start()
        host, port = self.gateway.listen
        self.clients = {name: make(f"http://{host}:{port}", KEY) for name, make in CLIENTS.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self.clients.values():
            client.close()
        self.gateway.kill()
        self.upstream.stop()

    def _play(self, seen: Seen) -> Iterator[Step]:
        part = self.parts[seen.head.split(b" ")[1].split(b"/")[1].decode()]
        status, headers, body = part.answer(seen)
        dice = random.Random(f"{part.name} {self.cut}")
        return _steps(status, headers, body, self.cut, dice)

    def ask(self, part: Part, client: str, use: Callable[[Client, str], Heard], cut: str = "whole") -> Scene:
        """Let `use` ask a client for the part's model, the answer cut in this way."""
        self.cut = cut
        before = len(self.upstream.requests)
        heard = use(self.clients[client], f"{part.name}/{part.model}")
        return Scene(heard, self.upstream.requests[before:])

    def played(self, recording: Recording, client: str) -> Scene:
        """The recorded answer as this client saw it; each pair is played once."""
        pair = (recording.id, client)
        if pair not in self._scenes:
            cut_off = client == "openai" and wanted(recording).finish in {"content_filter", "length"}  # its helper raises there
            helped = client == "anthropic" or not (spoken(recording.endpoint) == client or cut_off)

            def use(sdk: Client, model: str) -> Heard:
                if recording.endpoint == "ollama.generate" and client == "ollama":
                    return sdk.send(model, {"prompt": "Hello"}, stream=streams(recording))
                return sdk.ask(model, HELLO, stream=streams(recording), helper=helped)

            self._scenes[pair] = self.ask(part_of(recording), client, use, cut_of(recording, client))
        return self._scenes[pair]

    def row(self, scene: Scene) -> dict[str, Any]:
        """Its row in the ledger, by the command line."""
        ident = scene.heard.head["x-request-id"]
        if ident not in self._rows:
            self._rows = {row["id"]: row for row in self.gateway.ledger()}
        return self._rows[ident]


# recordings --------------------------------------------------------------------------------------------------------------


def all_recordings() -> list[Recording]:
    """Those of every API that chats, but for one that answers a response with a chat completion."""
    found = [recording for endpoint in ENDPOINTS for recording in recordings(endpoint)]
    return [one for one in found if one.endpoint != "openai.responses" or b'"choices"' not in one.body]


def part_of(recording: Recording) -> Part:
    """A provider of the right kind that answers with this recording."""
    kind = recording.provider.removeprefix("compat-")
    default = spoken(recording.endpoint)
    headers = {name: value for name, value in recording.headers.items() if name not in _FRAMING}
    if "/" not in headers.get("content-type", ""):  # not recorded
        many = recording.status == 200 and streams(recording)
        headers["content-type"] = _STREAMED.get(default, "text/event-stream") if many else "application/json"
    own = OWN_KINDS.get(default, default)
    return Part(
        name=f"r{recording.id.rpartition('-')[2]}",
        kind=kind if kind in (KINDS - {"gemini", "anthropic"} if own == "openai" else {own}) else own,
        endpoint=recording.endpoint,
        model=recording.request.get("model") or recording.model or _NAMELESS[default],
        answer=lambda _: (recording.status, headers, recording.body),
    )  # fmt: skip


def streams(recording: Recording) -> bool:
    """Whether its request asked for a stream."""
    if recording.status != 200:
        return bool(recording.request.get("stream")) or "stream" in recording.endpoint
    return recording.streamed or "stream" in recording.endpoint or len(list(objects(recording.body))) > 1


def is_array(recording: Recording) -> bool:
    """A stream of Gemini's that is one JSON array: what it answers where nobody asked for events."""
    return recording.body.lstrip().startswith(b"[") and recording.status == 200


def wanted(recording: Recording) -> Said:
    """What it says."""
    return said(recording.endpoint, recording.status, recording.body)


# cutting -----------------------------------------------------------------------------------------------------------------

CUTS = ("whole", "bytes", "sevens", "random", "slowly", "chunked random", "chunked bytes")


def cut_of(recording: Recording, client: str) -> str:
    """Another way for each pair, the same at every run."""
    return CUTS[zlib.crc32(f"{recording.id} {client}".encode()) % len(CUTS)]


def _steps(status: int, headers: dict[str, str], body: bytes, cut: str, dice: random.Random) -> Iterator[Step]:
    if cut.startswith("chunked"):
        parts = _pieces(body, "random", dice)
        raw = head(status, [*headers.items(), ("transfer-encoding", "chunked")]) + b"".join(map(chunk, parts)) + END
    else:
        raw = head(status, [*headers.items(), ("content-length", str(len(body)))]) + body
    yield Pause(0)  # from here on the mock gives way to its loop after each piece
    for number, piece in enumerate(_pieces(raw, cut, dice)):
        if number and cut == "slowly":
            yield Pause(0.001)
        yield piece


def _pieces(data: bytes, cut: str, dice: random.Random) -> list[bytes]:
    """`data` cut, no piece of it empty."""
    if cut == "whole" or len(data) < 2:
        return [data] if data else []
    if cut.endswith(("bytes", "sevens")):
        size = 1 if cut.endswith("bytes") and len(data) <= _EVERY_BYTE else 7
        return [data[at : at + size] for at in range(0, len(data), size)]
    cuts = sorted({dice.randrange(1, len(data)) for _ in range(6 if cut == "slowly" else 40)})
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
