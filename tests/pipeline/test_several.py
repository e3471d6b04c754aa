"""Several prompts for a model that is asked one at a time: one answer, one row, and nothing that was used is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from harness.client import Reply
from harness.gateway import KEY
from harness.script import Close, Hold, Step, whole
from harness.upstream import Upstream
from pipeline.inside import Inside
from trunkline.dialects.openai_completions.prompts import MOST

MODEL = "anthropic"


def said(text: str, *, tokens: int = 2, usage: bool = True) -> list[bytes]:
    """A whole answer of the provider's."""
    told: dict[str, Any] = {
        "id": f"msg_{text}", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": text}],
    }  # fmt: skip
    if usage:
        told["usage"] = {"input_tokens": 3, "output_tokens": tokens}
    return [whole(200, json.dumps(told).encode())]


def failed(status: int) -> list[bytes]:
    """An error of the provider's."""
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}
    return [whole(status, json.dumps(told).encode())]


def complete(inside: Inside, prompts: Iterable[str], **fields: Any) -> Reply:
    """The answer to a request of these prompts."""
    return inside.ask("/v1/completions", {"model": MODEL, "prompt": list(prompts), **fields})


def test_asked_in_turn_and_answered_as_one(inside: Inside, upstream: Upstream) -> None:
    """A batch of prompts is how older programs use this API; each must get its own answer, in its own place."""
    upstream.then(said("A"), said("B", tokens=5))
    reply = complete(inside, ["a", "b"], echo=True, max_tokens=9)
    told = json.loads(reply.body)
    assert [(one["index"], one["text"], one["finish_reason"]) for one in told["choices"]] == [
        (0, "aA", "stop"),
        (1, "bB", "stop"),
    ]
    assert (told["id"], told["object"]) == ("msg_A", "text_completion")
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (6, 7)
    asked = [seen.fields for seen in upstream.requests]
    assert [(one["messages"][0]["content"][0]["text"], one["max_tokens"]) for one in asked] == [("a", 9), ("b", 9)]
    settled = inside.settled(1)
    assert (settled.outcome, settled.finish, settled.usage.input, settled.usage.output) == ("ok", "end_turn", 6, 7)
    assert len(json.loads(settled.raw_usage)) == 2
    assert len(inside.books.opened) == 1


def test_the_price_is_that_of_all(inside: Inside, upstream: Upstream) -> None:
    """Half a bill would be paid by the operator."""
    upstream.then(said("A"))
    one = inside.ask("/v1/completions", {"model": MODEL, "prompt": "a"})
    upstream.then(said("A"), said("B"))
    two = complete(inside, ["a", "b"])
    alone, both = inside.settled(1).cost_nano, inside.settled(2).cost_nano
    assert alone
    assert both == 2 * alone
    assert float(two.header("x-trunkline-cost-usd") or 0) == 2 * float(one.header("x-trunkline-cost-usd") or 0)


def test_a_stream_asked_for_is_given(inside: Inside, upstream: Upstream) -> None:
    """The client reads events, whatever is behind them."""
    upstream.then(said("A"), said("B"))
    reply = complete(inside, ["a", "b"], stream=True, stream_options={"include_usage": True})
    assert reply.header("content-type") == "text/event-stream"
    *events, done, rest = reply.body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    chunks = [json.loads(one.removeprefix(b"data: ")) for one in events]
    texts = [(one["index"], one["text"], one["finish_reason"]) for chunk in chunks for one in chunk["choices"]]
    assert texts == [(0, "A", None), (0, "", "stop"), (1, "B", None), (1, "", "stop")]
    assert chunks[-1]["usage"]["total_tokens"] == 10
    assert all("stream" not in seen.fields or seen.fields["stream"] is False for seen in upstream.requests)
    assert inside.settled(1).opened.stream is True


