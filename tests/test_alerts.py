"""Alerts between whoever has something to tell and a real receiver: signed, once, tried again, at nobody's cost."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.loop import LoopThread
from harness.upstream import Upstream
from trunkline import alerts
from trunkline.alerts import Alert, Alerts, crossed, exceeded, pause, signed
from trunkline.canon.wire import Origin
from trunkline.config.alerts import AlertSettings
from trunkline.config.schema_alerts import EVENTS, signing_key
from trunkline.edge.call import Place
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.meters.rule import Rule
from trunkline.meters.windows import FOREVER, Window
from trunkline.store import alerts as stored
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError

SECOND, DAY = 10**9, 86_400 * 10**9
NOON = 1_800_000_000 * SECOND
RULE = Rule("team:lab", "money", 25 * SECOND, "month", "Europe/Berlin", alert_at=(80, 100))
MONTH = Window(NOON - DAY, NOON + 20 * DAY)


def answer(status: int) -> str:
    """As a script of `Upstream`."""
    return "raw=" + base64.b64encode(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok".encode()).decode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file, so that others can open it too."""
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    """Takes everything until a test says otherwise."""
    with Upstream() as running:
        running.script(answer(204))
        yield running


class Stage:
    """Some processes' alerts, over real sockets; the clock is the test's."""

    def __init__(self, port: int) -> None:
        self.now = NOON
        self.reports: list[tuple[str, str, str]] = []
        self.thread = LoopThread("alerts")
        self.client = self.thread.call(lambda: Client(self.thread.loop, Sweep(self.thread.loop)))
        origin = Origin("http", "127.0.0.1", port, keep_idle=0.0)
        self.settings: AlertSettings | None = AlertSettings(Place(origin, "/hook"), b"k" * 32, frozenset(EVENTS), ())
        self.made: list[Alerts] = []

    def alerts(self, store: Store, *, sends: bool = True, start: bool = True) -> Alerts:
        """Those of one process."""

        def report(level: str, message: str, detail: str) -> None:
            self.reports.append((level, message, detail))

        one = Alerts(store, lambda: self.settings, report, lambda: self.now, sends=sends)
        self.made.append(one)
        if start:
            one.start(self.thread.loop, self.client)
        return one

    def stop(self) -> None:
        """End them."""
        for one in self.made:
            one.close()
        self.thread.call(self.client.close)
        self.thread.stop()


