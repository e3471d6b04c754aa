"""The answer on its way to the client: bytes as they came, and no status before it is known to be good."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from harness.gateway import KEY, PROVIDER_KEY
from harness.script import DONE, END, STREAM_HEADERS, Close, Hold, Pause, chunk, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import ORIGIN, Inside
from trunkline.edge.answer import Answer

FIRST = event({"choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None}]})
LAST = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}})
ERROR = event({"error": {"message": f"overloaded, {PROVIDER_KEY}", "type": "server_error", "code": None}})
COMMENT = b": PROCESSING\n\n"


def answer(*events: bytes, end: bytes = END) -> list[bytes]:
    """A streamed answer of these pieces, each in a write of its own."""
    return [head(200, STREAM_HEADERS), *(chunk(one) for one in events), end]


def test_headers_of_a_whole_answer(inside: Inside, upstream: Upstream) -> None:
    """Who answered, under which id, at what price: 2 dollars per million in and 8 out, 7 and 3 tokens of gpt-4.1."""
    reply = inside.chat(model="priced", headers=[("origin", ORIGIN)])
    expected = {
        "x-trunkline-provider": "lab",
        "x-trunkline-model": "gpt-4.1",
        "x-trunkline-attempts": "1",
        "x-trunkline-cost-usd": "0.000038000",
        "content-type": "application/json",
        "access-control-allow-origin": ORIGIN,
    }
    assert {name: reply.header(name) for name in expected} == expected
    assert reply.header("x-request-id") == inside.books.opened[0].id
    settled = inside.last()
    assert settled.cost_nano == 38_000
    assert settled.price_version == inside.parts.prices.listed
    assert json.loads(settled.raw_usage) == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def test_no_price_is_no_cost(inside: Inside) -> None:
    """An unknown price must not look like a gift."""
    assert inside.chat().header("x-trunkline-cost-usd") is None
    assert (inside.last().cost_nano, inside.last().price_version) == (None, "")


def test_echo_is_free(inside: Inside) -> None:
    """Known to cost nothing is something else than not known."""
    reply = inside.chat(model="echo/echo")
    assert reply.content == "hello"
    assert reply.header("x-trunkline-cost-usd") == "0.000000000"
    assert inside.last().cost_nano == 0


@pytest.mark.parametrize("asked", [True, False])
def test_the_usage_chunk_is_for_who_asked(inside: Inside, upstream: Upstream, asked: bool) -> None:
    """Clients that did not ask break on a chunk without choices; those that did wait for it."""
    upstream.then(answer(FIRST, LAST, USAGE, DONE))
    options = {"stream_options": {"include_usage": True}} if asked else {}
    reply = inside.chat(model="priced", stream=True, **options)
    assert reply.body == (FIRST + LAST + USAGE + DONE if asked else FIRST + LAST + DONE)
    assert reply.header("cache-control") == "no-cache"
    assert reply.header("x-trunkline-cost-usd") is None, "not known when the head goes out"
    assert inside.last().cost_nano == 7 * 2000 + 8000


def test_a_first_event_that_is_an_error_is_an_error(inside: Inside, upstream: Upstream) -> None:
    """SDKs retry a status, not an event: a 200 that fails at once is answered as a failure, without our credential."""
    upstream.then(answer(COMMENT, ERROR))
    reply = inside.chat(stream=True)
    assert reply.status == 502
    assert reply.error["message"] == "overloaded, ***"
    assert reply.header("content-type") == "application/json"
    settled = inside.last()
    assert (settled.outcome, settled.status, settled.first_byte_us) == ("upstream_error", 502, 0)


def test_comments_before_the_first_event(inside: Inside, upstream: Upstream) -> None:
    """They are kept, in order, and go out with the first event: nothing is known to be good before it."""
    upstream.then(
        [head(200, STREAM_HEADERS), chunk(COMMENT), Hold(), chunk(COMMENT), chunk(FIRST), chunk(LAST), chunk(DONE), END]
    )
    with inside.connect() as wire:
        wire.send(inside.chat_bytes(model="patient", stream=True))
        upstream.wait(lambda: upstream.requests and upstream.requests[0].sent > len(COMMENT))
        assert not wire.closed(0.05)
        assert wire.received == b"", "no status yet"
        upstream.release()
        reply = wire.read_reply()
    assert reply is not None
    assert reply.body == COMMENT * 2 + FIRST + LAST + DONE


def test_a_stream_of_comments_only(inside: Inside, upstream: Upstream) -> None:
    """They are held in memory, so there is a bound to them."""
    upstream.then([head(200, STREAM_HEADERS), chunk(COMMENT * 6000), Hold()])
    reply = inside.chat(stream=True)
    assert reply.status == 502
    assert "comments" in reply.error["message"]
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}


@pytest.mark.parametrize("events", [(), (COMMENT,)])
def test_an_empty_stream(inside: Inside, upstream: Upstream, events: tuple[bytes, ...]) -> None:
    """No event at all is a failure, not an empty success."""
    upstream.then(answer(*events))
    reply = inside.chat(stream=True)
    assert reply.status == 502
    assert inside.last().error == "upstream_protocol"


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        (answer(FIRST), "upstream_broken"),
        (answer(FIRST, b"data: {half"), "upstream_broken"),
        ([head(200, STREAM_HEADERS), chunk(FIRST), Close()], "upstream_broken"),
        ([head(200, STREAM_HEADERS), chunk(FIRST), b"zz\r\n", Close()], "upstream_protocol"),
        ([head(200, STREAM_HEADERS), chunk(FIRST), Pause(5.0)], "upstream_timeout"),
    ],
    ids=["no finish", "half an event", "cut", "not HTTP", "silence"],
)
def test_a_broken_stream_never_looks_like_a_clean_end(
    inside: Inside, upstream: Upstream, steps: list[object], error: str
) -> None:
    """What came goes out, then an error event; no finish, no [DONE]: half an answer must not be taken for a whole one."""
    upstream.then(steps)  # type: ignore[arg-type]
    reply = inside.chat(stream=True)
    assert (reply.status, reply.complete) == (200, True)
    assert reply.body.startswith(FIRST)
    rest = reply.body[len(FIRST) :]
    assert json.loads(rest.removeprefix(b"data: "))["error"]["code"] == error
    assert b"[DONE]" not in rest
    assert b"half" not in rest
    settled = inside.last()
    assert (settled.outcome, settled.error, settled.status) == ("upstream_broken", error, 200)
    assert settled.usage.basis == "estimated"
    assert settled.usage.output >= 1


def test_an_error_in_mid_stream_goes_through(inside: Inside, upstream: Upstream) -> None:
    """The provider's own event says it best; the row says that it failed."""
    error = event({"error": {"message": "too long", "type": "server_error"}})
    upstream.then(answer(FIRST, error))
    reply = inside.chat(stream=True)
    assert reply.body == FIRST + error
    assert (inside.last().outcome, inside.last().status) == ("upstream_error", 200)


