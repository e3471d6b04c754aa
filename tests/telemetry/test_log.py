"""The log's thread and queue, on real pipes: nobody waits for a log, and what is lost is counted."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
import timeit
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from trunkline.telemetry.lines import RequestLine
from trunkline.telemetry.log import Log, StdlibBridge, adopt_stdlib, stdout_fd

LINE = RequestLine(1, "req_1", "laptop", "POST", "/v1", "chat.completions", "m", "p", "t", 200, "ok")


class Pipe:
    """A real pipe: the log writes into one end, the test reads lines from the other."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._data = b""

    def line(self) -> dict[str, Any]:
        """The next JSON line; waits for it."""
        while b"\n" not in self._data:
            self._data += os.read(self.reader, 65536)
        line, _, self._data = self._data.partition(b"\n")
        return json.loads(line)

    def lines(self, count: int) -> list[dict[str, Any]]:
        """The next `count` JSON lines."""
        return [self.line() for _ in range(count)]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe, closed at the end."""
    ends = Pipe()
    yield ends
    os.close(ends.reader)
    os.close(ends.writer)


def test_level_and_secrets_follow_the_configuration(pipe: Pipe) -> None:
    """From a reload on the new credential is masked, and the old one, which running requests still have, is too."""
    log = Log(pipe.writer, secrets=[b"the-old-one"])
    log.configure("warning", [b"the-new-one"])
    log.event("info", "not heard")
    log.event("warning", "heard", what="the-old-one the-new-one")
    assert pipe.line()["what"] == "*** ***"
    log.configure("info", [])
    log.event("info", "heard again", what="the-old-one the-new-one")
    assert (line := pipe.line())["event"] == "heard again"
    assert line["what"] == "*** ***"
    log.close(5)


def test_lines_come_out_in_order_and_close_flushes(pipe: Pipe) -> None:
    """The last requests before a shutdown would be missing from the log."""
    log = Log(pipe.writer)
    for number in range(50):
        log.request(msgspec.structs.replace(LINE, request_id=f"req_{number}"))
    log.event("info", "stopping", reason="signal")
    assert log.close(5) == 0
    lines = pipe.lines(51)
    assert [line.get("request_id") for line in lines[:50]] == [f"req_{number}" for number in range(50)]
    assert lines[50]["event"] == "stopping"
    assert log.dropped == 0


def test_a_line_is_written_without_waiting_for_more(pipe: Pipe) -> None:
    """An operator who watches the log would see each request only when the next one comes."""
    log = Log(pipe.writer)
    for number in range(3):
        log.request(msgspec.structs.replace(LINE, request_id=str(number)))
        assert pipe.line()["request_id"] == str(number)
    log.close()


def test_logging_costs_under_a_microsecond() -> None:
    """Every request would pay for its log line."""
    null = os.open(os.devnull, os.O_WRONLY)
    log = Log(null, capacity=10**7)
    cost = min(timeit.repeat(lambda: log.request(LINE), number=5000, repeat=10)) / 5000
    log.close(10)
    os.close(null)
    assert cost < 1e-6


def test_a_blocked_output_blocks_no_caller_and_its_losses_are_told(pipe: Pipe) -> None:
    """`trunkline serve | sleep 100` would stop serving once the pipe is full (docs/faults.md E11)."""
    log = Log(pipe.writer, capacity=1000)
    for number in range(20_000):
        log.request(msgspec.structs.replace(LINE, request_id=str(number)))
    lost = log.dropped
    assert lost > 0
    assert log.close(0.05) > 0
    told = 0
    seen = 0
    while seen + told < 20_000:
        line = pipe.line()
        if line["event"] == "log lines dropped":
            told += line["count"]
        else:
            seen += 1
    assert told == lost == log.dropped


def test_an_output_that_is_not_blocking_is_waited_for(pipe: Pipe) -> None:
    """Under a supervisor that makes the pipe non-blocking, lines would be cut in the middle."""
    os.set_blocking(pipe.writer, False)
    log = Log(pipe.writer)
    for _ in range(2000):
        log.request(LINE)
    assert {line["request_id"] for line in pipe.lines(2000)} == {"req_1"}
    log.close(5)
    assert log.dropped == 0


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_closed_output_is_survived_and_counted(form: Any) -> None:
    """The reader of the log goes away, and the gateway with it."""
    reader, writer = os.pipe()
    os.close(reader)
    log = Log(writer, style=form)
    os.close(writer)
    log.request(LINE)
    log.event("error", "still here")
    assert log.close(5) == 0
    assert log.dropped == 2


def test_no_output_at_all_is_survived() -> None:
    """Started by a daemon manager without a standard output, the gateway would not come up."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    for fd in (None, writer):
        log = Log(fd)
        log.request(LINE)
        log.close(5)
        assert log.dropped == 1


