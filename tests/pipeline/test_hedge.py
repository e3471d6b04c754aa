"""Two targets at once: who wins, what the other cost, and what is left of it where the client leaves."""

from __future__ import annotations

import copy
import json
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import PROVIDER_KEY
from harness.invariants import eventually
from harness.script import END, STREAM_HEADERS, Close, Hold, Plan, Seen, chunk, delta, head, whole
from harness.upstream import Upstream
from pipeline.by_hand import at_once, by_hand, raised
from pipeline.inside import Inside
from trunkline.canon.errors import Kind
from trunkline.pipeline.admit import admit
from trunkline.pipeline.hedge import Hedge
from trunkline.pipeline.trail import Trail, read
from trunkline.routing.standing import Standing

PATIENT = {"connect": "1s", "first_byte": "5s", "idle": "5s", "total": "20s"}


@pytest.fixture
def third() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture
def race(upstream: Upstream, second: Upstream, third: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """`m` asks the first provider, the second one beside it after 50 ms, and the third one where both failed."""
    upstream.clear()
    providers = {
        "spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY},
        "third": {"kind": "openai", "base_url": third.url, "api_key": PROVIDER_KEY},
        "keeper": {"kind": "openai", "base_url": upstream.url, "api_key": PROVIDER_KEY, "dialect": "openai_responses"},
    }
    always = {"after": "50ms", "share": "100%"}
    models = {
        "m": {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/gpt-4.1-mini"], "hedge": always, "timeouts": PATIENT},
        "three": {"targets": ["lab/a", "spare/b", "third/c"], "hedge": always, "timeouts": PATIENT},
        "learned": {"targets": ["lab/a", "spare/b"], "hedge": {"share": "100%"}, "timeouts": PATIENT},
        "quick": {
            "targets": ["lab/a", "spare/b"],
            "hedge": always,
            "timeouts": {"connect": "1s", "first_byte": "200ms", "idle": "200ms", "total": "2s"},
        },
        "rare": {"targets": ["lab/a", "spare/b"], "hedge": {"after": "1ms", "share": "10%"}, "timeouts": PATIENT},
        "alone": {"targets": ["lab/a"], "hedge": always, "timeouts": PATIENT},
        "kept": {"targets": ["keeper/a", "spare/b"], "hedge": always, "timeouts": PATIENT},
        "late": {"targets": ["lab/a", "spare/b"], "hedge": {"after": "5s", "share": "100%"}, "timeouts": PATIENT},
    }
    config = {"providers": providers, "models": models}
    with Inside(tmp_path, upstream.url, config=config) as inside:
        yield inside
        inside.last()
        assert all(standing.busy == 0 for standing in inside.parts.standings.all().values())
        assert inside.balanced()


def slow(_: Seen) -> Plan:
    """A provider that never begins."""
    return [Hold()]


def standing(inside: Inside, provider: str, model: str) -> Standing:
    return inside.parts.standings.all()[provider, 0, model]


def trail(inside: Inside) -> Trail:
    return read(inside.last().trail)


def words(inside: Inside) -> list[tuple[str, str, bool]]:
    return [(step.provider, step.error, step.hedged) for step in trail(inside).steps]


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_is_quicker(race: Inside, upstream: Upstream, second: Upstream, stream: bool) -> None:
    """The client of a slow provider gets its answer from another one; both are paid for, each in its own tokens."""
    upstream.script(slow)
    reply = race.chat(stream=stream, nonce="quick")
    assert reply.status == 200
    assert b"quick" in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("spare", "2")
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}
    record = race.last()
    assert (record.outcome, record.attempts, record.opened.provider, record.opened.target) == ("ok", 2, "spare", "gpt-4.1-mini")
    guessed = record.usage.input - 7
    assert guessed > 0, "the provider reported 7 tokens in and 3 out; those that the other read are guessed"
    assert (record.usage.output, record.usage.basis) == (3, "estimated")
    cost = 7 * 400 + 3 * 1600 + guessed * 2000  # nano-dollars a token, of gpt-4.1-mini and of gpt-4.1
    assert record.cost_nano == cost
    if not stream:
        assert reply.header("x-trunkline-cost-usd") == f"0.{cost:09d}", "the header tells what the books do"
    assert words(race) == [("lab", "outrun", False), ("spare", "", True)]
    assert race.metrics_page.hedges == {"won": 1, "lost": 0, "failed": 0}


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_is_quicker_after_all(race: Inside, upstream: Upstream, second: Upstream, stream: bool) -> None:
    """The second one was asked in vain: it is hung up on, and its prompt is paid for."""
    upstream.then("hold")
    second.script(slow)
    with race.connect() as wire:
        wire.send(race.chat_bytes(stream=stream, nonce="first"))
        second.wait_requests(1)
        upstream.release()
        reply = wire.read_reply()
    assert reply is not None
    assert b"first" in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("lab", "2")
    assert second.wait_ended(second.requests[0]) in {"eof", "rst"}
    record = race.last()
    assert (record.attempts, record.opened.target, record.usage.basis) == (2, "gpt-4.1", "estimated")
    assert words(race) == [("lab", "", False), ("spare", "outrun", True)]
    assert race.metrics_page.hedges == {"won": 0, "lost": 1, "failed": 0}


def test_the_price_list_is_told_where_the_other_cost_nothing(race: Inside, tmp_path: Path, second: Upstream) -> None:
    """A cost without the list it comes from cannot be checked. A provider that nobody reached had nothing to charge."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stuck = {"kind": "openai", "base_url": f"https://127.0.0.1:{silent.getsockname()[1]}/v1", "api_key": PROVIDER_KEY}
        spare = {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY}
        always = {"after": "50ms", "share": "100%"}
        model = {"targets": ["stuck/a", "spare/gpt-4.1-mini"], "hedge": always, "timeouts": PATIENT}
        config = {"providers": {"stuck": stuck, "spare": spare}, "models": {"m": model}}
        with Inside(tmp_path / "stuck", second.url, config=config) as inside:
            reply = inside.chat()
            record = inside.last()
            assert words(inside) == [("stuck", "outrun", False), ("spare", "", True)]
            assert (record.usage.basis, record.cost_nano) == ("reported", 7 * 400 + 3 * 1600)
            assert reply.header("x-trunkline-cost-usd") == f"0.{record.cost_nano:09d}"
            assert record.price_version == inside.parts.prices.listed
    race.chat()


def test_what_a_filter_emptied_is_the_answer_where_the_other_fails(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """As it is where they are asked one after the other: an answer is worth more than somebody's error."""
    told = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}]}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    upstream.then([Hold(), whole(200, json.dumps({"id": "a", **told, "usage": usage}).encode())])
    second.then([Hold(), whole(500, b"{}")])
    with race.connect() as wire:
        wire.send(race.chat_bytes())
        second.wait_requests(1)
        upstream.release()
        eventually(lambda: standing(race, "lab", "gpt-4.1").busy == 0, "the first was filtered")
        second.release()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.header("x-trunkline-provider")) == (200, "lab")
    assert b"content_filter" in reply.body
    record = race.last()
    assert (record.outcome, record.opened.provider, record.finish, record.attempts) == ("ok", "lab", "content_filter", 2)
    assert (record.usage.input, record.cost_nano) == (7, 7 * 2000 + 3 * 8000)
    assert words(race) == [("lab", "filtered", False), ("spare", "upstream_failed", True)]