@pytest.mark.parametrize("events", [(FIRST, LAST, DONE.rstrip()), (LAST.rstrip(),), (COMMENT, LAST.rstrip())])
def test_the_last_blank_line_left_out(inside: Inside, upstream: Upstream, events: tuple[bytes, ...]) -> None:
    """Some servers end without it: what was held back for it still goes out, be it the only event."""
    upstream.then(answer(*events))
    reply = inside.chat(stream=True)
    assert (reply.status, reply.body) == (200, b"".join(events))
    assert inside.last().outcome == "ok"


def test_a_finish_without_an_end_mark(inside: Inside, upstream: Upstream) -> None:
    """Servers that send no [DONE] finished all the same; none is invented."""
    upstream.then(answer(FIRST, LAST))
    assert inside.chat(stream=True).body == FIRST + LAST
    assert inside.last().outcome == "ok"


def test_a_client_that_leaves_after_the_end_mark_has_its_answer(inside: Inside, upstream: Upstream) -> None:
    """Codex hangs up as soon as it has read the last event: the books would call every turn of it cancelled."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST + LAST + DONE), Hold()])
    with inside.stream(model="patient") as stream:
        while stream.next() != b"[DONE]":
            pass
        stream.wire.reset()
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}
    assert inside.settled(1).outcome == "ok"
    inside.last()


def test_a_stream_nobody_asked_for(inside: Inside, upstream: Upstream) -> None:
    """A client that waits for JSON cannot read events; and what is not read must not go on being generated."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST), Hold()])
    reply = inside.chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_protocol")
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}


def test_a_whole_answer_where_a_stream_was_asked_for(inside: Inside, upstream: Upstream) -> None:
    """Some servers cannot stream: the client gets what it would have got from them directly."""
    body = b'{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}'
    upstream.then([whole(200, body)])
    reply = inside.chat(stream=True)
    assert (reply.status, reply.body, reply.header("content-type")) == (200, body, "application/json")
    assert (inside.last().outcome, inside.last().usage.input) == ("ok", 2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_whole_answer_has_a_bound(upstream: Upstream, tmp_path: Path, stream: bool) -> None:
    """It is held in memory: where a stream was asked for too, the bound is that of whole answers."""
    provider = {"kind": "openai", "base_url": upstream.url, "api_key": PROVIDER_KEY, "max_answer": "64KiB"}
    upstream.clear()
    upstream.then([head(200, [("content-type", "application/json"), ("content-length", "9000000")]), b" " * 70_000, Hold()])
    with Inside(tmp_path, upstream.url, config={"providers": {"lab": provider}}) as inside:
        reply = inside.chat(stream=stream)
        assert reply.status == 502
        assert "larger than 65536" in reply.error["message"]
        assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}
        inside.last()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ok": true}', b'{"choices": '])
