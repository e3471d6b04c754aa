"""The supervisor: when the next worker begins, who is killed for silence, and what is said of it all."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from harness.gateway import Gateway, GatewayDied, settings
from harness.invariants import eventually
from harness.redis import Redis
from harness.upstream import Upstream
from trunkline import supervisor
from trunkline.supervisor import FIRST_PAUSE, MANY, PAUSE, RECENT, Chair

IMPATIENT = "from trunkline import supervisor; supervisor.SILENCE = 3.0; from trunkline.cli.main import app; app()"


class Impatient(Gateway):
    """Its supervisor kills whoever is silent for three seconds."""

    @override
    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", IMPATIENT, *words]


def config(upstream: Upstream, redis: Redis, **server: Any) -> dict[str, Any]:
    """Two workers."""
    return {**settings(upstream.url, server={"workers": 2, **server}), "redis": {"url": redis.url}}


def test_the_first_death_costs_no_time() -> None:
    """One bad request that ends a worker must not halve what there is for longer than it takes to begin another."""
    chair = Chair(0)
    chair.died(100.0, accident=True)
    assert (chair.due, chair.deaths, chair.failing(100.0)) == (100.0, 1, False)


def test_deaths_in_a_row_are_waited_for_longer_and_longer() -> None:
    """What ends at once whenever it begins must not take the processor from those who serve."""
    chair = Chair(0)
    pauses = []
    for _ in range(MANY + 2):
        chair.died(100.0, accident=True)
        pauses.append(chair.due - 100.0)
    assert pauses == pytest.approx([0.0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, PAUSE, PAUSE, PAUSE])
    assert chair.failing(100.0)


def test_old_deaths_are_forgotten() -> None:
    """A worker a day is a nuisance and no crash loop."""
    chair = Chair(0)
    for day in range(10):
        chair.died(day * 86_400.0, accident=True)
        assert chair.due == day * 86_400.0
    assert not chair.failing(9 * 86_400.0 + RECENT)
    assert chair.deaths == 10


def test_who_was_told_to_end_did_not_die() -> None:
    """An operator who ends workers one by one, to have new ones, waits for none."""
    chair = Chair(0)
    for _ in range(2 * MANY):
        chair.died(100.0, accident=False)
    assert (chair.due, chair.deaths, chair.failing(100.0)) == (100.0, 0, False)


def test_a_worker_that_hangs_is_replaced(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """Its clients wait for nothing, and whoever comes would too."""
    with Impatient(config(upstream, redis), tmp_path) as gateway:
        victim = gateway.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        told = gateway.wait_log(lambda line: line.get("event") == "worker does not answer, and is killed", 15)
        assert told["process"] == victim
        ended = gateway.wait_log(lambda line: line.get("event") == "worker ended and is replaced")
        assert (ended["process"], ended["signal"], ended["level"]) == (victim, "SIGKILL", "error")
        eventually(lambda: len(gateway.workers()) == 2, "replaced")
        assert gateway.stop() == 0


def test_standing_still_with_the_machine_is_no_silence(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """A laptop that slept, or a paused machine: nobody is killed for what everybody did."""
    with Impatient(config(upstream, redis), tmp_path) as gateway:
        everybody = [*gateway.workers(), gateway.pid]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(AssertionError, match="no such log line"):
            gateway.wait_log(lambda line: "killed" in str(line.get("event")), 4)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        with pytest.raises(AssertionError, match="no such log line"):
            gateway.wait_log(lambda line: "killed" in str(line.get("event")), 0.8)
        assert sorted(gateway.workers()) == sorted(everybody[:-1])


def test_a_worker_that_is_told_to_end(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """One after the other, they can be made anew while the others serve."""
    with Gateway(config(upstream, redis), tmp_path) as gateway:
        old = gateway.workers()
        for pid in old:
            os.kill(pid, signal.SIGTERM)
            told = gateway.wait_log(lambda line, pid=pid: line.get("process") == pid and "status" in line)
            assert (told["event"], told["status"], told["level"]) == ("worker ended and is replaced", 0, "info")
            eventually(lambda: len(gateway.workers()) == 2, "replaced")
            assert gateway.chat().status == 200
        assert not set(old) & set(gateway.workers())


def test_a_flood_of_reloads_holds_up_no_end(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """A script that signals in a loop must not keep the operator from stopping the gateway."""
    crowd = {f"model-{number}": {"targets": ["lab/tiny"]} for number in range(1000)}
    settled = config(upstream, redis)
    with Gateway({**settled, "models": {**settled["models"], **crowd}}, tmp_path) as gateway:
        for _ in range(200):
            os.kill(gateway.pid, signal.SIGHUP)
            time.sleep(0.002)  # else the system makes one signal of several
        assert gateway.chat().status == 200
        assert gateway.stop(10) == 0


def test_without_a_standard_error(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """Whoever starts it with nothing there gets workers that end as workers, and not as a second supervisor."""
    with Gateway(config(upstream, redis), tmp_path, wrap=["sh", "-c", 'exec "$@" 2>&-', "sh"]) as gateway:
        assert gateway.chat().status == 200
        os.kill(gateway.workers()[0], signal.SIGTERM)
        told = gateway.wait_log(lambda line: line.get("event") == "worker ended and is replaced")
        assert told["status"] == 0
        assert gateway.stop() == 0


def test_the_banner_and_the_first_key_come_once(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """Two keys on the screen, and nobody knows which holds."""
    both = config(upstream, redis)
    del both["keys"]
    with Gateway(both, tmp_path) as gateway:
        shown = b"".join(gateway.stderr).decode()
        assert shown.count("Trunkline serves") == 1
        assert shown.count("shown only this once") == 1
        ready = [line for line in gateway.logs() if line["event"] == "ready"]
        assert [(line["workers"], "worker" in line) for line in ready] == [(2, False)]


def test_addresses_that_are_taken(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """As of a single process: which, why, what to do; no worker is begun and no key used up."""
    with Gateway(settings(upstream.url), tmp_path) as other:
        (tmp_path / "second").mkdir()
        address = f"127.0.0.1:{other.listen[1]}"
        second = Gateway(config(upstream, redis, listen=address), tmp_path / "second")
        with pytest.raises(GatewayDied):
            second.start()
        assert second.wait() == 1
        assert f"Cannot listen on {address}" in second.output()
        assert "Traceback" not in second.output()


def test_a_second_gateway_on_the_same_data(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """Also one whose supervisor was killed is there until its last worker has ended."""
    with Gateway(config(upstream, redis), tmp_path) as gateway:
        with gateway.stream(model="patient", mock="hold_at=1;frames=3") as stream:
            assert stream.next() is not None
            os.kill(gateway.pid, signal.SIGKILL)
            done = gateway.run(*gateway.serve_words())
            assert done.returncode == 1
            assert b"uses the data directory" in done.stderr
            upstream.release()
            stream.rest()
        gateway.kill()
        gateway.restart()
        assert gateway.stop() == 0


def test_whoever_forks_waits_for_nobody() -> None:
    """A supervisor that looks less often than it counts silence would kill the living."""
    assert 2 * supervisor.LOOK < supervisor.SILENCE
