"""Raw requests two HTTP parsers could read in two ways, and what must become of each.

Data only; `test_smuggling` plays it. A row names the bytes, the verdict and how many requests the provider may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.gateway import KEY

Verdict = Literal["refused", "allowed", "either"]
"""`refused`: a 4xx or 5xx (or nothing) and the connection closed. `allowed`: 200.
`either`: both are safe, if nothing is smuggled."""

AUTH = b"Authorization: Bearer " + KEY.encode()
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
TE = b"Transfer-Encoding: chunked"
LINE = b"POST /v1/chat/completions HTTP/1.1"


@dataclass(frozen=True)
class Row:
    """One thing that is written to a fresh connection."""

    name: str
    data: bytes
    verdict: Verdict = "refused"
    seen: int = 0
    """Requests the provider may see; exactly that many where the verdict is `allowed`."""
    answers: int = 1
    """Answers with status 200 that an `allowed` row gets."""
    half_close: bool = False
    """Say after the bytes that no more will come."""


def build(*headers: bytes, line: bytes = LINE, body: bytes = BODY, host: bytes = b"Host: gateway.test") -> bytes:
    """A request of these header lines, with host and credential before them."""
    fields = [field for field in (host, AUTH, *headers) if field]
    return b"\r\n".join([line, *fields, b"", body])


SMUGGLED_BODY = b'{"model":"m","messages":[],"x_nonce":"smuggled"}'
SMUGGLED = build(b"Content-Length: %d" % len(SMUGGLED_BODY), body=SMUGGLED_BODY)
HIDDEN = b"0\r\n\r\n" + SMUGGLED
GOOD = build(LENGTH)


def length(value: bytes) -> bytes:
    """A request whose Content-Length says `value`."""
    return build(b"Content-Length:" + value)


def coded(header: bytes, *more: bytes, line: bytes = LINE) -> bytes:
    """A request with a chunked body that carries `header`; a parser that ignores it would find a second request."""
    return build(header, *more, body=CHUNKED + SMUGGLED, line=line)


def chunks(body: bytes) -> bytes:
    """A correct head and this as the chunked body."""
    return build(TE, body=body)


def sized(size: bytes, end: bytes = b"\r\n") -> bytes:
    """A chunked body whose first size line is `size`."""
    return chunks(size + end + BODY + b"\r\n" + HIDDEN)


def odd(*headers: bytes, **more: bytes) -> bytes:
    """A complete request with an odd header in it."""
    return build(*headers, LENGTH, **more)


def started(line: bytes) -> bytes:
    """A complete request with this request line."""
    return build(LENGTH, line=line)


SIZE = b"%x" % len(BODY)
REAL = b" %d" % len(BODY)

LENGTHS = [
    Row("cl+te", build(b"Content-Length: %d" % len(HIDDEN), TE, body=HIDDEN)),
    Row("te+cl", build(TE, b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)),
    Row("cl+te with a true length", build(b"Content-Length: %d" % len(CHUNKED), TE, body=CHUNKED)),
    Row("cl+te identity", build(LENGTH, b"Transfer-Encoding: identity")),
    Row("cl 0 and te", build(b"Content-Length: 0", TE, body=HIDDEN)),
    Row("two lengths that differ", build(b"Content-Length: 0", LENGTH, body=BODY + SMUGGLED)),
    Row("two lengths that agree", build(LENGTH, LENGTH)),
    Row("two lengths in one line", length(REAL + b"," + REAL)),
    Row("two different lengths in one line", length(b" 0," + REAL)),
    Row("length with a plus", length(b" +%d" % len(BODY))),
    Row("length with a minus", length(b" -1")),
    Row("length in hexadecimal", length(b" 0x39")),
    Row("length with a space inside", length(b" 5 7")),
    Row("length with a letter", length(b" 57a")),
    Row("length in quotes", length(b' "57"')),
    Row("length with a decimal point", length(b" 57.0")),
    Row("length empty", length(b"")),
    Row("length of 20 digits", length(b" 99999999999999999999")),
    Row("length 2^63", length(b" 9223372036854775808")),
    Row("length 2^64+57", length(b" 18446744073709551673")),
    Row("length of 10 GB", length(b" 10000000000")),
    Row("length in Arabic digits", length(" \u0665\u0667".encode())),
    Row("length after a vertical tab", length(b" \x0b57")),
    Row("length, space before the colon", build(b"Content-Length :" + REAL)),
    Row("length, tab before the colon", build(b"Content-Length\t:" + REAL)),
    Row("length, name cut by NUL", build(b"Content-Length\x00:" + REAL)),
    Row("length with an underscore", build(b"Content_Length:" + REAL)),
    Row("length with space around", length(b"  57 \t"), "either", seen=1),
    Row("length with leading zeros", length(b" 0000%d" % len(BODY)), "either", seen=1),
    Row("length too short", build(b"Content-Length: 10"), seen=0),
    Row("length too long, then half-close", build(b"Content-Length: 1000"), half_close=True),
]

CODINGS = [
    Row("te xchunked", coded(b"Transfer-Encoding: xchunked")),
    Row("te chunkedx", coded(b"Transfer-Encoding: chunkedx")),
    Row("te after two spaces", coded(b"Transfer-Encoding:  chunked")),
    Row("te after a tab", coded(b"Transfer-Encoding:\tchunked")),
    Row("te, space after", coded(b"Transfer-Encoding: chunked ")),
    Row("te after a vertical tab", coded(b"Transfer-Encoding: \x0bchunked")),
    Row("te after a form feed", coded(b"Transfer-Encoding: \x0cchunked")),
    Row("te after NBSP", coded(b"Transfer-Encoding: \xa0chunked")),
    Row("te ended by NUL", coded(b"Transfer-Encoding: chunked\x00")),
    Row("te gzip, chunked", coded(b"Transfer-Encoding: gzip, chunked")),
    Row("te chunked, gzip", coded(b"Transfer-Encoding: chunked, gzip")),
    Row("te chunked, chunked", coded(b"Transfer-Encoding: chunked, chunked")),
    Row("te chunked, identity", coded(b"Transfer-Encoding: chunked, identity")),
    Row("te , chunked", coded(b"Transfer-Encoding: , chunked")),
    Row("te twice", coded(TE, TE)),
    Row("te chunked then another line", coded(TE, b"Transfer-Encoding: identity")),
    Row("te identity", coded(b"Transfer-Encoding: identity")),
    Row("te empty", coded(b"Transfer-Encoding:")),
    Row("te with a parameter", coded(b"Transfer-Encoding: chunked;q=1")),
    Row("te in quotes", coded(b'Transfer-Encoding: "chunked"')),
    Row("te, space before the colon", coded(b"Transfer-Encoding : chunked")),
    Row("te folded", coded(b"Transfer-Encoding:\r\n chunked")),
    Row("te as a folded continuation", coded(b"X: y\r\n Transfer-Encoding: chunked")),
    Row("te after a bare LF", coded(b"X: y\nTransfer-Encoding: chunked")),
    Row("te after a bare CR", coded(b"X: y\rTransfer-Encoding: chunked")),
    Row("te in HTTP/1.0", coded(TE, line=LINE.replace(b"1.1", b"1.0"))),
    Row("te with a NUL in its name", coded(b"Transfer\x00-Encoding: chunked")),
    Row("te with another underscore", odd(b"Transfer_Encoding: chunked"), "allowed", seen=1),
    Row("te in capitals", build(b"TRANSFER-ENCODING: CHUNKED", body=CHUNKED), "allowed", seen=1),
    Row("te as it should be", chunks(CHUNKED), "allowed", seen=1),
]

CHUNKS = [
    Row("size with a plus", sized(b"+" + SIZE)),
    Row("size with a minus", sized(b"-" + SIZE)),
    Row("size with 0x", sized(b"0x" + SIZE)),
    Row("size after a space", sized(b" " + SIZE)),
    Row("size before a space", sized(SIZE + b" ")),
    Row("size before a tab", sized(SIZE + b"\t")),
    Row("size of 17 digits", sized(b"fffffffffffffffff")),
    Row("size 2^64-1", sized(b"ffffffffffffffff")),
    Row("size 2^64+57", sized(b"10000000000000039")),
    Row("size not hexadecimal", sized(b"zz")),
    Row("size empty", sized(b"")),
    Row("size with an underscore", sized(b"3_9")),
    Row("size ended by LF", sized(SIZE, b"\n")),
    Row("size ended by CR", sized(SIZE, b"\r")),
    Row("extension", sized(SIZE + b";a=b")),
    Row("extension without a name", sized(SIZE + b";")),
    Row("extension with a bare LF", sized(SIZE + b";a\nb")),
    Row("extension on the last chunk", chunks(SIZE + b"\r\n" + BODY + b"\r\n0;a=b\r\n\r\n")),
    Row("data longer than said", chunks(b"5\r\n" + BODY + b"\r\n" + HIDDEN)),
    Row("data without its CRLF", chunks(SIZE + b"\r\n" + BODY + HIDDEN)),
    Row("data ended by LF", chunks(SIZE + b"\r\n" + BODY + b"\n" + HIDDEN)),
    Row("last chunk ended by LF", chunks(SIZE + b"\r\n" + BODY + b"\r\n0\n\n" + SMUGGLED)),
    Row("cut, then half-close", chunks(SIZE + b"\r\n" + BODY + b"\r\n"), half_close=True),
    Row("zeros before the size", chunks(b"000" + CHUNKED), "either", seen=1),
    Row("trailer", chunks(CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n"), "either", seen=1),
    Row("trailer with a length", chunks(CHUNKED[:-2] + b"Content-Length: 500\r\n\r\n"), "either", seen=1),
    Row("trailer with te", chunks(CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"), "either", seen=1),
    Row("trailer with a host and a key", chunks(CHUNKED[:-2] + b"Host: evil\r\nAuthorization: x\r\n\r\n"), "either", seen=1),
    Row("trailer with a bare LF", chunks(CHUNKED[:-2] + b"X: y\nGET / HTTP/1.1\r\n\r\n")),
    Row("trailer that is a request line", chunks(CHUNKED[:-2] + SMUGGLED)),
    Row("trailer without a colon", chunks(CHUNKED[:-2] + b"nothing\r\n\r\n")),
    Row("trailers without end", chunks(CHUNKED[:-2] + b"X: y\r\n" * 20_000)),
]

LINES = [
    Row("HTTP/0.9", b"GET /v1/models\r\n\r\n"),
    Row("HTTP/0.9 with an LF", b"GET /v1/models\n", "either"),
    Row("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    Row("HTTP/2.0 in words", started(LINE.replace(b"1.1", b"2.0"))),
    Row("HTTP/1.2", started(LINE.replace(b"1.1", b"1.2")), "either", seen=1),
    Row("HTTP/9.9", started(LINE.replace(b"1.1", b"9.9"))),
    Row("HTTP/1.10", started(LINE.replace(b"1.1", b"1.10"))),
    Row("http in small letters", started(LINE.replace(b"HTTP", b"http"))),
    Row("another protocol", started(LINE.replace(b"HTTP", b"ICE"))),
    Row("space after the version", started(LINE + b" "), "either", seen=1),
    Row("two spaces after the method", started(LINE.replace(b"POST ", b"POST  "))),
    Row("tabs for spaces", started(LINE.replace(b" ", b"\t"))),
    Row("space in the target", started(LINE.replace(b"/chat", b"/ch at"))),
    Row("NUL in the target", started(LINE.replace(b"chat", b"ch\x00at"))),
    Row("control in the target", started(LINE.replace(b"chat", b"ch\x01at"))),
    Row("bare CR in the target", started(LINE.replace(b"chat", b"ch\rat"))),
    Row("raw UTF-8 in the target", started(LINE.replace(b"chat", "chät".encode())), "either"),
    Row("space before the method", started(b" " + LINE)),
    Row("unknown method", started(LINE.replace(b"POST", b"PWN"))),
    Row("NUL in the method", started(LINE.replace(b"POST", b"PO\x00ST"))),
    Row("small method", started(LINE.replace(b"POST", b"post"))),
    Row("CONNECT", build(line=b"CONNECT 127.0.0.1:80 HTTP/1.1", body=SMUGGLED)),
    Row("authority-form", started(b"POST gateway.test:80 HTTP/1.1")),
    Row("asterisk-form", started(b"POST * HTTP/1.1")),
    Row("relative target", started(b"POST v1/chat/completions HTTP/1.1")),
    Row("target with another scheme", started(b"POST file:///v1/chat/completions HTTP/1.1")),
    Row("absolute-form", started(b"POST http://gateway.test/v1/chat/completions HTTP/1.1"), "allowed", seen=1),
    Row("absolute-form of another host", started(b"POST http://evil.test/v1/chat/completions HTTP/1.1"), "either", seen=1),
    Row("fragment in the target", started(LINE.replace(b"ions H", b"ions#x H")), "either", seen=1),
    Row("empty line first", b"\r\n" + GOOD, "either", seen=1),
    Row("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)),
    Row("zeros", bytes(512)),
]

FIELDS = [
    Row("no host", odd(host=b"")),
    Row("two hosts that differ", odd(b"Host: evil.test")),
    Row("two hosts that agree", odd(b"Host: gateway.test")),
    Row("host with a space", odd(host=b"Host: gate way")),
    Row("host with a slash", odd(host=b"Host: gateway.test/v1")),
    Row("host with a user", odd(host=b"Host: me@gateway.test")),
    Row("host with a NUL", odd(host=b"Host: gateway\x00.test")),
    Row("host with a comma", odd(host=b"Host: a, b")),
    Row("host empty", odd(host=b"Host:"), "either", seen=1),
    Row("no host in HTTP/1.0", odd(host=b"", line=LINE.replace(b"1.1", b"1.0")), "allowed", seen=1),
    Row("space before a colon", odd(b"X-A : b")),
    Row("line without a colon", odd(b"nothing")),
    Row("empty name", odd(b": b")),
    Row("space in a name", odd(b"X A: b")),
    Row("NUL in a name", odd(b"X\x00A: b")),
    Row("DEL in a name", odd(b"X\x7fA: b")),
    Row("8-bit name", odd(b"X\xe4: b")),
    Row("bracket in a name", odd(b"X(A): b")),
    Row("folded line", odd(b"X-A: b\r\n c")),
    Row("folded by a tab", odd(b"X-A: b\r\n\tc")),
    Row("first line folded", odd(host=b" Host: gateway.test")),
    Row("NUL in a value", odd(b"X-A: b\x00c")),
    Row("control in a value", odd(b"X-A: b\x01c")),
    Row("DEL in a value", odd(b"X-A: b\x7fc")),
    Row("bare CR in a value", odd(b"X-A: b\rc")),
    Row("bare LF in a value", odd(b"X-A: b\nc")),
    Row("LF for CRLF everywhere", GOOD.replace(b"\r\n", b"\n")),
    Row("LF for CRLF at the end of the head", GOOD.replace(b"\r\n\r\n", b"\r\n\n")),
    Row("CR for CRLF everywhere", GOOD.replace(b"\r\n", b"\r"), half_close=True),
    Row("CR CR LF", GOOD.replace(b"\r\n\r\n", b"\r\r\n\r\r\n")),
    Row("underscore in a name", odd(b"X_Forwarded_For: 1.2.3.4"), "allowed", seen=1),
    Row("8-bit value", odd(b"X-A: b\xe4"), "either", seen=1),
    Row("length named by Connection", odd(b"Connection: Content-Length"), "either", seen=1),
    Row("unknown expectation", odd(b"Expect: 200-ok"), "either", seen=1),
    Row(
        "upgrade to h2c", odd(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"), "either", seen=1
    ),
    Row("upgrade to a websocket", odd(b"Connection: Upgrade", b"Upgrade: websocket"), "either", seen=1),
    Row("proxy connection", odd(b"Proxy-Connection: keep-alive"), "allowed", seen=1),
]

HIDDEN_LENGTH = b"Content-Length: %d" % len(SMUGGLED)
NO_KEY = b"\r\n".join([LINE, b"Host: gateway.test", HIDDEN_LENGTH, b"", SMUGGLED])

SEQUENCES = [
    Row("bad, then good", build(b"X : y", LENGTH) + SMUGGLED),
    Row("good, bad, good", GOOD + build(LENGTH, TE) + SMUGGLED, seen=1),
    Row("good, then a bare LF", GOOD + SMUGGLED.replace(b"\r\n", b"\n"), seen=1),
    Row("good, then rubbish", GOOD + b"rubbish\r\n\r\n" + SMUGGLED, seen=1),
    Row("good twice", GOOD + GOOD, "allowed", seen=2, answers=2),
    Row("request in the body of a GET", build(HIDDEN_LENGTH, line=b"GET /v1/models HTTP/1.1", body=SMUGGLED), "either"),
    Row("request in the body of a HEAD", build(HIDDEN_LENGTH, line=b"HEAD /v1/models HTTP/1.1", body=SMUGGLED), "either"),
    Row("request in the body of OPTIONS", build(HIDDEN_LENGTH, line=b"OPTIONS * HTTP/1.1", body=SMUGGLED), "either"),
    Row("request in the body of a 404", build(HIDDEN_LENGTH, line=b"POST /nowhere HTTP/1.1", body=SMUGGLED), "either"),
    Row("request in the body of a 405", build(HIDDEN_LENGTH, line=LINE.replace(b"POST", b"PUT"), body=SMUGGLED), "either"),
    Row("request in the body of a 401", NO_KEY, "either"),
    Row("request in a body that is no JSON", build(HIDDEN_LENGTH, body=SMUGGLED), "either"),
    Row("request behind an expectation", build(HIDDEN_LENGTH, b"Expect: 100-continue", body=SMUGGLED), "either"),
    Row("close, then good", odd(b"Connection: close") + SMUGGLED, "either", seen=1),
    Row("HTTP/1.0, then good", started(LINE.replace(b"1.1", b"1.0")) + SMUGGLED, "either", seen=1),
]

ROWS = [*LENGTHS, *CODINGS, *CHUNKS, *LINES, *FIELDS, *SEQUENCES]
