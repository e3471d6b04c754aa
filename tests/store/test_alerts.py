"""Alerts in the store: once for all processes, one taker for each try, nothing forgotten that may be told again."""

from __future__ import annotations

import threading

from trunkline.store import alerts
from trunkline.store.alerts import LASTING, NEVER
from trunkline.store.engine import Store


def test_what_is_put_down_twice_is_there_once(store: Store) -> None:
    """Two processes that see one mark crossed would tell of it twice."""
    alerts.add(store, [("one", "{}")], 5)
    alerts.add(store, [("one", '{"other": 1}'), ("two", "{}")], 6)
    found = [(one.id, one.made_ns, one.body, one.tries) for one in alerts.listing(store, 9)]
    assert found == [("two", 6, "{}", 0), ("one", 5, "{}", 0)]


def test_those_due_come_in_order_and_are_taken_by_one(store: Store) -> None:
    """Two processes would send one alert for each of them, or a new one would wait behind what cannot be delivered."""
    for ident, made in (("second", 20), ("first", 10), ("later", 99)):
        alerts.add(store, [(ident, "{}")], made)
    due = alerts.due(store, 50, 9)
    assert [one.id for one in due] == ["first", "second"]
    assert [one.id for one in alerts.due(store, 50, 1)] == ["first"]
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(alerts.take(store, due[0], 70))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]
    assert [one.id for one in alerts.due(store, 50, 9)] == ["second"]
    assert [(one.id, one.tries) for one in alerts.due(store, 70, 9)] == [("second", 0), ("first", 1)]


def test_what_is_settled_is_never_due_again(store: Store) -> None:
    """It would be told for ever; and the number of those that wait would never fall."""
    for ident in ("delivered", "given_up", "waits"):
        alerts.add(store, [(ident, "{}")], 1)
    alerts.settle(store, "delivered", 7)
    alerts.settle(store, "given_up", None)
    assert [one.id for one in alerts.due(store, NEVER - 1, 9)] == ["waits"]
    assert alerts.waiting(store) == 1
    states = {one.id: (one.delivered_ns, one.next_ns) for one in alerts.listing(store, 9)}
    assert states["delivered"][0] == 7
    assert states["given_up"] == (None, NEVER)


def test_what_is_over_is_forgotten_but_for_what_lasts(store: Store) -> None:
    """The table would grow for ever; or a budget without end would be told of again after each start."""
    for ident in ("old", "old" + LASTING, "waits", "new"):
        alerts.add(store, [(ident, "{}")], 100 if ident == "new" else 1)
    for ident in ("old", "old" + LASTING, "new"):
        alerts.settle(store, ident, 2)
    assert alerts.forget(store, 50) == 1
    assert {one.id for one in alerts.listing(store, 9)} == {"old" + LASTING, "waits", "new"}
    assert len(alerts.listing(store, 2)) == 2
