"""One request, several targets: what the client sees, what providers are asked, and what stands in the books."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import PROVIDER_KEY
from harness.invariants import eventually
from harness.script import END, STREAM_HEADERS, Close, Hold, chunk, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside
from trunkline.pipeline.trail import read

QUICK = {"connect": "1s", "first_byte": "300ms", "idle": "300ms", "total": "3s"}
FIRST = event({"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})


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
        "round": {"targets": ["lab/tiny", "spare/small"], "retry": {"attempts": 3, "backoff": "10ms"}, "timeouts": QUICK},
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


_NOTHING = {"role": "assistant", "content": ""}
FILTERED: dict[str, Any] = {
    "openai": {"choices": [{"index": 0, "message": _NOTHING, "finish_reason": "content_filter"}]},
    "anthropic": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "x", "stop_reason": "refusal"},
    "gemini": {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
}
"""What each API says where a filter left nothing."""


@pytest.fixture
def filtering(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """`m` and `to-…` go to the first provider, as one of that kind, and then to the second; `alone` to the first only."""
    upstream.clear()
    providers: dict[str, Any] = {"spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY}}
    models: dict[str, Any] = {
        "alone": {"targets": ["lab/gpt-4.1"], "timeouts": QUICK},
        "m": {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/gpt-4.1-mini"], "timeouts": QUICK},
    }
    for name, model in (("anthropic", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-flash")):
        models[f"to-{name}"] = {"targets": [f"{name}/{model}"], "fallbacks": ["spare/gpt-4.1-mini"], "timeouts": QUICK}
    with Inside(tmp_path, upstream.url, config={"providers": providers, "models": models}) as inside:
        yield inside


def emptied(text: str = "", **more: Any) -> list[Any]:
    """A filter's answer in OpenAI's words, with what it may have left."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": "content_filter"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
    return [whole(200, json.dumps({"id": "filtered", "choices": [choice], "usage": usage}).encode())]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["m", "to-anthropic", "to-gemini"])
def test_what_a_filter_emptied_goes_to_another(
    filtering: Inside, upstream: Upstream, second: Upstream, model: str, stream: bool
) -> None:
    """A 200 without a word is of no use to anybody, and other providers filter otherwise. Both are paid for."""
    told = {"m": "openai", "to-anthropic": "anthropic", "to-gemini": "gemini"}[model]
    usage: dict[str, Any] = {
        "openai": {"usage": {"prompt_tokens": 1000, "completion_tokens": 0}},
        "anthropic": {"usage": {"input_tokens": 1000, "output_tokens": 0}},
        "gemini": {"usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000}},
    }[told]
    upstream.then([whole(200, json.dumps(FILTERED[told] | usage).encode())])
    reply = filtering.chat(model=model, stream=stream, nonce="said")
    assert b"said" in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("spare", "2")
    record = filtering.last()
    assert (record.usage.input, record.usage.output, record.usage.basis) == (1007, 3, "reported")
    assert [step.error for step in read(record.trail).steps] == ["filtered", ""]


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "refusal"])
def test_where_nobody_else_is_left_the_client_gets_that_answer(filtering: Inside, upstream: Upstream, finish: str) -> None:
    """It says why there is nothing; an error of ours would say less."""
    answer = json.dumps({"id": "f", "choices": [{"index": 0, "message": {"content": None}, "finish_reason": finish}]}).encode()
    upstream.then([whole(200, answer)])
    reply = filtering.chat(model="alone")
    assert (reply.status, reply.body, reply.header("x-trunkline-attempts")) == (200, answer, "1")
    record = filtering.last()
    assert (record.outcome, record.finish, record.attempts) == ("ok", finish, 1)
    standing = filtering.parts.standings.all()["lab", 0, "gpt-4.1"]
    assert (standing.served, standing.busy) == (1, 0)


def test_a_filtered_answer_is_better_than_the_error_of_the_next(
    filtering: Inside, upstream: Upstream, second: Upstream
) -> None:
    """A fallback that is down must not make a failure of what was an answer. What it cost stays its own price."""
    upstream.then(emptied())
    second.then(broken(500))
    reply = filtering.chat()
    assert (reply.status, reply.json["id"]) == (200, "filtered")
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("lab", "2")
    record = filtering.last()
    assert (record.outcome, record.opened.provider, record.finish, record.attempts) == ("ok", "lab", "content_filter", 2)
    assert (record.usage.input, record.cost_nano) == (1000, 2_000_000)
    assert reply.header("x-trunkline-cost-usd") == "0.002000000"


@pytest.mark.parametrize(
    "more", [{"text": "The beginning of"}, {"tool_calls": [{"id": "a", "type": "function", "function": {}}]}]
)
def test_what_a_filter_cut_short_stays(filtering: Inside, upstream: Upstream, second: Upstream, more: dict[str, Any]) -> None:
    """There is something in it: it is the model's answer, as far as it goes."""
    upstream.then(emptied(**more))
    assert filtering.chat().json["id"] == "filtered"
    assert second.requests == []
    filtering.last()


