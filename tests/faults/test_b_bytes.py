"""B4, B12, B15: what a provider may put on the wire, and what of it reaches a client."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from harness.gateway import Make, settings
from harness.invariants import Case, eventually
from harness.script import END, STREAM_HEADERS, Close, Pause, Seen, Step, chunk, completion, head, replay
from harness.upstream import Upstream

pytestmark = pytest.mark.usefixtures("own_target")
MIB = 2**20
DATA = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}'
STOP = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
END_MARK = b"data: [DONE]\n\n"
TAIL = STOP + b"\n\n" + END_MARK

ODD: dict[str, bytes] = {
    "plain": DATA + b"\n\n" + TAIL,
    "bad json": DATA + b"\n\ndata: {oops\n\n" + TAIL,
    "not an object": DATA + b'\n\ndata: "text"\n\ndata: 5\n\n' + TAIL,
    "crlf": (DATA + b"\n\n" + TAIL).replace(b"\n", b"\r\n"),
    "cr": (DATA + b"\n\n" + TAIL).replace(b"\n", b"\r"),
    "mixed ends": DATA + b"\r\n\n" + DATA + b"\n\r\n" + TAIL,
    "bom": b"\xef\xbb\xbf" + DATA + b"\n\n" + TAIL,
    "comments": b": OPENROUTER PROCESSING\n\n" + DATA + b"\n\n:\n\n" + TAIL,
    "multi-line data": b'data: {"id":"c",\ndata: "choices":[]}\n\n' + DATA + b"\n\n" + TAIL,
    "no space": (DATA + b"\n\n" + TAIL).replace(b"data: ", b"data:"),
    "two spaces": (DATA + b"\n\n" + TAIL).replace(b"data: ", b"data:  "),
    "other fields": b"event: message\nid: 7\nretry: 10\n" + DATA + b"\n\n" + TAIL,
    "unknown fields": b"what: ever\nnocolon\n" + DATA + b"\n\n" + TAIL,
    "empty data": DATA + b"\n\ndata:\n\ndata: \n\n" + TAIL,
    "invalid utf-8": DATA + b"\n\n" + DATA.replace(b"hi", b"\xff\xfe") + b"\n\n" + TAIL,
    "line separators": DATA.replace(b"hi", "a\u2028b\u0085c".encode()) + b"\n\n" + TAIL,
    "surrogate": DATA.replace(b"hi", b"\\ud83d") + b"\n\n" + TAIL,
    "500 kB line": DATA.replace(b"hi", b"x" * 500_000) + b"\n\n" + TAIL,
    "after the end mark": DATA + b"\n\n" + TAIL + DATA + b"\n\n",
    "no end mark": DATA + b"\n\n" + STOP + b"\n\n",
    "no blank line at the end": DATA + b"\n\n" + STOP + b"\n\ndata: [DONE]\n",
    "nothing but the end mark": END_MARK,
    "many blank lines": b"\n\n\n" + DATA + b"\n\n\n\n" + TAIL,
}


def raw(body: bytes) -> bytes:
    """A streamed answer with this body, framed by one chunk."""
    return head(200, STREAM_HEADERS) + chunk(body) + END


@pytest.mark.parametrize("name", ODD)
def test_b4_odd_streams_pass_unchanged(case: Case, name: str) -> None:
    """The same dialect on both sides: what we cannot read is the client's to judge, byte for byte."""
    body = ODD[name]
    case.upstream.script(lambda _: [raw(body)])
    reply = case.gateway.chat(stream=True, stream_options={"include_usage": True})
    assert reply.status == 200
    assert reply.complete
    assert reply.body == body


@pytest.mark.parametrize("name", ["plain", "crlf", "cr", "bom", "comments", "multi-line data", "after the end mark"])
def test_b4_cut_at_every_byte(case: Case, name: str) -> None:
    """TCP cuts where it likes: no cut of the same bytes may change the client's bytes."""
    body = ODD[name]
    answer = raw(body)
    begin = len(head(200, STREAM_HEADERS))
    cuts = range(begin, len(answer), 1 if len(answer) < 400 else 3)
    seen = set()
    with case.gateway.connect() as wire:
        for cut in cuts:
            case.upstream.then(replay(answer, [cut], pause=0.001))
            wire.send(case.gateway.chat_bytes(stream=True, stream_options={"include_usage": True}))
            reply = wire.read_reply()
            assert reply is not None
            seen.add((reply.status, reply.body))
    assert seen == {(200, body)}


def test_b4_byte_by_byte(case: Case) -> None:
    """The worst cut of all: the answer's head and body in single bytes."""
    answer = raw(ODD["plain"])
    case.upstream.script(lambda _: replay(answer, [1] * len(answer), pause=0.0002))
    reply = case.gateway.chat(model="patient", stream=True, stream_options={"include_usage": True})
    assert (reply.status, reply.body) == (200, ODD["plain"])


