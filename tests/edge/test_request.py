"""Heads as bytes in, a request or a refusal out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError
from trunkline.edge.limits import ServerLimits
from trunkline.edge.request import HeadParser, Request

LIMITS = ServerLimits(max_header=2048, max_headers=16, max_url=256)


def parse(*pieces: bytes) -> Request:
    """The request in these bytes. Raises GatewayError; fails when the head did not end with them."""
    request = Request("127.0.0.1", 0.0)
    head = HeadParser(request, LIMITS)
    for piece in pieces:
        head.feed(piece)
    assert head.done
    return request


def get(*headers: bytes, line: bytes = b"GET /v1/models HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """A head."""
    return b"\r\n".join([line, *([host] if host else []), *headers, b"", b""])


def test_a_plain_request() -> None:
    """Every endpoint reads these."""
    request = parse(get(b"X-Api-Key: k", b"Content-Length: 12", line=b"POST /v1/chat?a=b&c HTTP/1.1"))
    assert (request.method, request.path, request.query, request.version) == ("POST", "/v1/chat", b"a=b&c", "1.1")
    assert request.headers == {b"host": b"a", b"x-api-key": b"k", b"content-length": b"12"}
    assert (request.length, request.keep_alive) == (12, True)


@pytest.mark.parametrize(
    ("headers", "length"),
    [([], 0), ([b"Content-Length: 0"], 0), ([b"Transfer-Encoding: chunked"], None), ([b"TRANSFER-ENCODING:CHUNKED"], None)],
)
def test_how_long_a_body_is(headers: list[bytes], length: int | None) -> None:
    """The end of a request decides where the next begins."""
    assert parse(get(*headers, line=b"POST / HTTP/1.1")).length == length


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/a?b?c", "/a", b"b?c"),
        (b"//a", "//a", b""),
        (b"http://x", "/", b""),
        (b"http://x/v1/y?q=1", "/v1/y", b"q=1"),
        (b"HTTPS://x:1/y", "/y", b""),
        (b"http://x?q=/v1/y", "/", b"q=/v1/y"),
    ],
)
def test_targets(target: bytes, path: str, query: bytes) -> None:
    """Clients behind a proxy send the absolute form; a query must never be taken for a path."""
    request = parse(get(line=b"GET " + target + b" HTTP/1.1"))
    assert (request.path, request.query) == (path, query)


def test_the_asterisk_of_options() -> None:
    """`OPTIONS *` asks the server itself."""
    assert parse(get(line=b"OPTIONS * HTTP/1.1")).path == "*"


@pytest.mark.parametrize(
    ("connection", "version", "keep"),
    [
        (b"", b"1.1", True),
        (b"keep-alive", b"1.1", True),
        (b"close", b"1.1", False),
        (b"keep-alive, close", b"1.1", False),
        (b"Close", b"1.1", False),
        (b"upgrade", b"1.1", True),
        (b"keep-alive", b"1.0", False),
        (b"", b"1.0", False),
    ],
)
def test_who_may_send_another(connection: bytes, version: bytes, keep: bool) -> None:
    """A connection the client closes must not wait for more, and the other way round."""
    head = get(*([b"Connection: " + connection] if connection else []), line=b"GET / HTTP/" + version)
    assert parse(head).keep_alive is keep


@pytest.mark.parametrize(
    "headers",
    [
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Content-Length: 3"),
    ],
)
def test_an_upgrade_is_ignored(headers: tuple[bytes, ...]) -> None:
    """Java's and curl's clients offer h2c with every request; they take a plain HTTP/1.1 answer (RFC 9110 section 7.8)."""
    request = parse(get(*headers, line=b"POST / HTTP/1.1"))
    assert request.length == (3 if b"content-length" in request.headers else 0)


WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
SAMPLE = b"dGhlIHNhbXBsZSBub25jZQ=="


def test_a_websocket_is_asked_for() -> None:
    """Its key is what a call answers with; the rest of the head is that of any GET."""
    request = parse(get(*WEBSOCKET, b"Sec-WebSocket-Key: " + SAMPLE))
    assert (request.websocket, request.length, request.keep_alive) == (SAMPLE, 0, True)


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        (b"POST / HTTP/1.1", ()),
        (b"GET / HTTP/1.0", ()),
        (b"GET / HTTP/1.1", (b"Content-Length: 5",)),
        (b"GET / HTTP/1.1", (b"Transfer-Encoding: chunked",)),
        (b"GET / HTTP/1.1", (b"Sec-WebSocket-Key: " + SAMPLE,)),
    ],
)
def test_a_websocket_that_is_not_asked_for_as_it_must(line: bytes, headers: tuple[bytes, ...]) -> None:
    """With a body, its bytes could be read as frames; everything but a sound GET stays an ordinary request."""
    assert parse(get(*WEBSOCKET, b"Sec-WebSocket-Key: " + SAMPLE, *headers, line=line)).websocket == b""


def test_fields_that_stand_twice_are_joined() -> None:
    """A cookie or an accept header in two lines is one value; a key in two lines is no key."""
    assert parse(get(b"X-A: 1", b"x-a: 2", b"X-Empty:")).headers[b"x-a"] == b"1, 2"


def test_underscores_are_another_name() -> None:
    """`x_api_key` must never be read as `x-api-key`, nor `content_length` as a length."""
    request = parse(get(b"X_Api_Key: k", b"Content_Length: 5", b"Transfer_Encoding: chunked"))
    assert b"x-api-key" not in request.headers
    assert request.length == 0


BAD = {
    "no host": get(host=b""),
    "two hosts": get(b"Host: b"),
    "two equal hosts": get(b"Host: a"),
    "host with a space": get(host=b"Host: a b"),
    "host with a path": get(host=b"Host: a/b"),
    "host with a user": get(host=b"Host: u@a"),
    "cl and te": get(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "te and cl": get(b"Transfer-Encoding: chunked", b"Content-Length: 3"),
    "te xchunked": get(b"Transfer-Encoding: xchunked"),
    "te xchunked, then chunked": get(b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked"),
    "te gzip, then chunked": get(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
    "te chunked, then xchunked": get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked"),
    "te chunked twice": get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "te gzip, chunked": get(b"Transfer-Encoding: gzip, chunked"),
    "te identity": get(b"Transfer-Encoding: identity"),
    "te empty": get(b"Transfer-Encoding:"),
    "te two spaces": get(b"Transfer-Encoding:  chunked"),
    "te tab": get(b"Transfer-Encoding:\tchunked"),
    "te space after": get(b"Transfer-Encoding: chunked "),
    "te in 1.0": get(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"),
    "te name with a space": get(b"Transfer-Encoding : chunked"),
    "te folded": get(b"Transfer-Encoding:\r\n chunked"),
    "two lengths": get(b"Content-Length: 3", b"Content-Length: 3"),
    "two lengths in one": get(b"Content-Length: 3, 3"),
    "length +3": get(b"Content-Length: +3"),
    "length -3": get(b"Content-Length: -3"),
    "length 0x3": get(b"Content-Length: 0x3"),
    "length 3_0": get(b"Content-Length: 3_0"),
    "length empty": get(b"Content-Length:"),
    "length huge": get(b"Content-Length: 99999999999999999999"),
    "folded": get(b"X: a", b" b"),
    "NUL in a value": get(b"X: a\0b"),
    "bare CR in a value": get(b"X: a\rb"),
    "bare LF between fields": get(b"X: a\nY: b"),
    "name with a space": get(b"X Y: a"),
    "no colon": get(b"nothing"),
    "bare LFs": b"GET / HTTP/1.1\nHost: a\n\n",
    "LF at the end": b"GET / HTTP/1.1\r\nHost: a\r\n\n\r\n\r\n",
    "CONNECT": get(line=b"CONNECT a:443 HTTP/1.1"),
    "HTTP/2": get(line=b"GET / HTTP/2.0"),
    "HTTP/1.2": get(line=b"GET / HTTP/1.2"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no method": get(line=b"FOO / HTTP/1.1"),
    "lower case": get(line=b"get / HTTP/1.1"),
    "asterisk for GET": get(line=b"GET * HTTP/1.1"),
    "ftp": get(line=b"GET ftp://a/b HTTP/1.1"),
    "two spaces after the method": get(line=b"GET  / HTTP/1.1"),
    "two spaces after the target": get(line=b"GET /  HTTP/1.1"),
    "space in the target": get(line=b"GET /a b HTTP/1.1"),
    "bytes in the target": get(line=b"GET /\xff HTTP/1.1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_two_parsers_could_read_in_two_ways_is_refused(name: str) -> None:
    """docs/faults.md S1: a proxy in front of us must never see other requests than we do."""
    with pytest.raises(GatewayError) as refused:
        parse(BAD[name])
    assert (refused.value.status, refused.value.code) == (400, "bad_http")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (get(b"X: " + b"a" * 3000), 431),
        (get(*[b"X-%d: a" % n for n in range(20)]), 431),
        (get(line=b"GET /" + b"a" * 300 + b" HTTP/1.1"), 414),
    ],
)
def test_bounds(head: bytes, status: int) -> None:
    """A head may not grow without end (docs/faults.md A7), however it arrives."""
    for pieces in ([head], [head[i : i + 7] for i in range(0, len(head), 7)]):
        with pytest.raises(GatewayError) as refused:
            parse(*pieces)
        assert refused.value.status == status


def test_a_head_without_end_is_refused_at_the_bound() -> None:
    """One endless field would fill memory before it was ever complete."""
    head = HeadParser(Request("", 0.0), LIMITS)
    head.feed(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(20):
        head.feed(b"a" * 100)
    with pytest.raises(GatewayError) as refused:
        head.feed(b"a" * 100)
    assert refused.value.status == 431


def verdict(pieces: list[bytes]) -> object:
    """Everything a request says, or the status and code of its refusal."""
    request = Request("", 0.0)
    head = HeadParser(request, LIMITS)
    try:
        for piece in pieces:
            if piece and not head.done:
                head.feed(piece)
    except GatewayError as error:
        return error.status, error.code
    if not head.done:
        return "unfinished"
    return request.method, request.path, request.query, request.headers, request.length, request.keep_alive


@given(st.sampled_from([*BAD.values(), get(), get(b"A: b", b"A:", b"Content-Length: 5")]), st.lists(st.integers(1, 120)))
def test_any_slicing_gives_the_same_verdict(head: bytes, cuts: list[int]) -> None:
    """How the network cuts a head must never change what was asked, nor whether it is refused."""
    places = sorted({cut for cut in cuts if cut < len(head)} | {0, len(head)})
    pieces = [head[a:b] for a, b in pairwise(places)]
    assert verdict(pieces) == verdict([head])


PARTS = st.sampled_from(
    [
        b"GET",
        b"POST",
        b" ",
        b"/",
        b"/a?b",
        b"HTTP/1.1",
        b"\r\n",
        b"\n",
        b"\r",
        b"Host: a",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Upgrade: x",
        b"Connection: upgrade",
        b": ",
        b"\0",
        b"\xff",
        b"\t",
        b"http://b",
    ]
)


@given(st.one_of(st.binary(max_size=100), st.lists(PARTS, max_size=24).map(b"".join)))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    """Anything but `GatewayError` would end the connection without an answer; a head must end where its blank line is."""
    end = data.lstrip(b"\r\n").find(b"\r\n\r\n")
    found = verdict([data.lstrip(b"\r\n")])
    if end < 0:
        assert found == "unfinished" or found[1] == "bad_http" or found[0] in {414, 431}  # type: ignore[index]
    else:
        assert found != "unfinished"
