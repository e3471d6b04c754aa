"""The answer to those who are turned away, and when it goes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.table import DIALECTS
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.gateway.shed import MAX_BODY, Desk, Shed, overloaded


class Line:
    """A connection that keeps what it is given."""

    date = b"date: now\r\n"

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        """As a connection's."""
        self.said += data

    def finish(self, *, keep: bool) -> None:
        """As a connection's."""
        self.said += b"" if keep else b"(closed)"


def turn_away(desk: Desk, name: str = "openai_chat", seconds: int = 3) -> tuple[Line, Request, Reply]:
    """A request that is turned away."""
    line: Any = Line()
    request, reply = Request("10.0.0.1", 0.0), Reply(line, head_only=False, keep=True, chunked=True)
    request.body = b"long"
    shed = Shed(desk, DIALECTS[name], "the-id", b"vary: origin\r\n", seconds)
    assert (shed.max_body, shed.streams) == (MAX_BODY, False)
    shed.start(request, reply)
    return line, request, reply


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("seconds", [1, 7])
def test_in_every_dialect(name: str, seconds: int) -> None:
    """An SDK that does not understand it would show its user a riddle, or come back at once."""
    line, _, _ = turn_away(Desk(), name, seconds)
    head, _, body = line.said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    lines = head.split(b"\r\n")
    for wanted in (b"x-request-id: the-id", b"vary: origin", b"content-type: application/json", b"retry-after: %d" % seconds):
        assert wanted in lines
    assert body == DIALECTS[name].write_error(overloaded(seconds))
    assert json.loads(body)


def test_the_log_s_word_for_it() -> None:
    """Clients and dashboards tell it from other failures by it."""
    error = overloaded(2)
    assert (error.kind.value, error.code, error.status, error.retry_after) == ("overloaded", "overloaded", 503, 2)


def test_refusals_that_wait_go_out_a_part_at_a_time() -> None:
    """Answered all at once, their clients would come back all at once."""
    desk = Desk()
    desk.tick(0.05, 0.2)
    waiting = [turn_away(desk) for _ in range(8)]
    assert all(request.body == b"" for _, request, _ in waiting)  # memory: there may be many
    counts = []
    for _ in range(3):
        desk.tick(0.05, 0.2)
        counts.append(sum(bool(line.said) for line, _, _ in waiting))
    assert counts == [2, 4, 5]
    assert [bool(line.said) for line, _, _ in waiting] == [True] * 5 + [False] * 3
    desk.tick(0.05, 0.0)
    assert all(line.said.startswith(b"HTTP/1.1 503 ") for line, _, _ in waiting)


def test_nothing_waits_for_ever() -> None:
    """The last one of a flood would never be answered."""
    desk = Desk()
    desk.tick(0.05, 1.0)
    line, _, _ = turn_away(desk)
    desk.tick(0.05, 1.0)
    assert line.said


def test_a_tick_that_comes_very_late() -> None:
    """It sends no more than there are."""
    desk = Desk()
    desk.tick(0.05, 0.2)
    line, _, _ = turn_away(desk)
    desk.tick(3.0, 0.2)
    assert line.said


def test_who_left_meanwhile_is_not_answered() -> None:
    """Its connection may be another's by now."""
    desk = Desk()
    desk.tick(0.05, 0.2)
    line, _, reply = turn_away(desk)
    reply.gone = True
    desk.tick(0.05, 0.0)
    assert line.said == b""