def test_b4_random_cuts_hide_the_same_usage(case: Case) -> None:
    """The usage chunk that only we asked for stays with us, whatever the cuts; the ledger reads the same. Seeded."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    usage = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}}\n\n'
    answer = raw(DATA + b"\n\n" + STOP + b"\n\n" + usage + END_MARK)
    bodies = set()
    for _ in range(60):
        sizes = [dice.randint(1, 40) for _ in range(len(answer) // 4)]
        case.upstream.then(replay(answer, sizes, pause=0.0005))
        bodies.add(case.gateway.chat(stream=True).body)
    assert bodies == {DATA + b"\n\n" + TAIL}, f"seed {seed}"
    eventually(lambda: len(case.new_rows()) == 60, "60 rows")
    assert {(row["input_tokens"], row["output_tokens"]) for row in case.new_rows()} == {(11, 5)}, f"seed {seed}"


def test_b4_endless_line(case: Case) -> None:
    """A line is bounded: 10 MB without an end are not collected."""
    before = case.gateway.rss()

    def endless(_: Seen) -> list[Step]:
        return [head(200, STREAM_HEADERS), chunk(DATA + b"\n\n"), *[chunk(b"data: " + b"x" * 65536)] * 160, chunk(b"\n\n"), END]

    case.upstream.script(endless)
    with case.gateway.stream() as stream:
        events = stream.rest()
        assert stream.complete
    assert b'"error"' in events[-1]
    assert b"[DONE]" not in events
    assert case.gateway.rss() - before < 16 * MIB
    case.outcomes = ["upstream_broken"]


@pytest.mark.parametrize("stream", [False, True])
def test_b12_identity_is_asked_for(case: Case, stream: bool) -> None:
    """Inflating costs CPU and invites bombs: we ask for none."""
    case.gateway.chat(stream=stream, headers=[("accept-encoding", "gzip, br, zstd")])
    assert case.upstream.requests[0].header("accept-encoding") in {None, "identity"}


@pytest.mark.parametrize("stream", [False, True])
def test_b12_gzip_all_the_same(case: Case, stream: bool) -> None:
    """A provider that compresses unasked is still understood, or refused in words; never passed on as rubbish."""
    reply = case.gateway.chat(mock="ce=gzip", stream=stream, nonce="packed")
    assert reply.status in {200, 502}
    if reply.status == 200 and reply.header("content-encoding") is None:
        assert b"packed" in reply.body


@pytest.fixture
def bounded(upstream: Upstream, make_gateway: Make) -> Case:
    """A gateway that takes 2 MiB of a whole answer and 4 MiB of a stream."""
    gateway = make_gateway(settings(upstream.url, provider={"max_answer": "2MiB", "max_stream": "4MiB"}))
    gateway.chat()
    case = Case(gateway, upstream)
    case.begin()
    return case


@pytest.mark.parametrize("mock", ["bomb=64", "big=64"])
def test_b12_whole_answer_too_large(bounded: Case, mock: str) -> None:
    """A gigabyte of JSON, or a kilobyte that becomes one, is refused at the bound."""
    before = bounded.gateway.rss()
    reply = bounded.gateway.chat(model="patient", mock=mock)
    assert reply.status == 502
    assert reply.error["message"]
    assert bounded.gateway.rss() - before < 12 * MIB
    bounded.outcomes = ["upstream_error"]
    bounded.check()


@pytest.mark.parametrize("mock", ["bomb=64", "endless;size=1000"])
def test_b12_stream_too_large(bounded: Case, mock: str) -> None:
    """A stream that never ends is cut, with an error event."""
    before = bounded.gateway.rss()
    reply = bounded.gateway.chat(model="patient", mock=mock, stream=True)
    assert len(reply.body) < 6 * MIB
    if reply.status == 200:
        assert reply.complete
        assert b'"error"' in reply.body[-2000:]
        assert not reply.body.endswith(b"[DONE]\n\n")
    else:
        assert reply.status == 502
    assert bounded.gateway.rss() - before < 16 * MIB
    assert bounded.upstream.wait_ended(bounded.upstream.requests[0]) in {"eof", "rst", "done"}
    bounded.check()


def plain(seen: Seen, *lines: bytes, first: bytes = b"HTTP/1.1 200 OK", body: bytes | None = None) -> bytes:
    """An answer of raw header lines around a good body, with its length."""
    content = completion(seen) if body is None else body
    fields = [b"content-type: application/json", *lines]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        fields.append(b"content-length: %d" % len(content))
    return b"\r\n".join([first, *fields, b"", content])


def chunked(seen: Seen, end: bytes = b"0\r\n\r\n") -> bytes:
    """A good body in one chunk."""
    content = completion(seen)
    return b"%x\r\n%b\r\n" % (len(content), content) + end


def test_b15_interim_answers(case: Case) -> None:
    """1xx before the answer is skipped."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    case.upstream.script(lambda seen: [interim, Pause(0.02), plain(seen)])
    reply = case.gateway.chat(nonce="final")
    assert (reply.status, reply.content) == (200, "final")
    assert reply.header("link") is None


