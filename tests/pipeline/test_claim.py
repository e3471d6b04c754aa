"""What a request holds of limits and budgets while it goes on: it is refused where there is no room, and nothing stays held."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.client import request
from harness.gateway import KEY, PROVIDER_KEY
from harness.invariants import eventually
from harness.script import whole
from harness.upstream import Upstream
from pipeline.inside import Inside, bearer
from trunkline.config.snapshot import DrainSettings
from trunkline.meters.rule import Rule, Rules
from trunkline.pipeline.claim import _lasting
from trunkline.policy.keys import KeyRing

HOLDER = "key:tester"
DOLLAR = 1_000_000_000
RPM, TPM, SLOTS = (Rule(HOLDER, what, amount) for what, amount in (("requests", 3), ("tokens", 1000), ("concurrent", 2)))


def budget(nano: int, **more: Any) -> Rule:
    """A budget for ever, of so many nano-dollars."""
    return Rule(HOLDER, "money", nano, **more)


def limit(inside: Inside, *rules: Rule, **settings: Any) -> None:
    """The tester's key is under these from now on; `settings` of the ledger."""
    live = inside.parts.live
    keys = [msgspec.structs.replace(one, rules=Rules(rules)) for one in live.snapshot.principals if one.name == "tester"]
    ledger = msgspec.structs.replace(live.snapshot.ledger, **settings)
    live.snapshot = msgspec.structs.replace(live.snapshot, ledger=ledger)
    live.keys = KeyRing(keys)


def provider_limit(inside: Inside, name: str, *rules: Rule) -> None:
    """A provider of that name is under these."""
    live, held = inside.parts.live, Rules(rules)

    def under(target: Any) -> Any:
        if target.provider.name != name:
            return target
        return msgspec.structs.replace(target, provider=msgspec.structs.replace(target.provider, limits=held))

    routes = {
        called: msgspec.structs.replace(
            route, targets=tuple(map(under, route.targets)), fallbacks=tuple(map(under, route.fallbacks))
        )
        for called, route in live.snapshot.routes.items()
    }
    live.snapshot = msgspec.structs.replace(live.snapshot, routes=routes)


def spent(inside: Inside) -> int:
    """Nano-dollars that all budgets together know to be spent."""
    return sum(purse.spent for purse in inside.meters.books.purses.values())


def held(inside: Inside) -> tuple[int, int]:
    """What is reserved, and how many requests occupy a place."""
    books = inside.meters.books
    return sum(one.reserved for one in books.purses.values()), sum(one.busy for one in books.slots.values())


