"""Who is asked next: by strategy, by key, and never who is not well while somebody is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.allowances import Told
from trunkline.providers.provider import Provider, Target
from trunkline.routing.choose import QUICK_FOR, Candidates
from trunkline.routing.course import Course, Standings
from trunkline.routing.health import FIRST_REST, LAST_RESORT, SILENCE
from trunkline.routing.pace import HALF_LIFE
from trunkline.routing.route import Route, Strategy
from trunkline.routing.traits import Traits, distinguishing

NOW = 1000.0
DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "down")
STRATEGIES: tuple[Strategy, ...] = ("ordered", "weighted", "latency", "least_busy", "cost")


def target(name: str, weight: float = 1.0, seat: int = 0, **facts: Any) -> Target:
    provider = Provider(name, "openai", Origin("http", "h", 1), {"openai_chat": ""}, seat=seat)
    return Target(provider, "x", weight, Facts(**facts))


class Scene:
    """One route, its standings, and a clock."""

    def __init__(
        self,
        targets: Sequence[Target],
        strategy: Strategy = "ordered",
        fallbacks: Sequence[Target] = (),
        prices: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        self.now = NOW
        self.standings = Standings(lambda one: (prices or {}).get(one.provider.name))
        looks = distinguishing((*targets, *fallbacks))
        self.route = Route("m", tuple(targets), Deadlines(), fallbacks=tuple(fallbacks), strategy=strategy, looks=looks)
        self.course: Course = self.standings.along(self.route)

    def of(self, *ats: int) -> list[str]:
        """Their names."""
        return [self.course.everyone[at].provider.name for at in ats]

    def ill(self, *ats: int) -> None:
        """Their circuits open."""
        for at in ats:
            for _ in range(5):
                self.course.standings[at].circuit.failed(self.now, DOWN)

    def ask(
        self, traits: Traits | None = None, key: int | None = None, dice: float = 0.0, *, answer: float | None = 0.2
    ) -> int:
        """One request, answered after so many seconds; None: it stays in flight. Whom it went to."""
        candidates = Candidates(self.course, traits or Traits(), key)
        at = candidates.next(self.now, dice)
        assert at is not None
        standing = self.course.standings[at]
        self.standings.asked(standing, candidates.tokens, self.now)
        if answer is not None:
            standing.busy -= 1
            standing.succeeded(self.now, self.now + answer, None)
        return at

    def order(self, traits: Traits | None = None, key: int | None = None, dice: float = 0.0) -> list[int]:
        """All that one request is sent to where everyone fails for a reason that is not counted."""
        candidates, found = Candidates(self.course, traits or Traits(), key), []
        while (at := candidates.next(self.now, dice)) is not None:
            candidates.tried(at)
            found.append(at)
        return found


def test_as_it_is_written() -> None:
    """An operator's first choice would be asked only sometimes."""
    scene = Scene([target("a", 5), target("b", 9)], fallbacks=[target("c"), target("d")])
    assert scene.order() == [0, 1, 2, 3]
    assert {scene.ask() for _ in range(9)} == {0}


def test_another_round_begins_anew() -> None:
    """A second try would have nobody to go to."""
    scene = Scene([target("a"), target("b")])
    candidates = Candidates(scene.course)
    for at in (0, 1):
        candidates.tried(at)
    assert candidates.next(NOW, 0.0) is None
    candidates.anew()
    assert candidates.next(NOW, 0.0) == 0


@pytest.mark.parametrize("weights", [(3, 1), (1, 1, 1), (98, 1, 1), (1,) * 20])
def test_shares_are_those_of_the_weights(weights: tuple[int, ...]) -> None:
    """A provider with a tenth of the quota would be sent half of the requests."""
    scene = Scene([target(f"p{at}", weight) for at, weight in enumerate(weights)], "weighted")
    dice, rounds = random.Random(7), 20_000
    first = Counter(scene.ask(dice=dice.random()) for _ in range(rounds))
    squares = sum((first[at] - rounds * w / sum(weights)) ** 2 / (rounds * w / sum(weights)) for at, w in enumerate(weights))
    assert squares < 3 * len(weights) + 10, f"chi-square of {first}"


