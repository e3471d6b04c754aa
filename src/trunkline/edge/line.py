"""The line between a supervisor and one of its workers: a pair of sockets, and words of one byte.

What they follow from and lead to belongs to who speaks them. When one end is gone, the other reads the end of the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

BEGIN = b"b"
"""To the worker: it is known, and may begin."""
RELOAD = b"r"
DRAIN = b"d"
NOW = b"n"
"""Drain, and wait for nobody."""
READY = b"y"
"""From the worker: it serves."""
ALIVE = b"."
"""From the worker, every second: its loop runs."""
PERIOD = 1.0
"""Seconds between two of them."""


def pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end, which never blocks, and the worker's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def say(end: socket.socket, word: bytes) -> None:
    """Say one word. Whoever is gone, or has not listened to thousands of them, hears nothing."""
    with contextlib.suppress(OSError):
        end.send(word, socket.MSG_DONTWAIT)


def heard(end: socket.socket) -> bytes | None:
    """The words that came since; None at the end of the line."""
    try:
        return end.recv(4096, socket.MSG_DONTWAIT) or None
    except (BlockingIOError, InterruptedError):
        return b""
    except OSError:
        return None


class Line:
    """The worker's end, once its loop runs."""

    def __init__(self, end: socket.socket, loop: asyncio.AbstractEventLoop, on: Mapping[bytes, Callable[[], None]]) -> None:
        """`on`: what to do at each word; at the end of the line, the same as at `DRAIN`."""
        self._end = end
        self._loop = loop
        self._on = on
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Listen, and say that we serve."""
        self._loop.add_reader(self._end, self._hear)
        say(self._end, READY)
        self._live()

    def close(self) -> None:
        """Hear and say nothing any more."""
        self._loop.remove_reader(self._end)
        if self._timer is not None:
            self._timer.cancel()

    def _live(self) -> None:
        say(self._end, ALIVE)
        self._timer = self._loop.call_later(PERIOD, self._live)

    def _hear(self) -> None:
        words = heard(self._end)
        if words is None:
            self._loop.remove_reader(self._end)
            self._on[DRAIN]()
            return
        for word in words:
            self._on[bytes([word])]()
