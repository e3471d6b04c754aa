"""One request, several targets: what the client sees, what providers are asked, and what stands in the books."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import PROVIDER_KEY
from harness.script import END, STREAM_HEADERS, Close, Hold, chunk, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside

QUICK = {"connect": "1s", "first_byte": "300ms", "idle": "300ms", "total": "3s"}
FIRST = event({"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})


@pytest.fixture
def second() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture
def two(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """`m` goes to the first provider and then to the second; `again` to the first, three times; `mixed` to Anthropic last."""
    upstream.clear()
    base = second.url.removesuffix("/v1")
    providers = {
        "spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY},
        "claude": {"kind": "anthropic", "base_url": base, "api_key": PROVIDER_KEY},
    }
    models = {
        "m": {"targets": ["lab/tiny"], "fallbacks": ["spare/small"], "timeouts": QUICK},
        "again": {"targets": ["lab/tiny"], "retry": {"attempts": 3, "backoff": "10ms", "max_backoff": "1s"}, "timeouts": QUICK},
        "priced": {"targets": ["lab/gpt-4.1"], "retry": {"attempts": 2, "backoff": "10ms"}, "timeouts": QUICK},
        "mixed": {"targets": ["lab/tiny", "claude/claude-sonnet-4-5"], "timeouts": QUICK},
    }
    with Inside(tmp_path, upstream.url, config={"providers": providers, "models": models}) as inside:
        yield inside


def broken(status: int = 500, *headers: tuple[str, str], code: str = "") -> list[Any]:
    body = json.dumps({"error": {"message": "no", "type": "x", "code": code or None}}).encode()
    return [whole(status, body, headers=headers)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        "status=500",
        "status=429",
        "status=529",
        "status=401",
        "drop",
        "drop=rst",
        "html",
        "hold",
        "empty",
    ],
)
def test_the_client_does_not_notice(two: Inside, upstream: Upstream, second: Upstream, fault: str, stream: bool) -> None:
    """A provider fails in any way before the client saw a byte: the next one answers."""
    upstream.then(fault)
    reply = two.chat(stream=stream, nonce="n1")
    assert reply.status == 200
    assert b"n1" in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-model")) == ("spare", "small")
    assert reply.header("x-trunkline-attempts") == "2"
    assert (len(upstream.requests), len(second.requests)) == (1, 1)
    assert second.requests[0].fields["model"] == "small"
    record = two.last()
    assert (record.outcome, record.attempts, record.opened.provider, record.opened.target) == ("ok", 2, "spare", "small")


def test_a_stream_whose_first_event_is_an_error_is_a_failure(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """Anthropic and others answer 200 and then say that they are overloaded."""
    error = event({"error": {"message": "overloaded", "code": "overloaded"}})
    upstream.then([head(200, STREAM_HEADERS), chunk(error), END])
    reply = two.chat(stream=True)
    assert (reply.status, len(second.requests)) == (200, 1)
    assert b"overloaded" not in reply.body
    assert two.last().outcome == "ok"


def test_nothing_is_tried_again_once_the_client_saw_a_byte(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """It would read two beginnings."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST), Close()])
    reply = two.chat(stream=True)
    assert reply.body.startswith(FIRST)
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    assert second.requests == []
    assert (two.last().outcome, two.last().attempts) == ("upstream_broken", 1)


