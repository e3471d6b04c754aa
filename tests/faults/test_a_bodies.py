"""A6 to A9: clients that send what nobody should: too much, too deep, folded too small."""

from __future__ import annotations

import contextlib
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from harness.client import Wire, request
from harness.gateway import KEY
from harness.invariants import Case, eventually

MIB = 2**20


def test_a6_announced_too_large(case: Case) -> None:
    """10 GB are refused by their announcement, not after they were read."""
    head = request("POST", "/v1/chat/completions", [("authorization", f"Bearer {KEY}"), ("content-length", "10000000000")])
    with case.gateway.connect() as wire:
        wire.send(head)
        reply = wire.read_reply()
        assert reply is not None
        assert (reply.status, reply.error["code"]) == (413, "too_large")
        assert wire.closed()


def test_a6_expectation_is_refused_without_100(case: Case) -> None:
    """A client that asks first must not be told to send what will be refused."""
    fields = [("authorization", f"Bearer {KEY}"), ("content-length", "10000000000"), ("expect", "100-continue")]
    answer = case.gateway.raw_request(request("POST", "/v1/chat/completions", fields))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100" not in answer.split(b"\r\n")[0]


def test_a6_expectation_is_met(case: Case) -> None:
    """Curl waits a second for the 100 before it sends a large body."""
    data = case.gateway.chat_bytes(headers=[("expect", "100-continue")])
    head = data.index(b"\r\n\r\n") + 4
    with case.gateway.connect(timeout=2) as wire:
        wire.send(data[:head])
        assert wire.line() == b"HTTP/1.1 100 Continue"
        assert wire.line() == b""
        wire.send(data[head:])
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == 200


def test_a6_endless_chunks(case: Case) -> None:
    """A body without an end is cut at the limit, and its bytes are not kept."""
    before, sent = case.gateway.rss(), 0
    fields = [("authorization", f"Bearer {KEY}"), ("transfer-encoding", "chunked")]
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    with case.gateway.connect() as wire:
        wire.send(request("POST", "/v1/chat/completions", fields))
        with contextlib.suppress(OSError):
            while sent < 300 * MIB:
                wire.send(piece)
                sent += len(piece)
        received = wire.rest(1.0)
    assert sent < 200 * MIB
    assert received == b"" or received.startswith(b"HTTP/1.1 413 ")
    eventually(lambda: case.gateway.rss() - before < 64 * MIB, "the memory of a refused body given back")


def test_a6_body_shorter_than_announced(case: Case) -> None:
    """Half a request is no request: nothing of it reaches the provider."""
    data = case.gateway.chat_bytes()
    for leave in (Wire.close, Wire.reset):
        with case.gateway.connect() as wire:
            wire.send(data[:-5])
            leave(wire)
    with case.gateway.connect() as wire:
        wire.send(data[:-5])
        wire.half_close()
        assert wire.rest(2.0)[:12] in {b"", b"HTTP/1.1 400"}
    assert case.upstream.requests == []


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/models", [(f"x-{n}", "v") for n in range(10_000)], 431),
        ("/v1/models", [("x-long", "v" * MIB)], 431),
        ("/v1/models?" + "&".join(f"a{n}=b" for n in range(10_000)), [], 414),
        ("/v1/" + "a" * 200_000, [], 414),
        ("/v1/models", [("authorization", "Bearer " + "k" * MIB)], 431),
    ],
    ids=["10k headers", "1 MiB header", "10k arguments", "200 kB path", "1 MiB key"],
)
def test_a7_oversized_heads(case: Case, target: str, headers: list[tuple[str, str]], status: int) -> None:
    """A head that never ends costs the sender its connection, not us our memory."""
    before = case.gateway.rss()
    with case.gateway.connect() as wire:
        with contextlib.suppress(OSError):
            wire.send(request("GET", target, headers))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == status
        assert wire.closed()
    assert case.gateway.rss() - before < 4 * MIB


def chat(**fields: str) -> bytes:
    """A chat body of JSON texts, not values."""
    base = {"model": '"m"', "messages": '[{"role":"user","content":"hi"}]', **fields}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in base.items()) + "}").encode()


HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "100k brackets": (b"[" * 100_000, {400}),
    "100k braces": (b'{"a":' * 100_000, {400}),
    "deep extra field": (chat(x="[" * 100_000 + "]" * 100_000), {200, 400}),
    "deep messages": (chat(messages="[" * 100_000 + "]" * 100_000), {200, 400}),
    "deep but unclosed": (chat(x="[" * 100_000), {400}),
    "1e400": (chat(temperature="1e400"), {200, 400}),
    "NaN": (chat(temperature="NaN"), {400}),
    "Infinity": (chat(temperature="Infinity"), {400}),
    "30-digit integer": (chat(n="1" * 30), {200, 400}),
    "5000-digit integer": (chat(n="1" * 5000), {200, 400}),
    "lone surrogate": (chat(user='"\\ud800"'), {200, 400}),
    "lone surrogate in the model": (chat(model='"\\ud800"'), {400, 404}),
    "NUL in the model": (chat(model='"m\\u0000"'), {400, 404}),
    "million keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}", {400, 413}),
    "long string": (chat(user='"' + "a" * 100 * MIB + '"'), {413}),
    "UTF-16": (chat().decode().encode("utf-16"), {400}),
    "UTF-8 with BOM": (b"\xef\xbb\xbf" + chat(), {200, 400}),
    "invalid UTF-8": (chat(user='"?"').replace(b"?", b"\xff\xfe"), {200, 400}),
    "invalid UTF-8 in the model": (chat(model='"?"').replace(b"?", b"\xff\xfe"), {400, 404}),
    "empty": (b"", {400}),
    "blank": (b"  \n ", {400}),
    "null": (b"null", {400}),
    "array": (b"[]", {400}),
    "string": (b'"m"', {400}),
    "number": (b"1", {400}),
    "empty object": (b"{}", {400}),
    "trailing comma": (chat()[:-1] + b",}", {400}),
    "comment": (b"/* */" + chat(), {400}),
    "two objects": (chat() + chat(), {400}),
    "cut": (chat()[:-3], {400}),
    "model is null": (chat(model="null"), {400}),
    "model is a number": (chat(model="5"), {400}),
    "model is an object": (chat(model='{"a":1}'), {400}),
    "model is empty": (chat(model='""'), {400, 404}),
    "model of 1 MiB": (chat(model='"' + "m" * MIB + '"'), {400, 404}),
    "stream is a string": (chat(stream='"yes"'), {400}),
    "stream options are a list": (chat(stream="true", stream_options="[]"), {200, 400}),
    "stream options are a number": (chat(stream="true", stream_options="7"), {200, 400}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a8_hostile_json(case: Case, name: str) -> None:
    """Whatever is in the body, it is the client's fault and never our crash."""
    body, allowed = HOSTILE[name]
    with case.gateway.connect(timeout=20) as wire:
        with contextlib.suppress(OSError):  # too large: refused while it is sent
            wire.send(case.gateway.chat_bytes(body=body))
        reply = wire.read_reply()
    if reply is None:
        assert 413 in allowed
        return
    assert reply.status in allowed
    assert reply.complete
    if reply.status >= 400:
        assert reply.error["message"]
        assert len(reply.body) < 2000, "the error repeats the body"


def test_a8_any_json(case: Case) -> None:
    """Hypothesis looks for the body nobody thought of; no answer is ever a 5xx."""
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
    names = st.sampled_from(["model", "messages", "stream", "stream_options", "n", "tools", "user", "metadata"])
    bodies = st.one_of(
        st.binary(max_size=200),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.dictionaries(names, json_values | st.just("m"), max_size=5).map(lambda value: json.dumps(value).encode()),
    )
    wires = [case.gateway.connect()]

    @examples(max_examples=300, deadline=None)
    @given(bodies)
    def never_our_fault(body: bytes) -> None:
        wires[0].send(case.gateway.chat_bytes(body=body))
        reply = wires[0].read_reply()
        assert reply is not None
        assert reply.status in {200, 400, 401, 403, 404}
        if reply.header("connection") == "close":
            wires[0].close()
            wires[0] = case.gateway.connect()

    try:
        never_our_fault()
    finally:
        wires[0].close()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-unknown", "GZIP"])
def test_a9_encoded_requests(case: Case, coding: str) -> None:
    """A body that could unfold a thousandfold is not unfolded."""
    before = case.gateway.rss()
    bomb = gzip.compress(gzip.compress(b" " * 64 * MIB))
    reply = case.gateway.chat(body=bomb, headers=[("content-encoding", coding)])
    assert reply.status == 415
    assert reply.error["message"]
    assert case.gateway.rss() - before < 8 * MIB
