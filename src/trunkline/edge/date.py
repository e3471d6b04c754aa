"""The `date` header line of answers."""

from __future__ import annotations

import time
from email.utils import formatdate


class Date:
    """The line (RFC 9110 section 6.6.1), made anew once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def __call__(self) -> bytes:
        """The line of now, CRLF included."""
        second = time.time_ns() // 1_000_000_000
        if second != self._second:
            self._second = second
            self._line = f"date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        return self._line