@pytest.fixture
def stage(receiver: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Looks into the store again and again."""
    monkeypatch.setattr(alerts, "LOOK", 0.02)
    made = Stage(receiver.port)
    yield made
    made.stop()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def listed(store: Store) -> dict[str, Any]:
    """What the store has, by id."""
    return {one.id: one for one in stored.listing(store, 2000)}


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """A receiver that checks signatures with a library would refuse every alert. The vector is that of the libraries' tests."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    lines = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1_614_265_330 * SECOND).split(b"\r\n")
    assert lines == [
        b"webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp: 1614265330",
        b"webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b"",
    ]


def test_what_an_alert_says() -> None:
    """Whoever reads it could not tell whose budget it is, how much of it is gone, or until when."""
    body = json.loads(crossed(RULE, MONTH, 80, 20_130_000_000).body(NOON))
    assert body == {
        "type": "budget.crossed",
        "timestamp": "2027-01-15T08:00:00Z",
        "percent": 80,
        "holder": "team:lab",
        "amount_usd": "25.00",
        "hard": True,
        "window": {
            "per": "month",
            "zone": "Europe/Berlin",
            "begin": "2027-01-14T08:00:00Z",
            "end": "2027-02-04T08:00:00Z",
        },
        "spent_usd": "20.13",
    }
    lasting = json.loads(exceeded(Rule("key:ci", "money", SECOND), FOREVER).body(NOON))
    assert lasting["window"] == {"per": "total", "zone": "UTC", "begin": None, "end": None}


def test_the_id_is_that_of_the_window_the_budget_and_the_mark() -> None:
    """Two processes would tell of one thing twice, or one of two things would never be told."""
    first = crossed(RULE, MONTH, 80, 5)
    assert first.ident == crossed(RULE, MONTH, 80, 999).ident
    raised = Rule(RULE.holder, "money", 50 * SECOND, "month", RULE.zone, alert_at=(80,))
    others = [
        crossed(RULE, MONTH, 100, 5),
        crossed(RULE, Window(MONTH.end, MONTH.end + DAY), 80, 5),
        crossed(raised, MONTH, 80, 5),
        exceeded(RULE, MONTH),
    ]
    assert len({one.ident for one in (first, *others)}) == 5
    assert len(first.ident) <= 128
    assert "." not in first.ident
    assert exceeded(RULE, FOREVER).ident.endswith(stored.LASTING)


def test_tries_go_from_seconds_to_an_hour() -> None:
    """A receiver that comes back would wait long for what it missed, or be asked all the time while it is down."""
    assert [pause(tries) // SECOND for tries in (0, 1, 2, 9, 10, 400)] == [5, 10, 20, 2560, 3600, 3600]


def test_an_alert_is_put_down_sent_and_told_once(stage: Stage, store: Store, receiver: Upstream) -> None:
    """Somebody would hear nothing of his budget, or hear it again from every process and after every start."""
    one, other = stage.alerts(store), stage.alerts(store)
    assert one.tell(crossed(RULE, MONTH, 80, 5))
    assert not one.tell(crossed(RULE, MONTH, 80, 6))
    other.tell(crossed(RULE, MONTH, 80, 5))
    other.tell(exceeded(RULE, MONTH))
    until(lambda: one.results["delivered"] + other.results["delivered"] == 2, "both delivered")
    until(lambda: one.pending + other.pending == 0, "nothing waits")
    later = stage.alerts(store)
    later.tell(exceeded(RULE, MONTH))
    until(lambda: later.pending == 0, "nothing to be done")
    assert len(receiver.requests) == 2
    assert {seen.header("webhook-id") for seen in receiver.requests} == set(listed(store))
    assert {seen.head.split(b" ")[0] for seen in receiver.requests} == {b"POST"}


def test_what_nobody_takes_is_tried_again_later(stage: Stage, store: Store, receiver: Upstream) -> None:
    """An alert would be lost for a receiver that restarts; or one that is ill would be flooded."""
    receiver.then(answer(500), answer(302), answer(404))
    one = stage.alerts(store)
    one.tell(exceeded(RULE, MONTH))
    for tries, wait in ((1, 5), (2, 10), (3, 20)):
        until(lambda tries=tries: one.results["failed"] == tries, "a failed try")
        until(lambda: one.pending == 1, "it waits")
        assert next(iter(listed(store).values())).next_ns == stage.now + wait * SECOND
        stage.now += wait * SECOND
    until(lambda: one.results["delivered"] == 1, "delivered in the end")
    assert [level for level, _, _ in stage.reports] == ["warning"]
    assert stage.reports[0][2] == "500"
    stamps = [seen.header("webhook-timestamp") for seen in receiver.requests]
    assert stamps == sorted(set(stamps))
    assert len({seen.header("webhook-id") for seen in receiver.requests}) == 1


@pytest.mark.parametrize("how", ["gone", "old"])
def test_one_is_given_up_that_is_not_wanted_or_too_old(stage: Stage, store: Store, receiver: Upstream, how: str) -> None:
    """A receiver that says it wants no more would be asked for ever; and who is told of last week's budget is misled."""
    one = stage.alerts(store, start=False)
    stored.add(store, [("alert", "{}")], NOON)
    if how == "old":
        stored.take(store, stored.due(store, NOON, 1)[0], NOON)
        stage.now += DAY + SECOND
    else:
        receiver.then(answer(410))
    one.start(stage.thread.loop, stage.client)
    until(lambda: one.results["given_up"] == 1, "given up")
    until(lambda: stored.waiting(store) == 0, "nothing waits")
    assert len(receiver.requests) == (0 if how == "old" else 1)
    assert stage.reports[0][0] == "error"


def test_what_was_put_down_before_a_long_night_is_told_after_it(stage: Stage, store: Store, receiver: Upstream) -> None:
    """A gateway that stopped on Friday evening would drop on Monday what nobody was ever told."""
    stored.add(store, [("alert", "{}")], NOON)
    stage.now += 3 * DAY
    one = stage.alerts(store)
    until(lambda: one.results["delivered"] == 1, "told once, late")


def test_a_crowd_is_told_without_a_rest(
    stage: Stage, store: Store, receiver: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the budgets of a whole organisation end on one day, the last would hear of it a quarter of an hour later."""
    monkeypatch.setattr(alerts, "LOOK", 60.0)
    stored.add(store, [(f"alert_{at}", "{}") for at in range(70)], NOON)
    one = stage.alerts(store)
    until(lambda: one.results["delivered"] == 70, "all of them")


def test_a_receiver_that_fails_is_asked_for_one_and_left_alone(
    stage: Stage, store: Store, receiver: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs would be waited for twenty times before what is told meanwhile is put down; one that is ill, flooded."""
    receiver.script(answer(500))
    monkeypatch.setattr(alerts, "LOOK", 60.0)
    stored.add(store, [(f"alert_{at}", "{}") for at in range(70)], NOON)
    one = stage.alerts(store)
    until(lambda: one.results["failed"] == 1 and one.pending == 70, "a try")
    one.tell(exceeded(RULE, MONTH))
    until(lambda: one.results["failed"] == 2 and one.pending == 71, "put down, and another try")


def test_what_was_put_down_outlives_its_process(stage: Stage, store: Store, receiver: Upstream) -> None:
    """A process that is killed between a mark and its delivery would take the alert with it."""
    receiver.script("hold")
    killed = stage.alerts(store)
    killed.tell(exceeded(RULE, MONTH))
    receiver.wait_requests(1)
    killed.hush()
    receiver.script(answer(200))
    stage.now += 5 * SECOND
    after = stage.alerts(store)
    until(lambda: after.results["delivered"] == 1, "delivered by the next one")


def test_a_slow_receiver_holds_up_nobody_who_tells(stage: Stage, store: Store, receiver: Upstream) -> None:
    """Requests would wait for a webhook; and what else is told meanwhile would be lost with the process."""
    receiver.script("hold")
    one = stage.alerts(store)
    one.tell(exceeded(RULE, MONTH))
    receiver.wait_requests(1)
    began = time.perf_counter()
    for mark in range(1000):
        one.tell(crossed(RULE, MONTH, mark, 5))
    assert time.perf_counter() - began < 0.5
    receiver.release()
    receiver.script(answer(200))
    until(lambda: len(listed(store)) == 1001, "put down all the same")


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Somebody else writes, and does not end."""
    began, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with store.begin() as connection:
            connection.exec_driver_sql("DELETE FROM alerts WHERE 1 = 0")
            began.set()
            ended.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    began.wait(10)
    yield
    ended.set()
    holder.join()


def test_a_store_that_is_locked_is_waited_for(stage: Stage, tmp_path: Path, store: Store, receiver: Upstream) -> None:
    """What is told while the store is away would be lost."""
    impatient = open_store(tmp_path, patience=0.01)
    one = stage.alerts(impatient, start=False)
    with locked(store):
        one.start(stage.thread.loop, stage.client)
        one.tell(exceeded(RULE, MONTH))
        with pytest.raises(StoreError):
            stored.add(impatient, [("other", "{}")], 1)
        assert one.pending == 1
    until(lambda: one.results["delivered"] == 1, "delivered once the store is there")
    assert stage.reports == []
    one.close()
    impatient.close()


def test_nothing_is_kept_for_whom_nobody_is(stage: Stage, store: Store, receiver: Upstream) -> None:
    """Without a receiver the store would fill; with one that wants only some events it would be told others."""
    configured, stage.settings = stage.settings, None
    one = stage.alerts(store)
    assert one.tell(exceeded(RULE, MONTH))
    assert not one.tell(exceeded(RULE, MONTH))
    assert configured is not None
    stage.settings = AlertSettings(configured.place, configured.key, frozenset({"budget.crossed"}), ())
    assert not one.tell(exceeded(RULE, MONTH))
    assert one.tell(crossed(RULE, MONTH, 80, 5))
    until(lambda: one.results["delivered"] == 1, "the wanted one")
    assert len(listed(store)) == len(receiver.requests) == 1
    stage.settings = AlertSettings(configured.place, configured.key, frozenset(EVENTS), ())
    assert one.tell(exceeded(RULE, MONTH))
    until(lambda: one.results["delivered"] == 2, "the one that is wanted now")


def test_too_many_at_once_are_counted_and_may_come_again(
    stage: Stage, store: Store, receiver: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is away for long would fill the memory; or what had no room would never be told."""
    monkeypatch.setattr(alerts, "_WAITING", 2)
    monkeypatch.setattr(alerts, "_TOLD", 3)
    one = stage.alerts(store, start=False)
    for mark in (1, 2, 3):
        assert one.tell(crossed(RULE, MONTH, mark, 5))
    assert (one.results["dropped"], one.pending) == (1, 2)
    one.start(stage.thread.loop, stage.client)
    until(lambda: one.results["delivered"] == 2, "those that had room")
    assert one.tell(crossed(RULE, MONTH, 3, 5))
    assert one.tell(crossed(RULE, MONTH, 4, 5))  # what was told is forgotten from here on
    until(lambda: one.results["delivered"] == 4, "the one that had none")


def test_one_that_does_not_send_puts_down_and_leaves_it_to_others(stage: Stage, store: Store, receiver: Upstream) -> None:
    """Every worker would look into the store all the time."""
    other = stage.alerts(store, sends=False)
    other.tell(exceeded(RULE, MONTH))
    until(lambda: listed(store), "put down")
    assert other.pending == 0
    sender = stage.alerts(store)
    until(lambda: sender.results["delivered"] == 1, "sent")


def test_what_is_told_last_is_put_down_at_the_end(stage: Stage, store: Store, receiver: Upstream) -> None:
    """The alert of the last request before a restart would be lost."""
    receiver.script("hold")
    one = stage.alerts(store)
    one.tell(exceeded(RULE, MONTH))
    receiver.wait_requests(1)
    one.hush()
    one.tell(crossed(RULE, MONTH, 80, 5))
    one.close()
    assert len(listed(store)) == 2
    assert stored.waiting(store) == 2


def test_an_ended_loop_is_no_reason_to_fall(store: Store, receiver: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop would end with a traceback."""
    monkeypatch.setattr(alerts, "LOOK", 0.02)
    stage = Stage(receiver.port)
    one = stage.alerts(store)
    stage.thread.call(stage.client.close)
    stage.thread.stop()
    one.tell(exceeded(RULE, MONTH))
    until(lambda: one.results["failed"] == 1, "a failed try")
    one.close()
    assert stage.reports[0][2] == "the gateway ends"


def test_old_ones_are_forgotten(stage: Stage, store: Store) -> None:
    """The table would grow for ever."""
    stored.add(store, [("old", "{}")], 1)
    stored.settle(store, "old", 2)
    stage.alerts(store)
    until(lambda: not listed(store), "forgotten")


def test_a_fault_of_ours_is_told_and_ends_nothing(stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one surprise nobody would be told of anything any more."""
    fails = iter([True])

    def due(*words: Any) -> Any:
        if next(fails, False):
            raise RuntimeError("surprise")
        return due_really(*words)

    due_really = stored.due
    monkeypatch.setattr(stored, "due", due)
    one = stage.alerts(store)
    one.tell(Alert("budget.exceeded", "x", FOREVER, {}))
    until(lambda: one.results["delivered"] == 1, "delivered all the same")
    assert stage.reports[0][:2] == ("error", "alerts could not be seen to")
