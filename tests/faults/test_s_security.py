"""S2, S5, S6, S7, S15: what a hostile client may try through the front door."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

import pytest

from harness.client import request
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY, Make, settings
from harness.invariants import Case
from harness.upstream import Upstream

CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")

FORBIDDEN_HEADERS = {
    "x-api-key": "sk-mine",
    "api-key": "sk-mine",
    "x-goog-api-key": "sk-mine",
    "openai-organization": "org-mine",
    "openai-project": "proj-mine",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-host": "evil.test",
    "x-forwarded-proto": "https",
    "forwarded": "for=1.2.3.4",
    "x-real-ip": "1.2.3.4",
    "cookie": "session=1",
    "proxy-authorization": "Basic AAAA",
    "x-trunkline-anything": "1",
    "x-amz-security-token": "t",
    "anthropic-beta": "b",
    "te": "trailers",
    "x-http-method-override": "GET",
    "connection": "authorization, host",
    "referer": "http://internal/",
    "origin": "http://evil.test",
}


def test_s2_only_allowed_headers_go_out(case: Case) -> None:
    """A client header that reached the provider could carry another account, another host or a cookie."""
    reply = case.gateway.chat(headers=list(FORBIDDEN_HEADERS.items()))
    assert reply.status == 200
    seen = case.upstream.requests[0]
    names = [name for name, _ in seen.headers]
    assert len(names) == len(set(names)), "a header stands twice"
    assert seen.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert seen.header("host") == f"127.0.0.1:{case.upstream.port}"
    told = {name: value for name, value in FORBIDDEN_HEADERS.items() if seen.header(name) == value}
    assert told == {}
    for text in (KEY, "mine", "1.2.3.4", "evil.test"):
        assert text.encode() not in seen.head


INJECTIONS = [
    "\r\nx-injected: 1",
    "\nx-injected: 1",
    "\r\n\r\nGET / HTTP/1.1",
    "%0d%0ax-injected:%201",
    "\u2028x-injected: 1",
    "\x00",
    "\u560d\u560ax-injected: 1",
    "\x85x",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
@pytest.mark.parametrize("field", ["model", "user", "metadata", "content"])
def test_s2_values_stay_values(case: Case, field: str, text: str) -> None:
    """A line break in a value never becomes a header, toward the provider or back to the client."""
    choices: dict[str, dict[str, Any]] = {
        "model": {"model": f"lab/tiny{text}"},
        "user": {"user": text},
        "metadata": {"metadata": {"k" + text: text}},
        "content": {"messages": [{"role": "user", "content": text}]},
    }
    reply = case.gateway.chat(**choices[field])
    assert reply.status in ({200, 400, 404} if field == "model" else {200})
    assert reply.complete
    assert reply.header("x-injected") is None
    assert not CONTROLS.search(reply.head.replace(b"\r\n", b""))
    for seen in case.upstream.requests:
        assert seen.header("x-injected") is None
        assert not CONTROLS.search(seen.head.replace(b"\r\n", b""))


def pairs(body: bytes, wanted: str) -> list[Any]:
    """Every value of a top-level key, however often it stands."""
    found: list[list[tuple[str, Any]]] = []

    def keep(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(items)
        return dict(items)

    json.loads(body, object_pairs_hook=keep)
    return [value for name, value in found[-1] if name == wanted]


TWICE = [
    '{"model":"m","messages":[],"model":"costly"}',
    '{"model":"costly","messages":[],"model":"m"}',
    '{"model":"m","messages":[],"mod\\u0065l":"costly"}',
    '{"mod\\u0065l":"costly","messages":[],"model":"m"}',
    '{"\\u006d\\u006f\\u0064\\u0065\\u006c":"costly","model":"m","messages":[]}',
    '{"model":"m","model":"m","messages":[]}',
    '{"messages":[{"model":"costly"}],"model":"m"}',
    '{"model":"m","messages":[],"Model":"costly"}',
    '{"model":"m","messages":[],"model\\u0000":"costly"}',
    '{"model":"m","messages":[],"model":null}',
    '{"model":"m","messages":[],"model":["costly"]}',
    '{"model":"costly"}{"model":"m","messages":[]}',
    '{"model":"m\\u0000costly","messages":[]}',
    '{"model":" m","messages":[]}',
    '{"model":"M","messages":[]}',
]


@pytest.mark.parametrize("body", TWICE, ids=range(len(TWICE)))
def test_s5_the_provider_reads_what_was_checked(case: Case, body: str) -> None:
    """A key that may use the cheap model must not reach the dear one because two parsers disagree on a double key."""
    reply = case.gateway.chat(key=NARROW_KEY, body=body.encode())
    assert reply.status in {200, 400, 403, 404}
    for seen in case.upstream.requests:
        assert pairs(seen.body, "model") == ["tiny"], "first-wins and last-wins readers disagree"
        assert reply.status == 200


def test_s5_stream_twice(case: Case) -> None:
    """Whether it streams must be one answer for both sides, or one of them waits for the other for ever."""
    body = '{"model":"m","messages":[],"stream":false,"stre\\u0061m":true,"stream_options":{"a":1},"stream_options":null}'
    reply = case.gateway.chat(body=body.encode())
    assert reply.status in {200, 400}
    for seen in case.upstream.requests:
        assert len(pairs(seen.body, "stream")) == 1
        assert len(pairs(seen.body, "stream_options")) <= 1
        assert (reply.header("content-type") or "").startswith("text/event-stream") is pairs(seen.body, "stream")[0]


BAD_KEYS: dict[str, bytes] = {
    "none": b"",
    "empty": b"Authorization: Bearer ",
    "no scheme": b"Authorization: " + KEY.encode(),
    "basic": b"Authorization: Basic dGw6eA==",
    "prefix of a key": b"Authorization: Bearer " + KEY.encode()[:-1],
    "more than a key": b"Authorization: Bearer " + KEY.encode() + b"x",
    "other case": b"Authorization: Bearer " + KEY.encode().upper(),
    "not ASCII": b"Authorization: Bearer tl-" + "ключ".encode(),
    "latin-1": b"Authorization: Bearer tl-\xe9\xe8",
    "invalid UTF-8": b"Authorization: Bearer tl-\xff\xfe",
    "600 bytes": b"Authorization: Bearer tl-" + b"a" * 600,
    "60 kB": b"Authorization: Bearer tl-" + b"a" * 60_000,
    "1 MB": b"Authorization: Bearer tl-" + b"a" * 1_000_000,
    "two keys in a line": b"Authorization: Bearer tl-wrong, Bearer " + KEY.encode(),
    "two lines": b"Authorization: Bearer tl-wrong\r\nAuthorization: Bearer tl-other",
    "x-api-key wrong": b"x-api-key: tl-wrong",
    "x-api-key not ASCII": b"x-api-key: \xff\xfe",
    "provider's key": b"Authorization: Bearer " + PROVIDER_KEY.encode(),
    "hash of a key": b"Authorization: Bearer sha256:" + b"0" * 64,
    "in the URL": b"",
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_s6_bad_keys_are_401(case: Case, name: str) -> None:
    """Whatever stands where the key should, it is a 401 that repeats nothing of it; never a 500, never a way in."""
    body = b'{"model":"m","messages":[]}'
    target = b"/v1/chat/completions" + (b"?key=" + KEY.encode() if name == "in the URL" else b"")
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: gateway.test", b"Content-Length: %d" % len(body)]
    if BAD_KEYS[name]:
        lines.append(BAD_KEYS[name])
    with case.gateway.connect() as wire:
        try:
            wire.send(b"\r\n".join([*lines, b"", body]))
        except OSError:
            assert name == "1 MB"
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == (431 if name == "1 MB" else 401)
    assert reply.error["message"]
    tail = BAD_KEYS[name].split(b" ")[-1][:60]
    assert len(tail) < 4 or tail not in reply.body
    assert case.upstream.requests == []


def test_s6_both_doors(case: Case) -> None:
    """SDKs send the key in one of two headers; each works alone."""
    assert case.gateway.chat(key=None, headers=[("x-api-key", KEY)]).status == 200
    assert case.gateway.chat(key=None, headers=[("authorization", f"bearer {KEY}")]).status == 200
    assert case.gateway.get("/v1/models", key=KEY).status == 200
    assert case.gateway.get("/v1/models").status == 401


def test_s7_key_flood(upstream: Upstream, make_gateway: Make) -> None:
    """Guessing keys is cheap for us, grows nothing and leaves no rows. TRUNKLINE_FLOOD sets the number."""
    count, batch = int(os.environ.get("TRUNKLINE_FLOOD", "10000")), 50
    gateway = make_gateway(settings(upstream.url))
    assert gateway.chat(key="tl-wrong").status == 401
    before = gateway.rss()
    cpu, begin = gateway.cpu(), time.monotonic()
    wire = gateway.connect()
    try:
        for number in range(count // batch):
            wire.send(b"".join(gateway.chat_bytes(key=f"tl-{number}-{one}-{os.urandom(16).hex()}") for one in range(batch)))
            for _ in range(batch):
                reply = wire.read_reply()
                assert reply is not None
                assert reply.status in {401, 429}
                if reply.header("connection") == "close":
                    wire.close()
                    wire = gateway.connect()
                    break
    finally:
        wire.close()
    each = (gateway.cpu() - cpu) / count * 1e6
    assert each < 250, f"{each:.0f} µs of CPU a refused key, {count / (time.monotonic() - begin):.0f}/s"
    assert gateway.rss() - before < 8 * 2**20
    assert gateway.ledger() == []
    assert gateway.chat().status == 200, "a good key pays for the bad ones of its address"


PATHS = [
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/./chat/completions",
    "/v1/../v1/chat/completions",
    "/../v1/chat/completions",
    "/v1/%63hat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1%2fchat%2fcompletions",
    "/v1/chat/completions/",
    "/v1/chat/completions//",
    "/V1/chat/completions",
    "/v1/Chat/Completions",
    "/v1/chat/completions;x=1",
    "/v1;x/chat/completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions%20",
    "/v1/chat/completions?",
    "/v1/chat/completions?a=b",
    "/v1\\chat\\completions",
    "/v1/chat/completions%3Fkey=x",
    "http://gateway.test/v1/chat/completions",
    "http://gateway.test:99/v1/chat/completions",
    "/chat/completions",
    "/v1/healthz/../chat/completions",
    "/healthz/../v1/chat/completions",
    "/healthz;/v1/chat/completions",
]


@pytest.mark.parametrize("path", PATHS)
def test_s15_no_path_skips_the_key(case: Case, path: str) -> None:
    """However the path is written, it is the endpoint with its key check, or nothing."""
    body = b'{"model":"m","messages":[]}'
    statuses = {}
    for key in (None, KEY):
        headers = [("authorization", f"Bearer {key}")] if key else []
        with case.gateway.connect() as wire:
            wire.send(request("POST", path, headers, body))
            reply = wire.read_reply()
        assert reply is not None
        statuses[key] = reply.status
        assert len(case.upstream.requests) == (reply.status == 200)
    assert statuses[None] in {400, 401, 404, 405}
    assert statuses[KEY] in {200, 400, 404, 405}


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "//metrics",
        "/%6detrics",
        "/admin",
        "/api/keys",
        "/docs",
        "/openapi.json",
        "/.env",
        "/v1/models/../../metrics",
    ],
)
def test_s15_the_data_plane_administers_nothing(case: Case, path: str) -> None:
    """The port that is exposed has no operator's door, with a key or without."""
    for key in (None, KEY):
        reply = case.gateway.get(path, key=key)
        assert reply.status in {400, 401, 404}
        assert b"trunkline_" not in reply.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD"])
def test_s15_other_methods(case: Case, method: str) -> None:
    """A method that is not served is refused, not taken for another; TRACE repeats no header."""
    with case.gateway.connect() as wire:
        wire.send(request(method, "/v1/chat/completions", [("authorization", f"Bearer {KEY}")], b""))
        reply = wire.read_reply(bodyless=method == "HEAD")
    assert reply is not None
    assert reply.status in {200, 204, 400, 404, 405, 501}
    if method != "OPTIONS":
        assert reply.status >= 400
    assert KEY.encode() not in reply.body
    assert case.upstream.requests == []
