"""A client's request to a gateway, and its answer, as the contracts see them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.dialects.sse import SseReader
from trunkline.doctor.finding import Broken, at
from trunkline.edge.client import Client

_MAX_ANSWER = 16 * 1024 * 1024
_SHOWN = 300
_DEADLINES = Deadlines(first_byte=120.0, idle=120.0)
"""A model that thinks may take its time."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, stream or not."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        """The body. Raises `Broken` where it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            raise Broken(f"the answer is no JSON: {self.start()}") from None

    def events(self) -> list[tuple[str, Any]]:
        """A stream's events, each with its type and its decoded data; `[DONE]` is the text itself. Raises `Broken`."""
        reader = SseReader(_MAX_ANSWER)
        found = reader.feed(self.body) + reader.close()
        if not found:
            raise Broken(f"the answer is no event stream: {self.start()}")
        try:
            return [(event.event, "[DONE]" if event.data == b"[DONE]" else msgspec.json.decode(event.data)) for event in found]
        except msgspec.DecodeError:
            raise Broken("an event of the stream is no JSON") from None

    def lines(self) -> list[Any]:
        """The JSON of each line. Raises `Broken`."""
        try:
            return [msgspec.json.decode(line) for line in self.body.splitlines() if line.strip()]
        except msgspec.DecodeError:
            raise Broken(f"a line of the stream is no JSON: {self.start()}") from None

    def dropped(self) -> list[str]:
        """What the model could not be told, by `x-trunkline-dropped`."""
        told = self.headers.get(b"x-trunkline-dropped", b"").decode("ascii")
        return [name for name in told.split(", ") if name]

    def start(self) -> str:
        """What it says, to be shown: its error's message, else how the body begins."""
        try:
            error = at(msgspec.json.decode(self.body), "error")
        except (msgspec.DecodeError, RecursionError):
            error = None
        message = error if isinstance(error, str) else at(error, "message")
        return str(message or self.body[:_SHOWN].decode("utf-8", "replace").strip() or "nothing")[:_SHOWN]


class Call:
    """Asks one gateway, about one model, with one key. Remembers what was dropped on the way."""

    def __init__(self, client: Client, url: str, key: str, model: str) -> None:
        """`url`: the gateway's address without a path."""
        parts = urlsplit(url)
        self._client = client
        self._origin = Origin(parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        self._key = key.encode("ascii")
        self.model = model
        self.path_model = quote(model, safe="/:")
        """The model's name for a path."""
        self.dropped: dict[str, None] = {}
        """Everything that was dropped since the contract began."""

    async def post(self, path: str, body: dict[str, Any], *headers: str) -> Answer:
        """The answer of status 200 to a JSON body. Raises `Broken` for any other, and where there is none."""
        answer = await self.send("POST", path, msgspec.json.encode(body), *headers)
        return self._good(path, answer)

    async def get(self, path: str, *headers: str) -> Answer:
        """The answer of status 200. Raises `Broken` for any other, and where there is none."""
        return self._good(path, await self.send("GET", path, b"", *headers))

    async def send(self, method: Any, path: str, body: bytes, *headers: str) -> Answer:
        """Any answer. `headers`: whole lines, such as `anthropic-version: 2023-06-01`."""
        host = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        lines = [f"host: {host}:{self._origin.port}", *headers]
        head = "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"authorization: Bearer %b\r\n" % self._key
        request = WireRequest(self._origin, path, head, body, _DEADLINES, _MAX_ANSWER, method=method)
        answer = await self._client.send(request)
        return Answer(answer.status, answer.headers, await answer.read())

    def _good(self, path: str, answer: Answer) -> Answer:
        if answer.status != 200:
            raise Broken(f"{path.partition('?')[0]} is answered {answer.status}: {answer.start()}")
        self.dropped |= dict.fromkeys(answer.dropped())
        return answer
