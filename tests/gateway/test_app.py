"""The door of the data plane: who comes in, by which path, and how the others are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from harness.client import Reply, request
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY
from harness.invariants import eventually
from harness.upstream import Upstream
from pipeline.inside import EPOCH_NS, ORIGIN, OTHERS, Inside, bearer
from trunkline.policy.failures import Failures
from trunkline.policy.keys import KeyRing, Principal

CHAT, MODELS = "/v1/chat/completions", "/v1/models"


def ask(inside: Inside, method: str, path: str, headers: list[tuple[str, str]], body: bytes | None = None) -> Reply:
    """One request."""
    with inside.connect() as wire:
        wire.send(request(method, path, headers, body))
        reply = wire.read_reply(bodyless=method == "HEAD")
    assert reply is not None
    return reply


GOOD = {
    "bearer": bearer(),
    "scheme in another case": [("authorization", f"bearer {KEY}")],
    "two spaces": [("authorization", f"Bearer  {KEY}")],
    "x-api-key": [("x-api-key", KEY)],
    "x-goog-api-key": [("x-goog-api-key", KEY)],
    "a wrong one beside it": [("authorization", "Bearer tl-wrong"), ("x-api-key", KEY)],
    "another scheme beside it": [("authorization", "Basic dGw6eA=="), ("x-api-key", KEY)],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_key_opens(inside: Inside, name: str) -> None:
    """Each SDK has its own header for it."""
    assert ask(inside, "GET", MODELS, GOOD[name]).status == 200


def test_a_key_in_the_query_is_written_as_queries_are(inside: Inside) -> None:
    """A key of another gateway may have a plus or an ampersand: SDKs escape them, and would be told that it is not valid."""
    live, key = inside.parts.live, "sk+of/another=gateway&more"
    before = live.keys
    live.keys = KeyRing([Principal("imported", hashlib.sha256(key.encode()).digest())])
    try:
        assert ask(inside, "GET", f"/v1beta/models?pageSize=5&key={quote(key, safe='')}", []).status == 200
        assert ask(inside, "GET", f"/v1beta/models?key={quote(key[:-1], safe='')}", []).status == 401
    finally:
        live.keys = before


BAD = {
    "wrong": bearer("tl-wrong-canary"),
    "empty": [("authorization", "Bearer")],
    "basic": [("authorization", f"Basic {KEY}")],
    "no scheme": [("authorization", KEY)],
    "the provider's": bearer(PROVIDER_KEY),
    "too long": bearer("tl-" + "wrong-canary" * 100),
    "joined": [("authorization", "Bearer tl-wrong"), ("authorization", f"Bearer {KEY}")],
    "x-api-key": [("x-api-key", "wrong-canary")],
    "x-goog-api-key": [("x-goog-api-key", "")],
}


@pytest.mark.parametrize("name", BAD)
def test_401_is_one_constant(inside: Inside, upstream: Upstream, name: str) -> None:
    """Whatever was wrong with the key, the answer is the same to the byte, and repeats nothing of it."""
    reply = ask(inside, "POST", CHAT, BAD[name], b"{}")
    assert (reply.status, reply.header("www-authenticate")) == (401, "Bearer")
    assert reply.json == {
        "error": {
            "message": "The API key is not valid.",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }
    assert upstream.requests == []


@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", MODELS), ("GET", f"{MODELS}/m"), ("HEAD", MODELS)])
def test_without_a_key(inside: Inside, method: str, path: str) -> None:
    """It says how to send one."""
    reply = ask(inside, method, path, [])
    assert reply.status == 401
    assert method == "HEAD" or reply.error["code"] == "missing_api_key"
    assert reply.header("x-request-id")


def test_too_many_failures(upstream: Upstream, tmp_path: Path) -> None:
    """Guessing gets slow answers; who has a key is served from the same address all the same."""
    upstream.clear()
    with Inside(tmp_path, upstream.url, failures=Failures(per_minute=2)) as inside:
        replies = [ask(inside, "GET", MODELS, bearer("tl-no")) for _ in range(3)]
        assert [reply.status for reply in replies] == [401, 401, 429]
        assert 58 <= int(replies[2].header("retry-after") or 0) <= 60
        assert replies[2].error["type"] == "rate_limit_error"
        assert ask(inside, "GET", MODELS, bearer()).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CHAT, "POST, OPTIONS"),
        ("HEAD", CHAT, "POST, OPTIONS"),
        ("DELETE", CHAT, "POST, OPTIONS"),
        ("TRACE", CHAT, "POST, OPTIONS"),
        ("POST", MODELS, "GET, HEAD, OPTIONS"),
        ("DELETE", f"{MODELS}/m", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
@pytest.mark.parametrize("key", [None, KEY])
def test_405_names_what_is_served(inside: Inside, method: str, path: str, allow: str, key: str | None) -> None:
    """RFC 9110 section 15.5.6: a 405 must carry `allow`."""
    reply = ask(inside, method, path, bearer(key) if key else [])
    assert (reply.status, reply.header("allow")) == (405, allow)


@pytest.mark.parametrize(("path", "allow"), [(CHAT, "POST, OPTIONS"), (MODELS, "GET, HEAD, OPTIONS")])
def test_options(inside: Inside, path: str, allow: str) -> None:
    """A browser's preflight carries no key; without CORS it is told the methods and no more."""
    plain = ask(inside, "OPTIONS", path, [])
    assert (plain.status, plain.header("allow"), plain.body) == (204, allow, b"")
    assert plain.header("access-control-allow-origin") is None
    preflight = ask(inside, "OPTIONS", path, [("origin", ORIGIN), ("access-control-request-headers", "x-stainless-os")])
    assert preflight.status == 204
    assert preflight.header("access-control-allow-origin") == ORIGIN
    assert preflight.header("access-control-allow-headers") == "x-stainless-os"


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", CHAT, KEY, 200),
        ("POST", CHAT, None, 401),
        ("GET", MODELS, KEY, 200),
        ("GET", f"{MODELS}/nowhere", KEY, 404),
        ("GET", "/nothing", None, 404),
        ("GET", CHAT, KEY, 405),
    ],
)
def test_a_page_can_read_every_answer(inside: Inside, method: str, path: str, key: str | None, status: int) -> None:
    """Without the header on errors too, a page sees only that something failed, never what."""
    body = b'{"model":"m","messages":[]}' if method == "POST" else None
    for origin, shown in ((ORIGIN, ORIGIN), ("https://evil.test", None)):
        reply = ask(inside, method, path, [*(bearer(key) if key else []), ("origin", origin)], body)
        assert (reply.status, reply.header("access-control-allow-origin")) == (status, shown)


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("br", 415), ("identity", 200), ("Identity", 200)])
def test_a_coded_body(inside: Inside, coding: str, status: int) -> None:
    """Not inflated, so refused with what would be taken: never passed on as if it were JSON."""
    reply = inside.chat(headers=[("content-encoding", coding)])
    assert reply.status == status
    assert reply.header("accept-encoding") == ("identity" if status == 415 else None)


