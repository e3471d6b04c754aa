"""The account of an exchange: how its end is called, what it used, what the log says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.script import whole
from harness.upstream import Upstream
from pipeline.by_hand import at_once, by_hand
from pipeline.inside import EPOCH_NS, Inside
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask
from trunkline.ledger.overrides import Override, marked
from trunkline.ledger.price import Period, Rate
from trunkline.ledger.prices import Prices
from trunkline.pipeline.admit import admit
from trunkline.pipeline.relay import price
from trunkline.pipeline.settle import _outcome, failed, settle
from trunkline.policy.limits import full

OUTCOMES = {
    Kind.BAD_REQUEST: "refused",
    Kind.UNAUTHENTICATED: "refused",
    Kind.FORBIDDEN: "refused",
    Kind.NOT_FOUND: "refused",
    Kind.METHOD_NOT_ALLOWED: "refused",
    Kind.REQUEST_TIMEOUT: "refused",
    Kind.TOO_LARGE: "refused",
    Kind.UNSUPPORTED_ENCODING: "refused",
    Kind.RATE_LIMITED: "refused",
    Kind.BUDGET_EXCEEDED: "refused",
    Kind.CLIENT_GONE: "client_cancelled",
    Kind.OVERLOADED: "error",
    Kind.SHUTTING_DOWN: "shutdown",
    Kind.LEDGER_UNAVAILABLE: "error",
    Kind.INTERNAL: "error",
    Kind.UPSTREAM_UNREACHABLE: "upstream_error",
    Kind.UPSTREAM_TLS: "upstream_error",
    Kind.UPSTREAM_TIMEOUT: "upstream_error",
    Kind.UPSTREAM_REFUSED: "upstream_error",
    Kind.UPSTREAM_FAILED: "upstream_error",
    Kind.UPSTREAM_BROKEN: "upstream_broken",
    Kind.UPSTREAM_PROTOCOL: "upstream_error",
}


@pytest.mark.parametrize("kind", Kind)
def test_whose_failure_it_was(kind: Kind) -> None:
    """Reports count by outcome: a provider's failure must not be booked as ours, nor ours as a client's."""
    assert _outcome(GatewayError(kind, ""), begun=False) == OUTCOMES[kind]
    broken = kind in {Kind.UPSTREAM_PROTOCOL, Kind.UPSTREAM_TIMEOUT}
    assert _outcome(GatewayError(kind, ""), begun=True) == ("upstream_broken" if broken else OUTCOMES[kind])


def test_no_failure() -> None:
    """Success is `ok`."""
    assert _outcome(None, begun=True) == "ok"


def test_a_limit_of_the_operator_s_is_no_failure() -> None:
    """Somebody would be called at night for what was set on purpose."""
    assert _outcome(full("provider:lab", 1.0), begun=False) == "refused"


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"some words"},"finish_reason":null}]}\n\n'
REPORT = b'data: {"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":9,"total_tokens":59}}\n\n'


@pytest.mark.parametrize(
    ("sent", "fed", "kind", "basis", "output"),
    [
        (False, None, Kind.UPSTREAM_UNREACHABLE, "none", 0),
        (False, None, Kind.CLIENT_GONE, "none", 0),
        (True, None, Kind.CLIENT_GONE, "estimated", 0),
        (True, None, Kind.SHUTTING_DOWN, "estimated", 0),
        (True, None, Kind.UPSTREAM_REFUSED, "none", 0),
        (True, None, Kind.UPSTREAM_BROKEN, "none", 0),
        (True, b"", Kind.UPSTREAM_BROKEN, "none", 0),
        (True, CHUNK, Kind.UPSTREAM_BROKEN, "estimated", 2),
        (True, CHUNK, Kind.CLIENT_GONE, "estimated", 2),
        (True, CHUNK, None, "estimated", 2),
        (True, CHUNK + REPORT, Kind.CLIENT_GONE, "reported", 9),
        (True, CHUNK + REPORT, None, "reported", 9),
    ],
)
def test_what_is_booked(inside: Inside, sent: bool, fed: bytes | None, kind: Kind | None, basis: str, output: int) -> None:
    """What the provider reported counts; where it may charge and did not say, a marked estimate; else nothing."""
    exchange, _ = by_hand(inside, model="priced", stream=True)
    at_once(admit(exchange, inside.parts))
    exchange.sent = sent
    if fed is not None:
        exchange.tap = exchange.dialect.tap(Ask({}, "m", stream=True, include_usage=True), hide_usage=False)
        exchange.tap.feed(fed)
    exchange.error = None if kind is None else GatewayError(kind, "")
    settle(exchange, inside.parts)
    usage = inside.settled(1).usage
    assert (usage.basis, usage.output) == (basis, output)
    assert (usage.input > 0) is (basis != "none")
    assert (inside.settled(1).cost_nano is None) is (basis == "none")


def test_a_whole_answers_usage_stays(inside: Inside) -> None:
    """Read before the client got it: that it left in the same moment changes no token."""
    exchange, _ = by_hand(inside, model="priced")
    at_once(admit(exchange, inside.parts))
    exchange.sent = True
    price(exchange, inside.parts, Usage(input=5, output=2, basis="reported"), "")
    exchange.error = GatewayError(Kind.CLIENT_GONE, "")
    settle(exchange, inside.parts)
    assert (inside.settled(1).usage.input, inside.settled(1).cost_nano) == (5, 5 * 2000 + 2 * 8000)


def test_never_accepted_is_not_booked(inside: Inside) -> None:
    """Refused at admission: a log line and a count, no row."""
    exchange, _ = by_hand(inside)
    exchange.error = GatewayError(Kind.NOT_FOUND, "")
    settle(exchange, inside.parts)
    assert inside.books.settled == []
    assert exchange.usage == NO_USAGE


def test_the_providers_error_in_a_stream_is_the_outcome(inside: Inside) -> None:
    """The client got it as an event, with status 200; the books must not say that all was well."""
    exchange, _ = by_hand(inside, stream=True)
    at_once(admit(exchange, inside.parts))
    exchange.tap = exchange.dialect.tap(Ask({}, "m", stream=True, include_usage=True), hide_usage=False)
    exchange.tap.feed(CHUNK + b'data: {"error":{"message":"no"}}\n\n')
    exchange.reply.start(200, b"")
    settle(exchange, inside.parts)
    assert (inside.settled(1).outcome, inside.settled(1).status) == ("upstream_error", 200)


def test_the_log_line(upstream: Upstream, tmp_path: Path) -> None:
    """One line a request, with what an operator asks at three in the morning, and no word of the conversation."""
    upstream.clear()
    with Inside(tmp_path, upstream.url) as inside:
        reply = inside.chat(model="priced", messages=[{"role": "user", "content": "canary-prompt"}])
        inside.chat(mock="status=500")
        inside.chat(model="nowhere")
        inside.settled(2)
        served, failed, refused = inside.lines()
    assert served | {"duration_ms": 0, "first_byte_ms": 0, "bytes_out": 0} == {
        "ts": "2025-10-09T08:53:20.000Z",
        "level": "info",
        "event": "request",
        "request_id": reply.header("x-request-id"),
        "key": "tester",
        "method": "POST",
        "path": "/v1/chat/completions",
        "endpoint": "chat.completions",
        "model": "priced",
        "provider": "lab",
        "target": "gpt-4.1",
        "status": 200,
        "outcome": "ok",
        "error": "",
        "stream": False,
        "duration_ms": 0,
        "first_byte_ms": 0,
        "input_tokens": 7,
        "output_tokens": 3,
        "cost_usd": 0.000038,
        "attempts": 1,
        "client": "127.0.0.1",
        "bytes_out": 0,
        "detail": "",
    }
    assert EPOCH_NS == 1_760_000_000_000_000_000
    assert served["bytes_out"] > len(reply.body)
    assert (failed["outcome"], failed["status"], "mock says no" in failed["detail"]) == ("upstream_error", 500, True)
    assert (refused["outcome"], refused["status"], refused["provider"]) == ("refused", 404, "")
    assert "canary-prompt" not in str([served, failed, refused])


def test_the_metrics(inside: Inside) -> None:
    """What is logged is counted, under the names of the configuration."""
    inside.chat(model="priced")
    inside.last()
    labels = 'endpoint="chat.completions",model="priced",outcome="ok",provider="lab",status="2xx"'
    assert f"trunkline_requests_total{{{labels}}}" in inside.metrics()


TOLD = {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.000123}


def answer(usage: dict[str, object]) -> list[bytes]:
    """A whole answer that tells this."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return [whole(200, json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode())]


