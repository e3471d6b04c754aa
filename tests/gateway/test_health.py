"""The two answers a supervisor asks for."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.edge.reply import Reply
from trunkline.gateway.endpoints import Job
from trunkline.gateway.health import answer


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
