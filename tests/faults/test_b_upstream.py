"""B1, B2, B3, B6, B7, B8: providers that hang, break, lie or send us elsewhere."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from harness.client import Stream, request
from harness.gateway import KEY, PROVIDER_KEY, Gateway, Make, settings
from harness.invariants import Case, eventually
from harness.script import END, STREAM_HEADERS, Close, Hold, Pause, Reset, Step, chunk, completion, delta, head
from harness.upstream import Upstream

pytestmark = pytest.mark.usefixtures("own_target")
TICK = 0.4
"""How late a deadline may be noticed, on a busy machine."""


def broken(stream: Stream, frames: int) -> bytes:
    """Read a stream that must break after `frames` frames: an error event, no [DONE], the framing whole. The error."""
    events = stream.rest()
    assert stream.complete, "the client sees a reset, not an error"
    assert len(events) == frames + 1, events
    assert b'"error"' in events[-1]
    assert b"[DONE]" not in events
    return events[-1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mock", ["hold", "headonly;frames=3"])
def test_b1_hang_before_the_first_byte(case: Case, mock: str, stream: bool) -> None:
    """A provider that says nothing costs its deadline and no more: 504 in our words, its connection closed."""
    if mock.startswith("headonly") and not stream:
        case.upstream.script(lambda _: [head(200, [("content-length", "10")]), Hold()])
    begin = time.monotonic()
    reply = case.gateway.chat(mock=mock, stream=stream)
    took = time.monotonic() - begin
    assert reply.status == 504
    assert reply.error["message"]
    assert 0.4 < took < 0.5 + TICK
    assert len(case.upstream.requests) == 1
    assert case.upstream.wait_ended(case.upstream.requests[0]) in {"eof", "rst"}
    case.outcomes = ["upstream_error"]


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose backlog is full: a connection to it neither opens nor is refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


def test_b1_connection_never_opens(make_gateway: Make) -> None:
    """A firewall that drops packets is noticed by the connect deadline."""
    with full_listener() as port:
        gateway = make_gateway(settings(f"http://127.0.0.1:{port}/v1"))
        begin = time.monotonic()
        reply = gateway.chat()
        assert reply.status in {502, 504}
        assert reply.error["message"]
        assert 0.9 < time.monotonic() - begin < 1.0 + 2 * TICK
        eventually(lambda: [row["outcome"] for row in gateway.ledger()] == ["upstream_error"], "its row")
        assert gateway.in_flight() == 0


def test_b1_nobody_listens(upstream: Upstream, make_gateway: Make) -> None:
    """A refused connection is 502, at once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gateway = make_gateway(settings(f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
        begin = time.monotonic()
        reply = gateway.chat()
    assert reply.status == 502
    assert str(unused) not in reply.body.decode()
    assert "127.0.0.1" not in reply.error["message"], "the error tells an internal address"
    assert time.monotonic() - begin < TICK
    eventually(lambda: [row["outcome"] for row in gateway.ledger()] == ["upstream_error"], "its row")


def test_b1_too_many_wait(upstream: Upstream, make_gateway: Make) -> None:
    """Waiting for a connection is bounded: 503 and when to come back, never a pile-up."""
    pool = {"max_connections": 1, "max_waiting": 1, "wait": "300ms"}
    gateway = make_gateway(settings(upstream.url, provider={"pool": pool}))
    case = Case(gateway, upstream)
    case.begin()
    with gateway.connect() as first, gateway.connect() as second:
        first.send(gateway.chat_bytes(model="patient", mock="hold"))
        upstream.wait_requests(1)
        second.send(gateway.chat_bytes(model="patient"))
        eventually(lambda: gateway.in_flight() == 2, "the second waits")
        begin = time.monotonic()
        reply = gateway.chat()
        assert time.monotonic() - begin < 0.2, "the third waited, where no place was free"
        assert reply.status == 503
        assert int(reply.header("retry-after") or 0) >= 1
        waited = second.read_reply()
        assert waited is not None
        assert waited.status == 503
        upstream.release()
        served = first.read_reply()
        assert served is not None
        assert served.status == 200
    case.rows = 3
    case.check()


def test_b2_hang_in_mid_stream(case: Case) -> None:
    """A stream that falls silent ends with an error the SDK raises, not with a clean finish or a client that waits for ever."""
    begin = time.monotonic()
    with case.gateway.stream(mock="frames=8;hang_at=3") as stream:
        assert stream.status == 200
        broken(stream, 3)
    assert 0.4 < time.monotonic() - begin < 0.5 + TICK
    assert case.upstream.wait_ended(case.upstream.requests[0]) in {"eof", "rst"}
    case.outcomes = ["upstream_broken"]


def test_b2_slow_but_steady_is_no_hang(case: Case) -> None:
    """The idle deadline runs between pieces, not over the whole answer."""
    with case.gateway.stream(mock="frames=6;gap=250") as stream:
        events = stream.rest()
    assert (events[-1], stream.complete) == (b"[DONE]", True)


BREAKS = [
    "frames=8;rst_at=4",
    "frames=8;eof_at=4",
    "frames=8;badchunk_at=4",
    "frames=4;gap=30;eof_at=4",
    "frames=8;gap=10;rst_at=4",
]


@pytest.mark.parametrize("mock", BREAKS)
def test_b3_break_in_mid_stream(case: Case, mock: str) -> None:
    """A stream that broke never looks like a clean end, however its connection died."""
    with case.gateway.stream(mock=mock) as stream:
        assert stream.status == 200
        broken(stream, 4)
    eventually(case.new_rows, "a row")
    assert case.new_rows()[0]["output_tokens"] > 0, "the part that was streamed is not accounted"
    case.outcomes = ["upstream_broken"]


@pytest.mark.parametrize("mock", ["rst_at=0", "eof_at=0", "frames=1;badchunk_at=0", "drop", "drop=rst", "frames=1;error_at=0"])
def test_b3_break_before_the_first_event(case: Case, mock: str) -> None:
    """While the client has seen nothing, a broken stream is a status it can act on."""
    reply = case.gateway.chat(stream=True, mock=mock)
    assert reply.status >= 500
    assert reply.error["message"]
    assert reply.header("content-type") == "application/json"
    # a reused connection that dies without a byte is tried once more, silently
    assert len(case.upstream.requests) <= (2 if mock.startswith("drop") else 1)
    case.rows = 1


def test_b3_stream_ends_without_finish(case: Case) -> None:
    """Clean framing around an unfinished answer is still a broken answer."""
    case.upstream.script(lambda seen: [head(200, STREAM_HEADERS), chunk(delta(seen, "half")), chunk(delta(seen, "way")), END])
    with case.gateway.stream() as stream:
        broken(stream, 2)
    case.outcomes = ["upstream_broken"]


def test_b3_frame_cut_in_two(case: Case) -> None:
    """Half an event must not be glued to our error event."""
    half = b'data: {"id":"x","choices":[{"delta":{"content":"ha'
    case.upstream.script(lambda seen: [head(200, STREAM_HEADERS), chunk(delta(seen, "one")), chunk(half), Pause(0.05), Reset()])
    with case.gateway.stream() as stream:
        broken(stream, 1)


def test_b3_error_event_in_mid_stream(case: Case) -> None:
    """What the provider itself says about its failure reaches the client, and nothing follows it."""
    with case.gateway.stream(mock="frames=8;error_at=3") as stream:
        assert b"mock broke" in broken(stream, 3)
    assert case.gateway.in_flight() == 0


def test_b3_the_sdk_raises(case: Case) -> None:
    """The official SDK must see a broken stream as an exception: this is what the error event is for."""
    url = f"http://{case.gateway.listen[0]}:{case.gateway.listen[1]}/v1"
    ask: dict[str, Any] = {"model": case.gateway.model, "messages": [{"role": "user", "content": "hi"}]}
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        stream = client.chat.completions.create(**ask, stream=True, extra_body={"x_mock": "frames=8;rst_at=4"})
        assert len([next(stream) for _ in range(4)]) == 4
        with pytest.raises(openai.APIError):
            next(stream)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ask, extra_body={"x_mock": "short"})


def rst_in_body() -> list[Step]:
    """Half of a whole answer, then RST."""
    return [head(200, [("content-type", "application/json"), ("content-length", "1000")]) + b"{" * 500, Pause(0.05), Reset()]


@pytest.mark.parametrize("mock", ["short", "cut", "rst", "drop", "drop=rst"])
def test_b3_whole_answer_cut(case: Case, mock: str) -> None:
    """Half an answer is never a 200 that is too short."""
    if mock == "rst":
        case.upstream.script(lambda _: rst_in_body())
    reply = case.gateway.chat(mock=mock)
    assert reply.status == 502
    assert reply.error["message"]
    case.rows = 1


BAD_ANSWERS = {
    "html": "html",
    "empty": "empty",
    "no json": "raw=SFRUUC8xLjEgMjAwIE9LDQpjb250ZW50LXR5cGU6IGFwcGxpY2F0aW9uL2pzb24NCmNvbnRlbnQtbGVuZ3RoOiAzDQoNCnllcw==",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
@pytest.mark.parametrize("stream", [False, True])
def test_b6_200_that_is_none(case: Case, name: str, stream: bool) -> None:
    """A proxy's login page is not a completion; its text is for the operator's log, not for the client."""
    reply = case.gateway.chat(mock=BAD_ANSWERS[name], stream=stream)
    assert reply.status == 502
    assert reply.error["message"]
    assert b"It works" not in reply.body
    case.outcomes = ["upstream_error"]


@pytest.mark.parametrize("stream", [False, True])
def test_b6_200_with_an_error_in_it(case: Case, stream: bool) -> None:
    """An error under a friendly status is an error."""
    body = b'{"error":{"message":"no capacity","type":"server_error","code":"busy","param":null}}'
    case.upstream.script(
        lambda _: [head(200, [("content-type", "application/json"), ("content-length", str(len(body)))]) + body]
    )
    reply = case.gateway.chat(stream=stream)
    assert reply.status >= 500
    assert reply.error["message"]


def test_b6_wrong_content_type(case: Case) -> None:
    """A good answer under a wrong label is served or refused, never mangled."""

    def mislabelled(seen: object) -> list[Step]:
        body = completion(case.upstream.requests[-1])
        return [head(200, [("content-type", "text/plain"), ("content-length", str(len(body)))]) + body]

    case.upstream.script(mislabelled)
    reply = case.gateway.chat(nonce="labelled")
    assert reply.status in {200, 502}
    if reply.status == 200:
        assert reply.content == "labelled"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503, 529])
