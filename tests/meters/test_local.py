"""Meters of one process: exact to the request, the token, the nano-dollar and the microsecond."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.counting import BORN, SECOND, Counting
from harness.meters import DOLLAR
from trunkline.meters.local import LocalHold
from trunkline.meters.meter import Claim, Refused
from trunkline.meters.rule import Rule, Rules

DAY = 86_400.0


def only(what: Any, amount: int, **more: Any) -> Rules:
    return Rules((Rule("key:k", what, amount, **more),))


@pytest.mark.parametrize("amount", [1, 2, 3, 7, 60, 61, 599, 1000, 59_999])
def test_a_burst_is_a_minutes_worth_and_then_one_at_a_time(amount: int) -> None:
    """A limit that triggers early is a limit that was not agreed on; one that triggers late is none."""

    async def main() -> None:
        counting = Counting()
        rules = only("requests", amount)
        assert await counting.granted(amount + 5, rules) == amount
        for _ in range(5):
            counting.clock.mono += -(-60 * SECOND // amount)
            assert await counting.granted(3, rules) == 1
        counting.clock.sleep(3600)
        assert await counting.granted(amount + 5, rules) == amount

    asyncio.run(main())


@given(amount=st.integers(1, 10_000_000), gaps=st.lists(st.floats(0, 90), max_size=20), tokens=st.integers(1, 1_000_000))
@settings(max_examples=50, deadline=None)
def test_retry_after_is_exact(amount: int, gaps: list[float], tokens: int) -> None:
    """Whoever comes a microsecond early is refused, whoever comes when he was told is let in."""

    async def main() -> None:
        counting = Counting()
        rules = only("tokens", amount)
        for gap in gaps:
            counting.clock.sleep(gap)
            got = await counting.ask(rules, tokens=tokens)
            if isinstance(got, Refused):
                assert got.retry_after is not None
                wait = round(got.retry_after * SECOND)
                counting.clock.mono += max(wait - 1000, 0)
                if wait > 1000:
                    assert isinstance(await counting.ask(rules, tokens=tokens), Refused)
                    counting.clock.mono += 1010  # what a float cannot tell apart in a wait of months
                assert isinstance(await counting.ask(rules, tokens=tokens), LocalHold)

    asyncio.run(main())


def test_tokens_are_settled_by_truth() -> None:
    """An estimate too high is given back, one too low is taken later; one beyond the limit waits for a full bucket."""

    async def main() -> None:
        counting = Counting()
        rules = only("tokens", 6000)
        first = await counting.ask(rules, tokens=4000)
        assert isinstance(first, LocalHold)
        assert (first.tokens.limit, first.tokens.remaining, first.tokens.reset) == (6000, 2000, 40.0)  # type: ignore[union-attr]
        counting.meters.settle(first, 1000, 0)
        second = await counting.ask(rules, tokens=5000)
        assert isinstance(second, LocalHold)
        counting.meters.settle(second, 8000, 0)
        refused = await counting.ask(rules, tokens=1)
        assert isinstance(refused, Refused)
        assert refused.retry_after == pytest.approx(30.01)
        assert refused.tokens is not None
        assert refused.tokens.remaining == 0
        counting.clock.sleep(600)
        assert await counting.granted(2, rules, tokens=60_000) == 1

    asyncio.run(main())


def test_the_longest_refusal_is_told_and_nothing_is_taken() -> None:
    """A request that one of several limits refuses costs nothing of the others, and hears of the one that takes longest."""

    async def main() -> None:
        counting = Counting()
        wide, narrow = only("requests", 100), Rules((Rule("team:t", "requests", 2), Rule("team:t", "concurrent", 1)))
        assert await counting.granted(1, wide, narrow) == 1
        refused = await counting.ask(wide, narrow)
        assert isinstance(refused, Refused)
        assert (refused.rule.what, refused.retry_after) == ("concurrent", 1.0)
        hold = await counting.ask(wide)
        assert isinstance(hold, LocalHold)
        assert hold.requests.remaining == 98  # type: ignore[union-attr]
        poor = only("money", DOLLAR)
        refused = await counting.ask(poor, narrow, nano=2 * DOLLAR)
        assert isinstance(refused, Refused)
        assert (refused.rule.what, refused.retry_after) == ("money", None)
        assert counting.meters.wait(narrow, 0) == 1.0
        assert counting.meters.wait(wide, 0) == 0.0

    asyncio.run(main())


def test_what_a_budget_refuses_with() -> None:
    """Reserved by others: soon. Spent: when the window ends. More than there ever is, or for ever: never."""

    async def main() -> None:
        counting = Counting()
        rules = only("money", 10 * DOLLAR, period="day")
        hold = await counting.ask(rules, nano=8 * DOLLAR)
        assert isinstance(hold, LocalHold)
        refused = await counting.ask(rules, nano=3 * DOLLAR)
        assert isinstance(refused, Refused)
        assert (refused.reserved, refused.retry_after) == (True, 1.0)
        counting.meters.settle(hold, 0, 8 * DOLLAR)
        refused = await counting.ask(rules, nano=3 * DOLLAR)
        assert isinstance(refused, Refused)
        midnight = dt.datetime(2026, 9, 22, tzinfo=dt.UTC).timestamp() - BORN / SECOND
        assert (refused.reserved, refused.retry_after) == (False, midnight)
        refused = await counting.ask(rules, nano=11 * DOLLAR)
        assert isinstance(refused, Refused)
        assert refused.retry_after is None
        assert await counting.granted(1, rules) == 1, "what costs nothing is never too dear"
        counting.clock.sleep(midnight)
        assert await counting.granted(1, rules, nano=10 * DOLLAR) == 1

    asyncio.run(main())


def test_a_reload_goes_on_counting() -> None:
    """New amounts take effect, and what was taken stays taken: a reload is no fresh start."""

    async def main() -> None:
        counting = Counting()
        assert await counting.granted(60, only("requests", 60)) == 60
        assert await counting.granted(9, only("requests", 120)) == 0
        counting.clock.sleep(30)
        assert await counting.granted(90, only("requests", 120)) == 60
        assert await counting.granted(9, only("concurrent", 4)) == 4
        assert await counting.granted(9, only("concurrent", 6)) == 2
        assert await counting.granted(9, only("money", 4 * DOLLAR), nano=DOLLAR) == 4
        assert await counting.granted(9, only("money", 6 * DOLLAR), nano=DOLLAR) == 2

    asyncio.run(main())


# money that was spent before ------------------------------------------------------------------------------------------------


def test_the_past_is_read_once() -> None:
    """Fifty requests that come at once after a restart make one question to the store, and may spend what is left."""

    async def main() -> None:
        counting = Counting()
        counting.ledger.spent["key:k"], counting.ledger.slow = 7 * DOLLAR, 0.01
        rules = only("money", 10 * DOLLAR, period="month")
        answers = await asyncio.gather(*(counting.ask(rules, nano=DOLLAR) for _ in range(50)))
        assert sum(isinstance(one, LocalHold) for one in answers) == 3
        assert counting.ledger.reads == 1

    asyncio.run(main())


def test_an_unknown_past_spends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store fails or does not answer, a hard budget refuses and a soft one does not; both count once it does."""
    monkeypatch.setattr("trunkline.meters.local.PATIENCE", 0.02)

    async def main() -> None:
        counting = Counting()
        ledger, rules = counting.ledger, only("money", 10 * DOLLAR, period="month")
        soft = only("money", 10 * DOLLAR, period="month", hard=False)
        ledger.fails = True
        refused = await counting.ask(rules, nano=DOLLAR)
        assert isinstance(refused, Refused)
        assert refused.unknown
        assert await counting.granted(1, soft, nano=DOLLAR) == 1
        assert await counting.granted(1, rules) == 1
        ledger.fails, ledger.slow, ledger.spent["key:k"] = False, 0.05, 9 * DOLLAR
        refused = await counting.ask(rules, nano=DOLLAR)
        assert isinstance(refused, Refused)
        assert refused.unknown
        await asyncio.sleep(0.06)
        reads = ledger.reads
        assert await counting.granted(3, rules, nano=DOLLAR) == 1, "what came late was not for nothing"
        assert ledger.reads == reads

    asyncio.run(main())