def models(inside: Inside, key: str) -> list[str]:
    """The ids that a key is shown."""
    return [row["id"] for row in ask(inside, "GET", MODELS, bearer(key)).json["data"]]


def test_models_by_key(inside: Inside) -> None:
    """A key sees what it may use, and nothing else."""
    assert sorted(models(inside, KEY)) == sorted(["costly", "echo/echo", "m", "patient", "priced", "strict", *OTHERS])
    assert models(inside, NARROW_KEY) == ["m"]


@pytest.mark.parametrize(
    ("name", "key", "shown"),
    [
        ("m", KEY, {"id": "m", "owned_by": "lab"}),
        ("lab/tiny", KEY, {"id": "lab/tiny", "owned_by": "lab"}),
        ("lab%2Ftiny", KEY, {"id": "lab/tiny", "owned_by": "lab"}),
        ("echo/echo", KEY, {"id": "echo/echo", "owned_by": "echo"}),
        ("m", NARROW_KEY, {"id": "m", "owned_by": "lab"}),
        ("costly", NARROW_KEY, None),
        ("lab/tiny", NARROW_KEY, None),
        ("nowhere", KEY, None),
        ("nowhere/tiny", KEY, None),
        ("lab/", KEY, None),
        ("%00", KEY, None),
        ("%ff%fe", KEY, None),
        ("a" * 4000, KEY, None),
        ("../../metrics", KEY, None),
    ],
)
def test_a_model_by_id(inside: Inside, name: str, key: str, shown: dict[str, str] | None) -> None:
    """Ids hold slashes, escaped or not; what a key may not use does not exist for it."""
    reply = ask(inside, "GET", f"{MODELS}/{name}", bearer(key))
    if shown is None:
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert len(reply.body) < 1000
    else:
        assert reply.status == 200
        assert {"id": reply.json["id"], "owned_by": reply.json["owned_by"]} == shown


