"""Who is turned away under load, and who never is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.overload import (
    BUSY,
    FEW,
    MAX_HOLD,
    MAX_RETRY,
    PERIOD,
    PRIORITIES,
    SEVERE,
    STANDING,
    TARGET,
    Priority,
    Shedder,
)

LATE = 2 * TARGET
_MIX: dict[Priority, int] = {"high": 10, "normal": 60, "low": 30}


def ask(shedder: Shedder, counts: dict[Priority, int]) -> Counter[Priority]:
    """So many requests arrive; how many of each are let in."""
    return Counter(p for priority, count in counts.items() for p in [priority] * count if shedder.admits(p, 0))


def ticks(
    shedder: Shedder,
    lates: Iterable[float],
    counts: dict[Priority, int],
    busy: float = 1.0,
    in_flight: int = FEW,
    connections: int = FEW,
) -> Counter[Priority]:
    """For each lateness one tick with requests before it; how many were let in before the last one."""
    admitted: Counter[Priority] = Counter()
    for late in lates:
        admitted = ask(shedder, counts)
        shedder.tick(late, busy, in_flight, connections)
    return admitted


def refused(shedder: Shedder) -> int:
    """All priorities together."""
    return sum(count for _, count in shedder.refused())


@pytest.mark.parametrize(
    ("most", "high", "normal", "low"), [(10_000, 10_000, 8000, 6000), (10, 10, 8, 6), (2, 2, 1, 1), (1, 1, 1, 1)]
)
def test_slots(most: int, high: int, normal: int, low: int) -> None:
    """A flood of ordinary requests that hang would leave no room for the important ones; and nobody is left without any."""
    shedder = Shedder(most)
    for priority, slots in zip(PRIORITIES, (high, normal, low), strict=True):
        for let_in in (shedder.admits, shedder.has_slot):
            assert let_in(priority, slots - 1)
            assert not let_in(priority, slots)
    assert dict(shedder.refused()) == dict.fromkeys(PRIORITIES, 2)


def test_another_bound() -> None:
    """A bound changed in the file would wait for a restart."""
    shedder = Shedder(1)
    shedder.resize(10)
    assert shedder.admits("normal", 7)


@pytest.mark.parametrize(
    "lates",
    [
        [0.0] * 50,
        [0.3] + [0.0] * 50,
        [LATE, LATE, 0.0] * 20,
        [1.0, 0.5, TARGET] * 20,
    ],
    ids=["in time", "one pause", "two ticks", "a pause that is worked off"],
)
def test_a_hiccup_turns_nobody_away(lates: list[float]) -> None:
    """A pause of the collector, or of the machine below, would cost requests that there is room for."""
    shedder = Shedder(1000)
    ticks(shedder, lates, _MIX)
    assert (shedder.limit, refused(shedder)) == (None, 0)


def test_an_idle_process_turns_nobody_away() -> None:
    """On a machine that others keep busy, one request a tick is not why the loop is late; refusing it would mend nothing."""
    shedder = Shedder(1000)
    ticks(shedder, [LATE] * 200, {"low": 1})
    assert refused(shedder) == 0


def test_a_loop_that_others_keep_from_working_turns_nobody_away() -> None:
    """Where neighbours or a thread of our own have the processor, a loop is late, and with fewer requests no less so."""
    shedder = Shedder(1000)
    ticks(shedder, [1.0] * 100, _MIX, busy=BUSY - 0.01)
    assert (shedder.limit, refused(shedder), shedder.late) == (None, 0, 1.0)


@pytest.mark.parametrize("late", [LATE, 1.0])
@pytest.mark.parametrize(
    ("a_tick", "in_flight", "connections"), [(500, 1, 1), (500, FEW - 1, FEW - 1), (2, 1, 900), (1, FEW - 2, 900)]
)
def test_a_few_clients_are_never_turned_away(late: float, a_tick: int, in_flight: int, connections: int) -> None:
    """On a slow or busy machine the loop is late with one client, however little it asks; it would be refused in vain."""
    shedder = Shedder(1000)
    ticks(shedder, [late] * 200, {"low": a_tick}, in_flight=in_flight, connections=connections)
    assert (shedder.limit, refused(shedder)) == (None, 0)


def test_low_goes_first_then_normal_then_high() -> None:
    """What a company's batch jobs ask for would push its users out."""
    shedder = Shedder(1000)
    seen = [ticks(shedder, [LATE], _MIX) for _ in range(60)]
    asked_low = [index for index, admitted in enumerate(seen) if admitted["low"] < _MIX["low"]]
    asked_normal = [index for index, admitted in enumerate(seen) if admitted["normal"] < _MIX["normal"]]
    assert STANDING <= asked_low[0] <= asked_normal[0]
    assert (seen[-1]["low"], seen[-1]["normal"]) == (0, 0)
    assert all(admitted["high"] == _MIX["high"] for admitted in seen)
    assert dict(shedder.refused())["high"] == 0


def test_high_too_where_it_alone_is_too_much() -> None:
    """Where all keys are of high priority, there would be no protection at all."""
    shedder = Shedder(10_000)
    admitted = ticks(shedder, [SEVERE] * 40, {"high": 500})
    assert admitted["high"] < 500
    before = dict(shedder.refused())["high"]
    shedder.tick(0.0, 1.0, FEW, FEW)
    assert ask(shedder, {"high": 500})["high"] == 500
    assert dict(shedder.refused())["high"] == before