def test_what_the_provider_says_it_costs_stands_beside_ours(inside: Inside, upstream: Upstream) -> None:
    """Two accounts of one request can be compared; where we have no price, the provider's is the cost, and says so."""
    upstream.then(answer(TOLD), answer(TOLD))
    assert inside.chat(model="priced").header("x-trunkline-cost-usd") == "0.000038000"
    ours = inside.last()
    assert (ours.cost_nano, ours.reported_nano, ours.price_version) == (38_000, 123_000, inside.parts.prices.listed)
    assert inside.chat(model="m").header("x-trunkline-cost-usd") == "0.000123000"
    theirs = inside.last()
    assert (theirs.cost_nano, theirs.reported_nano, theirs.price_version) == (123_000, 123_000, "reported")


def test_a_stream_tells_its_cost_at_its_end(inside: Inside, upstream: Upstream) -> None:
    """OpenRouter and xAI say it in the last chunk."""
    chunk_of = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    last = b"data: " + json.dumps({"choices": [], "usage": TOLD}).encode() + b"\n\ndata: [DONE]\n\n"
    body = chunk_of + last
    upstream.then([whole(200, body, "text/event-stream")])
    inside.chat(model="m", stream=True)
    assert (inside.last().cost_nano, inside.last().reported_nano) == (123_000, 123_000)


