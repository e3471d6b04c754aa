"""Recorded answers over real sockets: a provider that sends given bytes in given pieces, and a client that sees every byte.

What must come of an answer is in `reading`; what is asserted is in `test_replay`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from conformance.handwritten import KINDS
from conformance.reading import REPORTS_UNASKED, Case
from harness.client import Reply, Wire, request
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import END, Close, Pause, Seen, Step, chunk, head
from harness.upstream import Upstream

_EVERY_BYTE = 3000
"""Answers up to this size are also sent byte by byte."""
_UNKNOWN = b'{"n" : 1.50, "big": 123456789012345678901234567890,\n"\\u00e9" :[ 1e400 , "\\/" ]}'
"""A field no provider knows, with spellings that any decoding and encoding would change."""
_FRAMING = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive", "trailer"}


class Way(NamedTuple):
    """One way to send the same answer."""

    framing: Literal["length", "chunked", "close"]
    cut: Literal["whole", "bytes", "sevens", "random", "slowly"]
    asked: bool | None = None
    """Whether the client asks for the stream's usage; None: as the case has it."""


WAYS = (
    Way("length", "whole"),
    Way("length", "random"),
    Way("length", "slowly", asked=False),
    Way("chunked", "whole"),
    Way("chunked", "sevens", asked=False),
    Way("chunked", "random"),
    Way("chunked", "slowly", asked=True),
    Way("close", "whole", asked=False),
    Way("close", "sevens"),
)
BYTES = Way("chunked", "bytes"), Way("length", "bytes", asked=False), Way("close", "bytes")


class Replayed(NamedTuple):
    """What one exchange looked like from both sides."""

    case: Case
    """As it was asked."""
    way: Way
    sent: bytes
    """The client's body but for the model: what must arrive."""
    seen: Seen
    reply: Reply


def settings(upstream: Upstream) -> dict[str, Any]:
    """A provider of every kind, each at its own path of the mock."""
    place = f"http://{upstream.host}:{upstream.port}"
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {
            kind: {"base_url": f"{place}/{kind}/v1", "api_key": PROVIDER_KEY, "dialect": "openai_chat", "breaker": False}
            for kind in KINDS
        },
        "keys": [{"name": "tester", "secret": KEY}],
    }


def ways(case: Case) -> list[Way]:
    """In which ways a case is replayed."""
    return [*WAYS, *(BYTES if len(case.body) <= _EVERY_BYTE else ())]


class Replayer:
    """Replays cases through one gateway, each once, and keeps what was seen for every test that asks."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self._upstream = upstream
        self._wire: Wire | None = None
        self._done: dict[str, list[Replayed]] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Leave the gateway."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def replayed(self, case: Case) -> list[Replayed]:
        """The case in all its ways."""
        if case.id not in self._done:
            self._done[case.id] = [self._replay(_asking(case, way.asked), way) for way in ways(case)]
        return self._done[case.id]

    def row(self, replayed: Replayed) -> dict[str, Any]:
        """Its row in the ledger, by the command line."""
        ident = replayed.reply.header("x-request-id") or ""
        if ident not in self._rows:
            self._rows = {row["id"]: row for row in self.gateway.ledger()}
        return self._rows[ident]

    def _replay(self, case: Case, way: Way) -> Replayed:
        dice = random.Random(f"{case.id} {way}")
        values = _values(case, dice)
        model = json.dumps(f"{case.kind}/{case.fields['model']}").encode()
        body = b"{ " + b" ,\n".join(b"%b : %b" % (_key(name), model if name == "model" else raw) for name, raw in values) + b"}"
        self._upstream.then(_steps(case, way, dice))
        before = len(self._upstream.requests)
        try:
            reply = self._ask(body)
        except BaseException:
            self.close()  # so that one failure does not become the next one's
            self._upstream.clear()
            raise
        seen = self._upstream.requests[before:]
        assert len(seen) == 1, f"{case.id}, {way}: {len(seen)} requests reached the provider; the client got {reply}"
        return Replayed(case, way, _expected_request(case, values), seen[0], reply)

    def _ask(self, body: bytes) -> Reply:
        if self._wire is None:
            self._wire = self.gateway.connect(timeout=15)
        headers = [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")]
        self._wire.send(request("POST", "/v1/chat/completions", headers, body))
        reply = self._wire.read_reply()
        assert reply is not None, f"the gateway closed without an answer\n{self.gateway.output()}"
        return reply


def _asking(case: Case, asked: bool | None) -> Case:
    """The case with the client asking, or not asking, for the usage of its stream."""
    if asked is None or asked == case.asked or not (case.streams and case.kind not in REPORTS_UNASKED):
        return case
    options = {name: value for name, value in (case.fields.get("stream_options") or {}).items() if name != "include_usage"}
    if asked:
        options["include_usage"] = True
    rest = {name: value for name, value in case.fields.items() if name != "stream_options"}
    return case._replace(fields={**rest, "stream_options": options} if options else rest)


def _values(case: Case, dice: random.Random) -> list[tuple[str, bytes]]:
    """The client's fields with their values as text, in a spelling of their own."""
    spelled = [
        (name, json.dumps(value, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 1, "\t"])).encode())
        for name, value in case.fields.items()
    ]
    spelled.insert(dice.randrange(len(spelled) + 1), ("x_unknown", _UNKNOWN))
    return spelled