def test_b15_endless_interim_answers(case: Case) -> None:
    """1xx for ever is a provider that does not answer."""
    case.upstream.script(
        lambda _: (step for _ in range(100_000) for step in (b"HTTP/1.1 102 Processing\r\n\r\n", Pause(0.001)))
    )
    assert case.gateway.chat().status in {502, 504}
    case.rows = 1


def test_b15_hop_by_hop_headers_stay(case: Case) -> None:
    """What belongs to the provider's connection, its cookies and its internals are not the client's business."""
    hidden = {
        "connection": "keep-alive, x-private",
        "x-private": "1",
        "keep-alive": "timeout=5",
        "set-cookie": "session=1; Domain=api.example.com",
        "proxy-authenticate": "Basic",
        "trailer": "x-sum",
        "upgrade": "h2c",
        "alt-svc": "h3=':443'",
        "strict-transport-security": "max-age=1",
        "access-control-allow-origin": "*",
    }
    lines = [f"{name}: {value}".encode() for name, value in hidden.items()]
    streamed = head(200, [*STREAM_HEADERS, *hidden.items()]) + chunk(TAIL) + END
    case.upstream.script(lambda seen: [streamed if seen.fields.get("stream") else plain(seen, *lines)])
    for stream in (False, True):
        reply = case.gateway.chat(stream=stream)
        assert reply.status == 200
        found = dict(reply.headers)
        told = {name for name in hidden if name in found and (name != "connection" or "x-private" in found[name])}
        assert not told


def test_b15_trailers(case: Case) -> None:
    """Trailers are read and dropped; the connection stays usable."""
    case.upstream.script(
        lambda seen: [plain(seen, b"transfer-encoding: chunked", body=chunked(seen, b"0\r\nx-sum: 1\r\n\r\n"))]
    )
    reply = case.gateway.chat(nonce="trailed")
    assert (reply.status, reply.content) == (200, "trailed")
    assert reply.header("x-sum") is None


def test_b15_answer_until_close(case: Case) -> None:
    """HTTP/1.0 without a length: the end of the connection is the end of a whole JSON answer."""
    body = json.dumps({"id": "x", "object": "chat.completion", "choices": [], "usage": None}).encode()
    case.upstream.script(lambda _: [b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body, Close()])
    reply = case.gateway.chat()
    assert reply.status in {200, 502}
    if reply.status == 200:
        assert reply.body == body


MALFORMED: dict[str, bytes] = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2 frames": bytes.fromhex("00000604000000000000020000000000"),
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 999": b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "cl+te": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}   ",
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
    "unknown coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "bad chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "space before a colon": b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 2\r\n\r\n{}",
    "1 MiB header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * MIB + b"\r\ncontent-length: 2\r\n\r\n{}",
    "100k headers": b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 100_000 + b"content-length: 2\r\n\r\n{}",
    "unknown content coding": b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}",
    "damaged gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n"
    + gzip.compress(b"{}")[:7]
    + b"zz",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_b15_malformed_answers(case: Case, name: str) -> None:
    """What is not HTTP, or could be read in two ways, is the provider's failure: 502, and the connection is not used again."""
    case.upstream.script(lambda _: [MALFORMED[name]])
    begin = case.gateway.rss()
    reply = case.gateway.chat()
    assert reply.status in {502, 504}
    assert reply.error["message"]
    assert case.gateway.rss() - begin < 8 * MIB
    case.outcomes = ["upstream_error"]


def test_b15_folded_header(case: Case) -> None:
    """obs-fold from a provider: understood or refused, never a header of its own."""
    case.upstream.script(lambda seen: [plain(seen, b"x-a: b\r\n set-cookie: c=d")])
    reply = case.gateway.chat()
    assert reply.status in {200, 502}
    assert reply.header("set-cookie") is None


def test_b15_bytes_after_the_answer(case: Case) -> None:
    """An answer nobody asked for must not become the next tenant's."""
    stolen = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen"
    case.upstream.script(lambda seen: [plain(seen) + stolen])
    replies = [case.gateway.chat(nonce=str(number)) for number in range(5)]
    assert [reply.content for reply in replies if reply.status == 200] == [
        str(number) for number, reply in enumerate(replies) if reply.status == 200
    ]
    assert not any(b"stolen" in reply.body for reply in replies)