def test_the_descriptor_is_the_logs_own(pipe: Pipe) -> None:
    """Somebody closes standard output, a client's socket gets its number, and log lines go to that client."""
    writer = os.dup(pipe.writer)
    log = Log(writer)
    os.close(writer)
    log.request(LINE)
    assert pipe.line()["event"] == "request"
    log.close()


def test_a_terminal_gets_text_in_colour_and_everything_else_json(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    """A person would read JSON, or a collector escape sequences."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    controller, terminal = pty.openpty()
    for environ, start in ((None, b"\x1b[31m"), ("1", b"1970")):
        if environ is not None:
            monkeypatch.setenv("NO_COLOR", environ)
        log = Log(terminal, clock=lambda: 0)
        log.event("error", "seen")
        log.close(5)
        assert os.read(controller, 1000).startswith(start)
    os.close(controller)
    os.close(terminal)
    log = Log(pipe.writer)
    log.event("info", "seen")
    assert pipe.line()["event"] == "seen"
    log.close(5)


def test_levels(pipe: Pipe) -> None:
    """A quiet configuration would still be flooded, or lose its errors."""
    log = Log(pipe.writer, level="warning")
    log.event("info", "quiet")
    log.request(LINE)
    log.request(msgspec.structs.replace(LINE, status=500, outcome="error", error="internal"))
    log.event("error", "loud")
    log.close(5)
    assert [(line["level"], line["event"]) for line in pipe.lines(2)] == [("error", "request"), ("error", "loud")]


def test_secrets_are_hidden_everywhere(pipe: Pipe) -> None:
    """A provider that repeats the credential in its error would publish it through our log (docs/faults.md S12)."""
    log = Log(pipe.writer, secrets=[b"canary-one", b"canary-two"])
    log.request(msgspec.structs.replace(LINE, detail="bad key canary-one", path="/canary-two"))
    log.event("error", "failed", why="canary-one")
    log.close(5)
    assert "canary" not in json.dumps(pipe.lines(2))


def test_a_line_that_cannot_be_written_does_not_end_the_log(pipe: Pipe) -> None:
    """One odd value, and the rest of the day is missing."""
    log = Log(pipe.writer)
    log.request(msgspec.structs.replace(LINE, request_id=7))
    log.request(LINE)
    log.close(5)
    first, second = pipe.lines(2)
    assert (first["event"], first["error"]) == ("a log line could not be written", "TypeError")
    assert second["request_id"] == "req_1"


def test_requests_and_events_that_find_no_room_are_counted(pipe: Pipe) -> None:
    """Lines would be missing, and nothing would say so."""
    log = Log(pipe.writer, capacity=0)
    log.event("info", "lost")
    log.request(LINE)
    assert log.dropped == 2
    log.close(5)


def test_the_standard_library_speaks_through_the_log(pipe: Pipe) -> None:
    """A library's warning would break the stream of JSON lines with one of its own."""
    log = Log(pipe.writer)
    undo = adopt_stdlib(log)
    try:
        logging.getLogger("sqlalchemy").warning("pool %s", "full")
        logging.getLogger("quiet").info("not this")
        try:
            int("inner")
        except ValueError:
            logging.getLogger("asyncio").exception("task failed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("deprecated thing", UserWarning, stacklevel=1)
    finally:
        undo()
    log.close(5)
    full, failed, warned = pipe.lines(3)
    assert (full["level"], full["logger"], full["text"]) == ("warning", "sqlalchemy", "pool full")
    assert failed["exception"].endswith("literal for int() with base 10: 'inner'\\n")
    assert "deprecated thing" in warned["text"]


def test_a_librarys_bad_format_string_fails_nobody(pipe: Pipe) -> None:
    """A bug in a library's log call would become an exception in a request."""
    log = Log(pipe.writer)
    StdlibBridge(log).handle(logging.makeLogRecord({"name": "lib", "levelno": 5, "msg": "%d", "args": ("x",)}))
    StdlibBridge(log).handle(logging.makeLogRecord({"name": "lib", "levelno": 50, "msg": "%d", "args": ("x",)}))
    log.close(5)
    assert pipe.line()["text"] == "%d"


def test_standard_output_is_found_where_there_is_one() -> None:
    """Without one, descriptor 1 may be a client's connection."""
    program = "import sys; from trunkline.telemetry.log import stdout_fd; sys.exit(0 if stdout_fd() is None else 9)"
    assert subprocess.run(["/bin/sh", "-c", f"exec '{sys.executable}' -c '{program}' >&-"], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert stdout_fd() in {None, 1}