def _expected_request(case: Case, values: list[tuple[str, bytes]]) -> bytes:
    """What the provider must get: every value word for word, the model by its own name, and the one question we add."""
    pairs = [(name, json.dumps(case.fields["model"]).encode() if name == "model" else raw) for name, raw in values]
    if case.gateway_asks:
        options = {**(case.fields.get("stream_options") or {}), "include_usage": True}
        added = ("stream_options", json.dumps(options, separators=(",", ":")).encode())
        place = next((at for at, (name, _) in enumerate(pairs) if name == "stream_options"), len(pairs))
        pairs[place : place + 1] = [added]
    return b"{" + b",".join(b"%b:%b" % (_key(name), raw) for name, raw in pairs) + b"}"


def _key(name: str) -> bytes:
    return json.dumps(name).encode()


def _steps(case: Case, way: Way, dice: random.Random) -> Iterator[Step]:
    yield Pause(0)  # from here on the mock gives way to its loop after each piece
    raw = _framed(case, way, dice)
    for number, piece in enumerate(_pieces(raw, way, dice)):
        if number and way.cut == "slowly":
            yield Pause(0.001)
        yield piece
    if way.framing == "close":
        yield Close()


def _framed(case: Case, way: Way, dice: random.Random) -> bytes:
    """The whole answer as HTTP."""
    headers = [pair for pair in case.headers.items() if pair[0] not in _FRAMING]
    if "content-type" not in case.headers:
        headers.append(("content-type", "text/event-stream" if case.streams else "application/json"))
    if way.framing == "length":
        return head(case.status, [*headers, ("content-length", str(len(case.body)))]) + case.body
    if way.framing == "close":
        return head(case.status, [*headers, ("connection", "close")]) + case.body
    parts = [case.body] if way.cut == "whole" else _cut(case.body, dice.randint(0, 30), dice)
    return head(case.status, [*headers, ("transfer-encoding", "chunked")]) + b"".join(map(chunk, filter(None, parts))) + END


def _pieces(raw: bytes, way: Way, dice: random.Random) -> list[bytes]:
    if way.cut == "whole":
        return [raw]
    if way.cut in {"bytes", "sevens"}:
        size = 1 if way.cut == "bytes" else 7
        return [raw[at : at + size] for at in range(0, len(raw), size)]
    return _cut(raw, 6 if way.cut == "slowly" else 40, dice)


def _cut(data: bytes, count: int, dice: random.Random) -> list[bytes]:
    """`data` in up to `count` + 1 pieces, none of them empty."""
    cuts = sorted({dice.randrange(1, len(data)) for _ in range(count)}) if len(data) > 1 else []
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
