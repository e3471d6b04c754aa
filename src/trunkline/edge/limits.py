"""The bounds of the server side, as plain numbers. Bytes and seconds."""

from __future__ import annotations

import msgspec

KIB = 1024


class ServerLimits(msgspec.Struct, frozen=True):
    """What a client may take of us."""

    max_header: int = 64 * KIB
    """Bytes of a request's head."""
    max_headers: int = 128
    """Header fields of a request."""
    max_url: int = 16 * KIB
    header_timeout: float = 10.0
    """From the first byte of a request (or the connection's start) to the end of its head, in all."""
    body_grace: float = 10.0
    """Seconds before the minimum body rate counts."""
    body_min_rate: float = 1.0 * KIB
    """Bytes a second a body must arrive with, on average."""
    keep_alive: float = 75.0
    """Seconds an idle connection is kept between requests."""
    stall_timeout: float = 60.0
    """Seconds a client may take none of what waits for it, or bring none of a body that is passed on while it arrives."""
    max_connections: int = 10_000
    max_connections_per_ip: int | None = None
    write_high: int = 64 * KIB
    """Bytes waiting for a slow client at which the provider is paused."""

    def too_slow(self, size: int, age: float) -> bool:
        """Whether `size` bytes of a body are less than a client must have brought in `age` seconds."""
        late = age - self.body_grace
        return size < late * self.body_min_rate or (size == 0 and late >= 0)