def test_head_is_get_without_a_body(inside: Inside) -> None:
    """The length is that of the body that GET would bring."""
    got, head = (ask(inside, method, MODELS, bearer()) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.header("content-length") == str(len(got.body))


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_health_needs_no_key(inside: Inside, ready: bool, status: int) -> None:
    """A load balancer has none."""
    inside.gateway.ready = ready
    try:
        assert ask(inside, "GET", "/readyz", []).status == status
        assert ask(inside, "HEAD", "/healthz", []).status == 200
    finally:
        inside.gateway.ready = True


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/../v1/chat/completions",
        "/v1/%63hat/completions",
        "/v1/%2e%2e/v1/chat/completions",
        "/v1%2fchat%2fcompletions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1;x/chat/completions",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions%00",
        "/v1/chat/completions%3Fkey=x",
        "/healthz/../v1/chat/completions",
        "/healthz;/v1/chat/completions",
        "/v1/healthz",
        "/metrics",
        "/.env",
    ],
)
@pytest.mark.parametrize("key", [None, KEY])
def test_path_tricks_are_404(inside: Inside, upstream: Upstream, path: str, key: str | None) -> None:
    """Nothing is normalised: what only resembles an endpoint is nothing, with a key or without."""
    for method in ("GET", "POST"):
        reply = ask(inside, method, path, bearer(key) if key else [], b'{"model":"m","messages":[]}')
        assert (reply.status, reply.error["code"]) == (404, "unknown_path")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("OPTIONS", CHAT, [], 413),
        ("GET", "/healthz", [], 413),
        ("GET", MODELS, bearer(), 413),
        ("POST", CHAT, [], 401),
        ("POST", "/nothing", [], 404),
    ],
)
def test_who_showed_no_key_sends_no_body(
    inside: Inside, method: str, path: str, headers: list[tuple[str, str]], status: int
) -> None:
    """Only a chat request of a known key may fill memory; a stranger's is refused by its head."""
    with inside.connect() as wire:
        wire.send(request(method, path, [*headers, ("content-length", "30000000")]))
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.header("connection")) == (status, "close")


def test_what_the_edge_refuses_is_in_openais_shape(inside: Inside) -> None:
    """Broken HTTP too: an SDK must find its error object."""
    with inside.connect() as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.error["code"], reply.error["type"]) == (400, "bad_http", "invalid_request_error")


def test_every_answer_has_its_line(upstream: Upstream, tmp_path: Path) -> None:
    """Refusals and lists are in the log with their id and the key's name; probes of health are not, they would fill it."""
    upstream.clear()
    asked: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("GET", MODELS, bearer(NARROW_KEY)),
        ("GET", f"{MODELS}/costly", bearer(NARROW_KEY)),
        ("GET", MODELS, bearer("tl-wrong-canary")),
        ("GET", "/nothing", []),
        ("GET", "/healthz", []),
    ]
    with Inside(tmp_path, upstream.url) as inside:
        replies = [ask(inside, *one) for one in asked]
        lines: list[dict[str, Any]] = inside.lines()
    told = [(line["key"], line["endpoint"], line["status"], line["outcome"], line["error"]) for line in lines]
    assert told == [
        ("narrow", "models", 200, "ok", ""),
        ("narrow", "model", 404, "refused", "not_found"),
        ("", "models", 401, "refused", "unauthenticated"),
        ("", "", 404, "refused", "not_found"),
    ]
    assert [line["request_id"] for line in lines] == [reply.header("x-request-id") for reply in replies[:-1]]
    assert "canary" not in json.dumps(lines)