def test_b6_errors_keep_their_status(case: Case, status: int) -> None:
    """SDKs decide by status whether to try again: the provider's own goes through, with its words and its retry-after."""
    for stream in (False, True):
        reply = case.gateway.chat(mock=f"status={status};retry_after=2", stream=stream)
        assert reply.status == status
        assert reply.error["message"] == "mock says no"
        if status in {429, 503}:
            assert reply.header("retry-after") == "2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_b7_redirects_are_not_followed(case: Case, status: int) -> None:
    """A redirect would carry the provider's key to wherever it points."""
    with Upstream() as canary:
        place = f"http://127.0.0.1:{canary.port}/v1/chat/completions"
        case.upstream.script(lambda _: [head(status, [("location", place), ("content-length", "0")])])
        reply = case.gateway.chat()
        assert reply.status == 502
        assert reply.header("location") is None
        assert canary.accepted == 0
        assert PROVIDER_KEY.encode() not in reply.body


def test_b8_provider_closes_idle_connections(case: Case) -> None:
    """A keep-alive timeout that meets a new request must not surface, and must not charge twice. Seeded; the seed is shown."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    case.upstream.script("close_after=20")
    gateway, rounds = case.gateway, 120
    with gateway.connect() as wire:
        for number in range(rounds):
            wire.send(gateway.chat_bytes(nonce=str(number)))
            reply = wire.read_reply()
            assert reply is not None
            assert reply.status == 200, f"seed {seed}, round {number}: {reply.body!r}"
            assert reply.content == str(number)
            time.sleep(dice.uniform(0.017, 0.023))
    assert len(case.upstream.requests) == rounds, f"seed {seed}: a request was sent twice"


def test_b8_one_silent_retry_and_only_on_a_reused_connection(case: Case) -> None:
    """A fresh connection that dies may have cost money: it is not tried again."""
    gateway = case.gateway
    case.upstream.reset_all()
    case.upstream.wait(lambda: case.upstream.open == 0)
    assert gateway.chat(mock="drop").status == 502
    assert len(case.upstream.requests) == 1
    assert gateway.chat().status == 200
    case.upstream.then([Reset()])
    reply = gateway.chat(nonce="again")
    assert (reply.status, reply.content) == (200, "again")
    assert len(case.upstream.requests) == 4
    case.upstream.then([Reset()], [Reset()])
    assert gateway.chat().status == 502
    case.rows = 4


def test_b8_no_retry_after_a_byte(case: Case) -> None:
    """One byte of an answer means the provider works on it: trying again would pay twice."""
    assert case.gateway.chat().status == 200
    case.upstream.then([b"H", Pause(0.02), Close()])
    assert case.gateway.chat().status == 502
    assert len(case.upstream.requests) == 2


def test_b8_keep_alive_is_used(case: Case, gateway: Gateway) -> None:
    """Every new connection to a provider costs two round trips: one after another share one."""
    gateway.chat()
    accepted = case.upstream.accepted
    with gateway.connect() as wire:
        for _ in range(20):
            wire.send(request("GET", "/healthz", []))
            assert wire.read_reply() is not None
            wire.send(gateway.chat_bytes())
            assert wire.read_reply() is not None
    assert case.upstream.accepted == accepted
