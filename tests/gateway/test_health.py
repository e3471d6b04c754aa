"""The two answers a supervisor asks for."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.edge.reply import Reply
from trunkline.gateway.endpoints import Job
from trunkline.gateway.health import answer, answer_of_several


class Line:
    """Takes what a reply writes."""

    date = b""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def write_parts(self, parts: list[bytes]) -> None:
        """Keep them."""
        self.sent += b"".join(parts)

    def finish(self, **_: Any) -> None:
        """The end."""

    def cut(self) -> None:
        """The end."""


@pytest.mark.parametrize(
    ("job", "ready", "status", "word"),
    [
        ("health", True, 200, b"ok"),
        ("health", False, 200, b"ok"),
        ("ready", True, 200, b"ready"),
        ("ready", False, 503, b"not ready"),
    ],
)
def test_alive_is_not_ready(job: Job, ready: bool, status: int, word: bytes) -> None:
    """A draining gateway must get no more traffic, and must not be killed for it."""
    line = Line()
    reply = Reply(line, head_only=False, keep=True, chunked=True)
    answer(job, reply, ready=ready)
    assert reply.status == status
    assert line.sent.endswith(b'{"status":"%b"}' % word)
    assert b"cache-control: no-store\r\n" in line.sent
    assert (b"retry-after: 1\r\n" in line.sent) is (status == 503)


@pytest.mark.parametrize(
    ("serving", "failing", "status", "body"),
    [
        (3, [], 200, b'{"status":"ready"}'),
        (1, [2], 200, b'{"status":"ready","serving":1,"workers":3,"failing":[2]}'),
        (0, [], 503, b'{"status":"not ready","serving":0,"workers":3,"failing":[]}'),
    ],
)
def test_several_workers_are_ready_where_one_is(serving: int, failing: list[int], status: int, body: bytes) -> None:
    """A balancer must not lose a machine for one process of it; whoever looks closer sees what is missing."""
    line = Line()
    answer_of_several(Reply(line, head_only=False, keep=True, chunked=True), serving, 3, failing)
    head, _, sent = line.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert sent == body
    assert (b"retry-after" in head) == (status == 503)