def test_a_refusal_in_words_stays(filtering: Inside, upstream: Upstream, second: Upstream) -> None:
    """A model that says no has answered."""
    message = {"role": "assistant", "content": None, "refusal": "No."}
    answer = {"id": "r", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    upstream.then([whole(200, json.dumps(answer).encode())])
    assert filtering.chat().json["id"] == "r"
    assert second.requests == []
    filtering.last()


BLOCKED = (
    b'data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":1000,"totalTokenCount":1000}}\n\n'
)
CUT = event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]})


@pytest.mark.parametrize(("model", "events"), [("to-gemini", BLOCKED), ("m", CUT + b"data: [DONE]\n\n")])
def test_a_stream_that_a_filter_ends_at_once(
    filtering: Inside, upstream: Upstream, second: Upstream, model: str, events: bytes
) -> None:
    """Before the client saw anything, another one may answer."""
    upstream.then([head(200, STREAM_HEADERS), chunk(events), END])
    reply = filtering.chat(model=model, stream=True, nonce="said")
    assert b"said" in reply.body
    assert reply.header("x-trunkline-provider") == "spare"
    assert filtering.last().attempts == 2


def test_a_filtered_stream_where_nobody_else_is_left(filtering: Inside, upstream: Upstream) -> None:
    """Its events reach the client as they are."""
    upstream.then([head(200, STREAM_HEADERS), chunk(CUT), chunk(b"data: [DONE]\n\n"), END])
    reply = filtering.chat(model="alone", stream=True)
    assert (reply.status, reply.body) == (200, CUT + b"data: [DONE]\n\n")
    assert reply.header("content-type") == "text/event-stream"
    assert (filtering.last().outcome, filtering.last().finish) == ("ok", "content_filter")


def test_a_stream_that_had_begun_is_not_taken_back(filtering: Inside, upstream: Upstream, second: Upstream) -> None:
    """The client has its beginning."""
    upstream.then([head(200, STREAM_HEADERS), chunk(FIRST), chunk(CUT + b"data: [DONE]\n\n"), END])
    assert filtering.chat(model="m", stream=True).body == FIRST + CUT + b"data: [DONE]\n\n"
    assert second.requests == []
    filtering.last()


def test_a_client_that_leaves_while_we_wait(two: Inside, upstream: Upstream) -> None:
    """What the failed attempt did not use is not made up because the client left after it."""
    upstream.script(lambda _: broken(503, ("retry-after", "1")))
    with two.connect() as wire:
        wire.send(two.chat_bytes(model="again"))
        upstream.wait_requests(1)
        upstream.wait_ended(upstream.requests[0])
        eventually(lambda: two.parts.standings.all()["lab", 0, "tiny"].busy == 0, "the attempt has failed")
        wire.reset()
    record = two.last()
    assert (record.outcome, record.attempts, record.usage.basis) == ("client_cancelled", 1, "none")


def test_an_error_inside_a_stream_is_the_targets(two: Inside, upstream: Upstream) -> None:
    """It was sent on to the client as it came; the target is not the better for it."""
    bad = event({"error": {"message": "overloaded", "type": "server_error", "code": "x"}})
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(FIRST), chunk(bad), END])
    two.chat(stream=True)
    two.last()
    standing = two.parts.standings.all()["lab", 0, "tiny"]
    assert (standing.served, standing.circuit.share_failed(two.parts.mono())) == (0, 1.0)


def test_a_target_without_budget_is_passed_over(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """Another one may still have a second try to spare."""
    assert two.chat(model="round").status == 200
    budget = two.parts.standings.all()["lab", 0, "tiny"].budget
    while budget.may():
        budget.spend()
    upstream.script("status=500")
    second.then("status=500")
    assert two.chat(model="round").header("x-trunkline-provider") == "spare"
    assert (len(upstream.requests), len(second.requests)) == (2, 2)
    assert two.last().attempts == 3


def test_a_budget_that_others_used_up_meanwhile(two: Inside, upstream: Upstream) -> None:
    """Many wait at the same time for the same target: those for whom nothing is left get the error that they had."""
    upstream.script(lambda _: broken(503, ("retry-after-ms", "300")))
    with two.connect() as wire:
        wire.send(two.chat_bytes(model="again"))
        upstream.wait_requests(1)
        standing = two.parts.standings.all()["lab", 0, "tiny"]
        eventually(lambda: standing.busy == 0, "the attempt has failed")
        while standing.budget.may():
            standing.budget.spend()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, len(upstream.requests), two.last().attempts) == (503, 1, 1)


def test_a_target_without_budget_is_not_waited_for(two: Inside, upstream: Upstream) -> None:
    """Second tries end where they would bring down what struggles: at once, not after a wait for nothing."""
    assert two.chat(model="again").status == 200
    budget = two.parts.standings.all()["lab", 0, "tiny"].budget
    while budget.may():
        budget.spend()
    upstream.script(lambda _: broken(500, ("retry-after", "1")))
    begun = time.monotonic()
    assert two.chat(model="again").status == 500
    assert time.monotonic() - begun < 0.9
    assert two.last().attempts == 1
