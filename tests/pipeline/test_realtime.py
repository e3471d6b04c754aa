"""A session's account, and how it is asked for. Whole sessions are in `real`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.client import Reply, request
from harness.gateway import KEY
from harness.script import Close, Plan, Seen, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside, bearer
from trunkline.canon.errors import Kind
from trunkline.canon.usage import Usage
from trunkline.edge.handshake import accept
from trunkline.edge.tunnel import Party
from trunkline.pipeline.realtime import _Account, _cut

UPGRADE = [
    ("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
]  # fmt: skip
CLOSE = b"\x88\x02\x03\xe8"


def done(tokens: int) -> bytes:
    """A frame that ends an answer."""
    text = json.dumps({"type": "response.done", "response": {"usage": {"input_tokens": tokens, "output_tokens": 1}}}).encode()
    return b"\x81" + bytes([len(text)]) + text


def test_answers_are_added_up() -> None:
    """One session, one record: with all that its answers used, and the words of the last."""
    account = _Account()
    for frame in (done(3), b"\x81\x02{}", done(4)):
        account.see(frame[2:])
    assert account.used == Usage(input=7, output=2, basis="reported")
    assert json.loads(account.raw)["input_tokens"] == 4


@pytest.mark.parametrize(
    ("by", "kind"),
    [("client", Kind.CLIENT_GONE), ("provider", Kind.UPSTREAM_BROKEN), ("gateway", Kind.UPSTREAM_TIMEOUT)],
)
def test_a_session_without_a_last_word_was_cut(by: Party, kind: Kind) -> None:
    """Whoever broke off is told in the ledger."""
    assert _cut(by).kind is kind


def ask(inside: Inside, path: str, *more: tuple[str, str]) -> Reply:
    """Ask for a session and be refused."""
    with inside.connect() as wire:
        wire.send(request("GET", path, [*bearer(), *UPGRADE, *more]))
        reply = wire.read_reply()
    assert reply is not None
    return reply


def test_what_a_provider_is_asked(inside: Inside, upstream: Upstream) -> None:
    """Its own name of the model, its own credential, a key of ours, no extension; and its refusal is shown."""
    error = {"error": {"message": "not today", "type": "t", "param": None, "code": "c"}}
    upstream.script(lambda _: [whole(403, json.dumps(error).encode(), headers=[("x-request-id", "theirs")])])
    more = [
        ("sec-websocket-extensions", "permessage-deflate"), ("openai-beta", "realtime=v1"),
        ("sec-websocket-protocol", f"realtime, openai-insecure-api-key.{KEY}, openai-project.p"),
    ]  # fmt: skip
    reply = ask(inside, f"/v1/realtime?voice=a&model=m&deployment=costly&model=costly&key={KEY}", *more)
    assert (reply.status, reply.error["message"]) == (403, "not today")
    seen = upstream.requests[-1]
    assert seen.target == "/v1/realtime?model=tiny&voice=a"
    assert (seen.header("sec-websocket-protocol"), seen.header("openai-beta")) == ("realtime", "realtime=v1")
    assert (seen.header("upgrade"), seen.header("connection")) == ("websocket", "Upgrade")
    assert [name for name, _ in seen.headers].count("connection") == 1
    assert seen.header("sec-websocket-extensions") is None
    assert seen.header("sec-websocket-key") != dict(UPGRADE)["sec-websocket-key"]
    assert KEY.encode() not in seen.head
    settled = inside.last()
    assert (settled.outcome, settled.status, settled.upstream_id) == ("upstream_error", 403, "theirs")


@pytest.mark.parametrize(
    "answer",
    [
        whole(200, b"{}"),
        head(101, [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "wrong")]),
        head(101, [("connection", "upgrade"), ("upgrade", "h2c")]),
    ],
    ids=["no upgrade", "another's answer", "another protocol"],
)
def test_an_answer_that_is_no_session(inside: Inside, upstream: Upstream, answer: bytes) -> None:
    """An ordinary error, and the client may go on speaking HTTP."""
    upstream.script(lambda _: [answer])
    reply = ask(inside, "/v1/realtime?model=m")
    assert (reply.status, reply.error["code"]) == (502, "upstream_protocol")
    assert inside.last().outcome == "upstream_error"


def joined(*frames: bytes) -> Callable[[Seen], Plan]:
    """A provider that agrees, says this, and closes."""

    def answer(seen: Seen) -> Plan:
        accepted = ("sec-websocket-accept", accept((seen.header("sec-websocket-key") or "").encode()).decode())
        upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), accepted, ("sec-websocket-protocol", "realtime")]
        return [head(101, upgrade), *frames, Close()]

    return answer


@pytest.mark.parametrize(("last", "outcome"), [(CLOSE, "ok"), (b"", "upstream_broken")])
def test_a_session_from_beginning_to_end(inside: Inside, upstream: Upstream, last: bytes, outcome: str) -> None:
    """What its answers used is on the bill, however it ends."""
    upstream.script(joined(done(1_000_000), last))
    with inside.connect() as wire:
        wire.send(request("GET", "/v1/realtime?model=priced", [*bearer(), *UPGRADE]))
        line = wire.line()
        told = wire.rest()
    assert line == b"HTTP/1.1 101 Switching Protocols"
    assert b"\r\nsec-websocket-protocol: realtime\r\n" in told
    assert b"\r\nx-trunkline-provider: lab\r\n" in told
    assert told.partition(b"\r\n\r\n")[2].startswith(done(1_000_000) + last)
    settled = inside.last()
    assert (settled.outcome, settled.status, settled.usage.input, settled.opened.endpoint) == (
        outcome,
        101,
        1_000_000,
        "realtime",
    )
    assert settled.cost_nano == 2_000_008_000


@pytest.mark.parametrize(("path", "status"), [("/v1/realtime?model=" + "x" * 300, 400), ("/v1/realtime?model=nobody", 404)])
def test_a_wrong_model_reaches_no_provider(inside: Inside, upstream: Upstream, path: str, status: int) -> None:
    """As for any other request."""
    assert ask(inside, path).status == status
    assert upstream.requests == []