def test_a_whole_answer_that_is_none(inside: Inside, upstream: Upstream, body: bytes) -> None:
    """A 200 that is not a completion would crash the client's SDK; it is a 502 with a reason."""
    upstream.then([whole(200, body)])
    reply = inside.chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_protocol")


def test_an_error_inside_a_200(inside: Inside, upstream: Upstream) -> None:
    """OpenRouter answers so: for the client it is the failure that it is."""
    upstream.then([whole(200, json.dumps({"error": {"message": "no credits", "code": 402}}).encode())])
    reply = inside.chat()
    assert (reply.status, reply.error["message"]) == (402, "no credits")


def test_a_slow_client_slows_the_provider(inside: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client does not read must wait at the provider, not in our memory; when it reads, all of it comes."""
    paused, resumed = threading.Event(), threading.Event()
    for name, seen in (("pause", paused), ("resume", resumed)):
        real = getattr(Answer, name)
        monkeypatch.setattr(Answer, name, lambda answer, real=real, seen=seen: (real(answer), seen.set())[0])
    with inside.stream(model="patient", mock="frames=1000;size=30000", receive_buffer=4096) as stream:
        assert paused.wait(5)
        assert not resumed.is_set()
        assert upstream.requests[0].ended == ""
        events = stream.rest()
    assert resumed.is_set()
    assert (len(events), events[-1]) == (1002, b"[DONE]")
    assert inside.last().outcome == "ok"


def test_http_1_0(inside: Inside) -> None:
    """An old client cannot read chunks: it gets the events bare, and the end of the connection as their end."""
    body = json.dumps({"model": "m", "messages": [], "stream": True}).encode()
    with inside.connect() as wire:
        wire.send(
            b"POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
            % (KEY.encode(), len(body), body)
        )
        sent = wire.rest()
    assert b"transfer-encoding" not in sent
    assert sent.endswith(DONE)


def test_an_error_as_the_last_event_without_its_blank_line_is_scrubbed(inside: Inside, upstream: Upstream) -> None:
    """The rest at the end goes out by the same gate as everything else: no credential passes it."""
    upstream.then(answer(FIRST, ERROR.rstrip(b"\n")))
    stream = inside.chat(stream=True).body
    assert PROVIDER_KEY.encode() not in stream
    assert b"overloaded, ***" in stream


def test_one_choice_that_finished_does_not_finish_the_other(inside: Inside, upstream: Upstream) -> None:
    """With n=2 a provider that dies after the first choice's end must not look like a clean end."""
    both = event({"choices": [{"index": at, "delta": {"content": "x"}, "finish_reason": None} for at in (0, 1)]})
    upstream.then(answer(both, LAST))
    assert b'"error"' in inside.chat(stream=True).body
    assert inside.last().outcome == "upstream_broken"


def test_after_the_end_mark_nothing_is_added(inside: Inside, upstream: Upstream) -> None:
    """A provider that says [DONE] and keeps the line open is late with nothing the client waits for."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST), chunk(LAST), chunk(DONE), Hold()])
    assert inside.chat(stream=True).body.rstrip().endswith(b"[DONE]")
    assert inside.last().outcome == "ok"


def test_an_error_after_half_an_event_stands_alone(inside: Inside, upstream: Upstream) -> None:
    """An event too long to be held goes out as it comes; the error that ends it must still be an event of its own."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST), chunk(b"data: " + b"x" * 300_000), Close()])
    last = inside.chat(stream=True).body.rstrip().rpartition(b"\n\n")[2]
    assert "error" in json.loads(last.removeprefix(b"data: "))


def test_a_whole_answer_without_usage_is_estimated(inside: Inside, upstream: Upstream) -> None:
    """Tokens that nobody reported were still spent; the ledger says so, and says that it guesses."""
    body = {"choices": [{"message": {"content": "x" * 400}, "finish_reason": "stop"}]}
    upstream.then([whole(200, json.dumps(body).encode())])
    inside.chat()
    settled = inside.last()
    assert (settled.usage.basis, settled.outcome) == ("estimated", "ok")
    assert 90 <= settled.usage.output <= 120
    assert settled.usage.input > 0


def test_a_hang_before_the_answer_is_estimated(inside: Inside, upstream: Upstream) -> None:
    """We hung up on a provider that was working, and will be charged for the prompt."""
    upstream.then([Hold()])
    assert inside.chat().status == 504
    assert inside.last().usage.basis == "estimated"