def test_a_client_that_hangs_up_leaves_nothing() -> None:
    """Whoever gives up while the past is read holds nothing, and those who wait with it get their answer."""

    async def main() -> None:
        counting = Counting()
        counting.ledger.slow = 0.01
        rules = Rules((Rule("key:k", "concurrent", 2), Rule("key:k", "money", 2 * DOLLAR, "week")))
        tasks = [asyncio.create_task(counting.ask(rules, nano=DOLLAR)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks[:2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in answers] == [asyncio.CancelledError] * 2 + [LocalHold] * 2
        assert {slots.busy for slots in counting.meters.books.slots.values()} == {2}

    asyncio.run(main())


# clocks ---------------------------------------------------------------------------------------------------------------------


def test_clocks_that_are_set_give_nothing_away() -> None:
    """An hour back, a day on and back again, and a clock that stands: what was spent in a window stays spent (D9)."""

    async def main() -> None:
        counting = Counting()
        rules = Rules((Rule("key:k", "money", 10 * DOLLAR, "day"), Rule("key:k", "requests", 100)))
        counting.ledger.spent["key:k"] = 4 * DOLLAR
        assert await counting.granted(20, rules, nano=DOLLAR) == 6
        for set_to in (-3600, 86_400, 0, -86_400, 0):
            counting.clock.set = set_to * SECOND
            counting.ledger.reads = 0
            granted = await counting.granted(20, rules, nano=DOLLAR)
            assert counting.ledger.reads <= 1, "a clock that is set makes no storm"
            if abs(set_to) < 86_400:
                assert granted == 0
            else:
                assert granted <= 6, "another day, of which the ledger knows"
        assert await counting.granted(100, rules) <= 100 - 6, "limits do not look at the wall"

    asyncio.run(main())


def test_the_first_request_after_midnight_asks_nobody() -> None:
    """Ten thousand keys begin a day at the same moment: those windows began before our eyes, so nothing is read."""

    async def main() -> None:
        counting = Counting()
        keys = [Rules((Rule(f"key:{number}", "money", DOLLAR, "day"),)) for number in range(300)]
        for rules in keys:
            await counting.ask(rules, nano=1)
        assert counting.ledger.reads == 300
        counting.clock.sleep(DAY)
        for rules in keys:
            await counting.ask(rules, nano=1)
        assert counting.ledger.reads == 300
        counting.clock.sleep(DAY)
        counting.clock.set = 3 * 86_400 * SECOND  # it was set: others may have spent in that day
        await counting.ask(keys[0], nano=1)
        assert counting.ledger.reads == 301

    asyncio.run(main())


def test_a_window_is_that_of_the_beginning() -> None:
    """A request that began before midnight is charged to its day, however long it runs, as the ledger does."""

    async def main() -> None:
        counting = Counting()
        rules = only("money", DOLLAR, period="day")
        hold = await counting.ask(rules, nano=DOLLAR)
        assert isinstance(hold, LocalHold)
        counting.clock.sleep(DAY)
        assert await counting.granted(2, rules, nano=DOLLAR) == 1
        counting.meters.settle(hold, 0, DOLLAR)
        (before, after) = sorted(counting.meters.books.purses.values(), key=lambda purse: purse.window)
        assert (before.spent, before.reserved, after.spent, after.reserved) == (DOLLAR, 0, 0, DOLLAR)
        late = Claim((rules,), 0, 1, counting.clock.wall - 86_400 * SECOND)
        assert isinstance(await counting.meters.reserve(late), Refused)

    asyncio.run(main())


def test_marks_are_told_as_they_are_crossed() -> None:
    """Eighty per cent is told when a settlement crosses it, also two marks at once; a soft budget goes on."""

    async def main() -> None:
        counting = Counting()
        rules = only("money", 10 * DOLLAR, hard=False, alert_at=(50, 80, 100))
        for dollars in (4, 1, 6, 9):
            hold = await counting.ask(rules, nano=DOLLAR)
            assert isinstance(hold, LocalHold)
            counting.meters.settle(hold, 0, dollars * DOLLAR)
        assert [(mark, nano // DOLLAR) for _, mark, nano in counting.told.marks] == [(50, 5), (80, 11), (100, 11)]

    asyncio.run(main())


def test_another_amount_is_another_budget_of_which_is_told() -> None:
    """Of a budget that is cut below what was spent nobody would hear, not even that it is used up."""

    async def main() -> None:
        counting = Counting()
        hold = await counting.ask(only("money", 10 * DOLLAR, alert_at=(80, 100)), nano=DOLLAR)
        assert isinstance(hold, LocalHold)
        counting.meters.settle(hold, 0, 6 * DOLLAR)
        assert counting.told.marks == []
        assert isinstance(await counting.ask(only("money", 5 * DOLLAR, alert_at=(80, 100)), nano=DOLLAR), Refused)
        assert [(mark, nano // DOLLAR) for _, mark, nano in counting.told.marks] == [(80, 6), (100, 6)]

    asyncio.run(main())


def test_memory_is_bounded_and_what_counts_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that come and go must not fill the memory, and what is held or taken must outlast the sweeping."""
    monkeypatch.setattr("trunkline.meters.local.MAX_RULES", 100)

    async def main() -> None:
        counting = Counting()
        kept = Rules((Rule("key:kept", "requests", 1), Rule("key:kept", "concurrent", 1), Rule("key:kept", "money", 3, "day")))
        hold = await counting.ask(kept, nano=2)
        assert isinstance(hold, LocalHold)
        for number in range(3000):
            if number % 100 == 0:
                counting.clock.sleep(7200)
            one = Rules((Rule(f"user:{number}", "requests", 60), Rule(f"user:{number}", "concurrent", 2)))
            got = await counting.ask(one)
            assert isinstance(got, LocalHold)
            counting.meters.settle(got, 0, 0)
        books = counting.meters.books
        assert len(books._buckets) + len(books.slots) + len(counting.meters._counters) < 1000
        assert isinstance(await counting.ask(kept), Refused)
        counting.meters.settle(hold, 0, 2)
        assert {slots.busy for slots in books.slots.values()} == {0}
        for day in range(3000):
            counting.clock.sleep(DAY)
            got = await counting.ask(Rules((Rule("key:a", "money", 3, "day"),)), nano=1)
            assert isinstance(got, LocalHold)
            counting.meters.settle(got, 0, 1)
            assert len(books.purses) <= 1024, day

    asyncio.run(main())


class Machine(RuleBasedStateMachine):
    """Any interleaving of requests, settlements, reloads and time."""

    def __init__(self) -> None:
        super().__init__()
        self.counting = Counting()
        self.amounts = {"requests": 20, "tokens": 1000, "concurrent": 3, "money": 5 * DOLLAR}
        self.rules = self._rules()
        self.running: list[LocalHold] = []
        self.spent = self.beyond = 0

    def _rules(self) -> Rules:
        return Rules(tuple(Rule("key:k", what, amount) for what, amount in self.amounts.items()))  # type: ignore[arg-type]

    @rule(tokens=st.integers(0, 500), nano=st.integers(0, 2 * DOLLAR))
    def reserve(self, tokens: int, nano: int) -> None:
        """A request asks."""
        got = asyncio.run(self.counting.ask(self.rules, tokens=tokens, nano=nano))
        if isinstance(got, LocalHold):
            self.running.append(got)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 99), tokens=st.integers(0, 700), nano=st.integers(0, 3 * DOLLAR))
    def settle(self, which: int, tokens: int, nano: int) -> None:
        """One is over."""
        hold = self.running.pop(which % len(self.running))
        self.counting.meters.settle(hold, tokens, nano)
        self.spent += nano
        self.beyond += max(nano - hold.nano, 0)

    @rule(what=st.sampled_from(["requests", "tokens", "concurrent", "money"]), times=st.integers(1, 3))
    def reload(self, what: str, times: int) -> None:
        """A limit is raised."""
        self.amounts[what] *= times if self.amounts[what] < 100 * DOLLAR else 1
        self.rules = self._rules()

    @rule(seconds=st.floats(0, 100))
    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.counting.clock.sleep(seconds)

    @rule(seconds=st.integers(-90_000, 90_000))
    def set_clock(self, seconds: int) -> None:
        """Somebody sets the wall clock."""
        self.counting.clock.set = seconds * SECOND

    @invariant()
    def never_more_than_there_is(self) -> None:
        """Beyond the budget lies only what requests used beyond their own reservation."""
        for purse in self.counting.meters.books.purses.values():
            assert purse.reserved == sum(hold.nano for hold in self.running) >= 0
            assert purse.spent == self.spent
            assert purse.spent + purse.reserved - self.beyond <= self.amounts["money"]
        for slots in self.counting.meters.books.slots.values():
            assert slots.busy == len(self.running) <= self.amounts["concurrent"]

    def teardown(self) -> None:
        """All reservations return to zero."""
        for hold in self.running:
            self.counting.meters.settle(hold, 0, 0)
        self.running = []
        self.never_more_than_there_is()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