@pytest.mark.parametrize(
    ("path", "protocols", "status"),
    [
        ("/v1/realtime?model=nobody", f"realtime, openai-insecure-api-key.{KEY}", 404),
        ("/v1/realtime?model=nobody", "realtime, openai-insecure-api-key.tl-no", 401),
        ("/v1/realtime?model=nobody", "realtime", 401),
        (MODELS, f"openai-insecure-api-key.{KEY}", 401),
    ],
)
def test_a_browser_s_key_among_the_subprotocols(inside: Inside, path: str, protocols: str, status: int) -> None:
    """A page cannot set a header on a WebSocket; nowhere else is a key looked for there."""
    upgrade = [
        ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-protocol", protocols),
    ]  # fmt: skip
    assert ask(inside, "GET", path, upgrade).status == status


def test_only_forms_may_be_long(inside: Inside) -> None:
    """What is passed on while it arrives has a bound of its own; what is read whole keeps to its usual one."""
    long = ("content-length", str(100 * 1024 * 1024))
    form = ("content-type", "multipart/form-data; boundary=XX")
    for path, content_type, status in (
        ("/v1/files", ("content-type", "application/json"), 413),
        (CHAT, form, 413),
        ("/v1/audio/speech", form, 413),
        ("/v1/audio/transcriptions", form, 400),
    ):
        with inside.connect() as wire:
            wire.send(request("POST", path, [*bearer(), long, content_type]) + b"--XY\r\n")
            reply = wire.read_reply()
        assert reply is not None
        assert reply.status == status


GEMINI = "/v1beta/models/m:generateContent"


@pytest.fixture
def full(inside: Inside) -> Iterator[Inside]:
    """A gateway that has as many requests in flight as it may have."""

    def fill(count: int) -> None:
        inside.metrics_page.requests_in_flight += count

    inside.do(lambda: fill(10_000))
    yield inside
    inside.do(lambda: fill(-10_000))


def shed(inside: Inside) -> dict[str, int]:
    """How many were turned away so far."""
    return dict(inside.gateway.shedder.refused())


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/messages", GEMINI, "/api/chat", "/v1/embeddings", MODELS])
def test_under_load_every_dialect_says_so(full: Inside, upstream: Upstream, path: str) -> None:
    """An SDK tries again where it understands that it should."""
    method = "GET" if path == MODELS else "POST"
    before = shed(full)["normal"]
    reply = ask(full, method, path, [*bearer(), ("origin", ORIGIN)], b"{}" if method == "POST" else None)
    assert reply.status == 503
    assert 1 <= int(reply.header("retry-after") or 0) <= 8
    assert reply.header("x-request-id")
    assert reply.header("access-control-allow-origin") == ORIGIN
    assert reply.json["error"]
    assert shed(full)["normal"] == before + 1
    assert upstream.requests == []


def test_under_load_strangers_are_strangers_and_health_is_told(full: Inside) -> None:
    """A load balancer would take a busy process out of service; a wrong key would be told to try again."""
    before = shed(full)
    assert ask(full, "POST", CHAT, bearer("tl-no"), b"{}").status == 401
    assert ask(full, "GET", "/nothing", []).status == 404
    assert ask(full, "OPTIONS", CHAT, []).status == 204
    for path in ("/healthz", "/readyz", "/"):
        assert ask(full, "GET", path, []).status == 200
    assert full.get("/metrics", admin=True).status == 200
    assert shed(full) == before


def test_under_load_a_connection_is_kept(full: Inside) -> None:
    """Whoever is told to come back would pay for a new connection, and so would we."""
    with full.connect() as wire:
        for _ in range(3):
            wire.send(full.chat_bytes(user="u" * 60_000))
            reply = wire.read_reply()
            assert reply is not None
            assert (reply.status, reply.header("connection")) == (503, None)


