"""E4, and issue 6's several processes: workers that die, hang, are told and replaced, while clients are served."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from harness.client import Stream, request
from harness.gateway import KEY, Gateway, GatewayDied, Make, settings
from harness.invariants import eventually
from harness.postgres import Postgres
from harness.redis import Redis
from harness.upstream import Upstream


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """For commands that run beside one another."""
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(upstream: Upstream) -> None:
    """Holds hold again."""
    upstream.clear()


def several(upstream: Upstream, redis: Redis, workers: int, **server: Any) -> dict[str, Any]:
    """Settings of a gateway with so many workers."""
    return {**settings(upstream.url, server={"workers": workers, **server}), "redis": {"url": redis.url}}


def worker_of(gateway: Gateway, request_id: str | None) -> int:
    """Who served a request, by the log."""
    return int(gateway.wait_log(lambda line: line.get("request_id") == request_id)["worker"])


def hands(gateway: Gateway) -> dict[int, int]:
    """Process ids by worker."""
    found = json.loads((gateway.data / "crew").read_text())["hands"]
    return {hand["worker"]: hand["process"] for hand in found if hand["process"]}


def gone(process: int) -> bool:
    """Whether no process, not even a dead one that nobody asked after, has this id."""
    return not Path(f"/proc/{process}").exists()


def streams_on_all(gateway: Gateway, workers: int, each: int = 2) -> list[Stream]:
    """Open streams that have their first event; whoever has fewest connections takes the next, so each worker has as many."""
    streams = [gateway.stream(model="patient", mock="hold_at=1;frames=3") for _ in range(workers * each)]
    for stream in streams:
        assert stream.next() is not None
    return streams


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_e4_keys_hold_on_all_at_once(upstream: Upstream, redis: Redis, make_gateway: Make, workers: int) -> None:
    """A revoked key that still opens one door of four is a key that was not revoked."""
    gateway = make_gateway(several(upstream, redis, workers))
    data = ["--data", str(gateway.data)]

    def statuses(key: str) -> set[int]:
        wires = [gateway.connect() for _ in range(3 * workers)]  # open all at once, so that each worker has its part
        found = set()
        for wire in wires:
            wire.send(request("GET", "/v1/models", [("authorization", f"Bearer {key}")]))
            reply = wire.read_reply()
            assert reply is not None
            found.add(reply.status)
        for wire in wires:
            wire.close()
        return found

    done = gateway.run("keys", "create", "laptop", *data)
    assert done.returncode == 0, done.stderr
    key = done.stdout.decode().strip()
    assert statuses(key) == {200}
    assert gateway.run("keys", "revoke", "laptop", *data).returncode == 0
    assert statuses(key) == {401}
    assert statuses(KEY) == {200}
    assert gateway.stop() == 0


def test_e4_connections_are_shared_fairly(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """A few connections that live for long, as a proxy's, must not all sit on one of four processors."""
    gateway = make_gateway(several(upstream, redis, 4))
    streams = streams_on_all(gateway, 4, each=3)
    told = json.loads(gateway.get("/status", admin=True).body)
    assert told["in_flight"] == 12
    assert min(worker["in_flight"] for worker in told["workers"]) >= 2, "3 each, where the machine is not busy"
    upstream.release()
    for stream in streams:
        assert stream.rest()[-1] == b"[DONE]"
        stream.close()


