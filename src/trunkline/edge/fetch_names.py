"""Looking up the names of hosts that strangers choose, apart from the look-ups that the gateway itself lives on.

The loop's own look-ups share four threads: a name server that never answers would stop the way to every provider. What an
address is allowed to be is decided in `fetch_guard`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host for a port, each once, in the order to try them. Raises OSError."""

_MAX_ALIVE = 32
"""Look-ups at the same time, abandoned ones included: the system's cannot be stopped, and give up after half a minute."""


class Names:
    """The system's resolver, each look-up in a thread that does not hold up the end of the process."""

    def __init__(self, look_up: Callable[[str, int], list[str]] | None = None) -> None:
        """`look_up` blocks, and raises OSError."""
        self._look_up = look_up or system
        self._alive = threading.Semaphore(_MAX_ALIVE)

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of `host`. Raises OSError, also where too many look-ups hang."""
        if not self._alive.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def work() -> None:
            addresses: list[str] | OSError
            try:
                addresses = self._look_up(host, port)
            except OSError as error:
                addresses = error
            finally:
                self._alive.release()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_tell, found, addresses)

        threading.Thread(target=work, name="look-up", daemon=True).start()
        return await found


def system(host: str, port: int) -> list[str]:
    """What the system's resolver says. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # what the resolver says to a name that cannot be one
        raise OSError("not a name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _tell(found: asyncio.Future[list[str]], addresses: list[str] | OSError) -> None:
    if found.done():
        return
    if isinstance(addresses, OSError):
        found.set_exception(addresses)
    else:
        found.set_result(addresses)