CLOSING = {
    "long": [("content-length", "30000000")],
    "in chunks": [("transfer-encoding", "chunked")],
    "on invitation": [("content-length", "10"), ("expect", "100-continue")],
}


@pytest.mark.parametrize("name", CLOSING)
def test_under_load_a_long_body_is_not_awaited(full: Inside, name: str) -> None:
    """It would be read for nothing; the log does not tell of each of them either."""
    with full.connect() as wire:
        wire.send(request("POST", "/v1/messages", [*bearer(), *CLOSING[name]]))
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.header("connection")) == (503, "close")
    assert (reply.json["type"], bool(reply.header("retry-after"))) == ("error", True)


def test_under_load_the_log_has_a_line_a_second(upstream: Upstream, tmp_path: Path) -> None:
    """A line for each refusal would cost more than the refusal, and fill the disk; none at all would leave it unexplained."""
    upstream.clear()
    with Inside(tmp_path, upstream.url) as inside:
        inside.do(lambda: inside.gateway.tick(0.0, 1.0, 1))
        inside.do(lambda: setattr(inside.metrics_page, "requests_in_flight", 10_000))
        assert [inside.chat().status for _ in range(3)] == [503] * 3
        for late in (0.25, 0.0, 0.0):
            inside.do(lambda late=late: inside.gateway.tick(late, 1.0, 1))
        assert inside.chat().status == 503
        inside.do(lambda: inside.gateway.tick(0.0, 1.0, 1))
        inside.do(lambda: setattr(inside.metrics_page, "requests_in_flight", 0))
        lines = inside.lines()
    (line,) = lines
    assert (line["event"], line["level"]) == ("turned away under load", "warning")
    assert (line["high"], line["normal"], line["low"]) == (0, 3, 0)
    assert (line["late_ms"], line["in_flight"]) == (250, 10_000)


def test_a_bound_that_was_changed_is_in_force_at_the_next_tick(upstream: Upstream, tmp_path: Path) -> None:
    """A reload of the configuration would change nothing."""
    upstream.clear()
    with Inside(tmp_path, upstream.url) as inside:
        live = inside.parts.live
        server = msgspec.structs.replace(live.snapshot.server, max_requests=1)
        live.snapshot = msgspec.structs.replace(live.snapshot, server=server)
        inside.do(lambda: setattr(inside.metrics_page, "requests_in_flight", 1))
        assert inside.chat().status == 200
        inside.do(lambda: inside.gateway.tick(0.0, 1.0, 1))
        assert inside.chat().status == 503
        inside.do(lambda: setattr(inside.metrics_page, "requests_in_flight", 0))


def test_many_refusals_wait_for_a_tick(upstream: Upstream, tmp_path: Path) -> None:
    """Refusing must not keep the process busy: the answer comes, a little later, and the connection goes on."""
    upstream.clear()
    with Inside(tmp_path, upstream.url) as inside, inside.connect() as wire:
        shedder = inside.gateway.shedder

        def flood() -> None:
            inside.metrics_page.requests_in_flight = 10_000
            for _ in range(100_000):
                shedder.admits("low", 10_000)
            inside.gateway.tick(0.0, 1.0, 1)

        inside.do(flood)
        wire.send(inside.chat_bytes())
        eventually(lambda: shed(inside)["normal"] == 1, "turned away")
        assert wire.rest(0.01) == b""
        inside.do(lambda: inside.gateway.tick(2.0, 1.0, 1))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 503
        inside.do(lambda: setattr(inside.metrics_page, "requests_in_flight", 0))
        assert inside.chat().status == 200


def test_a_slot_that_was_free_may_be_taken_when_the_body_is_there(upstream: Upstream, tmp_path: Path) -> None:
    """Bodies take their time: all whose heads came while there was room would become exchanges, bound or no bound."""
    upstream.clear()
    config = {"server": {"limits": {"max_requests": 1}}}
    with Inside(tmp_path, upstream.url, config=config) as inside, inside.connect() as first, inside.connect() as second:
        data = inside.chat_bytes(model="patient", mock="hold")
        for wire in (first, second):
            wire.send(data[:-1])
        assert inside.get("/healthz").status == 200
        first.send(data[-1:])
        upstream.wait_requests(1)
        second.send(data[-1:])
        refused = second.read_reply()
        assert refused is not None
        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        upstream.release()
        served = first.read_reply()
        assert served is not None
        assert served.status == 200
        assert len(inside.books.opened) == 1