def test_e4_a_killed_worker_costs_only_its_own_clients(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Streams of the others go on, whoever comes is served, and the accounts are whole: one row for each request."""
    gateway = make_gateway(several(upstream, redis, 3))
    streams = streams_on_all(gateway, 3)
    victim = hands(gateway)[1]
    os.kill(victim, signal.SIGKILL)
    answers = [gateway.chat() for _ in range(9)]
    assert {answer.status for answer in answers} == {200}
    eventually(lambda: hands(gateway).get(1, victim) != victim, "replaced")
    gateway.wait_log(lambda line: line.get("event") == "worker ready" and line.get("process") == hands(gateway)[1])
    upstream.release()
    endings = Counter((stream.rest() or [b""])[-1] == b"[DONE]" for stream in streams)
    for stream in streams:
        stream.close()
    assert endings == {True: 4, False: 2}
    assert gateway.stop() == 0
    outcomes = Counter(row["outcome"] for row in gateway.stored())
    assert outcomes == {"ok": 4 + 9, "interrupted": 2}
    assert gone(victim)


def test_e4_no_settled_record_is_lost(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Workers die at any moment under load: each answer that a client has whole has its row, and each row is there once."""
    gateway = make_gateway(several(upstream, redis, 2))
    answered: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                reply = gateway.chat(timeout=5)
            except (OSError, AssertionError):
                continue
            if reply.status == 200 and reply.complete:
                answered.append(str(reply.header("x-request-id")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for worker in (0, 1, 0, 1):
        before = len(answered)
        eventually(lambda before=before: len(answered) > before + 20, "served")
        eventually(lambda worker=worker: worker in hands(gateway), "it is there")
        os.kill(hands(gateway)[worker], signal.SIGKILL)
    before = len(answered)
    eventually(lambda: len(answered) > before + 20, "served")
    stop.set()
    for thread in threads:
        thread.join()
    assert gateway.stop() == 0
    rows = Counter(row["id"] for row in gateway.ledger())
    assert set(answered) <= rows.keys()
    assert set(rows.values()) == {1}


def test_e4_a_reload_holds_on_all(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """When the command returns, every worker serves the new configuration, and no request failed meanwhile."""
    config = several(upstream, redis, 3, watch=False)
    gateway = make_gateway(config)
    failures: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.005):
            if (status := gateway.chat().status) != 200:
                failures.append(status)

    thread = threading.Thread(target=ask)
    thread.start()
    for turn in range(2):
        config["models"][f"new-{turn}"] = {"targets": ["lab/tiny"]}
        gateway.config_file.write_text(yaml.safe_dump(config))
        done = gateway.run("reload", "--data", str(gateway.data))
        assert (done.returncode, b"Applied." in done.stdout) == (0, True), done.stderr
        wires = [gateway.connect() for _ in range(9)]
        for wire in wires:
            wire.send(gateway.chat_bytes(model=f"new-{turn}"))
        replies = [wire.read_reply() for wire in wires]
        assert [reply and reply.status for reply in replies] == [200] * 9
        for wire in wires:
            wire.close()
    gateway.config_file.write_text("models: [")
    done = gateway.run("reload", "--data", str(gateway.data))
    assert done.returncode == 1
    assert b"stays in force" in done.stderr
    stop.set()
    thread.join()
    assert failures == []
    os.kill(hands(gateway)[2], signal.SIGKILL)  # whoever comes now works with the last good one
    eventually(lambda: json.loads(gateway.get("/readyz", admin=True).body) == {"status": "ready"}, "replaced")
    assert {gateway.chat(model="new-1").status for _ in range(9)} == {200}


def test_e4_all_drain_on_sigterm(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """A deployment costs nobody an answer, however many processes there are; then none is left."""
    gateway = make_gateway(several(upstream, redis, 2))
    streams = streams_on_all(gateway, 2, each=5)
    pids = list(hands(gateway).values())
    gateway.terminate()
    for _ in pids:
        gateway.wait_log(lambda line: line.get("event") == "draining")
    eventually(lambda: refuses(gateway), "the port is closed")
    upstream.release()
    assert [stream.rest()[-1] for stream in streams] == [b"[DONE]"] * 10
    for stream in streams:
        stream.close()
    assert gateway.wait(5) == 0
    assert all(map(gone, pids))
    assert gateway.logs()[-1]["event"] == "stopped"
    assert "worker" not in gateway.logs()[-1]
    assert [row["outcome"] for row in gateway.stored()] == ["ok"] * 10


def refuses(gateway: Gateway) -> bool:
    """Whether the data plane takes no connection."""
    try:
        gateway.connect(timeout=1).close()
    except OSError:
        return True
    return False


def test_e4_a_second_signal_hurries_all(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """An operator who presses twice means every process; also where the terminal tells each of them besides."""
    gateway = make_gateway(several(upstream, redis, 2))
    streams = streams_on_all(gateway, 2)
    for turn in range(2):
        for pid in (gateway.pid, *hands(gateway).values()) if turn == 0 else (gateway.pid,):
            os.kill(pid, signal.SIGINT)
        if turn == 0:
            time.sleep(0.3)
            assert upstream.busy == 4, "the first signal, told twice to a worker, is no second one"
    assert gateway.wait(5) == 0
    for stream in streams:
        assert b'"error"' in stream.rest()[-1]
        stream.close()
    assert [row["outcome"] for row in gateway.stored()] == ["shutdown"] * 4


def test_e4_the_supervisor_is_killed(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Its workers drain and end, nobody keeps the port or the data directory, and streams come to their end."""
    gateway = make_gateway(several(upstream, redis, 2))
    streams = streams_on_all(gateway, 2)
    pids = list(hands(gateway).values())
    os.kill(gateway.pid, signal.SIGKILL)
    eventually(lambda: refuses(gateway), "no new connections")
    upstream.release()
    assert [stream.rest()[-1] for stream in streams] == [b"[DONE]"] * 4
    for stream in streams:
        stream.close()
    eventually(lambda: all(map(ended, pids)), "the workers ended")
    gateway.kill()
    gateway.restart()
    assert gateway.chat().status == 200
    assert gateway.stop() == 0
    assert [row["outcome"] for row in gateway.stored()] == ["ok"] * 5


def ended(process: int) -> bool:
    """Whether it runs no more; whose child it became may not have asked after it yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_e4_a_hung_worker_hides_nothing(upstream: Upstream, redis: Redis, make_gateway: Make, pool: ThreadPoolExecutor) -> None:
    """Whoever looks sees the others within about a second, the counts of the silent one as they were, and who is silent."""
    gateway = make_gateway(several(upstream, redis, 2))
    for _ in range(8):
        gateway.chat()
    before = requests(gateway)
    os.kill(hands(gateway)[1], signal.SIGSTOP)
    try:
        command = pool.submit(gateway.run, "status", "--url", f"http://127.0.0.1:{gateway.admin[1]}")
        begin = time.monotonic()
        assert requests(gateway) == before
        assert time.monotonic() - begin < 2.5
        states = {one["worker"]: one["state"] for one in json.loads(gateway.get("/status", admin=True).body)["workers"]}
        assert states == {0: "serving", 1: "silent"}
        reply = gateway.get("/readyz", admin=True)
        assert (reply.status, reply.json) == (200, {"status": "ready", "serving": 1, "workers": 2, "failing": []})
        assert b"silent" in command.result().stdout
    finally:
        os.kill(hands(gateway)[1], signal.SIGCONT)
    assert gateway.get("/readyz", admin=True).json == {"status": "ready"}


def requests(gateway: Gateway) -> float:
    """All settled requests, by the metrics."""
    return sum(value for name, value in gateway.metrics().items() if name.startswith("trunkline_requests_total"))


class Brisk(Gateway):
    """Its supervisor pauses for a second and a half where there are five."""

    @override
    def command(self, *words: str) -> list[str]:
        changed = "from trunkline import supervisor; supervisor.PAUSE = 1.5; from trunkline.cli.main import app; app()"
        return [sys.executable, "-c", changed, *words]


def test_e4_one_that_ends_again_and_again(upstream: Upstream, redis: Redis, tmp_path: Path) -> None:
    """A crash loop takes no processor from the others, and readiness says so."""
    with Brisk(several(upstream, redis, 2), tmp_path) as gateway:
        process = 0
        for _ in range(5):
            eventually(lambda before=process: hands(gateway).get(1, before) != before, "it is there")
            process = hands(gateway)[1]
            os.kill(process, signal.SIGKILL)
        gateway.wait_log(lambda line: line.get("event") == "worker ends again and again")
        begun = time.monotonic()
        assert gateway.get("/readyz", admin=True).json == {"status": "ready", "serving": 1, "workers": 2, "failing": [1]}
        assert json.loads(gateway.get("/status", admin=True).body)["workers"][1]["state"] == "failing"
        eventually(lambda: 1 in hands(gateway), "tried again", 8)
        assert time.monotonic() - begun > 1
        assert gateway.chat().status == 200
        assert gateway.stop() == 0


def test_e4_the_metrics_of_all_add_up(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """A thousand requests are a thousand, whoever is asked, and are no fewer when a worker dies."""
    gateway = make_gateway(several(upstream, redis, 4))
    wires = [gateway.connect() for _ in range(20)]
    for wire in wires:
        for _ in range(5):
            wire.send(gateway.chat_bytes() * 10)
            for _ in range(10):
                reply = wire.read_reply()
                assert reply is not None
                assert reply.status == 200
        wire.close()
    pages = [gateway.metrics() for _ in range(4)]
    by = '{endpoint="chat.completions",model="m",provider="lab"}'
    for page in pages:
        assert sum(value for name, value in page.items() if name.startswith("trunkline_requests_total")) == 1000
        assert page[f"trunkline_request_duration_seconds_count{by}"] == 1000
        last = by.replace(",model", ',le="+Inf",model')
        assert page[f"trunkline_request_duration_seconds_bucket{last}"] == 1000
        assert len([name for name in page if name.startswith("process_resident_memory_bytes{")]) == 4
        assert len([name for name in page if name.startswith("trunkline_build_info")]) == 1
    served = Counter(line["worker"] for line in gateway.logs() if line.get("event") == "request")
    eventually(lambda: gateway.metrics()["trunkline_ledger_stored_total"] == 1000, "stored")
    assert len(served) == 4
    os.kill(hands(gateway)[3], signal.SIGKILL)
    for _ in range(10):
        assert requests(gateway) == 1000
    assert all("unparsed" not in line for line in gateway.logs())


def test_e4_another_number_of_workers(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """Whatever processes left behind is booked once, by whichever there are next."""
    gateway = make_gateway(several(upstream, redis, 3))
    numbers = itertools.cycle([1, 4, 2])
    expected: Counter[str] = Counter()
    for _ in range(3):
        workers = max(1, len(gateway.workers()))
        streams = streams_on_all(gateway, workers, each=1)
        expected["interrupted"] += workers
        for pid in [gateway.pid, *gateway.workers()]:
            os.kill(pid, signal.SIGKILL)
        gateway.kill()
        for stream in streams:
            stream.close()
        upstream.clear()
        gateway.config_file.write_text(yaml.safe_dump(several(upstream, redis, next(numbers))))
        gateway.restart()
        gateway.chat()
        expected["ok"] += 1
    assert gateway.stop() == 0
    assert Counter(row["outcome"] for row in gateway.ledger()) == expected
    assert not list((gateway.data / "journal").rglob("*.log"))


def test_e4_what_it_costs(upstream: Upstream, redis: Redis, make_gateway: Make) -> None:
    """A worker is no larger than a single process, and two are there as fast as one is expected to be."""
    begin = time.monotonic()
    single = make_gateway(settings(upstream.url))
    alone = time.monotonic() - begin
    assert single.workers() == []
    one = single.rss()
    single.stop()
    gateway = make_gateway(several(upstream, redis, 2))
    assert Path(f"/proc/{gateway.pid}/task").is_dir()
    assert len(list(Path(f"/proc/{gateway.pid}/task").iterdir())) == 1, "whoever forks has no threads"
    for pid in gateway.workers():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        rss = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))
        assert rss <= one * 1.05
    fds = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in gateway.workers()]
    assert max(fds) < 40
    sockets = sorted(place.name for place in gateway.data.glob("*.sock"))
    assert sockets == ["worker-0.sock", "worker-1.sock"]
    assert {place.stat().st_mode & 0o777 for place in gateway.data.glob("*.sock")} == {0o600}
    gateway.stop()
    assert list(gateway.data.glob("worker-*")) == []
    begin = time.monotonic()
    gateway.restart()
    assert gateway.chat().status == 200
    assert time.monotonic() - begin < 2 * alone + 0.5


def test_e4_refused_without_redis(upstream: Upstream, tmp_path: Path) -> None:
    """Limits that each process counts for itself are no limits: it says so, and what to do."""
    gateway = Gateway(settings(upstream.url, server={"workers": 2}), tmp_path)
    with pytest.raises(GatewayDied):
        gateway.start()
    assert gateway.wait() == 1
    assert "server.workers" in gateway.output()
    assert "redis.url" in gateway.output()
    done = gateway.run("check", "--config", str(gateway.config_file))
    assert done.returncode == 1
    assert b"redis.url" in done.stderr


@pytest.fixture(scope="module")
def machines(
    upstream: Upstream, redis: Redis, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways that share nothing but PostgreSQL and Redis, as on two machines; the second has two workers."""
    store = {"url": postgres.url(postgres.fresh())}
    one, two = (
        Gateway({**several(upstream, redis, workers), "store": store}, tmp_path_factory.mktemp(f"machine-{workers}"))
        for workers in (1, 2)
    )
    with one, two:
        yield one, two
        assert [one.stop(), two.stop()] == [0, 0]


def keys_command(gateway: Gateway, *words: str) -> str:
    """`trunkline keys` as on this gateway's machine; what it prints."""
    gateway.env["TRUNKLINE_CONFIG"] = str(gateway.config_file)
    done = gateway.run("keys", *words, "--data", str(gateway.data))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def opens(gateway: Gateway, key: str) -> set[int]:
    """How a listing with this key is answered, on several connections."""
    return {gateway.get("/v1/models", key=key).status for _ in range(4)}


def test_e4_keys_on_two_machines(machines: tuple[Gateway, Gateway], pool: ThreadPoolExecutor) -> None:
    """A key made, or revoked, on one machine is so on the other when the command returns; also where both do it at once."""

    def there_and_back(here: Gateway, there: Gateway) -> None:
        key = keys_command(here, "create", f"of-{here.folder.name}")
        assert opens(here, key) == opens(there, key) == {200}
        keys_command(there, "revoke", f"of-{here.folder.name}")
        assert opens(here, key) == opens(there, key) == {401}

    one, two = machines
    for done in (pool.submit(there_and_back, one, two), pool.submit(there_and_back, two, one)):
        done.result()


def test_e4_a_machine_that_does_not_answer(machines: tuple[Gateway, Gateway]) -> None:
    """Whoever revokes a key must hear where it may still hold."""
    one, two = machines
    os.kill(two.pid, signal.SIGSTOP)  # only a supervisor stands still: its workers still serve
    keys_command(one, "create", "phone")
    stopped = hands(two)[1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        done = one.run("keys", "revoke", "phone", "--data", str(one.data))
        assert done.returncode == 1
        assert f"(process {stopped})" in done.stderr.decode()
        names = itertools.count()
        once_more = ["keys", "create", "later-{}", "--data", str(one.data)]
        eventually(lambda: one.run(*(word.format(next(names)) for word in once_more)).returncode == 0, "given up", 20)
    finally:
        os.kill(stopped, signal.SIGCONT)
        os.kill(two.pid, signal.SIGCONT)