def test_shares_of_those_who_are_left() -> None:
    """Where one of three is ill, the others would not share by their weights."""
    scene = Scene([target("a", 1), target("b", 3), target("c", 6)], "weighted")
    scene.ill(2)
    dice = random.Random(7)
    found = Counter(scene.ask(dice=dice.random()) for _ in range(10_000))
    assert found[2] == 0
    assert 0.23 < found[0] / 10_000 < 0.27


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("dice", [0.0, 1.0])
def test_the_edges_of_chance(strategy: Strategy, dice: float) -> None:
    """A dice of exactly zero or one must not end a request, with one target or many."""
    assert sorted(Scene([target("a"), target("b")], strategy).order(dice=dice)) == [0, 1]
    assert Scene([target("a")], strategy).order(dice=dice) == [0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_is_not_well_comes_last(strategy: Strategy) -> None:
    """A request would wait for a provider that is down before it goes to one that is not."""
    scene = Scene([target("a"), target("b")], strategy, [target("c"), target("d")])
    scene.ill(0, 2)
    assert scene.order() == [1, 3, 0, 2]
    scene.ill(1, 3)
    assert sorted(scene.order()) == [0, 1, 2, 3], "better asked than nobody"


def test_nobody_well_is_asked_only_so_often() -> None:
    """All requests of an outage would fall on a provider that tries to get up."""
    scene = Scene([target("a"), target("b")])
    scene.ill(0, 1)
    scene.now += SILENCE + 0.1  # and nobody was answered since
    asked = 0
    while (at := Candidates(scene.course).next(scene.now, 0.0)) is not None:
        scene.standings.asked(scene.course.standings[at], 0, scene.now)
        asked += 1
    assert asked == 2 * LAST_RESORT
    assert 0 < Candidates(scene.course).rests(scene.now) <= FIRST_REST


def test_who_is_limited_is_asked_before_who_fails() -> None:
    """Nobody else is left: one that has used up its limit may have room after all, one that is down has none."""
    scene = Scene([target("a"), target("b"), target("c")])
    scene.ill(0)
    for at in (1, 2):
        refused = GatewayError(Kind.UPSTREAM_FAILED, "x", status=429)
        assert refused.retry_after is None
        scene.course.standings[at].told(Told(requests_left=0, requests_limit=10, requests_reset=30.0), NOW)
    assert scene.ask() in {1, 2}
    assert set(scene.order()[:2]) == {1, 2}
    reasons = [reason for _, _, reason in Candidates(scene.course).verdicts(NOW)]
    assert [reason.partition(",")[0].partition(" and ")[0] for reason in reasons] == [
        "failed of late", "has used up what its provider allows", "has used up what its provider allows",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("traits", "fits"),
    [
        (Traits(), {0, 1, 2}),
        (Traits(media=frozenset({"image"})), {0, 2}),
        (Traits(tools=True), {0, 1}),
        (Traits(media=frozenset({"image"}), tools=True), {0}),
    ],
)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_cannot_take_it_is_never_asked(strategy: Strategy, traits: Traits, fits: set[int]) -> None:
    """A picture would go to a model that is blind, and come back as an error or, worse, as an answer."""
    targets = [target("all"), target("blind", media=frozenset(), context=4096), target("no-tools", tools=False)]
    scene = Scene(targets, strategy)
    assert set(scene.order(traits)) == fits
    assert Scene([targets[1], targets[0]], strategy).order(traits)[-1:] == [1], "the last resort is who can take it"


@pytest.mark.parametrize("traits", [Traits(tokens=5000, tools=True), Traits(tokens=500, output=4000, tools=True)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_is_perhaps_too_small_is_asked_after_all_who_are_not(strategy: Strategy, traits: Traits) -> None:
    """Sizes are guessed: where all others are ill or have failed, a request that would have fitted would be turned away."""
    targets = [target("small", context=4096), target("all"), target("small-too", context=4096, tools=False)]
    scene = Scene(targets, strategy)
    assert scene.order(traits) == [1, 0]
    scene.ill(1)
    assert scene.order(traits)[0] == 0


def test_where_nobody_can_everyone_is_asked() -> None:
    """Our guess would be a worse answer than the provider's own."""
    scene = Scene([target("blind", media=frozenset()), target("deaf", media=frozenset({"document"}))])
    traits = Traits(media=frozenset({"audio"}))
    assert scene.order(traits) == [0, 1]
    scene = Scene([target("blind", media=frozenset()), target("sees")])
    scene.ill(1)
    assert scene.order(Traits(media=frozenset({"image"}))) == [1], "ill, but the only one that can"


def test_least_busy_by_weight() -> None:
    """A provider with three times the capacity would get as many as the others."""
    scene = Scene([target("a", 1), target("b", 3)], "least_busy")
    assert Counter(scene.ask(answer=None) for _ in range(40)) == {0: 10, 1: 30}


def test_any_idle_one_and_only_then_the_least_busy() -> None:
    """With all of them idle the first would get everything; with one idle the request would wait behind another."""
    scene = Scene([target(name) for name in "abcd"], "least_busy")
    assert Counter(scene.ask(dice=number / 40) for number in range(41)) == {0: 11, 1: 10, 2: 10, 3: 10}
    for at in (0, 1, 3):
        scene.course.standings[at].busy = 5
    assert {scene.ask(dice=number / 40) for number in range(41)} == {2}
    scene.course.standings[2].busy = 6
    assert [scene.ask(answer=None) for _ in range(3)] == [1, 3, 0], "of equals the one that waited longest"


def test_the_cheapest_for_this_request() -> None:
    """A long prompt with a short answer is cheap elsewhere than a short one with a long answer."""
    prices = {"in": (1.0, 50.0), "out": (5.0, 10.0), "dear": (6.0, 60.0)}
    scene = Scene([target(name) for name in ("dear", "unknown", "in", "out")], "cost", prices=prices)
    assert scene.of(scene.ask(Traits(tokens=10_000, output=100))) == ["in"]
    assert scene.of(scene.ask(Traits(tokens=100, output=10_000))) == ["out"]
    assert scene.of(*scene.order(Traits(tokens=10_000, output=100))) == ["in", "out", "dear", "unknown"]


def test_equally_cheap_ones_take_turns() -> None:
    """Everything would go to the first of two accounts."""
    alone = Scene([target(name) for name in "ab"], "cost", prices={"a": (2.0, 2.0), "b": (1.0, 1.0)})
    assert {alone.ask() for _ in range(5)} == {1}
    scene = Scene([target(name) for name in "abc"], "cost", prices={"a": (1.0, 2.0), "b": (1.0, 2.0), "c": (1.0, 3.0)})
    assert Counter(scene.ask() for _ in range(10)) == {0: 5, 1: 5}
    nobody_knows = Scene([target(name) for name in "ab"], "cost")
    assert Counter(nobody_knows.ask() for _ in range(10)) == {0: 5, 1: 5}


@pytest.mark.parametrize("stream", [True, False])
def test_the_quickest_gets_all_but_what_is_as_quick(stream: bool) -> None:
    """A target ten times as slow would be asked as often, or one that is quicker by a hair would get everything."""
    scene = Scene([target(name) for name in "abc"], "latency")
    for at, seconds in enumerate((0.100, 0.105, 0.9)):
        scene.course.standings[at].succeeded(NOW - seconds, NOW, seconds if stream else None)
    traits = Traits(stream=stream)
    times = (0.100, 0.105, 0.9)
    found: Counter[int] = Counter()
    for _ in range(100):
        chosen = Candidates(scene.course, traits).next(scene.now, 0.0)
        assert chosen is not None
        found[chosen] += 1
        standing = scene.course.standings[chosen]
        scene.standings.asked(standing, 0, scene.now)
        scene.now += 0.1
        standing.busy -= 1
        standing.succeeded(scene.now - times[chosen], scene.now, times[chosen] if stream else None)
    assert found[2] == 0
    assert abs(found[0] - found[1]) <= 1


def test_who_was_not_heard_of_is_tried_by_one_request_at_a_time() -> None:
    """A target that was slow once would never be tried again, or by all requests of a second at once."""
    scene = Scene([target(name) for name in "abc"], "latency")
    first = [scene.ask(answer=None) for _ in range(3)]
    assert sorted(first) == [0, 1, 2], "nothing is known: each is tried once"
    assert scene.ask(answer=None) in {0, 1, 2}, "and while all are being tried, they take turns"
    for at, seconds in enumerate((0.1, 0.1, 3.0)):
        standing = scene.course.standings[at]
        standing.busy = 0
        standing.succeeded(NOW - seconds, NOW, None)
    assert {scene.ask() for _ in range(20)} == {0, 1}
    for _ in range(6):  # five halvings make three seconds less than a tenth
        scene.now += HALF_LIFE
        for at in (0, 1):
            scene.course.standings[at].succeeded(scene.now - 0.1, scene.now, None)
    again = [scene.ask(answer=None) for _ in range(20)]
    assert again.count(2) == 1
    assert again[0] == 2


def test_who_is_quick_is_found_out_once_a_moment() -> None:
    """Twenty targets would be compared for each request; or one that became slow would be asked for minutes."""
    scene = Scene([target(name) for name in "abc"], "latency")
    for at, seconds in enumerate((0.1, 0.2, 0.3)):
        scene.course.standings[at].succeeded(NOW - seconds, NOW, None)
    assert scene.ask(answer=None) == 0
    for _ in range(9):
        scene.course.standings[0].succeeded(NOW - 9.0, NOW, None)
    assert scene.ask(answer=None) == 0
    scene.now += QUICK_FOR
    assert scene.ask(answer=None) == 1
    scene.ill(1)
    assert scene.ask(answer=None) == 2, "who is ill is passed over at once"
    stream = Traits(stream=True)
    assert [scene.ask(stream, answer=None) for _ in range(3)] != [1] * 3, "of streams nothing is known yet"


def test_a_key_keeps_to_one_target() -> None:
    """Each turn of a conversation would pay for its whole prompt again."""
    for strategy in ("weighted", "least_busy"):
        scene = Scene([target(f"p{at}", weight) for at, weight in enumerate((1, 1, 2))], strategy)
        dice = random.Random(5)
        keys = [dice.getrandbits(64) for _ in range(2000)]
        homes = [scene.ask(key=key, answer=None) for key in keys]
        assert [scene.ask(key=key) for key in keys] == homes
        share = Counter(homes)
        assert 0.40 < share[2] / 2000 < 0.60
        scene.ill(2)
        moved = [scene.ask(key=key) for key in keys]
        assert all(now == home for now, home in zip(moved, homes, strict=True) if home != 2), "others have to move too"
        spilled = Counter(now for now, home in zip(moved, homes, strict=True) if home == 2)
        assert set(spilled) == {0, 1}
        assert min(spilled.values()) > 0.3 * sum(spilled.values()), "what spills falls on one target"


@pytest.mark.parametrize("ill", [False, True])
def test_hits_of_the_prompt_cache(ill: bool) -> None:
    """10,000 requests of 500 sessions over five targets, one of which is ill for the middle third: all others' sessions would
    lose their caches, its own would fail, or they would not come back. `bench/routing.py` prints the figures.
    """
    scene = Scene([target(f"p{at}") for at in range(5)], "weighted")
    dice = random.Random(11)
    keys = [dice.getrandbits(64) for _ in range(500)]
    homes: dict[int, int] = {}
    last: dict[int, int] = {}
    hits = again = 0
    spilled: Counter[bool] = Counter()
    for number in range(10_000):
        scene.now += 0.02
        if ill and number * 3 // 10_000 == 1:
            scene.ill(2)
        key = dice.choice(keys)
        at = scene.ask(key=key)
        home = homes.setdefault(key, at)
        if key in last:
            again += 1
            hits += last[key] == at
        if number * 3 // 10_000 == 1 and home == 2:
            spilled[at != 2] += 1
        elif number > 9000:
            assert at == home, "it comes back"
        last[key] = at
    assert spilled[True] > 0.97 * spilled.total() if ill else not spilled[True], "it spills, but for a few that try"
    rate = hits / again
    assert rate == 1.0 if not ill else 0.97 < rate < 1.0


def test_a_key_chooses_only_among_equals() -> None:
    """A session would be kept at a provider ten times as dear or slow, or at the operator's second choice."""
    keys = range(0, 2**64, 2**57)
    ordered = Scene([target("a"), target("a", seat=1), target("b")])
    assert {ordered.ask(key=key) for key in keys} == {0, 1}
    cheap = Scene([target(name) for name in "abc"], "cost", prices={"a": (1, 1), "b": (1, 1), "c": (2, 2)})
    assert {cheap.ask(key=key) for key in keys} == {0, 1}
    quick = Scene([target(name) for name in "abcd"], "latency")
    for at, seconds in enumerate((0.1, 0.18, 0.9)):
        quick.course.standings[at].succeeded(NOW - seconds, NOW, None)
    assert {quick.ask(key=key, answer=None) for key in keys} == {0, 1, 3}, "of whom nothing is known may be quick"
    unknown = Scene([target(name) for name in "ab"], "latency")
    assert {unknown.ask(key=key, answer=None) for key in keys} == {0, 1}


def test_credentials_take_turns() -> None:
    """The first of three accounts would be used up while the others rest."""
    scene = Scene([target("a"), target("a", seat=1), target("a", seat=2), target("b")])
    assert [scene.ask() for _ in range(6)] == [0, 1, 2, 0, 1, 2]
    scene.ill(1)
    assert [scene.ask() for _ in range(4)] == [0, 2, 0, 2]
    fallen = Scene([target("z")], fallbacks=[target("a"), target("a", seat=1)])
    fallen.ill(0)
    assert [fallen.ask() for _ in range(4)] == [1, 2, 1, 2], "as a fallback too"


@pytest.mark.parametrize(
    ("status", "order"),
    [(401, [0, 1, 2, 3]), (403, [0, 1, 2, 3]), (429, [0, 1, 2, 3]), (500, [0, 2, 3, 1]), (None, [0, 2, 3, 1])],
)
def test_another_credential_does_not_mend_a_broken_provider(status: int | None, order: list[int]) -> None:
    """Each of 60 keys would be tried at a provider that hangs, before anybody else is asked."""
    scene = Scene([target("a"), target("a", seat=1), target("b")], fallbacks=[target("c")])
    candidates = Candidates(scene.course)
    error = GatewayError(Kind.UPSTREAM_FAILED, "x", status=status) if status else DOWN
    found = []
    while (at := candidates.next(NOW, 0.0)) is not None:
        found.append(at)
        candidates.tried(at)
        candidates.failed(at, error)
    assert found == order


def test_who_was_passed_over_and_why() -> None:
    """Whoever asks why a request went to the second choice would find no answer."""
    scene = Scene([target("a"), target("blind", media=frozenset()), target("c")])
    picture = Traits(media=frozenset({"image"}))
    candidates = Candidates(scene.course, picture)
    assert candidates.next(NOW, 0.0) == 0
    assert candidates.passed_over(0, NOW, 0.0) == []
    scene.ill(0)
    candidates = Candidates(scene.course, picture)
    assert candidates.next(NOW, 0.0) == 2
    told = [(one.provider.name, reason) for one, reason in candidates.passed_over(2, NOW, 0.0)]
    assert told == [("a", "failed of late and rests for 10 s"), ("blind", "takes no image")]
    scene = Scene([target("blind", media=frozenset()), target("deaf", media=frozenset({"document"}))])
    candidates = Candidates(scene.course, picture)
    at = candidates.next(NOW, 0.0)
    assert at == 0
    assert candidates.passed_over(at, NOW, 0.0) == []


@given(
    strategy=st.sampled_from(STRATEGIES),
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    fallbacks=st.integers(0, 3),
    blind=st.sets(st.integers(0, 8)),
    ill=st.sets(st.integers(0, 8)),
    key=st.none() | st.integers(0, 2**64 - 1),
    seed=st.integers(0, 99),
)
def test_each_once_and_nobody_unfit(
    strategy: Strategy, weights: list[int], fallbacks: int, blind: set[int], ill: set[int], key: int | None, seed: int
) -> None:
    """A target would be asked twice in a round, left out, or asked for what it cannot do while another can."""
    made = [
        target(f"p{at}", weight, media=frozenset() if at in blind else None)
        for at, weight in enumerate([*weights, *[1] * fallbacks])
    ]
    scene = Scene(made[: len(weights)], strategy, made[len(weights) :])
    ill = {at for at in ill if at < len(made)}
    scene.ill(*ill)
    dice = random.Random(seed)
    candidates, found = Candidates(scene.course, Traits(media=frozenset({"image"})), key), []
    while (at := candidates.next(NOW, dice.random())) is not None:
        candidates.tried(at)
        candidates.passed_over(at, NOW, dice.random())
        found.append(at)
    fit = {at for at in range(len(made)) if at not in blind} or set(range(len(made)))
    assert sorted(found) == sorted(fit)
    well = [at for at in found if at not in ill]
    assert found[: len(well)] == well, "the ill ones come last"
    firsts = [at < len(weights) for at in well]
    assert firsts == sorted(firsts, reverse=True), "the targets come before the fallbacks"


def test_a_reloaded_route_keeps_what_was_learned() -> None:
    """After each change of the file, requests would go to providers that are known to be down."""
    scene = Scene([target("a"), target("b")])
    scene.ill(0)
    scene.course = scene.standings.along(msgspec.structs.replace(scene.route, strategy="weighted"))
    assert {scene.ask(dice=dice / 10) for dice in range(10)} == {1}


# a key that may use some providers only ------------------------------------------------------------------------------


def _all_asked(candidates: Candidates, now: float, dice: float) -> list[int]:
    found = []
    while (at := candidates.next(now, dice)) is not None:
        candidates.tried(at)
        found.append(at)
    return found


@given(
    strategy=st.sampled_from(STRATEGIES),
    names=st.lists(st.sampled_from("abcd"), min_size=1, max_size=6),
    first=st.integers(1, 6),
    may=st.sets(st.sampled_from("abcd")),
    small=st.sets(st.integers(0, 5)),
    ill=st.sets(st.integers(0, 5)),
    key=st.none() | st.integers(0, 2**64 - 1),
    dice=st.floats(0, 0.999),
)
def test_nobody_else_is_asked_whatever_happens(
    strategy: Strategy,
    names: list[str],
    first: int,
    may: set[str],
    small: set[int],
    ill: set[int],
    key: int | None,
    dice: float,
) -> None:
    """A key that may use one provider must not reach another because that one is ill, full, too small or slow."""
    targets = [target(name, context=10 if at in small else 1000) for at, name in enumerate(names)]
    scene = Scene(targets[:first], strategy, targets[first:])
    scene.ill(*(at for at in ill if at < len(names)))
    candidates = Candidates(scene.course, Traits(tokens=100), key, frozenset(may))
    assert scene.of(*candidates.may) == [name for name in names if name in may]
    if candidates.may:
        for _ in range(2):
            asked = _all_asked(candidates, scene.now, dice)
            assert {*scene.of(*asked)} <= may
            assert len(asked) == len({*asked})
            candidates.anew()
        assert {one.provider.name for one, _ in candidates.passed_over(candidates.may[-1], scene.now, dice)} <= may
    reasons = {at: reason for at, (_, _, reason) in enumerate(candidates.verdicts(scene.now))} if candidates.may else {}
    assert all("key may not" in reason for at, reason in reasons.items() if names[at] not in may)


def test_who_may_use_all_of_a_route_is_not_held_up() -> None:
    """The look at each target is for those alone whom it concerns."""
    scene = Scene([target("a"), target("b")])
    assert Candidates(scene.course, providers=frozenset("abc"))._open is None
    assert Candidates(scene.course)._open is None
    assert [*Candidates(scene.course).may] == [0, 1]


def test_of_those_that_are_left_the_strategy_still_chooses() -> None:
    """Weights, and a prompt's cache, hold among those that the key may use."""
    scene = Scene([target("a", 9), target("b", 1), target("c", 3)], "weighted")
    draws = Counter(
        scene.of(Candidates(scene.course, providers=frozenset("bc")).next(NOW, n / 1000) or 0)[0] for n in range(1000)
    )
    assert draws["c"] == pytest.approx(750, abs=40)
    assert draws["a"] == 0


def test_who_is_held_back_by_our_own_limits() -> None:
    """The next one is asked; where all are held back nobody is, and the client is told whose turn comes first."""
    scene = Scene([target("a"), target("b")], fallbacks=[target("c")])
    waits = {"a": 5.0, "b": 0.0, "c": 2.0}
    for at, standing in enumerate(scene.course.standings):
        standing.gate = lambda _, name="abc"[at]: waits[name]
    candidates = Candidates(scene.course)
    assert candidates.next(NOW, 0.0) == 1
    assert [reason for _, reason in candidates.passed_over(1, NOW, 0.0)] == [
        "is asked as much as its limits here allow, for 5.0 s"
    ]
    waits["b"] = 9.0
    assert candidates.next(NOW, 0.0) is None
    held = candidates.held()
    assert held is not None
    assert (held[0].provider.name, held[1]) == ("c", 2.0)
    waits.update(dict.fromkeys(waits, 0.0))
    assert candidates.held() is None
