"""What the books say of a request's way."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gateway import PROVIDER_KEY
from harness.script import whole
from harness.upstream import Upstream
from pipeline.by_hand import by_hand
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.trail import MOST, Trail, count, name, read, written
from trunkline.pipeline.use import Step
from trunkline.providers.provider import Provider, Target
from trunkline.routing.choose import Candidates
from trunkline.routing.course import Standings
from trunkline.routing.route import Route
from trunkline.telemetry.metrics import Metrics

PROVIDER = Provider("lab", "openai", Origin("http", "h", 1), {"openai_chat": ""})
DOWN = GatewayError(Kind.UPSTREAM_FAILED, "no", status=500)


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(PROVIDER, one) for one in names)


def rest(standings: Standings, target: Target) -> None:
    """Let it fail until it is left alone."""
    for _ in range(5):
        standings.of(target).failed(100.0, 100.0, DOWN)


@pytest.fixture
def two(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    upstream.clear()
    spare = {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY}
    models: dict[str, Any] = {
        "m": {"targets": ["lab/tiny"], "fallbacks": ["spare/small"]},
        "ruled": {"targets": ["lab/tiny"], "rules": [{"when": {"stream": True}, "use": "m"}]},
        "again": {"targets": ["lab/tiny"], "retry": {"attempts": 2, "backoff": "30ms"}},
    }
    with Inside(tmp_path, upstream.url, config={"providers": {"spare": spare}, "models": models}) as inside:
        yield inside


def test_what_went_as_usual_says_nothing(two: Inside) -> None:
    """Rows of a million ordinary requests would be twice as long."""
    assert two.chat().status == 200
    assert two.last().trail == ""


def test_a_fallback_is_told(two: Inside, upstream: Upstream) -> None:
    """The row's provider is the last one: nobody would know why."""
    upstream.then("status=503")
    assert two.chat().status == 200
    first, then = read(two.last().trail).steps
    assert (first.provider, first.model, first.error, first.status) == ("lab", "tiny", "upstream_failed", 503)
    assert (then.provider, then.model, then.error, then.status) == ("spare", "small", "", 0)
    assert then.began_ms >= first.began_ms + first.took_ms - 1
    page = two.metrics_page.page().render().decode()
    assert 'trunkline_attempts_total{provider="lab",result="upstream_failed"} 1.0' in page
    assert "trunkline_fallbacks_total 1.0" in page
    assert "trunkline_retries_total 0.0" in page


def test_a_second_try_is_told(two: Inside, upstream: Upstream) -> None:
    """Its wait is what made the client wait."""
    upstream.then("status=500")
    assert two.chat(model="again").status == 200
    first, then = read(two.last().trail).steps
    assert (first.model, then.model) == ("tiny", "tiny")
    assert then.began_ms - first.began_ms - first.took_ms >= 20
    assert "trunkline_retries_total 1.0" in two.metrics_page.page().render().decode()


def test_a_rule_is_told(two: Inside) -> None:
    """A request would seem to have gone to a model that nobody asked for."""
    assert two.chat(model="ruled", stream=True).status == 200
    trail = read(two.last().trail)
    assert (trail.rules, [step.error for step in trail.steps]) == ((1,), [""])


def test_who_rested_is_told(two: Inside, upstream: Upstream) -> None:
    """An answer of the fallback's, though nothing failed just then, would be a riddle."""
    for _ in range(5):
        upstream.then("status=500")
        two.chat()
    assert two.chat().status == 200
    trail = read(two.last().trail)
    ((who, why),) = trail.passed
    assert who == "lab/tiny"
    assert "rests for" in why
    assert [step.provider for step in trail.steps] == ["spare"]


def test_a_single_failure_is_told(two: Inside, upstream: Upstream) -> None:
    """With it, how long the provider took to say no."""
    upstream.then([whole(400, b'{"error":{"message":"no"}}')])
    assert two.chat().status == 400
    (step,) = read(two.last().trail).steps
    assert (step.error, step.status) == ("upstream_refused", 400)


def test_no_credential_is_kept(two: Inside, upstream: Upstream) -> None:
    """A client that names a model by a credential must not bring it into the books."""
    upstream.then("status=500")
    two.chat(model=f"lab/{PROVIDER_KEY}")
    assert PROVIDER_KEY not in two.last().trail


def test_it_is_cut_by_whole_steps(inside: Inside) -> None:
    """A request with many attempts must neither fill the store nor leave half a JSON text."""
    exchange, _ = by_hand(inside)
    exchange.passed = tuple((Target(PROVIDER, f"m{n}"), "failed of late") for n in range(40))
    exchange.trail = [Step("lab", f"m{n}", n, 1, "upstream_failed", 500) for n in range(60)]
    text = written(exchange)
    assert len(text) <= MOST
    trail = read(text)
    assert trail.passed == ()
    assert (trail.steps[0], trail.steps[-1]) == (exchange.trail[0], exchange.trail[-1])
    assert trail.cut == 100 - len(trail.steps)
    exchange.trail = exchange.trail[:2]
    assert read(written(exchange)).passed[0] == ("lab/m0", "failed of late")


