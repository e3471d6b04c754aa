"""A session's account, and how it is asked for. Whole sessions are in `real`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.client import Reply, request
from harness.gateway import KEY
from harness.script import Close, Hold, Plan, Seen, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside, bearer
from trunkline.canon.errors import Kind
from trunkline.canon.usage import Usage
from trunkline.edge.handshake import accept
from trunkline.edge.tunnel import Party
from trunkline.meters.rule import Rule, Rules
from trunkline.pipeline.realtime import _cut
from trunkline.policy.keys import KeyRing

UPGRADE = [
    ("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
]  # fmt: skip
CLOSE = b"\x88\x02\x03\xe8"


def done(tokens: int) -> bytes:
    """A frame that ends an answer."""
    return event({"type": "response.done", "response": {"usage": {"input_tokens": tokens, "output_tokens": 1}}})


def event(told: dict[str, Any]) -> bytes:
    """A frame of the provider's."""
    text = json.dumps(told).encode()
    return b"\x81" + bytes([len(text)]) + text


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


def test_answers_are_added_up(inside: Inside, upstream: Upstream) -> None:
    """One session, one record: with all that its answers used, each at its own price, and the words of the last."""
    upstream.script(joined(done(3), b"\x81\x02{}", done(4), CLOSE))
    with inside.connect() as wire:
        wire.send(request("GET", "/v1/realtime?model=priced", [*bearer(), *UPGRADE]))
        wire.rest()
    settled = inside.last()
    assert settled.usage == Usage(input=7, output=2, basis="reported")
    assert settled.cost_nano == 7 * 2_000 + 2 * 8_000
    assert json.loads(settled.raw_usage)["input_tokens"] == 4


def test_whoever_leaves_in_the_middle_of_an_answer_pays(inside: Inside, upstream: Upstream) -> None:
    """A client that has heard nearly all of an answer would else have it for nothing, again and again."""
    words = [event({"event_id": "e", "type": "response.output_text.delta", "delta": "one"})] * 30
    upstream.script(joined(done(1000), *words, Hold()))
    try:
        with inside.connect() as wire:
            wire.send(request("GET", "/v1/realtime?model=priced", [*bearer(), *UPGRADE]))
            wire.rest(0.5)
        settled = inside.last()
    finally:
        upstream.release()
    assert settled.usage == Usage(input=1000 + 1001, output=1 + 30, basis="estimated")
    assert settled.cost_nano == 2001 * 2_000 + 31 * 8_000


def test_a_session_ends_with_its_budget(inside: Inside, upstream: Upstream) -> None:
    """A session may last a day: its budget is looked at after each answer, and the client is told why it ends."""
    live, hold = inside.parts.live, Hold()
    before = live.keys
    rules = Rules(
        (Rule("key:tester", "money", 2_100_000_000), Rule("key:tester", "tokens", 10**7), Rule("key:tester", "concurrent", 1))
    )
    live.keys = KeyRing([msgspec.structs.replace(one, rules=rules) for one in live.snapshot.principals])
    upstream.script(lambda seen: [*joined(done(900_000), hold)(seen)])
    try:
        with inside.connect() as wire:
            wire.send(request("GET", "/v1/realtime?model=priced", [*bearer(), *UPGRADE]))
            told = wire.rest(3.0).partition(b"\r\n\r\n")[2]
        assert told.startswith(done(900_000))
        last = told[len(done(900_000)) :]
        assert last[:2] == b"\x81\x7e"
        assert b'"type":"error","error":{' in last
        assert b'"code":"budget_' in last
        assert last.endswith(b"\x88\x02\x03\xf0"), "1008, a policy"
        settled = inside.last()
        assert (settled.error, settled.usage.input) == ("budget_exceeded", 900_000)
        books = inside.meters.books
        assert [one.busy for one in books.slots.values()] == [0]
        assert [(one.spent, one.reserved) for one in books.purses.values()] == [(settled.cost_nano, 0)]
    finally:
        upstream.release()
        live.keys = before


def test_a_session_ends_with_its_key(inside: Inside, upstream: Upstream) -> None:
    """Whose key was revoked, or is over, would go on for a day: without a budget nothing else looks at it again."""
    live = inside.parts.live
    before, hold = live.keys, Hold()

    def answer(seen: Seen) -> Plan:
        live.keys = KeyRing([])
        return [*joined(b"\x81\x02{}")(seen)[:-1], hold, Close()]

    upstream.script(answer)
    try:
        with inside.connect() as wire:
            wire.send(request("GET", "/v1/realtime?model=m", [*bearer(), *UPGRADE]))
            told = wire.rest(3.0).partition(b"\r\n\r\n")[2]
        assert b'"code":"invalid_api_key"' in told
        assert told.endswith(b"\x88\x02\x03\xf0"), "1008, a policy"
        assert inside.last().error == "unauthenticated"
    finally:
        upstream.release()
        live.keys = before


@pytest.mark.parametrize(("path", "status"), [("/v1/realtime?model=" + "x" * 300, 400), ("/v1/realtime?model=nobody", 404)])
def test_a_wrong_model_reaches_no_provider(inside: Inside, upstream: Upstream, path: str, status: int) -> None:
    """As for any other request."""
    assert ask(inside, path).status == status
    assert upstream.requests == []