@pytest.mark.parametrize(
    ("answer", "basis"),
    [
        (failed(529), "reported"),
        ([whole(200, b"{}")], "reported"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", Close()], "estimated"),
    ],
)
def test_one_that_fails_fails_all_and_what_was_used_is_booked(
    inside: Inside, upstream: Upstream, answer: list[Step], basis: str
) -> None:
    """Half an answer would be taken for the whole; but the first was paid for, and one that was begun may be."""
    upstream.then(said("A", tokens=5), answer)
    reply = complete(inside, ["a", "b", "c"])
    assert reply.status >= 500
    assert len(upstream.requests) == 2
    settled = inside.settled(1)
    assert (settled.usage.input, settled.usage.output, settled.usage.basis) == (3, 5, basis)
    assert settled.cost_nano
    assert settled.outcome != "ok"


def test_a_client_that_leaves_stops_it(inside: Inside, upstream: Upstream) -> None:
    """Nobody waits for the other answers, so nobody pays for them; the one that was being made may be charged for."""
    upstream.then(said("A", tokens=5), [Hold()])
    with inside.connect() as wire:
        body = json.dumps({"model": MODEL, "prompt": ["a", "b", "c"]}).encode()
        wire.send(inside_head(inside, len(body)) + body)
        upstream.wait_requests(2)
    upstream.wait_ended(upstream.requests[1])
    settled = inside.settled(1)
    assert (settled.outcome, settled.usage.output, settled.usage.basis) == ("client_cancelled", 5, "estimated")
    assert len(upstream.requests) == 2


def inside_head(inside: Inside, size: int) -> bytes:
    """The head of a request by hand."""
    host, port = inside.listen
    return (
        f"POST /v1/completions HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    ).encode()


def test_usage_that_nobody_told_is_guessed(inside: Inside, upstream: Upstream) -> None:
    """A provider that counts nothing is still paid; the row says that it is a guess."""
    upstream.then(said("A"), said("B" * 40, usage=False))
    assert complete(inside, ["a" * 400, "b" * 400]).status == 200
    usage = inside.settled(1).usage
    assert usage.basis == "estimated"
    assert usage.input > 100
    assert usage.output == 2 + 10


def test_too_many_are_refused_before_any_is_asked(inside: Inside, upstream: Upstream) -> None:
    """One request must not become a thousand."""
    reply = complete(inside, ["a"] * (MOST + 1))
    assert (reply.status, reply.error["param"]) == (400, "prompt")
    assert upstream.requests == []


def test_the_deadline_is_that_of_all(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> None:
    """Twenty prompts must not take twenty times as long as the operator allows a request."""
    upstream.clear()
    lab: dict[str, Any] = {"kind": "anthropic", "base_url": upstream.url.removesuffix("/v1"), "api_key": "none"}
    lab["timeouts"] = {"total": "1s", "first_byte": "60s"}
    with Inside(tmp_path_factory.mktemp("brief"), upstream.url, config={"providers": {"brief": lab}}) as brief:
        upstream.then(said("A", tokens=5), [Hold()])
        reply = brief.ask("/v1/completions", {"model": "brief/claude-sonnet-4-5", "prompt": ["a", "b"]})
        assert reply.status == 504
        assert brief.settled(1).usage.output == 5


def test_the_bound_of_an_answer_is_that_of_all(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> None:
    """Answers are held in memory until the last is there."""
    upstream.clear()
    lab = {"kind": "anthropic", "base_url": upstream.url.removesuffix("/v1"), "api_key": "none", "max_answer": 1500}
    with Inside(tmp_path_factory.mktemp("small"), upstream.url, config={"providers": {"small": lab}}) as small:
        upstream.then(said("A" * 300), said("B" * 300))
        reply = small.ask("/v1/completions", {"model": "small/claude-sonnet-4-5", "prompt": ["a", "b"]})
        assert (reply.status, len(upstream.requests)) == (502, 2)
        assert small.settled(1).usage.output == 4


def test_the_builtin_provider_answers_each(inside: Inside) -> None:
    """It needs no account, so it is what a newcomer tries."""
    reply = complete(inside, ["one", "two three"], model="echo/echo")
    assert [one["text"] for one in json.loads(reply.body)["choices"]] == ["one", "two three"]


def test_a_model_that_takes_several_at_once_is_asked_once(inside: Inside, upstream: Upstream) -> None:
    """What passes as it is costs one request, and is the provider's own answer."""
    upstream.then([whole(200, b'{"choices":[{"text":"x","index":0,"finish_reason":"stop"}]}')])
    assert complete(inside, ["a", "b"], model="m").status == 200
    assert upstream.requests[0].fields["prompt"] == ["a", "b"]
    assert upstream.requests[0].target == "/v1/completions"


def test_what_looks_like_state_passes_as_text(inside: Inside, upstream: Upstream) -> None:
    """A prompt may begin with any letters; it must reach the model as it is, with all that stands beside it."""
    upstream.then([whole(200, b'{"choices":[{"text":"x","index":0,"finish_reason":"stop"}]}')])
    body = {"model": "m", "prompt": "dGwx", "echo": True}
    assert inside.ask("/v1/completions", body).status == 200
    assert upstream.requests[0].fields == {**body, "model": "tiny"}
