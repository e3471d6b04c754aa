"""D9: the machine's clock jumps, stands still, and jumps back, while requests run. libfaketime does it to the real process.

The monotonic clock goes on as it does in the world: only what somebody set, or a time server corrected, is another.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import trunkline
from harness.client import Wire
from harness.gateway import Gateway, Make, settings
from harness.invariants import eventually
from harness.upstream import Upstream

SOURCES = Path(trunkline.__file__).parent
FROZEN = "frozen"
JUMPS = ["-1h", "+1d", FROZEN]


class Hand:
    """Moves the clock of a gateway."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.move("+0")

    @property
    def env(self) -> dict[str, str]:
        """What a process needs for its clock to be moved."""
        if shutil.which("faketime") is None:
            pytest.skip("faketime is not installed (scripts/install-servers)")
        told = subprocess.run(
            ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
        )
        return {
            "LD_PRELOAD": told.stdout.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(self._place),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def move(self, to: str) -> None:
        """`+0`, `-1h`, `+1d` away from the real time, or `frozen` half an hour ago."""
        if to == FROZEN:
            to = (datetime.now(UTC) - timedelta(minutes=30)).strftime("%Y-%m-%d %H:%M:%S")
        fresh = self._place.with_suffix(".new")
        fresh.write_text(f"{to}\n")
        fresh.replace(self._place)


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    """Of this test's gateway."""
    return Hand(tmp_path / "clock")


def config(upstream: Upstream, dead: Upstream | None = None) -> dict[str, Any]:
    """The harness's settings; with `dead` a model whose first target that is."""
    written = settings(upstream.url)
    if dead is not None:
        written["providers"]["dead"] = {"kind": "openai", "base_url": dead.url, "api_key": "none"}
        written["models"]["spare"] = {"targets": ["dead/tiny"], "fallbacks": ["lab/tiny"]}
    return written


def start(make_gateway: Make, hand: Hand, config: dict[str, Any]) -> Gateway:
    """A process whose clock `hand` moves; not that of commands beside it, whose `time.sleep` libfaketime breaks."""
    gateway = make_gateway(config, env=hand.env)
    gateway.env.pop("LD_PRELOAD")
    return gateway


def timed_out(gateway: Gateway) -> tuple[int, float]:
    """Status and seconds of a request that the provider does not answer: `m` waits for half a second."""
    while True:
        begin = time.monotonic()
        reply = gateway.chat(mock="hold")
        if b'"overloaded"' not in reply.body:
            return reply.status, time.monotonic() - begin


def ask(gateway: Gateway, wire: Wire, **fields: Any) -> str:
    """A request over this connection, which must be served; its id. On a machine that has much to do, it is made again."""
    for _ in range(20):
        wire.send(gateway.chat_bytes(**fields))
        reply = wire.read_reply()
        assert reply is not None, "the connection was closed"
        if b'"overloaded"' not in reply.body:
            break
    assert (reply.status, reply.complete) == (200, True), reply
    return str(reply.header("x-request-id"))


def test_d9_no_deadline_goes_by_the_wall() -> None:
    """Rooms that wait, rest and sweep may not even ask what time it is; the one that does writes the `date` of answers."""
    rooms = ("edge", "routing", "policy", "transforms", "dialects")
    told = re.compile(r"time\.time|time_ns|datetime\.now|utcnow|localtime|gmtime\(\)")
    files = (file for room in rooms for file in (SOURCES / room).rglob("*.py"))
    found = {str(file.relative_to(SOURCES)) for file in files if told.search(file.read_text())}
    assert found == {"edge/date.py"}


def test_d9_the_hand_moves_the_clock(upstream: Upstream, make_gateway: Make, hand: Hand) -> None:
    """Else the tests here would hold for nothing."""
    upstream.clear()
    gateway = start(make_gateway, hand, config(upstream))
    seen = []
    for to in ("+0", "-1h", "+1d"):
        hand.move(to)
        head = gateway.get("/healthz").header("date")
        assert head is not None
        seen.append(datetime.strptime(head, "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC) - datetime.now(UTC))
    assert [round(one.total_seconds() / 3600) for one in seen] == [0, -1, 24]


@pytest.mark.parametrize("jump", JUMPS)
def test_d9_nothing_expires_that_is_not_old(jump: str, upstream: Upstream, make_gateway: Make, hand: Hand) -> None:
    """A stream, a client's idle connection and a provider's live on; and what is late is late all the same."""
    upstream.clear()
    gateway = start(make_gateway, hand, config(upstream))
    with gateway.connect() as idle, gateway.stream(model="patient", mock="hold_at=1;frames=3") as stream:
        assert stream.next() is not None
        ask(gateway, idle)
        accepted = upstream.accepted
        for to in (jump, "+0", jump):
            hand.move(to)
            late, took = timed_out(gateway)
            assert (late, 0.4 < took < 4) == (504, True), took  # every sweep of the timers is over by then
            ask(gateway, idle)
        upstream.release()
        assert stream.rest()[-1] == b"[DONE]"
    assert upstream.accepted <= accepted + 3, "only the connections that were given up were opened anew"
    rows = gateway.ledger()
    assert sorted(row["outcome"] for row in rows) == ["ok"] * 5 + ["upstream_error"] * 3
    for row in rows:
        took = {name: value for name, value in row.items() if name.endswith(("_us", "_ms"))}
        assert took, row
        assert all(0 <= value < 60e6 for value in took.values() if value is not None), took


@pytest.mark.parametrize("jump", JUMPS)
def test_d9_a_target_rests_no_longer_and_no_less(jump: str, upstream: Upstream, make_gateway: Make, hand: Hand) -> None:
    """A day on, every open circuit would close at once, and all ask what is down; an hour back, none would for an hour."""
    upstream.clear()
    with Upstream() as dead:
        dead.script("status=500")
        gateway = start(make_gateway, hand, config(upstream, dead))
        unwell = 'trunkline_targets_unwell{provider="dead"}'
        with gateway.connect() as wire:

            def ill() -> bool:
                ask(gateway, wire, model="spare")
                return gateway.metrics().get(unwell) == 1

            eventually(ill, "the circuit is open")
            asked = len(dead.requests)
            hand.move(jump)
            for _ in range(10):
                ask(gateway, wire, model="spare")
            assert len(dead.requests) == asked
            assert gateway.metrics()[unwell] == 1


def test_d9_rows_keep_their_order(upstream: Upstream, make_gateway: Make, hand: Hand) -> None:
    """Who pages through the ledger, by time or by id, must not skip or see twice; and every id is one."""
    upstream.clear()
    gateway = start(make_gateway, hand, config(upstream))
    asked = []
    with gateway.connect() as wire:
        for to in ("+0", "-1h", FROZEN, "+0", "-1h", "+1d"):
            hand.move(to)
            asked += [ask(gateway, wire) for _ in range(5)]
    eventually(lambda: len(gateway.stored()) == len(asked), "every row is stored")
    hand.move("+0")
    rows = gateway.ledger()
    assert [row["id"] for row in rows] == asked
    assert len(set(asked)) == len(asked)
    moments = [one[:12] for one in asked]
    assert moments == sorted(moments), "ids sort by time"


def test_d9_keys_and_configuration_follow(upstream: Upstream, make_gateway: Make, hand: Hand) -> None:
    """A revocation and a reload hold whatever the time is said to be."""
    upstream.clear()
    gateway = start(make_gateway, hand, config(upstream))
    key = gateway.run("keys", "create", "laptop", "--data", str(gateway.data)).stdout.decode().strip()
    hand.move("-1h")
    assert gateway.chat(key=key).status == 200
    assert gateway.run("keys", "revoke", "laptop", "--data", str(gateway.data)).returncode == 0
    assert gateway.chat(key=key).status == 401
    done = gateway.run("reload", "--data", str(gateway.data))
    assert done.stdout == b"Unchanged: it says what was in force already.\n"
