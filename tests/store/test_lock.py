"""One gateway per data directory, and keys that change at once."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from trunkline.store.errors import StoreError
from trunkline.store.lock import DataLock, Hand, Verdict, acknowledge, ask, crew, holder, muster, notify, tell

GATEWAY = """
    import os, signal, sys, time
    from pathlib import Path
    from trunkline.store.lock import DataLock, Verdict, acknowledge, tell
    data = Path(sys.argv[1])
    generation = 1
    def reload(*_):
        global generation
        generation += 1
        acknowledge(data, generation)
        tell(data, Verdict(time.monotonic_ns(), "applied", (f"reading {generation}",), ("a warning",)))
    lock = DataLock.acquire(data)
    print("locked", flush=True)
    sys.stdin.readline()
    signal.signal(signal.SIGHUP, reload)
    acknowledge(data, generation)
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def gateway(tmp_path):
    """A process that holds the lock, and answers SIGHUP from its second line on."""
    child = subprocess.Popen(
        [sys.executable, "-B", "-c", textwrap.dedent(GATEWAY), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "locked\n"
    yield child
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()


def _go_on(gateway):
    gateway.stdin.write("\n")
    gateway.stdin.flush()


def test_two_gateways_never_share_a_directory(tmp_path, gateway):
    """Two writers of one journal would replay and delete each other's segments."""
    with pytest.raises(StoreError, match=f"process {gateway.pid}") as refused:
        DataLock.acquire(tmp_path)
    assert "Stop it first" in refused.value.remedy
    assert holder(tmp_path) == gateway.pid
    gateway.kill()
    gateway.wait()
    lock = DataLock.acquire(tmp_path)  # a killed process leaves no lock behind
    assert holder(tmp_path) == os.getpid()
    lock.release()
    assert holder(tmp_path) is None


def test_a_look_at_the_lock_does_not_refuse_a_start(tmp_path):
    """`trunkline usage` beside a starting gateway must not make the start fail."""
    DataLock.acquire(tmp_path).release()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            holder(tmp_path)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(50):
        DataLock.acquire(tmp_path).release()
    stop.set()
    looking.join()


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    """The operator learns which directory, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        DataLock.acquire(tmp_path / "file" / "data")


def test_a_running_gateway_takes_changed_keys_up(tmp_path, gateway):
    """Revocation is in force when the command returns."""
    _go_on(gateway)
    assert gateway.stdout.readline() == "ready\n"
    assert notify(tmp_path, 1)
    assert (tmp_path / "keys.loaded").read_text() == f"{gateway.pid} 1\n"
    assert notify(tmp_path, 2)
    assert (tmp_path / "keys.loaded").read_text() == f"{gateway.pid} 2\n"


def test_a_starting_gateway_is_waited_for_and_not_signalled(tmp_path, gateway):
    """Before its handler stands, a SIGHUP would end the gateway."""
    assert not notify(tmp_path, 1, seconds=0.02)
    acknowledge(tmp_path, 9)  # left by an earlier process
    assert not notify(tmp_path, 1, seconds=0.1)
    assert gateway.poll() is None
    told = []
    waiting = threading.Thread(target=lambda: told.append(notify(tmp_path, 1)))
    waiting.start()
    _go_on(gateway)
    waiting.join()
    assert told == [True]


def test_the_acknowledgement_of_an_earlier_life_is_gone(tmp_path):
    """In a container every process has the same id: a restarted gateway would be signalled, and ended, before it listens."""
    acknowledge(tmp_path, 1)
    lock = DataLock.acquire(tmp_path)
    heard = []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append(1))
    assert not notify(tmp_path, 2, seconds=0.05)
    signal.signal(signal.SIGHUP, before)
    lock.release()
    assert heard == []
    assert not (tmp_path / "keys.loaded").exists()


def test_the_acknowledgement_is_its_owners(tmp_path):
    """In a directory that others may look into, too."""
    before = os.umask(0)
    acknowledge(tmp_path, 1)
    os.umask(before)
    assert (tmp_path / "keys.loaded").stat().st_mode & 0o777 == 0o600


def test_a_gateway_of_another_user_is_waited_for(tmp_path, gateway, monkeypatch):
    """It may not be signalled; the operator gets words, and no traceback."""
    _go_on(gateway)
    assert gateway.stdout.readline() == "ready\n"

    def kill(process, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", kill)
    assert not notify(tmp_path, 10, seconds=0.05)


def test_a_lock_on_a_full_disk_is_a_lock(tmp_path):
    """No room for a process id is no reason not to serve; who looks sees that somebody is there, and signals nobody."""
    acknowledge(tmp_path, 1)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        lock = DataLock.acquire(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert holder(tmp_path) == 0
    assert not notify(tmp_path, 2, seconds=0.02)
    lock.release()


def test_a_gateway_that_does_not_listen_is_told_of(tmp_path, gateway):
    """The operator must not believe a key revoked while it still works."""
    _go_on(gateway)
    assert gateway.stdout.readline() == "ready\n"
    begun = time.monotonic()
    assert not notify(tmp_path, 10, seconds=0.2)
    assert time.monotonic() - begun < 2


def test_without_a_gateway_nobody_need_be_told(tmp_path):
    """The next start reads the keys anyway."""
    assert notify(tmp_path / "absent", 5)
    DataLock.acquire(tmp_path).release()
    (tmp_path / "keys.loaded").write_text("garbage")
    assert notify(tmp_path, 5)


def test_what_became_of_the_configuration_is_told(tmp_path, gateway):
    """`trunkline reload` prints the verdict of a reading that began after it was called, and of no other."""
    _go_on(gateway)
    assert gateway.stdout.readline() == "ready\n"
    first, second = ask(tmp_path), ask(tmp_path)
    assert (first.result, first.lines, first.warnings, first.process) == (
        "applied",
        ("reading 2",),
        ("a warning",),
        gateway.pid,
    )
    assert second.lines == ("reading 3",)
    assert second.began_ns > first.began_ns


def test_a_verdict_of_another_process_is_none(tmp_path, gateway):
    """Left by an earlier life, damaged, or of a reading that began before the file was changed."""
    _go_on(gateway)
    assert gateway.stdout.readline() == "ready\n"
    gateway.send_signal(signal.SIGSTOP)
    try:
        tell(tmp_path, Verdict(time.monotonic_ns() + 10**12, "applied"))
        assert ask(tmp_path, seconds=0.05) is None
        (tmp_path / "config.read").write_text("{")
        assert ask(tmp_path, seconds=0.05) is None
    finally:
        gateway.send_signal(signal.SIGCONT)


def test_a_verdict_of_an_earlier_life_is_gone(tmp_path):
    """In a container every process has the same id."""
    tell(tmp_path, Verdict(1, "applied"))
    DataLock.acquire(tmp_path).release()
    assert not (tmp_path / "config.read").exists()


def test_without_a_gateway_there_is_no_verdict(tmp_path):
    """Nobody reads a configuration there."""
    assert ask(tmp_path / "absent", seconds=1) is None


CREW = """
    import os, signal, sys, time
    from pathlib import Path
    from trunkline.store.lock import DataLock, Hand, Verdict, acknowledge, muster, tell
    data, workers = Path(sys.argv[1]), []
    lock = DataLock.acquire(data)
    signal.signal(signal.SIGHUP, lambda *_: [os.kill(process, signal.SIGHUP) for process in workers])
    for number in range(2):
        muster(data, [Hand(n, workers[n] if n < len(workers) else None) for n in range(2)])
        process = os.fork()
        if not process:
            generation = 1
            def reload(*_):
                global generation
                generation += 1
                acknowledge(data, generation, number)
                tell(data, Verdict(time.monotonic_ns(), "refused" if number and generation > 5 else "applied"), number)
            signal.signal(signal.SIGHUP, reload)
            acknowledge(data, generation, number)
            while os.getppid() != 1:
                time.sleep(0.01)
            os._exit(0)
        workers.append(process)
    muster(data, [Hand(n, workers[n]) for n in range(2)])
    print(*workers, flush=True)
    sys.stdin.readline()
    os.kill(workers[1], signal.SIGKILL)
    os.waitpid(workers[1], 0)
    muster(data, [Hand(0, workers.pop(0)), Hand(1, None, 1)])
    print("one", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def supervised(tmp_path):
    """A process that holds the lock for two workers, of which it ends one at its first line; and their ids."""
    child = subprocess.Popen(
        [sys.executable, "-B", "-c", textwrap.dedent(CREW), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    workers = [int(word) for word in child.stdout.readline().split()]
    yield child, workers
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    for process in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_all_workers_must_have_the_keys(tmp_path, supervised):
    """A revoked key that one of several still takes is not revoked."""
    child, workers = supervised
    assert notify(tmp_path, 2)
    loaded = [(tmp_path / f"keys.loaded.{number}").read_text().split() for number in (0, 1)]
    assert [int(pid) for pid, _ in loaded] == workers
    generations = [int(generation) for _, generation in loaded]
    assert min(generations) >= 2, "who is slow to answer is signalled again, and counts on"
    os.kill(workers[1], signal.SIGSTOP)
    beyond = max(generations) + 2
    assert not notify(tmp_path, beyond, seconds=0.2)
    os.kill(workers[1], signal.SIGCONT)
    assert notify(tmp_path, beyond, seconds=20.0)
    assert [hand.process for hand in crew(tmp_path).hands] == workers
    assert holder(tmp_path) == child.pid


def test_who_is_not_there_is_not_waited_for(tmp_path, supervised):
    """Its successor reads all by itself; what the dead one said counts no more."""
    child, _ = supervised
    assert notify(tmp_path, 2)
    _go_on(child)
    assert child.stdout.readline() == "one\n"
    assert not (tmp_path / "keys.loaded.1").exists()
    assert notify(tmp_path, 3)
    assert [(hand.process is None, hand.deaths) for hand in crew(tmp_path).hands] == [(False, 0), (True, 1)]


def test_the_worst_of_all_verdicts_counts(tmp_path, supervised):
    """A configuration that one worker refused is not in force."""
    assert ask(tmp_path).result == "applied"
    while ask(tmp_path).result == "applied":
        pass
    assert ask(tmp_path).result == "refused"
    assert ask(tmp_path, seconds=0.0) is None


def test_who_served_before_is_gone(tmp_path):
    """Workers of an earlier life, and what they said, with it."""
    muster(tmp_path, [Hand(0, 7), Hand(1, 8)])
    acknowledge(tmp_path, 1, 1)
    tell(tmp_path, Verdict(1, "applied"), 0)
    DataLock.acquire(tmp_path).release()
    assert crew(tmp_path).hands == ()
    assert {path.name for path in tmp_path.iterdir()} == {"trunkline.lock"}