def test_who_answers_in_time_is_asked_alone(race: Inside, second: Upstream) -> None:
    """Whoever asks for hedges pays for those that were needed."""
    for stream in (False, True):
        assert race.chat(model="late", stream=stream).header("x-trunkline-attempts") == "1"
    assert second.requests == []
    assert race.last().trail == ""


def test_who_fails_in_time_is_followed_as_ever(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """A failure before the second one is asked is an ordinary one: no race, the next target at once."""
    upstream.then("status=500")
    assert race.chat(model="late").header("x-trunkline-provider") == "spare"
    assert words(race) == [("lab", "upstream_failed", False), ("spare", "", False)]
    assert sum(race.metrics_page.hedges.values()) == 0


def test_the_first_fails_while_both_run(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """It just leaves the other, and what it used is not lost."""
    upstream.then([head(200, STREAM_HEADERS), chunk(b": comment\n\n"), Hold(), Close()])
    second.then("hold")
    with race.connect() as wire:
        wire.send(race.chat_bytes(stream=True, nonce="second"))
        second.wait_requests(1)
        upstream.release()
        eventually(lambda: standing(race, "lab", "gpt-4.1").busy == 0, "the first has failed")
        second.release()
        reply = wire.read_reply()
    assert reply is not None
    assert b"second" in reply.body
    record = race.last()
    assert (record.outcome, record.opened.provider, record.usage.basis) == ("ok", "spare", "estimated")
    assert words(race) == [("lab", "upstream_broken", False), ("spare", "", True)]
    assert race.metrics_page.hedges == {"won": 1, "lost": 0, "failed": 0}


def test_the_second_fails_while_both_run(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """Nobody hears of it."""
    upstream.then("hold")
    second.then("status=500")
    with race.connect() as wire:
        wire.send(race.chat_bytes(nonce="first"))
        second.wait_requests(1)
        eventually(lambda: standing(race, "spare", "gpt-4.1-mini").busy == 0, "the second has failed")
        upstream.release()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.content, reply.header("x-trunkline-provider")) == (200, "first", "lab")
    assert (race.last().attempts, race.last().usage.basis) == (2, "reported")
    assert race.metrics_page.hedges == {"won": 0, "lost": 0, "failed": 1}


@pytest.mark.parametrize("stream", [False, True])
def test_both_fail_and_a_third_answers(race: Inside, upstream: Upstream, second: Upstream, stream: bool) -> None:
    """The rules of retrying go on as after any failure."""
    upstream.then([Hold(), whole(500, b"{}")])
    second.then([whole(503, b"{}")])
    with race.connect() as wire:
        wire.send(race.chat_bytes(model="three", stream=stream, nonce="third"))
        second.wait_requests(1)
        upstream.release()
        reply = wire.read_reply()
    assert reply is not None
    assert b"third" in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("third", "3")
    assert [word for _, word, _ in words(race)] == ["upstream_failed", "upstream_failed", ""]
    assert [step.hedged for step in trail(race).steps].count(True) == 1


def test_both_fail_and_nobody_is_left(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """The client is told the error of the last one, not that of whoever failed first."""
    upstream.then([Hold(), whole(500, json.dumps({"error": {"message": "the last"}}).encode())])
    second.then([whole(503, b"{}")])
    with race.connect() as wire:
        wire.send(race.chat_bytes())
        second.wait_requests(1)
        eventually(lambda: standing(race, "spare", "gpt-4.1-mini").busy == 0, "the second has failed")
        upstream.release()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.error["message"]) == (500, "the last")
    record = race.last()
    assert (record.outcome, record.opened.provider, record.attempts) == ("upstream_error", "lab", 2)


def test_a_winner_that_breaks_is_not_replaced(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """The client saw its beginning; another answer would be a second beginning."""
    upstream.script(slow)
    second.script(lambda seen: [head(200, STREAM_HEADERS), chunk(delta(seen, "beginning")), Close()])
    reply = race.chat(stream=True)
    assert b"beginning" in reply.body
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    assert len(upstream.requests) == len(second.requests) == 1
    record = race.last()
    assert (record.outcome, record.opened.provider) == ("upstream_broken", "spare")
    assert words(race) == [("lab", "outrun", False), ("spare", "upstream_broken", True)]


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_leaves_while_both_run(race: Inside, upstream: Upstream, second: Upstream, stream: bool) -> None:
    """Both are hung up on at once, and both are paid for."""
    upstream.script(slow)
    second.script(slow)
    with race.connect() as wire:
        wire.send(race.chat_bytes(stream=stream))
        second.wait_requests(1)
        wire.reset()
    for one in (upstream, second):
        assert one.wait_ended(one.requests[0], 1.0) in {"eof", "rst"}
    record = race.last()
    assert (record.outcome, record.attempts, record.usage.basis) == ("client_cancelled", 2, "estimated")
    assert record.usage.input % 2 == 0
    assert record.cost_nano == record.usage.input // 2 * (2000 + 400)
    assert [word for _, word, _ in words(race)] == ["client_gone", "client_gone"]
    assert race.metrics_page.hedges == {"won": 0, "lost": 1, "failed": 0}


def test_the_client_leaves_after_one_failed(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """What is left of the race ends with it."""
    upstream.script(slow)
    second.then("status=500")
    with race.connect() as wire:
        wire.send(race.chat_bytes())
        second.wait_requests(1)
        eventually(lambda: standing(race, "spare", "gpt-4.1-mini").busy == 0, "the second has failed")
        wire.reset()
    assert upstream.wait_ended(upstream.requests[0], 1.0) in {"eof", "rst"}
    record = race.last()
    assert (record.outcome, record.opened.provider, record.usage.basis) == ("client_cancelled", "lab", "estimated")


def test_the_client_leaves_in_mid_stream(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """The race is over then: one provider is left to hang up on, and the other's use is in the books."""
    upstream.script(slow)
    second.script("frames=3;hold_at=2")
    with race.stream() as stream:
        assert stream.next() is not None
        stream.wire.reset()
    assert second.wait_ended(second.requests[0], 1.0) in {"eof", "rst"}
    record = race.last()
    assert (record.outcome, record.opened.provider, record.usage.basis) == ("client_cancelled", "spare", "estimated")
    assert record.usage.output > 0
    assert words(race) == [("lab", "outrun", False), ("spare", "client_gone", True)]


def test_a_client_that_leaves_with_the_whole_answer(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """Behind the end mark nothing is missing: it is an answer like any other."""
    upstream.script(slow)
    second.script(
        lambda seen: [head(200, STREAM_HEADERS), chunk(delta(seen, "a", "stop")), chunk(b"data: [DONE]\n\n"), Hold(), END]
    )
    with race.stream() as stream:
        while stream.next() != b"[DONE]":
            pass
        stream.wire.reset()
    assert race.last().outcome == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_a_shutdown_ends_both(race: Inside, upstream: Upstream, second: Upstream, stream: bool) -> None:
    """The client is told so, and asks the next process."""
    upstream.script(slow)
    second.script(slow)
    with race.connect() as wire:
        wire.send(race.chat_bytes(stream=stream))
        second.wait_requests(1)
        race.do(race.server.interrupt)
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == 503
    assert [word for _, word, _ in words(race)] == ["shutting_down", "shutting_down"]


def test_a_shutdown_in_mid_stream(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """The last words are said in the winner's stream."""
    upstream.script(slow)
    second.script("frames=3;hold_at=2")
    with race.stream() as stream:
        assert stream.next() is not None
        race.do(race.server.interrupt)
        assert b'"error"' in b"".join(stream.rest())
    assert race.last().outcome == "shutdown"


def test_the_share_holds(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """However slow a provider is, its route asks no more of its requests twice than was agreed."""
    upstream.script("sleep=30")
    for _ in range(50):
        assert race.chat(model="rare").status == 200
    assert len(second.requests) == 5
    assert len(upstream.requests) == 50


def test_what_cannot_be_asked_twice(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """What a provider does on behalf of a request would be done twice, or is known to one of them only."""
    mcp = [{"type": "mcp", "server_label": "a", "server_url": "https://a.example"}]
    upstream.script("sleep=100")
    race.ask("/v1/responses", {"model": "kept", "input": "x", "tools": mcp})
    race.ask("/v1/responses", {"model": "kept", "input": "x", "background": True})
    race.ask("/v1/responses", {"model": "kept", "input": "x", "previous_response_id": "resp_1"})
    race.ask("/v1/completions", {"model": "m", "prompt": ["x", "y"]})
    race.ask("/v1/images/generations", {"model": "m", "prompt": "x"})
    race.ask("/v1/moderations", {"model": "m", "input": "x"})
    assert {seen.target.rpartition("/")[2] for seen in upstream.requests} == {
        "responses",
        "completions",
        "generations",
        "moderations",
    }
    assert sum(race.metrics_page.hedges.values()) == 0


def test_embeddings_are_asked_twice(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """A search that waits for one is as slow as its slowest."""
    upstream.script(slow)
    told = {"object": "list", "data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    second.script(lambda _: [whole(200, json.dumps(told).encode())])
    reply = race.ask("/v1/embeddings", {"model": "m", "input": "x" * 100})
    assert (reply.status, reply.header("x-trunkline-provider")) == (200, "spare")
    assert race.last().usage.input > 5


def test_without_another_target_there_is_no_race(race: Inside, upstream: Upstream) -> None:
    """There is nobody to ask."""
    upstream.script("sleep=100")
    assert race.chat(model="alone").header("x-trunkline-attempts") == "1"
    assert sum(race.metrics_page.hedges.values()) == 0


def test_an_ill_target_is_not_asked_beside(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """Who failed again and again is asked where nobody else is left, not where somebody is slow."""
    second.script("status=500")
    upstream.script("sleep=100")
    assert race.chat().status == 200
    ill = standing(race, "spare", "gpt-4.1-mini")
    while ill.well(0, race.parts.mono()):
        assert race.chat().status == 200
    asked = len(second.requests)
    assert race.chat().status == 200
    assert len(second.requests) == asked


def test_late_is_what_takes_longer_than_nearly_all(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """Where no time is written, a target is measured by itself: nothing is asked twice until enough of it is known."""
    for _ in range(20):
        assert race.chat(model="learned", stream=True).status == 200
    assert standing(race, "lab", "a").pace.p95() is not None
    upstream.script(slow)
    assert race.chat(model="learned", stream=True, nonce="other").header("x-trunkline-provider") == "spare"
    upstream.script("sleep=300")
    assert race.chat(model="learned").header("x-trunkline-provider") == "lab", "of whole answers no such time is known"


def test_a_loser_is_no_failure_but_its_slowness_is_felt(race: Inside, upstream: Upstream) -> None:
    """Else a provider that is always late would seem as quick as it was when it last was in time."""
    upstream.script(slow)
    for _ in range(8):
        assert race.chat(stream=True).status == 200
    slow_one, quick = standing(race, "lab", "gpt-4.1"), standing(race, "spare", "gpt-4.1-mini")
    now = race.parts.mono()
    assert slow_one.well(0, now)
    assert (slow_one.served, quick.served) == (0, 8)
    assert (slow_one.pace.median() or 0.0) > max(0.05, quick.pace.median() or 0.0)


def test_who_comes_second_shows_nothing(race: Inside) -> None:
    """Both may answer in the same moment: what a client reads is one answer."""
    assert race.chat().status == 200
    race.last()
    exchange, _ = by_hand(race)
    way = at_once(admit(exchange, race.parts))
    hedge = Hedge(exchange, race.parts, way, lambda *_: None)  # type: ignore[arg-type]
    first, late = copy.copy(exchange), copy.copy(exchange)
    for one in (first, late):
        one.race = hedge
    first.shows(1.0)
    assert raised(late.shows, 1.0).kind is Kind.CLIENT_GONE
    assert (hedge.winner, late.first_byte) == (first, 0.0)
    race.books.opened.clear()
    race.books.settled.clear()
    race.chat()


def test_a_fault_of_ours_ends_the_race(race: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered, logged and accounted for like any other, and the other target is hung up on."""
    upstream.script(slow)

    def broken(*_: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("trunkline.pipeline.relay.cost_line", broken)
    assert race.chat().status == 500
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}
    assert race.last().error == "internal"


def test_every_race_ends_in_one_answer_and_one_row(race: Inside, upstream: Upstream, second: Upstream) -> None:
    """Whatever comes in whatever order: nobody waits for ever, no answer is mixed of two, nothing is left in flight."""
    dice = random.Random(5)
    faults = [
        "sleep=40",
        "sleep=60",
        "status=500",
        "drop",
        "sleep=55;drop",
        "frames=2;eof_at=1",
        "",
        "hold",
        "sleep=50;frames=3",
    ]
    for one in (upstream, second):
        one.script(lambda _: dice.choice(faults))

    def client(seed: int) -> None:
        own = random.Random(seed)
        for number in range(12):
            race.forget()  # else both would be ill all the time, and who is ill is not asked beside another
            nonce, stream = f"n{seed}-{number}-", own.random() < 0.6
            with race.connect() as wire:
                wire.send(race.chat_bytes(nonce=nonce, stream=stream, model="quick"))
                if own.random() < 0.3:
                    own.choice([wire.reset, wire.close, wire.half_close])()
                    continue
                reply = wire.read_reply()
                assert reply is not None
                assert reply.complete
                assert (nonce in reply.body.decode()) or reply.status >= 500 or b'"error"' in reply.body
                assert reply.body.count(b"[DONE]") <= 1
                assert reply.body.count(b'"usage"') <= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    race.settled(len(race.books.opened))
    eventually(lambda: race.metrics_page.requests_in_flight == 0, "everything has ended")
    assert sum(race.metrics_page.hedges.values()) > 20
    eventually(lambda: upstream.busy == second.busy == 0, "nobody is asked any more")