def test_what_the_client_did_wrong_is_told_at_once(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """Each further provider would be asked in vain, and some charge."""
    upstream.then(broken(400))
    assert two.chat().status == 400
    assert second.requests == []
    two.last()


def test_what_no_target_can_is_the_last_ones_error(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """The client must be told something, and in its own dialect."""
    upstream.then(broken(500))
    second.then(broken(503, ("retry-after", "7")))
    reply = two.chat()
    assert (reply.status, reply.header("retry-after"), reply.header("x-trunkline-attempts")) == (503, "7", "2")
    record = two.last()
    assert (record.outcome, record.attempts, record.opened.provider) == ("upstream_error", 2, "spare")


def test_a_context_that_is_too_long_goes_where_it_fits(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """A fallback with more room is there for that."""
    upstream.then(broken(400, code="context_length_exceeded"))
    assert (two.chat().status, len(second.requests)) == (200, 1)
    two.last()


def test_the_same_target_again_after_a_wait(two: Inside, upstream: Upstream) -> None:
    """A provider's bad moment is no reason for a client's error."""
    upstream.then("status=500", "status=502")
    began = time.monotonic()
    reply = two.chat(model="again")
    assert (reply.status, reply.header("x-trunkline-attempts"), len(upstream.requests)) == (200, "3", 3)
    assert time.monotonic() - began >= 0.03
    assert two.last().attempts == 3


def test_enough_is_enough(two: Inside, upstream: Upstream) -> None:
    """Retries without a bound make an outage worse."""
    upstream.then("status=500", "status=500", "status=500")
    assert (two.chat(model="again").status, len(upstream.requests)) == (500, 3)
    two.last()


@pytest.mark.parametrize(
    ("headers", "asked", "least"),
    [
        ([("retry-after-ms", "120"), ("retry-after", "30")], 2, 0.12),
        ([("retry-after", "0.1")], 2, 0.1),
        ([("retry-after", "30")], 1, 0.0),
        ([("x-should-retry", "false")], 1, 0.0),
    ],
)
def test_the_provider_says_when(
    two: Inside, upstream: Upstream, headers: list[tuple[str, str]], asked: int, least: float
) -> None:
    """Asked too soon it refuses again; where it names a long time, the client is told, and not held."""
    upstream.then(broken(429, *headers))
    began = time.monotonic()
    reply = two.chat(model="again")
    assert (len(upstream.requests), reply.status) == (asked, 200 if asked == 2 else 429)
    assert least <= time.monotonic() - began < 2
    two.last()


def test_the_next_target_may_speak_another_dialect(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """What passed as bytes to the first is translated for the second."""
    upstream.then("status=500")
    answer = {"type": "message", "id": "x", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "Hi."}]}
    answer |= {"stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 2}}
    second.then([whole(200, json.dumps(answer).encode())])
    reply = two.chat(model="mixed")
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "Hi."
    assert second.requests[0].target == "/v1/messages"
    assert (two.last().usage.input, two.last().opened.provider) == (5, "claude")


def test_what_a_failed_attempt_used_is_in_the_books(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """The first provider generated until it was given up, and will charge for it."""
    upstream.then([head(200, [("content-type", "application/json"), ("content-length", "900")]), b'{"choices": [', Close()])
    reply = two.chat()
    assert reply.status == 200
    record = two.last()
    assert record.usage.basis == "estimated"
    assert record.usage.input > 7, "the second reported 7, the first was asked the same"
    assert (record.usage.output, len(second.requests)) == (3, 1)
    assert record.cost_nano is None, "nobody knows the price of either"


def test_the_cost_is_that_of_all_attempts(two: Inside, upstream: Upstream) -> None:
    """The header would tell a client less than it will be charged."""
    cut = [head(200, [("content-type", "application/json"), ("content-length", "900")]), b'{"choices": [', Close()]
    upstream.then(cut)
    reply = two.chat(model="priced")
    record = two.last()
    assert record.cost_nano is not None
    dollars, rest = divmod(record.cost_nano, 1_000_000_000)
    assert reply.header("x-trunkline-cost-usd") == f"{dollars}.{rest:09d}"
    assert record.cost_nano == record.usage.input * 2000 + record.usage.output * 8000
    assert (record.attempts, record.usage.output, record.usage.input > 7) == (2, 3, True)


def test_all_attempts_share_one_deadline(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """A client that waits three seconds would wait three for each target."""
    slow = [head(200, STREAM_HEADERS), *([chunk(b": still here\n\n"), Hold()])]
    upstream.then(slow)
    second.then(slow)
    began = time.monotonic()
    assert two.chat(stream=True).status == 504
    assert time.monotonic() - began < 3.5
    two.last()


def test_a_client_that_leaves_while_we_wait_is_not_asked_for_again(two: Inside, upstream: Upstream) -> None:
    """Its request would be paid for, and nobody reads the answer."""
    upstream.then(broken(429, ("retry-after", "1")))
    with two.connect() as wire:
        wire.send(two.chat_bytes(model="again"))
        seen = upstream.wait_requests(1)[0]
        upstream.wait_ended(seen)
        wire.reset()
        settled = two.settled(1)
    assert (settled.outcome, settled.attempts, len(upstream.requests)) == ("client_cancelled", 1, 1)


def test_a_target_that_fails_again_and_again_is_asked_last(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """Each request would first wait for a provider that is down."""
    upstream.script("status=500")
    for _ in range(7):
        assert two.chat().status == 200
    assert len(upstream.requests) == 5
    assert len(second.requests) == 7
    assert two.settled(7).attempts == 1
    two.last()