def test_the_share_is_dealt_out_evenly() -> None:
    """Let in as they come until the rate is used up, requests at the end of each tick would never have a chance."""
    shedder = Shedder(1000)
    ticks(shedder, [LATE] * 12, {"normal": 100})
    let_in = [shedder.admits("normal", 0) for _ in range(200)]
    halves = sum(let_in[:100]), sum(let_in[100:])
    assert 0 < sum(let_in) < 200
    assert abs(halves[0] - halves[1]) <= 1


@pytest.mark.parametrize("after", [_MIX, {"normal": 5}, {}], ids=["all of it", "less of it", "none"])
def test_it_recovers(after: dict[Priority, int]) -> None:
    """After the flood requests would go on being refused: two seconds at most."""
    shedder = Shedder(1000)
    ticks(shedder, [LATE] * 40, _MIX)
    assert shedder.limit is not None
    ticks(shedder, [0.0] * round(3 / PERIOD), after)
    before = refused(shedder)
    ticks(shedder, [0.0], after)
    assert (refused(shedder), shedder.hold) == (before, 0.0)


def test_many_refusals_wait() -> None:
    """Refusing alone would keep the process busy; who waits for a refusal sends nothing meanwhile. A few need not wait."""
    shedder = Shedder(1000)
    for _ in range(40):
        for _ in range(9):
            assert not shedder.has_slot("low", 1000)
            shedder.admits("low", 1000)
        shedder.tick(0.0, 1.0, FEW, FEW)
    assert shedder.hold == 0.0
    for _ in range(40):
        for _ in range(5000):
            shedder.admits("low", 1000)
        shedder.tick(0.0, 1.0, FEW, FEW)
    assert shedder.hold == MAX_HOLD


def test_clients_are_not_told_to_come_back_at_once() -> None:
    """All those who are turned away would come back in the same second; the more there are, the further they are spread."""
    shedder = Shedder(1000)
    assert {shedder.retry_after() for _ in range(100)} == {1, 2}
    ticks(shedder, [LATE] * 100, _MIX)
    assert {shedder.retry_after() for _ in range(100)} == set(range(1, MAX_RETRY + 1))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5),
            st.floats(0, 1),
            st.integers(0, 99),
            st.lists(st.tuples(st.sampled_from(PRIORITIES), st.integers(0, 20)), max_size=30),
        ),
        max_size=60,
    ),
    st.integers(1, 20),
)
def test_whatever_comes(story: list[tuple[float, float, int, list[tuple[Priority, int]]]], most: int) -> None:
    """Never more in flight than may be; every request is let in or counted; whoever is turned away is told a sane time."""
    shedder = Shedder(most)
    for late, busy, count, requests in story:
        for priority, in_flight in requests:
            before = refused(shedder)
            admitted = shedder.admits(priority, in_flight)
            assert refused(shedder) == before + (not admitted)
            assert not admitted or in_flight < most
            assert 1 <= shedder.retry_after() <= MAX_RETRY
        shedder.tick(late, busy, count, count)
        assert 0.0 <= shedder.hold <= MAX_HOLD
        assert shedder.limit is None or shedder.limit > 0


class Loop:
    """A loop whose time is only the work done in it: a tick is as late as the work before it took too long.

    A client has so many connections as would be busy for 0.4 s; a request that finds none free is not sent.
    """

    def __init__(self, capacity: float, refusals: float) -> None:
        """`capacity`: requests a second. `refusals`: of a request's cost, that of a refusal."""
        self.shedder = Shedder(10_000)
        self.cost = 1 / capacity
        self.refusal = refusals * self.cost
        self.now = 0.0
        self.backlog = 0.0
        self.good: Counter[Priority] = Counter()

    def run(self, rate: float, seconds: float) -> float:
        """`rate` requests a second for so long, in the mix; how many a second were let in."""
        self.good.clear()
        begun, asked = self.now, 0
        parts = [priority for priority, part in _MIX.items() for _ in range(part // 10)]
        while self.now - begun < seconds:
            took = max(PERIOD, self.backlog)
            self.now += took
            self.shedder.tick(took - PERIOD, 1.0, 0, 3000)
            due = round((self.now - begun) * rate)
            sent = range(asked, min(due, asked + round(0.4 / self.cost)))
            letin = Counter(p for number in sent if self.shedder.admits(p := parts[number % len(parts)], 0))
            self.good += letin
            work = letin.total() * self.cost + (len(sent) - letin.total()) * self.refusal
            self.backlog = max(0.0, self.backlog + work - took)
            asked = due
        return self.good.total() / (self.now - begun)


@pytest.mark.parametrize("capacity", [200, 8000])
def test_goodput_under_three_times_the_load(capacity: int) -> None:
    """Without it, everybody waits and nobody is served; with too much of it, the process stands idle."""
    loop = Loop(capacity, refusals=0.02)
    assert loop.run(0.7 * capacity, 5) == pytest.approx(0.7 * capacity, rel=0.05)
    assert refused(loop.shedder) == 0
    loop.run(3 * capacity, 3)
    before = dict(loop.shedder.refused())["high"]
    assert loop.run(3 * capacity, 20) >= 0.8 * capacity
    assert dict(loop.shedder.refused())["high"] == before
    loop.run(0.7 * capacity, 3)
    before = refused(loop.shedder)
    assert loop.run(0.7 * capacity, 5) == pytest.approx(0.7 * capacity, rel=0.05)
    assert refused(loop.shedder) == before
