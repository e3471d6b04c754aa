"""The supervisor's lines: whole, masked, and never waited for."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import pytest

from trunkline.telemetry import herald as module
from trunkline.telemetry.herald import Herald


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Both ends of a pipe in place of standard output."""
    reader, writer = os.pipe()
    monkeypatch.setattr(module, "stdout_fd", lambda: writer)
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def turn() -> Iterator[int]:
    """What is locked by whoever writes."""
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def test_a_line_is_said_at_once(output: tuple[int, int], turn: int) -> None:
    """With its fields, without secrets, from its level on, and without the label of a worker."""
    herald = Herald("json", "warning", (b"sk-secret-0123456789",), turn)
    herald.say("info", "too little to say")
    herald.say("warning", "it ended", reason="sk-secret-0123456789", worker=2)
    said = json.loads(os.read(output[0], 4096))
    assert (said["level"], said["event"], said["reason"], said["worker"]) == ("warning", "it ended", "***", 2)
    herald.close()


def test_nobody_reads(output: tuple[int, int], turn: int) -> None:
    """A supervisor that waits for a log collector would replace nobody: lines wait instead, the oldest of too many goes."""
    herald = Herald("json", "info", (), turn)
    begin = time.monotonic()
    for number in range(3000):
        herald.say("info", "a line", number=number, text="x" * 400)
    assert time.monotonic() - begin < 2
    lines: list[bytes] = []

    def read() -> None:
        with os.fdopen(os.dup(output[0]), "rb") as file:
            for line in file:
                lines.append(line)
                if b'"number":2999' in line:
                    return

    reading = threading.Thread(target=read)
    reading.start()
    herald.close()
    reading.join(5)
    numbers = [json.loads(line)["number"] for line in lines]
    assert numbers[0] == 0
    assert numbers[-1000:] == list(range(2000, 3000))


def test_what_waits_is_said_by_one_process_only(output: tuple[int, int], turn: int) -> None:
    """A forked child has the parent's unsaid lines, too."""
    herald = Herald("json", "info", (), turn)
    fcntl.lockf(turn, fcntl.LOCK_UN)
    herald._waiting.append(b"left\n")
    herald.forget()
    herald.say("info", "own")
    assert json.loads(os.read(output[0], 4096))["event"] == "own"


def test_without_an_output(monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    """A service without standard output serves all the same."""
    monkeypatch.setattr(module, "stdout_fd", lambda: None)
    herald = Herald("json", "info", (), turn)
    herald.say("info", "to nobody")
    herald.close()


WRITER = """
import os, sys
from trunkline.telemetry.log import Beside, Log
log = Log(1, style="json", beside=Beside(int(sys.argv[1]), int(sys.argv[2])))
for number in range(300):
    log.event("error", "long", exception="e" * 7900, number=number)
    log.event("info", "short", number=number)
while log.close(10.0): pass
"""


def test_long_lines_of_several_processes_stay_whole(turn: int) -> None:
    """A pipe takes 4,096 bytes at once: a traceback of one worker in the middle of another's line is no line of either."""
    reader, writer = os.pipe()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(turn)],
            stdout=writer,
            pass_fds=[turn],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(3)
    ]
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        lines = [json.loads(line) for line in file]
    assert [process.wait(10) for process in processes] == [0, 0, 0]
    for number in range(3):
        own = [line["number"] for line in lines if line["worker"] == number]
        assert own == [one for number in range(300) for one in (number, number)]