def _keys(**fields: Any) -> dict[str, Any]:
    return {"keys": [{"name": "tester", "secret": KEY}, {"name": "narrow", "secret": NARROW_KEY, **fields}]}


def test_a_key_for_some_endpoints_and_places(upstream: Upstream, tmp_path: Path) -> None:
    """Refused before a body is read, in the caller's dialect; the log names the key, and the ledger has nothing."""
    config = _keys(endpoints=["messages*", "embeddings"], addresses=["192.0.2.0/24"])
    config["server"] = {"trusted_proxies": ["127.0.0.0/8"]}
    with Inside(tmp_path, upstream.url, config=config) as inside:
        here = [("x-forwarded-for", "192.0.2.7")]
        narrow = bearer(NARROW_KEY)
        refused = ask(inside, "POST", CHAT, narrow + here, b"{}")
        assert (refused.status, refused.error["code"]) == (403, "endpoint_not_allowed")
        message = ask(inside, "POST", "/v1/messages", narrow, b"{}")
        assert (message.status, message.json["type"], message.json["error"]["type"]) == (403, "error", "permission_error")
        assert "not be used from this address" in message.json["error"]["message"]
        let_in = ask(inside, "POST", "/v1/messages", narrow + here, b"{}")
        assert let_in.status == 400
        assert ask(inside, "GET", MODELS, narrow + here).status == 403
        assert ask(inside, "GET", MODELS, bearer()).status == 200
        assert ask(inside, "GET", "/healthz", [("x-forwarded-for", "198.51.100.9")]).status == 200
        assert inside.books.opened == []
        lines = [line for line in inside.lines() if line.get("status") == 403]
    assert [(line["key"], line["client"], line["endpoint"]) for line in lines] == [
        ("narrow", "192.0.2.7", "chat.completions"),
        ("narrow", "127.0.0.1", "messages"),
        ("narrow", "192.0.2.7", "models"),
    ]


def test_a_key_whose_time_is_over(upstream: Upstream, tmp_path: Path) -> None:
    """It is as if revoked: at the door, and when a body comes that began before; a try counts as one with no key."""
    with Inside(
        tmp_path, upstream.url, config=_keys(expires="2025-10-09T08:53:21Z"), failures=Failures(per_minute=3)
    ) as inside:
        narrow = bearer(NARROW_KEY)
        assert ask(inside, "GET", MODELS, narrow).status == 200
        with inside.connect() as wire:
            data = inside.chat_bytes(key=NARROW_KEY)
            wire.send(data[:-1])
            assert inside.get("/healthz").status == 200
            object.__setattr__(inside.parts, "clock_ns", lambda: EPOCH_NS + 10**9)
            wire.send(data[-1:])
            late = wire.read_reply()
        assert late is not None
        assert (late.status, late.error["code"]) == (401, "invalid_api_key")
        assert [ask(inside, "GET", MODELS, narrow).status for _ in range(4)] == [401, 401, 401, 429]
        assert ask(inside, "GET", MODELS, bearer()).status == 200


def test_guesses_are_counted_by_client_and_not_by_proxy(upstream: Upstream, tmp_path: Path) -> None:
    """One who guesses behind our proxy would lock out everybody else's mistakes; what it writes itself changes nothing."""
    config = {"server": {"trusted_proxies": ["127.0.0.1"]}}
    with Inside(tmp_path, upstream.url, config=config, failures=Failures(per_minute=2)) as inside:

        def guess(told: str) -> int:
            return ask(inside, "GET", MODELS, [*bearer("tl-wrong"), ("x-forwarded-for", told)]).status

        assert [guess(f"203.0.113.{n}, 192.0.2.1") for n in range(3)] == [401, 401, 429]
        assert guess("192.0.2.2") == 401