@pytest.fixture
def fresh(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """A gateway of its own with two providers; after the test nothing may be held."""
    upstream.clear()
    providers = {
        "spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY},
        "keeper": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY, "dialect": "openai_responses"},
    }
    timeouts = {"connect": "1s", "first_byte": "400ms", "idle": "400ms", "total": "3s"}
    always = {"after": "20ms", "share": "100%"}
    models = {
        "m": {"targets": ["lab/tiny"], "timeouts": timeouts},
        "priced": {"targets": ["lab/gpt-4.1"], "timeouts": timeouts},
        "patient": {"targets": ["lab/gpt-4.1"]},
        "kept": {"targets": ["keeper/gpt-4.1"]},
        "auto": {
            "targets": ["lab/gpt-4.1"],
            "limits": {"rpm": 2},
            "rules": [{"when": {"stream": False}, "use": "whole"}, {"when": {"tools": True}, "use": "patient"}],
        },
        "whole": {"targets": ["lab/gpt-4.1"], "limits": {"rpm": 5}},
        "two": {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/gpt-4.1-mini"], "timeouts": timeouts},
        "race": {"targets": ["lab/gpt-4.1", "spare/gpt-4.1"], "hedge": always, "timeouts": timeouts},
    }
    with Inside(tmp_path / "fresh", upstream.url, config={"providers": providers, "models": models}) as made:
        made.model = "priced"
        yield made
        eventually(lambda: made.metrics_page.requests_in_flight == 0, "everything has ended")
        eventually(made.balanced, "every row is settled once")
        assert held(made) == (0, 0)


def test_without_limits_nothing_is_told(fresh: Inside) -> None:
    """Headers of limits that do not exist make clients slow down for nothing."""
    reply = fresh.chat()
    assert reply.status == 200
    assert not [name for name in reply.headers if name[0].startswith("x-ratelimit")]
    assert fresh.metrics_page.refused == {}


def test_requests_a_minute(fresh: Inside) -> None:
    """The fourth of three is refused with a time that is true, in words that an SDK waits by; it costs no row."""
    limit(fresh, RPM)
    replies = [fresh.chat() for _ in range(4)]
    assert [one.status for one in replies] == [200, 200, 200, 429]
    assert [one.header("x-ratelimit-remaining-requests") for one in replies] == ["2", "1", "0", "0"]
    assert {one.header("x-ratelimit-limit-requests") for one in replies} == {"3"}
    assert 18 <= int(replies[3].header("retry-after") or 0) <= 20
    assert (replies[3].error["type"], replies[3].error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "key 'tester'" in replies[3].error["message"]
    assert len(fresh.books.opened) == 3
    assert fresh.metrics_page.refused == {"requests": 1}
    assert fresh.lines()[-1]["detail"] == "key:tester/requests"


def test_tokens_are_settled_by_truth(fresh: Inside) -> None:
    """What was reserved and not used is there again as soon as the answer is."""
    limit(fresh, TPM)
    first, second = (fresh.chat(max_tokens=500) for _ in range(2))
    assert [first.status, second.status] == [200, 200]
    left = int(second.header("x-ratelimit-remaining-tokens") or 0)
    used = sum((one.usage.input + one.usage.output) for one in fresh.books.settled[:1])
    assert left <= 1000 - used - 500
    assert fresh.chat(max_tokens=900).status == 200, "no more than what was really used is gone"
    assert fresh.chat(max_tokens=10**6).status == 429, "one that may use more than all waits until all is there"


def test_at_the_same_time(fresh: Inside, upstream: Upstream) -> None:
    """Two streams run, a third waits its turn; the place is free when an answer ends."""
    limit(fresh, SLOTS)
    upstream.script("frames=3;hold_at=1")
    with fresh.stream() as one, fresh.stream() as other:
        assert (one.reply.status, other.reply.status) == (200, 200)
        refused = fresh.chat()
        assert (refused.status, refused.header("retry-after")) == (429, "1")
        assert held(fresh)[1] == 2
        upstream.release()
        assert one.rest().count(b"[DONE]") == 1
        other.rest()
    upstream.script(None)
    fresh.settled(2)
    assert fresh.chat().status == 200


@pytest.mark.parametrize(("status", "retry"), [(402, None), (429, None)])
def test_a_budget_that_is_used_up(fresh: Inside, status: int, retry: str | None) -> None:
    """A hard one refuses before the provider is asked, with the status that the operator chose."""
    limit(fresh, budget(50 * DOLLAR // 1000), budget_status=status)
    assert fresh.chat(max_tokens=100).status == 200
    fresh.settled(1)
    assert spent(fresh) == fresh.books.settled[0].cost_nano
    reply = fresh.chat(max_tokens=30_000)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (status, "budget_exceeded", "insufficient_quota")
    assert reply.header("retry-after") == retry, "a budget for ever: no time heals it"
    assert "$0.05" in reply.error["message"]
    assert len(fresh.books.opened) == 1
    assert fresh.metrics_page.refused == {"budget": 1}


def test_a_soft_budget_refuses_nobody(fresh: Inside) -> None:
    """It is only told of."""
    limit(fresh, budget(1, hard=False))
    assert fresh.chat().status == 200


def test_what_others_reserved_is_worth_waiting_for(fresh: Inside, upstream: Upstream) -> None:
    """It is not used up: whoever is told 402 would never come back."""
    limit(fresh, budget(12 * DOLLAR // 1000))
    upstream.script("frames=3;hold_at=1")
    with fresh.stream(max_tokens=1000):
        reply = fresh.chat(max_tokens=1000)
        assert (reply.status, reply.error["code"], reply.header("retry-after")) == (429, "budget_reserved", "1")
        assert held(fresh)[0] > 8 * DOLLAR // 1000
        upstream.release()


@pytest.mark.parametrize(
    ("setting", "hard", "status"),
    [("refuse_with_budget", True, 403), ("refuse_with_budget", False, 200), ("refuse", False, 403), ("allow", True, 200)],
)
def test_a_price_nobody_knows(fresh: Inside, setting: str, hard: bool, status: int) -> None:
    """A budget that does not see what is spent is none: such a model is refused, in words that name the remedy."""
    limit(fresh, *([budget(DOLLAR)] if hard else []), unknown_price=setting)
    reply = fresh.chat(model="m")
    assert reply.status == status
    if status == 403:
        assert reply.error["code"] == "unpriced_model"
        assert "ledger.unknown_price" in reply.error["message"]
        assert fresh.metrics_page.refused == {"unpriced": 1}


def test_a_model_s_limits_hold_wherever_its_rules_lead(fresh: Inside) -> None:
    """Who limits a model that sends its requests on would have limited nobody; the model that they go to has its own."""
    first, second, third = (fresh.chat(model="auto") for _ in range(3))
    assert [first.status, second.status, third.status] == [200, 200, 429]
    assert "model 'auto'" in third.error["message"]
    assert first.header("x-ratelimit-remaining-requests") == "1"
    assert fresh.chat(model="auto", stream=True).status == 429, "where none is followed it is the same"
    assert [fresh.chat(model="whole").status for _ in range(4)] == [200, 200, 200, 429], "two of five were asked for by another"


def test_rules_that_are_no_more_are_forgotten() -> None:
    """Each reload makes new ones: those of a key that holds sessions would stay for ever."""
    rules = Rules((TPM,))
    assert _lasting(rules).rules == (TPM,)
    known = weakref.ref(rules)
    del rules
    gc.collect()
    assert known() is None


def test_an_answer_in_the_background_is_not_seen(fresh: Inside, second: Upstream) -> None:
    """It is made after this request is over and fetched for nothing: who is under a budget would have all of it free."""
    limit(fresh, budget(DOLLAR))
    said = {"id": "r", "object": "response", "status": "queued", "output": [], "usage": None}
    second.script(lambda _: [whole(200, json.dumps(said).encode())])

    def asked(path: str = "/v1/responses", model: str = "kept", **fields: Any) -> int:
        return fresh.ask(path, {"model": model, "input": "hello", **fields}).status

    assert asked(background=True) == 403
    assert fresh.metrics_page.refused == {"unpriced": 1}
    assert second.requests == []
    assert asked(background=False) == asked(background=None) == asked() == 200
    assert asked(model="priced", background=True) == 400, "a model that has none says so"
    assert asked("/v1/chat/completions", "priced", background=True, messages=[{"role": "user", "content": "hello"}]) == 200
    limit(fresh, budget(DOLLAR), unknown_price="allow")
    assert asked(background=True) == 200


def test_what_was_spent_is_not_known(fresh: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the books nobody can say whether there is anything left: money fails closed."""

    async def cannot(*_: object) -> int:
        raise OSError("the database is gone")

    monkeypatch.setattr(fresh.meters, "_spent", cannot)
    limit(fresh, Rule(HOLDER, "money", DOLLAR, "day"))
    reply = fresh.chat()
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "budget_unknown", "1")
    assert fresh.metrics_page.refused == {"budget_unknown": 1}


def test_counting_is_a_request_of_no_tokens(fresh: Inside) -> None:
    """It is limited like any other, and costs nothing."""
    limit(fresh, Rule(HOLDER, "requests", 1), TPM, budget(1))
    body = {"model": "echo/x", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    first, second = (fresh.ask("/v1/messages/count_tokens", body) for _ in range(2))
    assert (first.status, first.header("x-ratelimit-remaining-tokens")) == (200, "1000")
    assert (second.status, second.json["error"]["type"]) == (429, "rate_limit_error")


def test_everything_that_is_asked_is_limited(fresh: Inside, upstream: Upstream) -> None:
    """A key with a budget that only chat is counted for has none."""
    limit(fresh, Rule(HOLDER, "requests", 1000), budget(1))
    asked: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
        "/v1/completions": {"prompt": ["a", "b"]},
        "/v1/responses": {"input": "hi"},
        "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
        "/v1/embeddings": {"input": "some words"},
        "/v1/images/generations": {"prompt": "a house"},
        "/v1/moderations": {"input": "some words"},
        "/v1/responses/compact": {"input": "hi"},
    }
    statuses = {path: fresh.ask(path, {"model": "priced", **fields}).status for path, fields in asked.items()}
    assert set(statuses.values()) == {402}, statuses
    assert upstream.requests == []
    assert fresh.ask("/v1/audio/speech", {"model": "priced", "input": "hi", "voice": "a"}).status == 403
    with fresh.connect() as wire:
        upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
                   ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]  # fmt: skip
        wire.send(request("GET", "/v1/realtime?model=priced", [*bearer(KEY), *upgrade]))
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == 402


def test_a_provider_s_limit_sends_others_elsewhere(fresh: Inside, upstream: Upstream, second: Upstream) -> None:
    """Beyond what was agreed with it a provider is not asked; another one is, and neither seems to have failed."""
    provider_limit(fresh, "lab", Rule("provider:lab", "requests", 2))
    told = [fresh.chat(model="two") for _ in range(4)]
    assert [one.header("x-trunkline-provider") for one in told] == ["lab", "lab", "spare", "spare"]
    assert {one.header("x-trunkline-attempts") for one in told} == {"1"}
    assert "limits here allow" in json.loads(fresh.settled(3).trail)["passed"][0][1]
    for standing in fresh.parts.standings.all().values():
        assert standing.state(fresh.parts.mono()) == "closed"
    alone = fresh.chat(model="priced")
    assert (alone.status, alone.error["code"]) == (429, "provider_limit_exceeded")
    assert 25 <= int(alone.header("retry-after") or 0) <= 30
    assert fresh.metrics_page.refused == {"provider": 1}
    assert (len(upstream.requests), len(second.requests)) == (2, 2)


def test_a_provider_s_place_is_free_at_once(fresh: Inside, upstream: Upstream) -> None:
    """A self-hosted model that takes one at a time would stand idle between two."""
    provider_limit(fresh, "lab", Rule("provider:lab", "concurrent", 1))
    for _ in range(20):
        assert fresh.chat(model="priced").status == 200
    upstream.script("frames=2;hold_at=1")
    with fresh.stream(model="priced"):
        assert fresh.chat(model="priced").status == 429
        assert fresh.chat(model="two").header("x-trunkline-provider") == "spare"
        upstream.release()


def test_what_fails_is_counted_and_given_back(fresh: Inside, upstream: Upstream, second: Upstream) -> None:
    """The first attempt used something, the second answered: the budget and the row have both."""
    limit(fresh, budget(DOLLAR), TPM)
    upstream.script("frames=4;eof_at=0")
    second.script(None)
    assert fresh.chat(model="two", stream=True).status == 200
    settled = fresh.settled(1)
    steps = json.loads(settled.trail)["steps"]
    assert [step.get("error", "") for step in steps] == ["upstream_broken", ""]
    assert sum(step.get("input", 0) for step in steps) == settled.usage.input
    assert sum(step.get("output", 0) for step in steps) == settled.usage.output
    assert sum(step.get("nano", 0) for step in steps) == settled.cost_nano == spent(fresh)


def test_parallel_requests_on_what_is_left(fresh: Inside, upstream: Upstream) -> None:
    """The budget has room for ten reservations: of two hundred clients at once ten are let in, to the one."""
    limit(fresh, budget(1))
    body: dict[str, Any] = {"max_tokens": 1000, "model": "patient"}
    refused = fresh.chat(**body).error["message"]
    most = round(float(refused.partition("up to $")[2].partition(". Ask")[0]) * DOLLAR)
    limit(fresh, budget(10 * most))
    upstream.script("hold")
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(lambda: fresh.chat(timeout=30, **body).status) for _ in range(200)]
        eventually(lambda: sum(one.done() for one in asked) == 190, "all but ten were refused", 20)
        assert held(fresh) == (10 * most, 0)
        upstream.release()
    assert sorted(one.result() for one in asked) == [200] * 10 + [429] * 190
    fresh.settled(10)
    assert 0 < spent(fresh) < most


FAULTS = (
    "",
    "",
    "sleep=30",
    "status=500",
    "drop",
    "frames=3;eof_at=1",
    "frames=3;gap=20",
    "frames=4;rst_at=2",
    "hold",
    "status=429",
)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("drain", [False, True])
def test_nothing_stays_held(fresh: Inside, upstream: Upstream, second: Upstream, seed: int, drain: bool) -> None:
    """Whatever becomes of requests, answered, failed, hedged, left at any moment: what they held is free, what they cost is
    spent, to the nano.
    """
    rules = (
        Rule(HOLDER, "requests", 10**6),
        Rule(HOLDER, "tokens", 10**9),
        Rule(HOLDER, "concurrent", 5),
        budget(100 * DOLLAR),
    )
    limit(fresh, *rules)
    provider_limit(fresh, "lab", Rule("provider:lab", "concurrent", 3), Rule("provider:lab", "requests", 10**5))
    if drain:
        limit(fresh, *rules, drain=DrainSettings(0.3, 10_000, 2))
    dice = random.Random(seed)
    for one in (upstream, second):
        one.script(lambda _: dice.choice(FAULTS))

    def client(number: int) -> None:
        own = random.Random(f"{seed} {number}")
        for turn in range(8):
            fresh.forget()
            with fresh.connect() as wire:
                model, stream = own.choice(["priced", "two", "race"]), own.random() < 0.6
                wire.send(fresh.chat_bytes(nonce=f"{number}-{turn}", model=model, stream=stream, max_tokens=50))
                if own.random() < 0.4:
                    own.choice([wire.reset, wire.close])()
                    continue
                assert wire.read_reply() is not None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    upstream.release()
    second.release()
    fresh.settled(len(fresh.books.opened))
    eventually(lambda: fresh.metrics_page.requests_in_flight == 0, "everything has ended")
    assert held(fresh) == (0, 0)
    assert spent(fresh) == sum(one.cost_nano or 0 for one in fresh.books.settled)


def test_a_fault_of_ours_holds_nothing(fresh: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in one request must not take the place, or the money, of all that follow."""
    limit(fresh, SLOTS, budget(DOLLAR))
    provider_limit(fresh, "lab", Rule("provider:lab", "concurrent", 1))
    for where in ("pursue.failed", "relay.price", "relay.head", "hedge.failed"):
        with monkeypatch.context() as patch:
            patch.setattr(f"trunkline.pipeline.{where}", _broken)
            upstream.script("status=500" if "failed" in where else None)
            for model in ("two", "race"):
                fresh.chat(model=model)
    eventually(lambda: fresh.metrics_page.requests_in_flight == 0, "everything has ended")
    assert held(fresh) == (0, 0)


def _broken(*_: object) -> None:
    raise RuntimeError("ours")


def test_cancelled_at_every_step(fresh: Inside, upstream: Upstream) -> None:
    """Wherever a request is when its client leaves, what it holds comes back with it."""
    limit(fresh, SLOTS, TPM, budget(DOLLAR))
    provider_limit(fresh, "lab", Rule("provider:lab", "concurrent", 2))
    upstream.script("frames=4;gap=5")
    for pause in range(0, 40, 2):
        with fresh.connect() as wire:
            wire.send(fresh.chat_bytes(model="race", stream=True, max_tokens=10))
            fresh._thread.run(asyncio.sleep(pause / 1000))
            wire.reset()
        eventually(lambda: held(fresh) == (0, 0), "nothing is held")