@pytest.mark.parametrize(("first", "told"), [(TOLD, 246_000), ({"prompt_tokens": 7}, None)])
def test_what_several_attempts_are_said_to_cost(inside: Inside, first: dict[str, object], told: int | None) -> None:
    """All are paid for; a sum that lacks one would look like the whole."""
    exchange, _ = by_hand(inside, model="m")
    at_once(admit(exchange, inside.parts))
    for one in (first, TOLD):
        if exchange.usage is not NO_USAGE:
            failed(exchange, inside.parts, GatewayError(Kind.UPSTREAM_BROKEN, ""))
        price(exchange, inside.parts, Usage(input=7, output=3, basis="reported"), json.dumps(one))
    settle(exchange, inside.parts)
    record = inside.settled(1)
    assert (record.usage.input, record.reported_nano, record.cost_nano) == (14, told, told)


def test_prices_that_change_count_from_then_on(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record tells which price it was made with."""
    own = marked(Override("lab", "gpt-4.1", Period((Rate(request=10**15),))))
    inside.chat(model="priced")
    before = inside.last()
    monkeypatch.setattr(inside.parts.live, "prices", Prices.load([own]))
    assert inside.chat(model="priced").header("x-trunkline-cost-usd") == "1.000000000"
    assert (before.cost_nano, inside.last().cost_nano) == (38_000, 10**9)
    assert inside.last().price_version == f"{before.price_version} + {own.period.mark}"


@pytest.mark.parametrize("told", ["flex", "batch"])
def test_a_way_of_being_served_has_its_price(inside: Inside, upstream: Upstream, told: str) -> None:
    """OpenAI says it beside the usage, and charges half."""
    (body,) = answer({"prompt_tokens": 7, "completion_tokens": 3})
    found = json.loads(body.partition(b"\r\n\r\n")[2]) | {"service_tier": told}
    upstream.then([whole(200, json.dumps(found).encode())])
    inside.chat(model="priced")
    record = inside.last()
    assert (record.cost_nano, json.loads(record.raw_usage)["service_tier"]) == (19_000, told)