@given(
    st.lists(
        st.builds(Step, st.text(max_size=40), st.text(max_size=300), st.integers(0, 10**7), st.integers(0, 10**7)), max_size=60
    ),
    st.lists(st.tuples(st.text(max_size=300), st.text(max_size=80)), max_size=30),
)
def test_it_is_always_small_and_whole(steps: list[Step], passed: list[tuple[str, str]]) -> None:
    """Names come from clients, in any script."""
    who = tuple((Target(PROVIDER, model), reason) for model, reason in passed)
    text = written(cast("Exchange", SimpleNamespace(rules=(1,), passed=who, trail=steps)))
    trail = msgspec.json.decode(text, type=Trail)
    assert len(text.encode()) <= MOST
    named = {(name(target), reason) for target, reason in who}
    assert len(trail.steps) + len(trail.passed) + trail.cut == len(steps) + len(named)
    assert set(trail.passed) <= named
    assert set(trail.steps) <= set(steps)


def test_one_that_cannot_be_cut_ends(inside: Inside) -> None:
    """Nothing a client names may hold up the books."""
    exchange, _ = by_hand(inside)
    exchange.trail = [Step("lab", "m" * 3000, 0, 1, "upstream_failed", 500)]
    assert read(written(exchange)) == Trail(cut=1)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps":1}'])
def test_what_cannot_be_read_is_empty(text: str) -> None:
    """A row of a newer version must not stop the story."""
    assert read(text) == Trail()


def test_fields_of_a_newer_version_are_passed_over() -> None:
    """Rows outlive versions in both directions."""
    step = {"provider": "lab", "model": "m", "began_ms": 1, "took_ms": 2, "new": 1}
    assert read(json.dumps({"steps": [step], "new": []})).steps == (Step("lab", "m", 1, 2),)


def test_names_tell_the_credential_where_there_are_several() -> None:
    """Which account is limited is what the operator must know."""
    second = msgspec.structs.replace(PROVIDER, seat=1)
    first = msgspec.structs.replace(PROVIDER, others=(second,))
    found = [name(Target(one, "m")) for one in (PROVIDER, first, second)]
    assert found == ["lab/m", "lab/m with credential 1", "lab/m with credential 2"]


def test_what_only_passes_is_counted_too(inside: Inside, upstream: Upstream) -> None:
    """A provider of speech that fails would not be seen in the metrics."""
    upstream.then("status=400")
    before = attempts(inside.metrics_page)
    inside.ask("/v1/moderations", {"model": "m", "input": "x"})
    inside.ask("/v1/moderations", {"model": "m", "input": "x"})
    inside.settled(2)
    assert attempts(inside.metrics_page) - before == Counter({"ok": 1, "upstream_refused": 1})


def attempts(metrics: Metrics) -> Counter[str]:
    """Those at `lab`, by result."""
    found = re.findall(r'trunkline_attempts_total\{provider="lab",result="(\w+)"\} (\d+)', metrics.page().render().decode())
    return Counter({result: int(count) for result, count in found})


def test_a_long_list_is_soon_cut() -> None:
    """In an outage every request of a large route has one: written as often as it has entries, it is an outage of ours."""
    who = tuple((Target(PROVIDER, f"model-{n}"), "failed of late") for n in range(20_000))
    before = time.process_time()
    text = written(cast("Exchange", SimpleNamespace(rules=(), passed=who, trail=[])))
    assert time.process_time() - before < 2.0, "one by one it takes ten times as long"
    assert MOST * 3 // 4 < len(text) <= MOST


def test_tries_are_counted_by_what_they_are(inside: Inside) -> None:
    """A hedged one is neither a retry nor a fallback; it has a counter of its own."""
    metrics = Metrics("")
    exchange, _ = by_hand(inside)
    exchange.trail = [
        Step("lab", "a", 0, 1, "upstream_failed"),
        Step("lab", "b", 1, 1, "upstream_failed"),
        Step("lab", "a", 2, 1, "upstream_failed"),
        Step("lab", "c", 2, 1, hedged=True),
    ]
    count(exchange, metrics)
    assert (metrics.retries, metrics.fallbacks) == (1, 2)


def test_only_who_was_due_is_passed_over() -> None:
    """A fallback that rests has nothing to do with a request that its first target answered."""
    a, b, c = targets("a", "b", "c")
    standings = Standings(lambda _: None)
    candidates = Candidates(standings.along(Route("m", (a, b), Deadlines(), fallbacks=(c,))))
    rest(standings, c)
    assert candidates.next(101.0, 0.5) == 0
    assert candidates.passed_over(0, 101.0, 0.5) == []
    candidates.tried(0)
    assert candidates.next(101.0, 0.5) == 1
    assert candidates.passed_over(1, 101.0, 0.5) == []


def test_later_choices_are_told_too() -> None:
    """The first failed and the second was not asked: the third's answer would be a riddle."""
    a, b, c = targets("a", "b", "c")
    standings = Standings(lambda _: None)
    candidates = Candidates(standings.along(Route("m", (a, b), Deadlines(), fallbacks=(c,))))
    rest(standings, b)
    candidates.tried(0)
    assert candidates.next(101.0, 0.5) == 2
    assert [target.model for target, _ in candidates.passed_over(2, 101.0, 0.5)] == ["b"]


def test_the_favourite_is_passed_over_with_its_reason() -> None:
    """By weight, too, there is one whose turn it was."""
    a, b = targets("a", "b")
    standings = Standings(lambda _: None)
    candidates = Candidates(standings.along(Route("m", (a, b), Deadlines(), strategy="weighted")))
    rest(standings, a)
    assert candidates.next(101.0, 0.1) == 1
    ((target, why),) = candidates.passed_over(1, 101.0, 0.1)
    assert target.model == "a"
    assert why.startswith("failed of late")
    assert candidates.next(101.0, 0.9) == 1
    assert candidates.passed_over(1, 101.0, 0.9) == []
