"""Alerts by webhook from the real gateway: told once, signed, until somebody takes them; and what happens around it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.gateway import Gateway, Make, settings
from harness.redis import Redis
from harness.script import Seen
from harness.upstream import Upstream

SECRET = "whsec_" + base64.b64encode(b"a signing secret of 32 bytes....").decode()


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    """Whoever is told; it takes everything."""
    with Upstream() as running:
        running.script("raw=" + base64.b64encode(b"HTTP/1.1 204 No Content\r\n\r\n").decode())
        yield running


def config(upstream: Upstream, receiver: Upstream, **budget: Any) -> dict[str, Any]:
    """Each request costs 30 cents, of which a day has a dollar."""
    made = settings(upstream.url)
    made["prices"] = [{"provider": "lab", "model": "*", "request": 0.3}]
    made["teams"] = {"lab": {"budgets": [{"usd": 1, "per": "day", "alert_at": [50, 80], **budget}]}}
    made["keys"][0]["team"] = "lab"
    made["alerts"] = {"url": f"http://127.0.0.1:{receiver.port}/hook?x=1", "secret": SECRET}
    return made


def said(seen: Seen) -> dict[str, Any]:
    """The alert in a request, whose signature must be good: computed as Standard Webhooks say it."""
    ident, stamp = seen.header("webhook-id") or "", seen.header("webhook-timestamp") or ""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{ident}.{stamp}.".encode() + seen.body, hashlib.sha256).digest()
    assert seen.header("webhook-signature") == "v1," + base64.b64encode(digest).decode()
    assert abs(int(stamp) - time.time()) < 60
    found: dict[str, Any] = json.loads(seen.body)
    return found


def told(receiver: Upstream) -> list[tuple[str, Any]]:
    """Type and per cent of the alerts so far."""
    return [(one["type"], one.get("percent")) for one in map(said, list(receiver.requests))]


def test_marks_and_the_end_of_a_budget_are_told_once_each(upstream: Upstream, receiver: Upstream, make_gateway: Make) -> None:
    """Whoever pays would hear nothing, or the same again and again, or could not tell who wrote."""
    gateway = make_gateway(config(upstream, receiver))
    statuses = [gateway.chat().status for _ in range(6)]
    assert statuses == [200, 200, 200, 402, 402, 402]
    receiver.wait_requests(3)
    assert sorted(told(receiver), key=str) == [("budget.crossed", 50), ("budget.crossed", 80), ("budget.exceeded", None)]
    first = next(one for one in map(said, receiver.requests) if one.get("percent") == 50)
    assert (first["holder"], first["amount_usd"], first["spent_usd"], first["hard"]) == ("team:lab", "1.00", "0.60", True)
    assert first["window"]["per"] == "day"
    assert first["window"]["begin"].endswith("T00:00:00Z")
    assert receiver.requests[0].target == "/hook?x=1"
    assert len({seen.header("webhook-id") for seen in receiver.requests}) == 3
    gateway.kill()  # and after a restart nothing of it is told again
    gateway.restart()
    assert gateway.chat().status == 402
    gateway.stop()
    assert len(receiver.requests) == 3
    assert SECRET not in gateway.output()


def test_a_soft_budget_tells_and_refuses_nobody(upstream: Upstream, receiver: Upstream, make_gateway: Make) -> None:
    """Whoever only wants to know would be cut off; or would not be told."""
    gateway = make_gateway(config(upstream, receiver, soft=True, alert_at=[100, 200]))
    assert [gateway.chat().status for _ in range(7)] == [200] * 7
    receiver.wait_requests(2)
    assert sorted(told(receiver)) == [("budget.crossed", 100), ("budget.crossed", 200)]
    assert not said(receiver.requests[0])["hard"]


def test_a_dead_receiver_costs_requests_nothing_and_hears_it_later(
    upstream: Upstream, receiver: Upstream, make_gateway: Make
) -> None:
    """Requests would wait for a webhook, or its alerts be lost while it restarts."""
    receiver.script("hold")
    gateway = make_gateway(config(upstream, receiver))
    began = time.monotonic()
    assert [gateway.chat().status for _ in range(4)] == [200, 200, 200, 402]
    assert time.monotonic() - began < 3
    receiver.wait_requests(1)
    assert gateway.metrics()["trunkline_alerts_pending"] >= 1
    receiver.close_listener()
    receiver.reset_all()
    receiver.clear()
    gateway.wait_log(lambda line: str(line.get("event", "")).startswith("an alert could not be delivered"))
    receiver.reopen_listener()
    receiver.script("raw=" + base64.b64encode(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").decode())
    receiver.wait(lambda: len({seen.header("webhook-id") for seen in receiver.requests}) == 3, 25)
    assert sorted(told(receiver), key=str) == [("budget.crossed", 50), ("budget.crossed", 80), ("budget.exceeded", None)]
    end = time.monotonic() + 10
    while gateway.metrics()["trunkline_alerts_pending"] and time.monotonic() < end:
        time.sleep(0.05)
    samples = gateway.metrics()
    assert (samples["trunkline_alerts_pending"], samples['trunkline_alerts_total{result="delivered"}']) == (0, 3)
    assert samples['trunkline_alerts_total{result="failed"}'] >= 1


def settled(gateway: Gateway) -> None:
    """Wait until all that was asked is in the accounts."""
    end = time.monotonic() + 5
    while gateway.in_flight():
        assert time.monotonic() < end


def test_what_a_killed_process_saw_is_told_by_the_next(upstream: Upstream, receiver: Upstream, make_gateway: Make) -> None:
    """A crash at the wrong moment would be the reason why nobody heard that the money is gone."""
    made = config(upstream, receiver)
    alerts = made.pop("alerts")  # so that the mark is crossed and nothing of it is put down, as by a crash in between
    gateway = make_gateway(made)
    assert [gateway.chat().status for _ in range(2)] == [200, 200]
    settled(gateway)
    gateway.kill()
    made["alerts"] = alerts
    gateway.config_file.write_text(json.dumps(made))
    gateway.restart()
    assert gateway.chat().status == 200
    receiver.wait_requests(2)
    assert sorted(told(receiver)) == [("budget.crossed", 50), ("budget.crossed", 80)]


def test_an_alert_put_down_before_a_kill_is_delivered_after_it(
    upstream: Upstream, receiver: Upstream, make_gateway: Make
) -> None:
    """At least once: also where the process dies while it sends."""
    receiver.script("hold")
    gateway = make_gateway(config(upstream, receiver))
    assert [gateway.chat().status for _ in range(2)] == [200, 200]
    ident = receiver.wait_requests(1)[0].header("webhook-id")
    gateway.kill()
    receiver.clear()
    receiver.script("raw=" + base64.b64encode(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").decode())
    gateway.restart()  # and nothing is asked of it
    receiver.wait_requests(1, 15)
    assert receiver.requests[0].header("webhook-id") == ident
    assert told(receiver) == [("budget.crossed", 50)]


def test_the_command_shows_alerts_and_tries_the_receiver(upstream: Upstream, receiver: Upstream, make_gateway: Make) -> None:
    """An operator could not see what was told, nor try whether it would arrive before it matters."""
    gateway = make_gateway(config(upstream, receiver))
    place, gateway.env["COLUMNS"] = ["--config", str(gateway.config_file)], "200"
    done = gateway.run("alerts", "test", *place)
    assert (done.returncode, done.stdout.strip()) == (0, b"The receiver took it (204).")
    assert said(receiver.requests[0])["type"] == "test"
    receiver.script("status=403")
    refused = gateway.run("alerts", "test", *place)
    assert refused.returncode == 1
    assert b"answered 403" in refused.stderr
    receiver.close_listener()
    assert b"could not be reached" in gateway.run("alerts", "test", *place).stderr
    assert [gateway.chat().status for _ in range(2)] == [200, 200]
    gateway.wait_log(lambda line: str(line.get("event", "")).startswith("an alert could not be delivered"))
    listed = gateway.run("alerts", "list", "--data", str(gateway.data), *place).stdout.decode()
    assert "budget.crossed team:lab 50 % of $1.00 a day" in listed
    assert "waits, next try" in listed
    assert SECRET not in listed + gateway.output()


def test_two_processes_tell_once(upstream: Upstream, receiver: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Each worker that sees the end of a budget would tell of it."""
    made = config(upstream, receiver)
    made["redis"] = {"url": redis.url}
    made["server"]["workers"] = 2
    gateway = make_gateway(made)
    with ThreadPoolExecutor(8) as several:
        statuses: list[int] = []
        for _ in range(20):
            statuses += several.map(lambda _: gateway.chat().status, range(24))
            refusing = {line.get("worker") for line in gateway.logs() if line.get("status") == 402}
            if len(refusing) == 2:
                break
    assert refusing == {0, 1}
    assert statuses.count(200) == 3
    receiver.wait(lambda: len(receiver.requests) >= 3, 10)
    assert gateway.chat().status == 402
    assert sorted(told(receiver), key=str) == [("budget.crossed", 50), ("budget.crossed", 80), ("budget.exceeded", None)]
